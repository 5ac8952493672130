"""What every method of `evaluate` is handed: the stopping rule, the random source, the progress bar."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distrl._compiling import watch

#: Called with (share of the work done, applications so far, current bound).
ProgressHook = Callable[[float, int, float], None]


@dataclass
class Run:
    """One call of `evaluate`."""

    tol: float | None
    max_iterations: int | None
    rng: np.random.Generator
    progress: ProgressHook | None
    started: float = field(default_factory=time.perf_counter)
    compiled_before: float = field(default_factory=lambda: watch.seconds)
    iterations: int = 0
    interrupted: bool = False
    given: bool = False  # whether `tol` is the user's, who wants to know if float64 does not reach it
    _first: float = math.nan

    def enter(self, phase: str) -> None:
        """Say what begins, to a progress hook that has an attribute `phase`: a callable that takes such words."""
        announce = getattr(self.progress, "phase", None)
        if announce is not None:
            announce(phase)

    @property
    def elapsed(self) -> float:
        """Seconds since the call, without those of compiling."""
        return max(time.perf_counter() - self.started - self.compiled, 0.0)

    @property
    def compiled(self) -> float:
        """Seconds of compiling since the call."""
        return watch.seconds - self.compiled_before

    def report(self, bound: float, tol: float) -> None:
        """Progress of a contraction: the share of the way from the first bound to the tolerance, in logarithms."""
        if self.progress is None or not bound > 0.0:
            return
        if math.isnan(self._first):
            self._first = bound
        way = math.log(self._first / tol) if self._first > tol else 0.0
        share = math.log(self._first / bound) / way if way > 0.0 else 1.0
        self.progress(min(max(share, 0.0), 1.0), self.iterations, bound)


def _applications(iterations: int, bound: float) -> str:
    return f"{iterations} applications, bound {bound:.2g}"


def progress_hook(
    progress: Any, describe: Callable[[int, float], str] = _applications
) -> tuple[ProgressHook | None, Callable[[], None]]:
    """The hook for `progress=`: False, True (a tqdm bar with time left) or a callable; and how to close it."""
    if progress is None or progress is False:
        return None, lambda: None
    if callable(progress):
        return progress, lambda: None
    if progress is not True:
        raise TypeError(f"progress must be True, False or a callable, got {progress!r}")
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ModuleNotFoundError("progress=True needs tqdm: pip install 'distrl[cli]'") from error
    closing = ExitStack()
    closing.enter_context(watch.told_to(watch.say_aloud()))
    bar = tqdm(total=100.0, unit="%", bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}")
    closing.callback(bar.close)
    return _Bar(bar, describe), closing.close


class _Bar:
    """A tqdm bar as a hook, described by the phase that the work is in."""

    def __init__(self, bar: Any, describe: Callable[[int, float], str]) -> None:
        self._bar, self._describe = bar, describe

    def __call__(self, share: float, iterations: int, bound: float) -> None:
        self._bar.update(100.0 * share - self._bar.n)
        self._bar.set_postfix_str(self._describe(iterations, bound), refresh=False)

    def phase(self, words: str) -> None:
        self._bar.set_description_str(words)
