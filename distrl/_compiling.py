"""First calls compile kernels, for seconds: it is said once, and left out of what a result says it took."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

from distrl._threads import in_pool

NOTE = (
    "compiling for this call, which takes some seconds once; later calls and sessions find it done "
    "(distrl.warm_up() compiles ahead)"
)


class _Watch(event.Listener):  # type: ignore[misc]
    """Seconds that each thread has compiled; compilations nest, and the outermost one counts."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._pool = 0.0  # of distrl's own threads, which work for a caller that waits
        self._tellers: list[Callable[[str], None]] = []
        self._told = False

    def on_start(self, event: Any) -> None:
        """A compilation begins."""
        function = event.data["dispatcher"].py_func
        if self._depth == 0:
            self._own.since = time.perf_counter()
        self._own.depth = self._depth + 1
        if function.__module__.startswith("distrl."):
            self._tell(function.__name__.strip("_"))

    def on_end(self, event: Any) -> None:
        """A compilation ends."""
        self._own.depth = self._depth - 1
        if self._depth == 0:
            taken = time.perf_counter() - self._own.since
            if in_pool():
                self._pool += taken
            else:
                self._own.seconds = getattr(self._own, "seconds", 0.0) + taken

    @property
    def _depth(self) -> int:
        return getattr(self._own, "depth", 0)

    @property
    def seconds(self) -> float:
        """Seconds of compiling that the thread that asks has waited for so far."""
        return float(getattr(self._own, "seconds", 0.0)) + self._pool

    def _tell(self, kernel: str) -> None:
        if self._tellers:
            self._tellers[-1](kernel)
        elif not self._told:
            self._told = True
            interactive = hasattr(sys, "ps1") or (sys.stderr is not None and sys.stderr.isatty())
            (_print if interactive else logging.getLogger("distrl").info)(f"distrl: {NOTE}")

    @contextmanager
    def told_to(self, teller: Callable[[str], None]) -> Iterator[None]:
        """Call `teller` with the name of each kernel that is compiled meanwhile."""
        self._tellers.append(teller)
        try:
            yield
        finally:
            self._tellers.remove(teller)

    def say_aloud(self) -> Callable[[str], None]:
        """A teller that says it once, on stderr: somebody watches."""

        def teller(kernel: str) -> None:
            if not self._told:
                self._told = True
                _print(f"distrl: {NOTE}")

        return teller


def _print(sentence: str) -> None:
    """To stderr, above a bar of tqdm's if there is one."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(sentence, file=sys.stderr, flush=True)
    else:
        tqdm.tqdm.write(sentence, file=sys.stderr)


watch = _Watch()
event.register("numba:compile", watch)
