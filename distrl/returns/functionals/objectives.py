"""Functionals that decisions are made for: mixtures of mean and risk, shortfalls, probabilities.

Each reads a number from one law, as the others do; `optimize` looks for the policy whose law has the best one.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import functionals as kernels
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray, float_array, fraction, real_number
from distrl.returns.arrays import as_rows
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.finite import as_finite
from distrl.returns.functionals.averages import Mean, Variance
from distrl.returns.functionals.base import Pointed, Points, widened
from distrl.returns.functionals.enclosing import Enclosing, End, Ends
from distrl.returns.functionals.levels import CVaR


@dataclass(frozen=True)
class MeanCVaR(Pointed):
    """weight E G + (1 - weight) CVaR_level(G), of the lowest mass `level` in (0, 1]; `weight` in [0, 1].

    In units of reward. At weight 1 it is the mean, at weight 0 the CVaR. It has no short form.
    """

    level: Points
    weight: float
    name: ClassVar[str] = "mean_cvar"
    argument: ClassVar[str] = "level"

    def __post_init__(self) -> None:
        weight = real_number(self.weight, "weight")
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"weight must lie in [0, 1], got {weight:g}; it is the mean's share")
        object.__setattr__(self, "weight", weight)
        super().__post_init__()

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        return fraction(value, name, open_low=True)

    def value(self, returns: Returns) -> FloatArray:
        mean, risk = np.asarray(returns.mean()), np.asarray(returns.cvar(self.points))
        if self.points.ndim:
            mean = mean[..., None]
        return np.asarray(risk + self.weight * (mean - risk))  # a point stays itself

    def enclose(self, known: Enclosing) -> Ends:
        means = known.mean_ends()
        if self.points.ndim:
            means = (means[0][..., None], means[1][..., None])
        risks = self.read(known.cvar_ends(self.several, "lower"))
        low, high = (self._mixed(mean, risk) for mean, risk in zip(means, risks, strict=True))
        return low - 4.0 * EPS * _size(means, risks), high + 4.0 * EPS * _size(means, risks)

    def _mixed(self, mean: FloatArray, risk: FloatArray) -> FloatArray:
        """The two by their shares; what counts for nothing may be infinite."""
        if self.weight in (0.0, 1.0):
            return np.broadcast_to(mean if self.weight else risk, np.broadcast_shapes(mean.shape, risk.shape))
        return np.asarray(self.weight * mean + (1.0 - self.weight) * risk)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return widened(ends, radius * (self.weight + (1.0 - self.weight) / self.single()))

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        risk = CVaR(self.level).slope(returns, states)
        return np.asarray(self.weight * returns.atoms + (1.0 - self.weight) * risk)

    def check_derivative(self, returns: CategoricalReturns, states: IntArray) -> None:
        if self.weight < 1.0:
            CVaR(self.level).check_derivative(returns, states)

    @property
    def label(self) -> str:
        return f"{self.weight:g} mean + {1.0 - self.weight:g} CVaR {self.percent()}"


@dataclass(frozen=True)
class Shortfall(Pointed):
    """E (target - G)+, in units of reward: how far the return falls short of a target on average. Small is good."""

    target: Points
    name: ClassVar[str] = "shortfall"
    argument: ClassVar[str] = "point"
    minimised: ClassVar[bool] = True

    def value(self, returns: Returns) -> FloatArray:
        laws = as_finite(returns)
        out = np.empty((laws.size, self.several.size))
        values, weights = laws.rows()
        kernels.stop_loss(as_rows(-values[:, ::-1]), as_rows(weights[:, ::-1]), -self.several, out)
        return np.asarray(out.reshape(laws.batch_shape + self.points.shape)[()])

    def enclose(self, known: Enclosing) -> Ends:
        low, high = self.read(known.put_ends(self.several))
        return np.maximum(low, 0.0), high

    def natural_range(self, low: End, high: End) -> Ends:
        low, high = self.spread(low, high)
        rooms = [2.0 * EPS * (np.abs(end) + np.abs(self.points)) for end in (low, high)]
        least, most = self.points - high - rooms[1], self.points - low
        return np.maximum(least, 0.0), np.where(most > 0.0, most + rooms[0], 0.0)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return widened(ends, radius)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.tile(np.maximum(self.single() - returns.atoms, 0.0), (len(states), 1))

    @property
    def label(self) -> str:
        return f"shortfall of {self.listed()}"


@dataclass(frozen=True)
class MeanVariance(Pointed):
    """E G - weight Var G; `weight` >= 0, in 1/units of reward. Penalises luck as much as bad luck."""

    weight: Points
    name: ClassVar[str] = "mean_variance"
    argument: ClassVar[str] = "weight"

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        weights = float_array(value, name, ndim=(0, 1))
        if (weights < 0.0).any():
            raise ValueError(f"{name} must be at least 0, got {weights.min():g}; variance is a cost here")
        return weights

    def value(self, returns: Returns) -> FloatArray:
        mean, variance = np.asarray(returns.mean()), np.asarray(returns.var())
        return np.asarray(mean[..., None] - self.several * variance[..., None]).reshape(mean.shape + self.points.shape)

    def enclose(self, known: Enclosing) -> Ends:
        means, (least, most) = known.mean_ends(), known.variance_ends()
        ends = []
        for mean, variance, side in ((means[0], most, -1.0), (means[1], np.maximum(least, 0.0), 1.0)):
            with np.errstate(invalid="ignore"):  # 0 times an unknown variance
                cost = np.where(self.several > 0.0, self.several * variance[..., None], 0.0)
            room = 4.0 * EPS * (np.abs(mean)[..., None] + cost)
            ends.append(mean[..., None] - cost + side * np.where(np.isfinite(room), room, 0.0))
        return self.read((ends[0], ends[1]))

    def natural_range(self, low: End, high: End) -> Ends:
        # at the best a point at the upper end; at the worst the ends alone, the upper with probability p
        low, high = self.spread(low, high)
        with np.errstate(invalid="ignore", divide="ignore"):
            wide = high - low
            p = np.maximum(0.5 - 0.5 / (self.points * wide), 0.0)
            cost = np.where(p > 0.0, self.points * (wide * p) ** 2, 0.0)
            worst = low - cost - 8.0 * EPS * (np.abs(low) + cost)
        return np.where(np.isnan(worst), -np.inf, worst), np.asarray(high)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return Variance().moved(widened(ends, radius), self.single() * radius, width)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return Mean().slope(returns, states) - self.single() * Variance().slope(returns, states)

    @property
    def label(self) -> str:
        return f"mean - {self.listed()} variance"


@dataclass(frozen=True)
class ProbabilityAbove(Pointed):
    """P(G >= target): the target itself counts as reached, so that largest it is least P(G < target)."""

    target: Points
    name: ClassVar[str] = "probability_above"
    argument: ClassVar[str] = "point"

    def value(self, returns: Returns) -> FloatArray:
        laws = as_finite(returns)
        out = np.empty((laws.size, self.several.size))
        values, weights = laws.rows()
        kernels.cdf(as_rows(-values[:, ::-1]), as_rows(weights[:, ::-1]), -self.several, out)
        return np.asarray(out.reshape(laws.batch_shape + self.points.shape)[()])

    def enclose(self, known: Enclosing) -> Ends:
        low, high = self.read(known.below_ends(self.several))
        low, high = 1.0 - high - EPS, 1.0 - low + EPS
        return np.maximum(low, 0.0), np.minimum(high, 1.0)

    def natural_range(self, low: End, high: End) -> Ends:
        low, high = self.spread(low, high)
        return np.where(self.points <= low, 1.0, 0.0), np.where(self.points > high, 0.0, 1.0)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.tile((returns.atoms >= self.single()).astype(np.float64), (len(states), 1))

    @property
    def label(self) -> str:
        return f"P(return >= {self.listed()})"


def _size(*ends: Ends) -> FloatArray:
    """How large finite ends are, of all functionals together."""
    sizes = [np.where(np.isfinite(end), np.abs(end), 0.0) for pair in ends for end in pair]
    total = sizes[0]
    for size in sizes[1:]:
        total = total + size
    return np.asarray(total)
