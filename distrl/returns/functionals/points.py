"""Functionals at a point of the axis: the CDF and the stop-loss transform."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray, float_array
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals.base import Pointed, Points, widened
from distrl.returns.functionals.enclosing import Enclosing, End, Ends


@dataclass(frozen=True)
class CDF(Pointed):
    """P(G <= point), a probability; `point` may be infinite."""

    point: Points
    name: ClassVar[str] = "cdf"
    argument: ClassVar[str] = "point"

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        points = float_array(value, name, ndim=(0, 1), finite=False)
        if np.isnan(points).any():
            raise ValueError(f"{name} is NaN; the CDF is asked at numbers")
        return points

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.cdf(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        low, high = self.read(known.cdf_ends(self.several))
        return np.maximum(low, 0.0), np.minimum(high, 1.0)

    def natural_range(self, low: End, high: End) -> Ends:
        low, high = self.spread(low, high)
        return np.where(self.points >= high, 1.0, 0.0), np.where(self.points < low, 0.0, 1.0)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.tile((returns.atoms <= self.single()).astype(np.float64), (len(states), 1))

    @property
    def label(self) -> str:
        return f"P(return <= {self.listed()})"


@dataclass(frozen=True)
class StopLoss(Pointed):
    """E (G - point)+, in units of reward."""

    point: Points
    name: ClassVar[str] = "stop_loss"
    argument: ClassVar[str] = "point"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.stop_loss(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        low, high = self.read(known.stop_loss_ends(self.several))
        return np.maximum(low, 0.0), high

    def natural_range(self, low: End, high: End) -> Ends:
        low, high = self.spread(low, high)
        rooms = [2.0 * EPS * (np.abs(end) + np.abs(self.points)) for end in (low, high)]
        least, most = low - self.points - rooms[0], high - self.points
        return np.maximum(least, 0.0), np.where(most > 0.0, most + rooms[1], 0.0)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return widened(ends, radius)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.tile(np.maximum(returns.atoms - self.single(), 0.0), (len(states), 1))

    @property
    def label(self) -> str:
        return f"stop-loss at {self.listed()}"
