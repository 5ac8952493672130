"""Functionals that average over a law: its mean, variance and standard deviation, and entropic risk."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals.base import Functional, Pointed, Points, widened
from distrl.returns.functionals.enclosing import Enclosing, End, Ends


@dataclass(frozen=True)
class Mean(Functional):
    """E G, in units of reward."""

    name: ClassVar[str] = "mean"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.mean())

    def enclose(self, known: Enclosing) -> Ends:
        return known.mean_ends()

    def natural_range(self, low: End, high: End) -> Ends:
        return np.asarray(low), np.asarray(high)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return widened(ends, radius)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.tile(returns.atoms, (len(states), 1))


@dataclass(frozen=True)
class Variance(Functional):
    """E (G - E G)^2, in squared units of reward."""

    name: ClassVar[str] = "variance"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.var())

    def enclose(self, known: Enclosing) -> Ends:
        low, high = known.variance_ends()
        return np.maximum(low, 0.0), high

    def natural_range(self, low: End, high: End) -> Ends:
        wide = np.asarray(high, dtype=np.float64) - low
        return np.zeros_like(wide), wide**2 / 4.0 * (1.0 + 8.0 * EPS)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        # Var F - Var G = -int 2 (z - mid) (F - G) dz, mid between the means
        return widened(ends, 2.0 * width * radius)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.asarray((returns.atoms - np.asarray(returns.mean())[states, None]) ** 2)


@dataclass(frozen=True)
class Std(Functional):
    """sqrt(Var G), in units of reward."""

    name: ClassVar[str] = "std"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.std())

    def enclose(self, known: Enclosing) -> Ends:
        low, high = Variance().enclose(known)
        return np.sqrt(low) * (1.0 - 2.0 * EPS), np.sqrt(high) * (1.0 + 2.0 * EPS)

    def natural_range(self, low: End, high: End) -> Ends:
        wide = np.asarray(high, dtype=np.float64) - low
        return np.zeros_like(wide), wide / 2.0 * (1.0 + 8.0 * EPS)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return np.sqrt(np.maximum(Variance().moved(ends**2, radius, width), 0.0))

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        # where the law is a point its variance has influence 0, and so has its root
        sd = np.asarray(returns.std())[states, None]
        return np.divide(
            Variance().slope(returns, states), 2.0 * sd, where=sd > 0.0, out=np.zeros((len(states), returns.grid.atoms))
        )

    @property
    def label(self) -> str:
        return "sd"


@dataclass(frozen=True)
class EntropicRisk(Pointed):
    """(1 / beta) log E exp(beta G), the mean at 0; beta < 0 is averse to risk for rewards. Units of reward."""

    beta: Points
    name: ClassVar[str] = "entropic_risk"
    argument: ClassVar[str] = "point"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.entropic_risk(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        return self.read(known.entropic_ends(self.several))

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        # its derivative in the law is exp(beta (z - h)) / beta, of slope at most exp(|beta| width)
        with np.errstate(over="ignore"):
            return widened(ends, radius * np.exp(abs(self.single()) * width))

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        beta, z = self.single(), returns.atoms
        if beta == 0.0:
            return Mean().slope(returns, states)
        here = np.asarray(returns.entropic_risk(beta))[states, None]
        with np.errstate(over="ignore"):  # atoms without mass, far beyond: what they count for is held finite
            return np.asarray(np.exp(np.minimum(beta * (z - here), 600.0)) / beta)

    @property
    def label(self) -> str:
        return f"entropic risk at {self.listed()}"
