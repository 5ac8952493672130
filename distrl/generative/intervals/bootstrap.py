"""Corrected percentile intervals, over models that are redrawn from the empirical one."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from distrl._lazy import special
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray, RandomSource, whole_number
from distrl.generative.distances import Distance
from distrl.generative.intervals.base import centre
from distrl.generative.intervals.skewed import curved, factors
from distrl.generative.sampled import SampledSolution
from distrl.returns.base import Returns
from distrl.returns.functionals import Functional, Quantile

_TIE = 1e-9  # deviations: a redrawn value as near to the estimate is the same, but for rounding


@dataclass(frozen=True)
class Bootstrap:
    """Percentiles of a functional over models redrawn from the empirical one, corrected for bias and skewness.

    Percentiles alone have the skewness of the redrawn models, and not that of the estimate in units of its own standard
    error, which goes the other way. To second order BCa (Efron 1987) moves both ends by s (2 z0 + g z^2 / 6): s is the
    standard deviation of the redrawn values, z0 the normal quantile of the share of them below the estimate, g the
    skewness of the errors, z the normal quantile. Where the estimate is categorical, g is that of the influence
    (otherwise of the redrawn values), and the interval ends no nearer than that of `Delta` with s for its standard
    error and the mean of the redrawn values taken off as bias: that does not depend on a few extreme redrawn models.
    Deviations are stretched as Student's t is from z. Where samples are many none of it shows.

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
        lean = self._lean(estimate, functional, states, drawn, value, level)
        return (
            _together(ends, drawn, value, level, lean) if self.simultaneous else _each(ends, drawn, value, level, lean)
        )

    @staticmethod
    def _lean(
        estimate: SampledSolution[Returns],
        functional: Functional,
        states: IntArray,
        drawn: FloatArray,
        value: FloatArray,
        level: float,
    ) -> "_Lean":
        """What the ends of percentiles are moved by; a quantile on a grid is a step function, and is left alone.

        A functional without a slope has no influence: the skewness of its errors is that of the redrawn values.
        """
        spread = drawn.std(axis=0)
        if isinstance(functional, Quantile):
            return _Lean(spread, np.zeros(len(states)), np.zeros(len(states)), np.ones(len(states)), False)
        tie = np.abs(drawn - value) <= _TIE * spread + 8.0 * EPS * np.abs(value)
        below = ((drawn < value) & ~tie).mean(axis=0) + 0.5 * tie.mean(axis=0)
        edge = 0.5 / len(drawn)
        bias = special.ndtri(np.clip(below, edge, 1.0 - edge))
        first = estimate.first_order
        if first is None or type(functional).slope is Functional.slope:
            with np.errstate(divide="ignore", invalid="ignore"):
                skewness = ((drawn - drawn.mean(axis=0)) ** 3).mean(axis=0) / spread**3
            return _Lean(spread, bias, np.where(spread > 0.0, skewness, 0.0), np.ones(len(states)), False)
        errors = first.spreads(functional.gradient(first.returns, states, one_sided=True), states)
        alpha = 1.0 - level
        return _Lean(spread, bias, errors.skewness, factors(errors, alpha) / -special.ndtri(alpha / 2.0), True)

    def _ball(self, ends: FloatArray, drawn: FloatArray, level: float) -> FloatArray:
        scale = drawn.std(axis=0) if self.simultaneous else np.ones(len(ends))
        scale = np.where(scale > 0.0, scale, 1.0)
        reach = (drawn / scale).max(axis=1, keepdims=True) if self.simultaneous else drawn
        ends[:, 1] += np.quantile(reach, level, axis=0, method="higher") * scale
        return ends


class _Lean(NamedTuple):
    """Of K functionals: deviation of the redrawn values, z0, skewness g, how much wider Student's t is, and whether g
    is known from the influence."""

    spread: FloatArray
    bias: FloatArray
    skewness: FloatArray
    stretch: FloatArray
    known: bool

    def shift(self, z: float) -> FloatArray:
        """What both ends of percentiles move by, z deviations away."""
        return self.spread * (2.0 * self.bias + self.skewness * z**2 / 6.0)

    def ends(self, z: float) -> tuple[FloatArray, FloatArray]:
        """How far the truth is from the estimate, z deviations away, by Hall's transformation."""
        x = z * self.stretch
        return -self.spread * curved(x, self.skewness), -self.spread * curved(-x, self.skewness)


def _together(ends: FloatArray, drawn: FloatArray, value: FloatArray, level: float, lean: _Lean) -> FloatArray:
    spread = np.where(lean.spread > 0.0, lean.spread, 1.0)
    largest = (np.abs(drawn - value) / spread).max(axis=1)
    low, high = lean.ends(float(np.quantile(largest, level, method="higher")))
    bias = drawn.mean(axis=0) - value if lean.known else np.zeros(len(value))
    return np.asarray(ends + np.stack([low - bias, high - bias], axis=1))


def _each(ends: FloatArray, drawn: FloatArray, value: FloatArray, level: float, lean: _Lean) -> FloatArray:
    drawn.sort(axis=0)
    outermost = from_outside(len(drawn), level)
    z = float(special.ndtri((1.0 + level) / 2.0))
    moved = lean.shift(z)
    low = lean.stretch * (drawn[outermost - 1] - value) + moved
    high = lean.stretch * (drawn[-outermost] - value) + moved
    if lean.known:
        least, most = lean.ends(z)
        bias = drawn.mean(axis=0) - value
        low, high = np.minimum(low, least - bias), np.maximum(high, most - bias)
    return np.asarray(ends + np.stack([low, high], axis=1))


def from_outside(draws: int, level: float) -> int:
    """Which of the sorted draws, counted from outside, an end is: a new one is beyond it with probability
    (1 - level) / 2 at most, where there are enough for that.

    .95 is a float next to 95/100, so that whole numbers may be missed by their last digit.
    """
    return max(math.floor((draws + 1) * (1.0 - level) / 2.0 + 1e-9), 1)
