"""What can be read from a return law, as objects; `parse` makes them from the short forms that users type.

A functional has a value at a law, on categorical laws a derivative, and a way to read bounds on it from anything that
is known for certain of a law (`Enclosing`). The parameter of a functional is one number, or several at once: results
then have one more axis.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import enclosure as kernels
from distrl._validation import FloatArray, IntArray, float_array, fraction
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns

#: Lower and upper ends.
Ends = tuple[FloatArray, FloatArray]
#: One number, or several.
Points = float | tuple[float, ...]

_LEVEL_TOLERANCE = 1e-9
_EPS = float(np.finfo(np.float64).eps)


class Enclosing(ABC):
    """What is known for certain of a batch of laws: the ends of what each functional can be, infinite where nothing is.

    A source of knowledge overrides what it can say. Arguments are (K,), ends batch or batch + (K,).
    """

    @property
    @abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of laws."""

    def _nothing(self, *count: int) -> Ends:
        shape = (*self.batch_shape, *count)
        return np.full(shape, -np.inf), np.full(shape, np.inf)

    def mean_ends(self) -> Ends:
        """Of E G."""
        return self._nothing()

    def variance_ends(self) -> Ends:
        """Of Var G."""
        return self._nothing()

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        """Of E (G - k)+."""
        return self._nothing(len(points))

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        """Of the mean of the lowest, or highest, mass `level`."""
        return self._nothing(len(levels))

    def cdf_ends(self, points: FloatArray) -> Ends:
        """Of P(G <= x)."""
        return self._nothing(len(points))

    def quantile_ends(self, levels: FloatArray) -> Ends:
        """Of inf{x : P(G <= x) >= level}."""
        return self._nothing(len(levels))

    def expectile_ends(self, taus: FloatArray) -> Ends:
        """Of the root e of tau E (G - e)+ = (1 - tau) E (e - G)+."""
        return self._nothing(len(taus))

    def entropic_ends(self, betas: FloatArray) -> Ends:
        """Of (1 / beta) log E exp(beta G)."""
        return self._nothing(len(betas))


@dataclass(frozen=True)
class Functional(ABC):
    """A number (or several) that is read from one law."""

    name: ClassVar[str]
    """The short form."""
    argument: ClassVar[str] = ""
    """What `at` is called for the short form: "level", "point"; empty where it takes none."""

    @abstractmethod
    def value(self, returns: Returns) -> FloatArray:
        """The value at every law: batch, or batch + (K,) for several parameters."""

    @abstractmethod
    def enclose(self, known: Enclosing) -> Ends:
        """Lower and upper ends of the value, from what is known of the laws."""

    @abstractmethod
    def natural_range(self, low: Any, high: Any) -> Ends:
        """The values it can take at all for laws on [low, high] (numbers or batch)."""

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        """(K, m) phi with E phi(Z) the functional to first order at each of `states`.

        Raises
        ------
        ValueError
            Where there is no derivative.
        """
        raise ValueError(f"{self.name} has no derivative in the CDF values; use method='bootstrap'")

    def gradient(self, returns: CategoricalReturns, states: IntArray, *, one_sided: bool = False) -> FloatArray:
        """(K, m) derivative in the CDF values F_1..F_{m-1} of each of `states`, last column 0.

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
        """(S, 2) `ends` widened to all laws within `radius` (S,) in W1, on an interval of that width.

        None where W1 alone bounds nothing.
        """
        return None

    def check_derivative(self, returns: CategoricalReturns, states: IntArray) -> None:  # noqa: B027
        """Raise a ValueError that names the state at which only one-sided derivatives exist; here nowhere."""

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


@dataclass(frozen=True)
class _Pointed(Functional):
    """A functional with a parameter, its first field."""

    def __post_init__(self) -> None:
        name = fields(self)[0].name
        checked = self._checked(getattr(self, name), name)
        object.__setattr__(self, name, tuple(checked.tolist()) if checked.ndim else float(checked))

    def _checked(self, value: Any, name: str) -> FloatArray:
        return float_array(value, name, ndim=(0, 1))

    @property
    def points(self) -> FloatArray:
        return np.asarray(getattr(self, fields(self)[0].name), dtype=np.float64)

    def each(self) -> list[Functional]:
        name = fields(self)[0].name
        return [replace(self, **{name: float(point)}) for point in self._levels]

    def _read(self, ends: Ends) -> Ends:
        """Without the axis of parameters where there is one parameter."""
        return ends if self.points.ndim else (ends[0][..., 0], ends[1][..., 0])

    def _spread(self, low: Any, high: Any) -> Ends:
        """Ends of laws on [low, high], with an axis for several parameters."""
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        if self.points.ndim:
            shape = (*low.shape, self.points.size)
            return np.broadcast_to(low[..., None], shape), np.broadcast_to(high[..., None], shape)
        return low, high

    @property
    def _levels(self) -> FloatArray:
        return np.atleast_1d(self.points)

    def _percent(self) -> str:
        return ", ".join(f"{100.0 * level:g}%" for level in self._levels)

    def _listed(self) -> str:
        return ", ".join(f"{point:g}" for point in self._levels)


@dataclass(frozen=True)
class Mean(Functional):
    """E G, in units of reward."""

    name: ClassVar[str] = "mean"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.mean())

    def enclose(self, known: Enclosing) -> Ends:
        return known.mean_ends()

    def natural_range(self, low: Any, high: Any) -> Ends:
        return np.asarray(low), np.asarray(high)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return _widened(ends, radius)

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

    def natural_range(self, low: Any, high: Any) -> Ends:
        wide = np.asarray(high, dtype=np.float64) - low
        return np.zeros_like(wide), wide**2 / 4.0 * (1.0 + 8.0 * _EPS)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        # Var F - Var G = -int 2 (z - mid) (F - G) dz, mid between the means
        return _widened(ends, 2.0 * width * radius)

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
        return np.sqrt(low) * (1.0 - 2.0 * _EPS), np.sqrt(high) * (1.0 + 2.0 * _EPS)

    def natural_range(self, low: Any, high: Any) -> Ends:
        wide = np.asarray(high, dtype=np.float64) - low
        return np.zeros_like(wide), wide / 2.0 * (1.0 + 8.0 * _EPS)

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
class Quantile(_Pointed):
    """The lower quantile inf{x : P(G <= x) >= level}, value at risk for a small level; `level` in [0, 1]."""

    level: Points
    name: ClassVar[str] = "quantile"
    argument: ClassVar[str] = "level"

    def _checked(self, value: Any, name: str) -> FloatArray:
        return fraction(value, name)

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.quantile(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        return self._read(known.quantile_ends(self._levels))

    def natural_range(self, low: Any, high: Any) -> Ends:
        return self._spread(low, high)

    @property
    def label(self) -> str:
        return f"VaR {self._percent()}"


@dataclass(frozen=True)
class CVaR(_Pointed):
    """Conditional value at risk: the mean of the lowest (tail="lower") or highest mass `level`, in (0, 1]."""

    level: Points
    tail: str = "lower"
    name: ClassVar[str] = "cvar"
    argument: ClassVar[str] = "level"

    def __post_init__(self) -> None:
        if self.tail not in ("lower", "upper"):
            raise ValueError(f"tail must be 'lower' or 'upper', got {self.tail!r}")
        super().__post_init__()

    def _checked(self, value: Any, name: str) -> FloatArray:
        return fraction(value, name, open_low=True)

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.cvar(self.points, self.tail))

    def enclose(self, known: Enclosing) -> Ends:
        return self._read(known.cvar_ends(self._levels, self.tail))

    def natural_range(self, low: Any, high: Any) -> Ends:
        return self._spread(low, high)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return _widened(ends, radius / self.single())

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
        close = np.abs(returns.cdf_values[states, :-1] - at) < _LEVEL_TOLERANCE
        if level != 1.0 and close.any():
            row, atom = (int(i) for i in np.argwhere(close)[0])
            raise ValueError(
                f"CVaR at {level:g} has no derivative at state {states[row]}: its CDF is {at:g} from "
                f"{returns.atoms[atom]:.6g}; use another level or method='bootstrap'"
            )

    @property
    def label(self) -> str:
        return f"CVaR {self._percent()}" + (" of the best" if self.tail == "upper" else "")


@dataclass(frozen=True)
class CDF(_Pointed):
    """P(G <= point), a probability; `point` may be infinite."""

    point: Points
    name: ClassVar[str] = "cdf"
    argument: ClassVar[str] = "point"

    def _checked(self, value: Any, name: str) -> FloatArray:
        points = float_array(value, name, ndim=(0, 1), finite=False)
        if np.isnan(points).any():
            raise ValueError(f"{name} is NaN; the CDF is asked at numbers")
        return points

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.cdf(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        low, high = self._read(known.cdf_ends(self._levels))
        return np.maximum(low, 0.0), np.minimum(high, 1.0)

    def natural_range(self, low: Any, high: Any) -> Ends:
        low, high = self._spread(low, high)
        return np.where(self.points >= high, 1.0, 0.0), np.where(self.points < low, 0.0, 1.0)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.tile((returns.atoms <= self.single()).astype(np.float64), (len(states), 1))

    @property
    def label(self) -> str:
        return f"P(return <= {self._listed()})"


@dataclass(frozen=True)
class StopLoss(_Pointed):
    """E (G - point)+, in units of reward."""

    point: Points
    name: ClassVar[str] = "stop_loss"
    argument: ClassVar[str] = "point"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.stop_loss(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        low, high = self._read(known.stop_loss_ends(self._levels))
        return np.maximum(low, 0.0), high

    def natural_range(self, low: Any, high: Any) -> Ends:
        low, high = self._spread(low, high)
        rooms = [2.0 * _EPS * (np.abs(end) + np.abs(self.points)) for end in (low, high)]
        least, most = low - self.points - rooms[0], high - self.points
        return np.maximum(least, 0.0), np.where(most > 0.0, most + rooms[1], 0.0)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        return _widened(ends, radius)

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        return np.tile(np.maximum(returns.atoms - self.single(), 0.0), (len(states), 1))

    @property
    def label(self) -> str:
        return f"stop-loss at {self._listed()}"


@dataclass(frozen=True)
class Expectile(_Pointed):
    """The e with tau E (G - e)+ = (1 - tau) E (e - G)+; `tau` in (0, 1)."""

    tau: Points
    name: ClassVar[str] = "expectile"
    argument: ClassVar[str] = "level"

    def _checked(self, value: Any, name: str) -> FloatArray:
        return fraction(value, name, open_low=True, open_high=True)

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.expectile(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        return self._read(known.expectile_ends(self._levels))

    def natural_range(self, low: Any, high: Any) -> Ends:
        return self._spread(low, high)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        tau = self.single()
        return _widened(ends, radius * max(tau, 1.0 - tau) / min(tau, 1.0 - tau))

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        tau, z = self.single(), returns.atoms
        root = np.asarray(returns.expectile(tau))[states, None]
        below = each(returns[states], kernels.cdf_each, root)
        steep = tau * (1.0 - below) + (1.0 - tau) * below
        return np.asarray((tau * np.maximum(z - root, 0.0) - (1.0 - tau) * np.maximum(root - z, 0.0)) / steep)

    @property
    def label(self) -> str:
        return f"expectile {self._listed()}"


@dataclass(frozen=True)
class EntropicRisk(_Pointed):
    """(1 / beta) log E exp(beta G), the mean at 0; beta < 0 is averse to risk for rewards. Units of reward."""

    beta: Points
    name: ClassVar[str] = "entropic_risk"
    argument: ClassVar[str] = "point"

    def value(self, returns: Returns) -> FloatArray:
        return np.asarray(returns.entropic_risk(self.points))

    def enclose(self, known: Enclosing) -> Ends:
        return self._read(known.entropic_ends(self._levels))

    def natural_range(self, low: Any, high: Any) -> Ends:
        return self._spread(low, high)

    def moved(self, ends: FloatArray, radius: FloatArray, width: float) -> FloatArray:
        # its derivative in the law is exp(beta (z - h)) / beta, of slope at most exp(|beta| width)
        with np.errstate(over="ignore"):
            return _widened(ends, radius * np.exp(abs(self.single()) * width))

    def slope(self, returns: CategoricalReturns, states: IntArray) -> FloatArray:
        beta, z = self.single(), returns.atoms
        if beta == 0.0:
            return Mean().slope(returns, states)
        here = np.asarray(returns.entropic_risk(beta))[states, None]
        with np.errstate(over="ignore"):  # atoms without mass, far beyond: what they count for is held finite
            return np.asarray(np.exp(np.minimum(beta * (z - here), 600.0)) / beta)

    @property
    def label(self) -> str:
        return f"entropic risk at {self._listed()}"


def _widened(ends: FloatArray, half: FloatArray) -> FloatArray:
    return np.asarray(ends + half[:, None] * np.array([-1.0, 1.0]))


_CLASSES: tuple[type[Functional], ...] = (
    Mean,
    Variance,
    Std,
    StopLoss,
    CVaR,
    CDF,
    Quantile,
    Expectile,
    EntropicRisk,
)
#: The short forms.
NAMES: dict[str, type[Functional]] = {kind.name: kind for kind in _CLASSES}


def parse(functional: Any, at: ArrayLike | None = None, tail: str = "lower") -> Functional:
    """A `Functional` from what a user passes: an object, or its short form with its level or point.

    Parameters
    ----------
    functional : Functional, or "mean", "variance", "std", "stop_loss", "cvar", "cdf", "quantile", "expectile" or
        "entropic_risk"
    at : scalar or (K,), for a short form
        The level of "cvar", "quantile" and "expectile", the point of "cdf" and "stop_loss", the beta of
        "entropic_risk".
    tail : "lower" or "upper", for "cvar"

    Raises
    ------
    ValueError, TypeError
        If the name is not known, or `at` is missing, not wanted or out of range.
    """
    if tail not in ("lower", "upper"):
        raise ValueError(f"tail must be 'lower' or 'upper', got {tail!r}")
    if isinstance(functional, Functional):
        if at is not None or tail != "lower":
            raise ValueError(f"{functional!r} has its parameters; leave `at` and `tail` out")
        return functional
    kind: Any = NAMES.get(functional) if isinstance(functional, str) else None
    if kind is None:
        hint = f"; create it: {functional.__name__}(...)" if isinstance(functional, type) else ""
        raise ValueError(
            f"functional must be one of {', '.join(NAMES)}, or an object such as distrl.CVaR(0.1); "
            f"got {functional!r}{hint}"
        )
    if not kind.argument:
        if at is not None:
            raise ValueError(f"{kind.name} takes no point or level; leave `at` out")
        return kind()  # type: ignore[no-any-return]
    if at is None:
        raise ValueError(f"{kind.name} needs a {kind.argument}: at=")
    options: dict[str, Any] = {"tail": tail} if kind is CVaR else {}
    try:
        return kind(at, **options)  # type: ignore[no-any-return]
    except (ValueError, TypeError) as error:  # the user called it `at`
        own = fields(kind)[0].name
        raise type(error)("at" + str(error).removeprefix(own)) from None


def intersection(
    sources: Iterable[Enclosing], functional: Functional, support: tuple[Any, Any] = (-math.inf, math.inf)
) -> FloatArray:
    """batch + (2,) or batch + (K, 2): where all that is known of the functional agrees, for laws on `support`.

    Raises
    ------
    CrossedEnds
        If two sources contradict each other: one of them is not what it says.
    """
    low: Any
    high: Any
    low, high = functional.natural_range(*support)
    for source in sources:
        below, above = functional.enclose(source)
        low, high = np.maximum(low, below), np.minimum(high, above)
    return as_interval(low, high, functional)


class CrossedEnds(AssertionError):
    """A certified interval whose lower end lies above its upper one: a fault of this library, never of the model."""


def as_interval(low: FloatArray, high: FloatArray, functional: Functional) -> FloatArray:
    """The ends side by side. All that is known has its rounding counted, so that ends never cross."""
    low, high = np.broadcast_arrays(low, high)
    wrong = ~(low <= high)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        state = f"state {where[0]}" if where else "the law"
        raise CrossedEnds(
            f"internal error: the bounds on {functional!r} at {state} contradict each other, {low[where]!r} > "
            f"{high[where]!r}; please report the model"
        )
    return np.stack([low, high], axis=-1)


def each(law: Returns, kernel: Any, arguments: FloatArray) -> FloatArray:
    """`kernel` of every law at its own arguments, batch + (K,)."""
    rows = np.ascontiguousarray(arguments).reshape(-1, arguments.shape[-1])
    out = np.empty_like(rows)
    kernel(*law._rows(), rows, out)
    return out.reshape(arguments.shape)
