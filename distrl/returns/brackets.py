"""A pair of laws that encloses the true one, and intervals for what can be read from it."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import enclosure as kernels
from distrl._steady import steady
from distrl._validation import BoolArray, FloatArray
from distrl.returns.base import Returns, state_index
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import Enclosing, Ends, each, intersection, parse
from distrl.returns.particles import ParticleReturns

_STEPS = 40  # widths h tried for a CDF interval from stop-loss transforms


class BracketReturns(Returns, Enclosing):
    """Return laws known to lie between two others: in convex or in stochastic order.

    Attributes
    ----------
    lower, upper : Returns
        The enclosing laws. In convex order `upper` is the wider one: it has the larger stop-loss and variance, and the
        *smaller* lower-tail CVaR. In stochastic order `upper` is the better one.
    order : "convex" or "stochastic"
    slack_lower, slack_upper : (S,)
        What iteration and floating point can have cost: in convex order, in the stop-loss transform at any point; in
        stochastic order, a shift of the law along the axis. Intervals include it.
    """

    order: str

    def __init__(
        self,
        lower: Returns,
        upper: Returns,
        mean: FloatArray,
        mean_error: FloatArray,
        slack_lower: FloatArray,
        slack_upper: FloatArray,
    ) -> None:
        self.lower, self.upper = lower, upper
        self._mean, self._mean_error = mean, mean_error
        self.slack_lower, self.slack_upper = slack_lower, slack_upper

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.upper.batch_shape

    def support_weights(self) -> Any:
        raise TypeError(
            "the law is only known to lie between .lower and .upper; ask .interval(functional, at), or either of them"
        )

    def arrays(self) -> dict[str, FloatArray]:
        ends = (("lower", self.lower), ("upper", self.upper))
        laws = {f"{side}_{name}": array for side, law in ends for name, array in law.arrays().items()}
        slacks = {"slack_lower": self.slack_lower, "slack_upper": self.slack_upper}
        return {**laws, **slacks, "mean_error": self._mean_error}

    def _describe(self) -> str:
        return f"{self.order} order"

    def mean(self) -> FloatArray:
        """The exact means, by a linear solve; `interval("mean")` has the solve's error."""
        return self._mean

    @steady
    def interval(self, functional: Any, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """Certified interval of a functional of the true law, numerical error included: what these two laws say.

        Parameters
        ----------
        functional : a `Functional`, or "mean", "variance", "std", "stop_loss", "cvar", "cdf", "quantile", "expectile"
            or "entropic_risk"
        at : scalar or (K,)
            The point of "stop_loss" and "cdf", the level of "cvar", "quantile" and "expectile", the beta of
            "entropic_risk"; none for the others.
        tail : "lower" or "upper", for "cvar"

        Returns
        -------
        array, batch + (2,) or batch + (K, 2)
            Lower and upper end. `Solution.interval` intersects them with what else is known.

        Raises
        ------
        ValueError, TypeError
            If the functional is not known, or `at` is missing or out of range.
        """
        return intersection([self], parse(functional, at, tail))

    def mean_ends(self) -> Ends:
        return self._mean - self._mean_error, self._mean + self._mean_error

    def variance_ends(self) -> Ends:
        return self._variance()

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        return self._stop_loss(points)

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        return self._cvar(levels, tail)

    def cdf_ends(self, points: FloatArray) -> Ends:
        return self._cdf(points)

    def quantile_ends(self, levels: FloatArray) -> Ends:
        low, high = self._quantile(np.maximum(levels, 1e-15))  # at 0 it is the smallest value
        return np.where(levels > 0.0, low, -np.inf), high

    @abstractmethod
    def _variance(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _stop_loss(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _cvar(self, levels: FloatArray, tail: str) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _cdf(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""


class ConvexBrackets(BracketReturns):
    """Laws between two others of the same mean in convex order: stop-loss transforms C_lower <= C <= C_upper.

    Widths: variance O(s^2) always; CVaR and stop-loss O(s^2) for a bounded density, O(s) with atoms; CDF O(s), O(1) at
    atoms, and quantiles as the CDF is steep. Where the grid clips, the overshoot is part of `slack_upper` and nothing
    bounds the variance from above.
    """

    order = "convex"
    lower: ParticleReturns
    upper: CategoricalReturns

    def __init__(self, *arguments: Any, clipped: BoolArray) -> None:
        super().__init__(*arguments)
        self.clipped = clipped

    def __getitem__(self, index: Any) -> "ConvexBrackets":
        where = state_index(index, self.batch_shape)
        arrays = self._mean, self._mean_error, self.slack_lower, self.slack_upper
        parts = (self.lower[where], self.upper[where], *(array[where] for array in arrays))
        return ConvexBrackets(*parts, clipped=self.clipped[where])

    def _variance(self) -> tuple[FloatArray, FloatArray]:
        # E (G - m)^2 = 2 int (C(k) - (m - k)+) dk: a slack in C counts twice the range it is integrated over
        values, weights = self.lower.support_weights()
        reach = np.where(weights > 0, values, -np.inf).max(-1) - np.where(weights > 0, values, np.inf).min(-1)
        low = self.lower.var() - 2.0 * (reach + self._mean_error) * self.slack_lower
        high = self.upper.var() + 2.0 * (self.upper.grid.width + self._mean_error) * self.slack_upper
        return np.maximum(low, 0.0), np.where(self.clipped, np.inf, high)

    def _stop_loss(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        low = self.lower.stop_loss(points) - self.slack_lower[..., None]
        return np.maximum(low, 0.0), self.upper.stop_loss(points) + self.slack_upper[..., None]

    def _cvar(self, levels: FloatArray, tail: str) -> tuple[FloatArray, FloatArray]:
        narrow, wide = self.lower.cvar(levels, tail), self.upper.cvar(levels, tail)
        narrow_slack, wide_slack = self.slack_lower[..., None] / levels, self.slack_upper[..., None] / levels
        if tail == "lower":  # max over k of k - E(k - G)+ / level: the wider law has the smaller value
            return wide - wide_slack, narrow + narrow_slack
        return narrow - narrow_slack, wide + wide_slack

    def _cdf(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """For every h > 0: 1 + (C_L(x) - C_U(x - h)) / h <= F(x-) and F(x) <= 1 + (C_U(x + h) - C_L(x)) / h."""
        grid = self.upper.grid
        floor = np.maximum(self.lower.stop_loss(points) - self.slack_lower[..., None], 0.0)
        low, high = np.zeros_like(floor), np.ones_like(floor)
        for h in np.geomspace(grid.spacing / 4, 2 * grid.width, _STEPS):
            above = self.upper.stop_loss(points + h) + self.slack_upper[..., None]
            below = self.upper.stop_loss(points - h) + self.slack_upper[..., None]
            high = np.minimum(high, 1.0 + (above - floor) / h)
            low = np.maximum(low, 1.0 + (floor - below) / h)
        return np.minimum(low, high), np.maximum(high, low)

    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        grid = self.upper.grid
        low, high = self._cdf(grid.points)
        shape = (*self.batch_shape, len(levels))
        below, above = np.empty(shape), np.empty(shape)
        for k, level in enumerate(levels):
            # where even the largest possible CDF is below the level, the quantile lies beyond
            beyond = (high < level).sum(axis=-1)
            below[..., k] = np.where(beyond > 0, grid.points[np.maximum(beyond - 1, 0)], -np.inf)
            reached = low >= level
            above[..., k] = np.where(reached.any(axis=-1), grid.points[reached.argmax(axis=-1)], np.inf)
        return below, above

    def expectile_ends(self, taus: FloatArray) -> Ends:
        # the root of (2 tau - 1) E (G - e)+ - (1 - tau) (e - E G), which has a slope of at least min(tau, 1 - tau)
        narrow, wide = np.asarray(self.lower.expectile(taus)), np.asarray(self.upper.expectile(taus))
        pull, slope = np.abs(2.0 * taus - 1.0), np.minimum(taus, 1.0 - taus)
        lower_slack, upper_slack = self.slack_lower[..., None], self.slack_upper[..., None]
        off = [np.abs(law.mean() - self._mean) + self._mean_error for law in (self.lower, self.upper)]
        less = (pull * lower_slack + (1.0 - taus) * off[0][..., None]) / slope
        more = (pull * upper_slack + (1.0 - taus) * off[1][..., None]) / slope
        return np.where(taus >= 0.5, narrow - less, wide - more), np.where(taus >= 0.5, wide + more, narrow + less)


class StochasticBrackets(BracketReturns):
    """Laws between two others in stochastic order: F_upper <= F <= F_lower. Widths O(s / (1 - discount)).

    `slack_mass` (S,) is what floating point can have moved between atoms.
    """

    order = "stochastic"
    lower: CategoricalReturns
    upper: CategoricalReturns

    def __init__(self, *arguments: Any, slack_mass: FloatArray) -> None:
        super().__init__(*arguments)
        self.slack_mass = slack_mass

    def __getitem__(self, index: Any) -> "StochasticBrackets":
        where = state_index(index, self.batch_shape)
        arrays = self._mean, self._mean_error, self.slack_lower, self.slack_upper
        parts = (self.lower[where], self.upper[where], *(array[where] for array in arrays))
        return StochasticBrackets(*parts, slack_mass=self.slack_mass[where])

    def arrays(self) -> dict[str, FloatArray]:
        return {**super().arrays(), "slack_mass": self.slack_mass}

    @property
    def _shift(self) -> tuple[FloatArray, FloatArray]:
        """How far values may lie beyond either law: the shift, and the mass out of place over the whole grid."""
        moved = self.slack_mass * self.upper.grid.width
        return self.slack_lower + moved, self.slack_upper + moved

    def _variance(self) -> tuple[FloatArray, FloatArray]:
        # (G - m)+^2 grows with the law, (m - G)+^2 falls: each side takes the law that makes it large, or small
        m = np.asarray(self._mean)[..., None]
        parts = []
        for law in (self.lower, self.upper):
            values, weights = law.support_weights()
            gap = values - m
            parts.append(((weights * np.maximum(gap, 0.0) ** 2).sum(-1), (weights * np.minimum(gap, 0.0) ** 2).sum(-1)))
        (low_right, low_left), (high_right, high_left) = parts
        slack = 2.0 * self.upper.grid.width * (self._mean_error + sum(self._shift))
        return np.maximum(low_right + high_left - slack, 0.0), high_right + low_left + slack

    def _stop_loss(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        below, above = self._shift
        low = self.lower.stop_loss(points) - below[..., None]
        return np.maximum(low, 0.0), self.upper.stop_loss(points) + above[..., None]

    def _cvar(self, levels: FloatArray, tail: str) -> tuple[FloatArray, FloatArray]:
        moved = self.slack_mass[..., None] * self.upper.grid.width / levels
        low = self.lower.cvar(levels, tail) - self.slack_lower[..., None] - moved
        return low, self.upper.cvar(levels, tail) + self.slack_upper[..., None] + moved

    def _cdf(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        mass = self.slack_mass[..., None]
        low = each(self.upper, kernels.cdf_each, points - self.slack_upper[..., None])
        high = each(self.lower, kernels.cdf_each, points + self.slack_lower[..., None])
        return np.maximum(low - mass, 0.0), np.minimum(high + mass, 1.0)

    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        mass = float(np.max(self.slack_mass)) + 1e-9  # quantile() itself compares with this tolerance
        low = self.lower.quantile(np.maximum(levels - mass, 0.0)) - self.slack_lower[..., None]
        return low, self.upper.quantile(np.minimum(levels + mass, 1.0)) + self.slack_upper[..., None]

    def expectile_ends(self, taus: FloatArray) -> Ends:
        # increasing with the law, and moves by at most max(tau, 1 - tau) / min(tau, 1 - tau) times the distance
        steep = np.maximum(taus, 1.0 - taus) / np.minimum(taus, 1.0 - taus)
        moved = self.slack_mass[..., None] * self.upper.grid.width * steep
        low = np.asarray(self.lower.expectile(taus)) - self.slack_lower[..., None] - moved
        return low, np.asarray(self.upper.expectile(taus)) + self.slack_upper[..., None] + moved
