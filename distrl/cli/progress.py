"""The live bar."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from distrl._compiling import watch
from distrl.dp.progress import ProgressHook, progress_hook


@contextmanager
def live_progress(asked: bool | None) -> Iterator[ProgressHook | None]:
    """A hook for `progress=`, or None: a live bar on a terminal, tqdm's lines where a log was asked for."""
    if asked is False or not sys.stderr.isatty():
        hook, close = progress_hook(bool(asked))
        try:
            yield hook
        finally:
            close()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        live = _Live(bar)
        with watch.told_to(live.compiling):
            yield live


class _Live:
    """A hook that shows the phase, the bound and the time left on a live bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._last, self._words = bar, 0.0, "preparing"
        self._task = bar.add_task("preparing", total=None)

    def __call__(self, share: float, applications: int, bound: float) -> None:
        if (now := time.monotonic()) - self._last > 0.1:
            self._last = now
            known = f": error bound {bound:.2g}" if bound == bound else ""
            self._bar.update(self._task, total=1.0, completed=share, description=self._words + known)

    def phase(self, words: str) -> None:
        self._words = words
        self._bar.update(self._task, total=None, description=words)

    def compiling(self, kernel: str) -> None:
        self._bar.update(self._task, description=f"compiling {kernel}, once")
