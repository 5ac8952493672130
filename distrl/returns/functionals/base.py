"""The protocol of functionals: numbers that are read from one return law.

A functional has a value at a law, a way to read bounds on it from anything that is known for certain of a law
(`Enclosing`), and on categorical laws a derivative. Its parameter is one number, or several at once: results then have
one more axis.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, IntArray, float_array
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals.enclosing import Enclosing, End, Ends

#: One number, or several.
Points = float | tuple[float, ...]


@dataclass(frozen=True)
class Functional(ABC):
    """A number (or several) that is read from one law.

    A functional of your own is a frozen dataclass that inherits from this class, or from `Pointed` if it has a
    parameter; it is passed wherever a short form is. It supplies `name` and `value`, and more of the library works with
    each further member that it overrides:

    value
        `functional.value(returns)`, `returns.columns([functional])`, and `Estimate.interval(functional,
        method="bootstrap", numerical=False)`.
    enclose
        `Solution.interval` and `enclosure`, the `interval` of brackets, `Brackets(functional=...)`, and
        `Estimate.interval` with method "bootstrap" or "finite-sample".
    natural_range
        The same intervals, cut to the values that are possible at all.
    slope
        `gradient`, and with it `Estimate.interval` by the delta method, `standard_error`, `influence` and adaptive
        samples. `check_derivative` refuses the laws at which there is no derivative.
    moved
        Sharper intervals for method "finite-sample".
    label
        The heading of a table.

    The tables of the command line show the mean, the standard deviation, a quantile and a CVaR, and no others.
    """

    name: ClassVar[str]
    """The short form, in errors and tables."""
    argument: ClassVar[str] = ""
    """What `at` is called for the short form: "level", "point", "weight"; empty where it takes none."""
    minimised: ClassVar[bool] = False
    """Whether small values are the good ones, for `optimize`."""

    @abstractmethod
    def value(self, returns: Returns) -> FloatArray:
        """The value at every law: batch, or batch + (K,) for several parameters.

        Raises
        ------
        NotKnown
            If the representation does not answer what is asked of it. (`as_finite(returns)` are laws with
            `support_weights()`, or this error.)
        """

    def enclose(self, known: Enclosing) -> Ends:
        """The lower and the upper end of the value, from what is known of the laws; by default infinite."""
        return known.nothing(*self._axis)

    def natural_range(self, low: End, high: End) -> Ends:
        """The ends of what the value can be at all for laws on [low, high], numbers or batch; by default infinite."""
        shape = (*np.shape(low), *self._axis)
        return np.full(shape, -np.inf), np.full(shape, np.inf)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        """(K, m) the function phi on the atoms with E phi(Z) the functional of `returns` to first order, at K `states`.

        Raises
        ------
        ValueError
            Where there is no derivative.
        """
        raise ValueError(f"{self.name} has no derivative in the CDF values; use method='bootstrap'")

    def gradient(self, returns: CategoricalReturns, states: IntArray, *, one_sided: bool = False) -> FloatArray:
        """(K, m) the derivative in the CDF values F_1..F_{m-1} of `returns` at each of `states`, last column 0.

        E phi(Z) = sum p_i phi(z_i) has derivative phi(z_i) - phi(z_{i+1}); `slope` gives phi.

        Raises
        ------
        ValueError
            For several parameters at once; for CVaR if some F_i is the level, where it has two one-sided derivatives
            (`one_sided` takes that for rising F_i); for quantiles, which on a grid are a step function of F.
        """
        self.single()
        if not one_sided:
            self.check_derivative(returns, states)
        phi = self.slope(returns, states)
        gradient = np.zeros_like(phi)
        gradient[:, :-1] = phi[:, :-1] - phi[:, 1:]
        return gradient

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray | None:
        """(S, 2) `ends` widened to the values of all laws within `radius` (S,) in W1, on an interval of that width.

        None where W1 alone bounds nothing, which is the default.
        """
        return None

    def check_derivative(self, returns: CategoricalReturns, states: IntArray) -> None:  # noqa: B027
        """Raise a ValueError that names one of `states` where `returns` has one-sided derivatives alone; here none."""

    # -- parameters, and the heading of a table ---------------------------------------------------------------------

    @property
    def points(self) -> FloatArray | None:
        """The parameter as an array, () or (K,); None where it has none."""
        return None

    def single(self) -> float:
        """The one parameter (NaN where it has none).

        Raises
        ------
        ValueError
            If there are several.
        """
        if self.points is None:
            return math.nan
        if self.points.ndim:
            raise ValueError(f"{self.name} is asked at {self.points.size} points here; give one at a time")
        return float(self.points)

    def each(self) -> list["Functional"]:
        """One functional for each of several parameters."""
        return [self]

    @property
    def label(self) -> str:
        """A short heading for a table, "CVaR 5%" for example."""
        return self.name

    @property
    def _axis(self) -> tuple[int, ...]:
        """The axis that several parameters add."""
        return () if self.points is None else self.points.shape


@dataclass(frozen=True)
class Pointed(Functional):
    """A functional with a parameter, its first field: one number, or several, kept as a tuple.

    Override `checked` if not every finite number will do. Unless `natural_range` is overridden too, the value is taken
    to lie among the returns, as a quantile does.
    """

    def __post_init__(self) -> None:
        name = fields(self)[0].name
        checked = self.checked(getattr(self, name), name)
        object.__setattr__(self, name, tuple(checked.tolist()) if checked.ndim else float(checked))

    def checked(self, value: ArrayLike, name: str) -> FloatArray:
        """The parameter `value` as an array, () or (K,).

        Raises
        ------
        ValueError, TypeError
            If it is out of range; errors call it `name`.
        """
        return float_array(value, name, ndim=(0, 1))

    @property
    def points(self) -> FloatArray:
        """The parameter as an array, () or (K,)."""
        return np.asarray(getattr(self, fields(self)[0].name), dtype=np.float64)

    @property
    def several(self) -> FloatArray:
        """(K,) the parameters, one or more: what `Enclosing` is asked at."""
        return np.atleast_1d(self.points)

    def each(self) -> list[Functional]:
        name = fields(self)[0].name
        return [replace(self, **{name: float(point)}) for point in self.several]

    def read(self, ends: Ends) -> Ends:
        """`ends`, batch + (K,), without the axis of parameters where there is one parameter."""
        return ends if self.points.ndim else (ends[0][..., 0], ends[1][..., 0])

    def natural_range(self, low: End, high: End) -> Ends:
        return self.spread(low, high)

    def spread(self, low: End, high: End) -> Ends:
        """The ends of laws on [low, high], with an axis for several parameters."""
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        if self.points.ndim:
            shape = (*low.shape, self.points.size)
            return np.broadcast_to(low[..., None], shape), np.broadcast_to(high[..., None], shape)
        return low, high

    def percent(self) -> str:
        """The parameters as percentages, for `label`."""
        return ", ".join(f"{100.0 * level:g}%" for level in self.several)

    def listed(self) -> str:
        """The parameters as numbers, for `label`."""
        return ", ".join(f"{point:g}" for point in self.several)


def widened(ends: FloatArray, half: FloatArray) -> FloatArray:
    """(S, 2) `ends` with `half` (S,) added on both sides."""
    return np.asarray(ends + half[:, None] * np.array([-1.0, 1.0]))
