"""Functionals at a level of a law: quantiles, CVaR and expectiles."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import enclosure as kernels
from distrl._tolerances import LEVEL
from distrl._validation import FloatArray, IntArray, fraction
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.finite import each
from distrl.returns.functionals.base import Pointed, Points, widened
from distrl.returns.functionals.enclosing import Enclosing, Ends


@dataclass(frozen=True)
class Quantile(Pointed):
    """The lower quantile inf{x : P(G <= x) >= level}, value at risk for a small level; `level` in [0, 1]."""

    level: Points
    name: ClassVar[str] = "quantile"
    argument: ClassVar[str] = "level"

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        return fraction(value, name)

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.quantile(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        return self.read(known.quantile_ends(self.several))

    @property
    def label(self) -> str:
        return f"VaR {self.percent()}"


@dataclass(frozen=True)
class CVaR(Pointed):
    """Conditional value at risk: the mean of the lowest (tail="lower") or highest mass `level`, in (0, 1]."""

    level: Points
    tail: str = "lower"
    name: ClassVar[str] = "cvar"
    argument: ClassVar[str] = "level"

    def __post_init__(self) -> None:
        if self.tail not in ("lower", "upper"):
            raise ValueError(f"tail must be 'lower' or 'upper', got {self.tail!r}")
        super().__post_init__()

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        return fraction(value, name, open_low=True)

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.cvar(self.points, self.tail))

    def enclose(self, known: Enclosing) -> Ends:
        return self.read(known.cvar_ends(self.several, self.tail))

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return widened(ends, radius / self.single())

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        z, level = returns.atoms, self.single()
        if self.tail == "lower":
            q = np.asarray(returns.quantile(level))[states, None]
            return np.asarray(-np.maximum(q - z, 0.0) / level)
        q = np.asarray(returns.quantile(1.0 - level))[states, None]
        return np.asarray(np.maximum(z - q, 0.0) / level)

    def check_derivative(self, returns: CategoricalReturns, states: IntArray) -> None:
        level = self.single()
        at = level if self.tail == "lower" else 1.0 - level
        close = np.abs(returns.cdf_values[states, :-1] - at) < LEVEL
        if level != 1.0 and close.any():
            row, atom = (int(i) for i in np.argwhere(close)[0])
            raise ValueError(
                f"CVaR at {level:g} has no derivative at state {states[row]}: its CDF is {at:g} from "
                f"{returns.atoms[atom]:.6g}; use another level or method='bootstrap'"
            )

    @property
    def label(self) -> str:
        return f"CVaR {self.percent()}" + (" of the best" if self.tail == "upper" else "")


@dataclass(frozen=True)
class Expectile(Pointed):
    """The e with tau E (G - e)+ = (1 - tau) E (e - G)+; `tau` in (0, 1)."""

    tau: Points
    name: ClassVar[str] = "expectile"
    argument: ClassVar[str] = "level"

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        return fraction(value, name, open_low=True, open_high=True)

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.expectile(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        return self.read(known.expectile_ends(self.several))

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        tau = self.single()
        return widened(ends, radius * max(tau, 1.0 - tau) / min(tau, 1.0 - tau))

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        tau, z = self.single(), returns.atoms
        root = np.asarray(returns.expectile(tau))[states, None]
        below = each(returns[states], kernels.cdf_each, root)
        steep = tau * (1.0 - below) + (1.0 - tau) * below
        return np.asarray((tau * np.maximum(z - root, 0.0) - (1.0 - tau) * np.maximum(root - z, 0.0)) / steep)

    @property
    def label(self) -> str:
        return f"expectile {self.listed()}"
