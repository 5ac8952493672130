"""Percentile intervals, over models that are redrawn from the empirical one."""

import math
from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, IntArray, RandomSource, whole_number
from distrl.generative.distances import Distance
from distrl.generative.intervals.base import centre, widened
from distrl.generative.sampled import SampledSolution
from distrl.returns.base import Returns
from distrl.returns.functionals import Functional


@dataclass(frozen=True)
class Bootstrap:
    """Percentiles of a functional over models redrawn from the empirical one, as many samples of everything.

    A distance is as far from 0 as it is in a share `level` of the redrawn models at most: the interval is one-sided.

    Parameters
    ----------
    simultaneous : bool
        Cover all states that are asked for at once, by the largest deviation over states in units of its spread.
    numerical : bool
        Add what the solver's own error can do to the functional.
    resamples : int
        How many models are redrawn.
    rng : anything `numpy.random.default_rng` takes
        A second functional with the same integer is read from the models redrawn for the first.
    threads : int, optional
    linear : bool
        Linearise the fixed points of the redrawn models at the estimate, which must be categorical.

    Notes
    -----
    Time that of `resamples` solves, each from the estimate on where that is categorical.
    """

    simultaneous: bool = False
    numerical: bool = True
    resamples: int = 200
    rng: RandomSource = None
    threads: int | None = None
    linear: bool = False

    def interval(
        self, estimate: SampledSolution[Returns], functional: Functional, level: float, states: IntArray
    ) -> FloatArray:
        """(K, 2) the interval of an estimate's functional at a level, at each of `states`; see `IntervalMethod`.

        Raises
        ------
        ValueError
            For rollouts, which estimate no model, and for learners, which solve none.
        """
        redrawn = estimate.redrawn
        count = whole_number(self.resamples, "resamples", low=2)
        laws = estimate.linearised().returns if self.linear else estimate.returns
        ends = centre(estimate, functional, self.numerical)[states]
        drawn = redrawn.read(functional.value, count, self.rng, self.threads, self.linear)[:, states]
        if isinstance(functional, Distance):
            return self._ball(ends, drawn, level)
        value = np.asarray(functional.value(laws))[states]
        return self._together(ends, drawn, value, level) if self.simultaneous else _each(ends, drawn, value, level)

    def _ball(self, ends: FloatArray, drawn: FloatArray, level: float) -> FloatArray:
        scale = drawn.std(axis=0) if self.simultaneous else np.ones(len(ends))
        scale = np.where(scale > 0.0, scale, 1.0)
        reach = (drawn / scale).max(axis=1, keepdims=True) if self.simultaneous else drawn
        ends[:, 1] += np.quantile(reach, level, axis=0, method="higher") * scale
        return ends

    @staticmethod
    def _together(ends: FloatArray, drawn: FloatArray, value: FloatArray, level: float) -> FloatArray:
        spread = drawn.std(axis=0)
        spread[spread == 0.0] = 1.0
        largest = (np.abs(drawn - value) / spread).max(axis=1)
        return widened(ends, float(np.quantile(largest, level, method="higher")) * spread)


def _each(ends: FloatArray, drawn: FloatArray, value: FloatArray, level: float) -> FloatArray:
    drawn.sort(axis=0)
    # a new draw is below the outermost of these with that probability
    outermost = max(math.floor((len(drawn) + 1) * (1.0 - level) / 2.0), 1)
    low, high = drawn[outermost - 1], drawn[-outermost]
    return np.asarray(ends + np.stack([low - value, high - value], axis=1))
