"""One call of a verb: what its method is handed, and where the method says how far it is."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from distrl._compiling import watch
from distrl.dp.progress import ProgressHook


@dataclass
class Call:
    """The stopping rule, the random source and the progress hook of one call, and the work it has done so far.

    A method reads the first six and writes the rest by `count`, `interruptible` and the three ways to tell progress.

    Attributes
    ----------
    tol : float or None
        What the certified bound on the iteration error is to be at most, in units of reward; None: the method chooses.
    max_iterations : int or None
        Limit on applications of the operator; None: enough for `tol`.
    rng : numpy.random.Generator
    progress : callable or None
        See `ProgressHook`.
    given : bool
        Whether `tol` is the user's, who wants to know if float64 does not reach it.
    horizon : int or None
        After how many steps returns end; None: never.
    iterations : int
        Applications counted so far.
    interrupted : bool
        Whether Ctrl-C has ended an `interruptible` block.
    started, compiled_before : float
        When the call began, and the seconds of compiling before it, by the clocks that `elapsed` reads.
    """

    tol: float | None = None
    max_iterations: int | None = None
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    progress: ProgressHook | None = None
    given: bool = False
    horizon: int | None = None
    iterations: int = 0
    interrupted: bool = False
    started: float = field(default_factory=time.perf_counter)
    compiled_before: float = field(default_factory=lambda: watch.seconds)
    _first: float = math.nan

    def count(self, n: int = 1) -> None:
        """Add `n` applications to `iterations`."""
        self.iterations += n

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C inside the block leaves it and sets `interrupted`: what was reached so far is the method's result.

        Whatever the block changes must be whole at every moment, since Ctrl-C may come at any.
        """
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    @contextmanager
    def asking(self, tol: float | None, given: bool) -> Iterator[None]:
        """Inside the block `tol` and `given` are these: for solves on the way to the one that was asked for."""
        before = self.tol, self.given
        self.tol, self.given = tol, given
        try:
            yield
        finally:
            self.tol, self.given = before

    @property
    def elapsed(self) -> float:
        """Seconds since the call, without those of compiling."""
        return max(time.perf_counter() - self.started - self.compiled, 0.0)

    @property
    def compiled(self) -> float:
        """Seconds of compiling since the call."""
        return watch.seconds - self.compiled_before

    def enter(self, phase: str) -> None:
        """Say what begins, to a progress hook that has an attribute `phase`: a callable that takes such words."""
        announce = getattr(self.progress, "phase", None)
        if announce is not None:
            announce(phase)

    def advance(self, share: float, bound: float = math.nan) -> None:
        """Tell which share of the work is done, in [0, 1], and the current bound where there is one."""
        if self.progress is not None:
            self.progress(share, self.iterations, bound)

    def report(self, bound: float, tol: float) -> None:
        """Progress of a contraction: the share of the way from the first `bound` to `tol`, in logarithms."""
        if self.progress is None or not bound > 0.0:
            return
        if math.isnan(self._first):
            self._first = bound
        way = math.log(self._first / tol) if self._first > tol else 0.0
        share = math.log(self._first / bound) / way if way > 0.0 else 1.0
        self.advance(min(max(share, 0.0), 1.0), bound)
