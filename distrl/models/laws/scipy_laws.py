"""Continuous laws of scipy.stats and of users, compared with themselves before anything trusts them."""

import math
from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, whole_number
from distrl.models.laws.base import Law
from distrl.models.laws.closed_forms import CLOSED_FORMS
from distrl.models.laws.describe import describe, functions, own_parameters, says_itself, stated_moments
from distrl.models.laws.tables import CdfTable, build_table

_STANDARD_DRAWS: dict[str, Callable[..., FloatArray]] = {
    "norm": np.random.Generator.standard_normal,
    "uniform": np.random.Generator.uniform,
    "expon": np.random.Generator.standard_exponential,
    "t": np.random.Generator.standard_t,
    "gamma": np.random.Generator.standard_gamma,
}
_LARGEST_ERROR = 1e-6  # of a law's mean absolute deviation: beyond it a law is refused
_CLOSED_ERROR = 1e-9  # of the same: beyond it a closed form is not believed
_FAR = 1e100  # standard deviations or so from which on a law is at a point


class ScipyLaw(Law):
    """A continuous law with a finite mean: frozen from `scipy.stats`, of its newer classes, or with a CDF of one's own.

    A frozen law of SciPy is location + scale * Z; what is costly is done once for each Z. Z has a closed form of
    E[(z - Z)+], checked against the integral of its CDF, or a `CdfTable`. Any other object is read once, into a table,
    and is then its table: it is the same after a pickle, and draws by inversion.
    """

    def __init__(self, frozen: Any) -> None:
        _support(describe(frozen), frozen)  # which is where SciPy says that parameters are not valid
        own = own_parameters(frozen)
        if own is None:
            self._read(None, (None, (), 0.0, 1.0), _checked(describe(frozen), frozen, None), describe(frozen))
        else:
            self._read(frozen, own, standard_form_of(own[0], own[1]), describe(frozen))

    def _read(
        self, frozen: Any, own: tuple[str | None, tuple[float, ...], float, float], standard: "Standard", text: str
    ) -> None:
        self.frozen, self._standard, self._text = frozen, standard, text
        self._name, self._shapes, self._loc, self._scale = _, _, loc, scale = own
        self.mean = loc + scale * standard.mean
        with np.errstate(over="ignore", under="ignore"):
            self.variance = float(np.float64(scale) ** 2 * standard.variance)
        self.error, self.cdf_error = scale * standard.error, standard.cdf_error
        self.support = (loc + scale * standard.support[0], loc + scale * standard.support[1])

    def __repr__(self) -> str:
        return f"ScipyLaw({self._text})"

    def __copy__(self) -> "ScipyLaw":
        return self  # nothing in it changes

    def __deepcopy__(self, memo: Any) -> "ScipyLaw":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.frozen is not None:
            return _frozen_again, (type(self), self._name, self._shapes, self._loc, self._scale)
        return _from_table, (type(self), self._text, self._standard)

    @cached_property
    def key(self) -> Hashable:
        """Name and parameters where they say all, else all that the law is: its table."""
        if self._name is not None:
            return (self._name, self._shapes, self._loc, self._scale)
        table = self._standard.table
        assert table is not None
        return ("table", self.support, *table.key)

    # -- what the law is ----------------------------------------------------------------------------------------------

    def cdf(self, x: ArrayLike) -> FloatArray:
        points = np.asarray(x, dtype=np.float64)
        if self._table is None:
            return self._scipys("cdf", points)
        return self._table.cdf(self._inwards(points))

    def cdf_left(self, x: ArrayLike) -> FloatArray:
        if self._table is None or not len(self._table.jumps):
            return self.cdf(x)
        points = np.asarray(x, dtype=np.float64)
        return np.maximum(self.cdf(points) - self._table.mass_at(self._inwards(points)), 0.0)

    def survival(self, x: ArrayLike) -> FloatArray:
        points = np.asarray(x, dtype=np.float64)
        if self._table is None:
            return self._scipys("sf", points)
        return self._table.survival(self._inwards(points))

    def put(self, k: ArrayLike) -> FloatArray:
        points = np.asarray(k, dtype=np.float64)
        z = self._inwards(points)
        if self._table is None:
            assert self._standard.closed is not None
            with np.errstate(under="ignore"):
                inside = self._scale * np.maximum(self._standard.closed(np.clip(z, -_FAR, _FAR)), 0.0)
        else:
            inside = self._scale * self._table.put(z)
        far = np.abs(z) >= _FAR
        return np.where(far, np.maximum(points - self.mean, 0.0), inside) if far.any() else inside

    def stop_loss(self, k: ArrayLike) -> FloatArray:
        if self._table is None:
            return super().stop_loss(k)
        points = np.asarray(k, dtype=np.float64)
        z = self._inwards(points)
        far = np.abs(z) >= _FAR
        return np.where(far, np.maximum(self.mean - points, 0.0), self._scale * self._table.stop_loss(z))

    def quantile(self, q: ArrayLike) -> FloatArray:
        levels = np.asarray(q, dtype=np.float64)
        if self._table is None:
            return self._scipys("ppf", levels)
        inside = self._outwards(self._table.quantile(levels))
        return np.where(levels <= 0.0, self.support[0], np.where(levels >= 1.0, self.support[1], inside))

    def upper_quantile(self, t: ArrayLike) -> FloatArray:
        masses = np.asarray(t, dtype=np.float64)
        if self._table is None:
            return self._scipys("isf", masses)
        inside = self._outwards(self._table.upper_quantile(masses))
        return np.where(masses <= 0.0, self.support[1], np.where(masses >= 1.0, self.support[0], inside))

    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        name, dist = self._name, getattr(self.frozen, "dist", None)
        if name in _STANDARD_DRAWS:  # what `frozen.rvs` does, number by number, at half the cost
            return _STANDARD_DRAWS[name](rng, *self._shapes, size=size) * self._scale + self._loc
        if self._table is None or (dist is not None and says_itself(dist, "_rvs")):
            return np.asarray(self.frozen.rvs(size=size, random_state=rng), dtype=np.float64)
        return self._outwards(self._table.quantile(rng.uniform(size=size)))  # what SciPy's inversion does, faster

    def standard_form(self) -> tuple[Law, float, float]:
        if self._name is None:
            return super().standard_form()
        return _standard_law(type(self), self._name, self._shapes), self._loc, self._scale

    # -- moments ------------------------------------------------------------------------------------------------------

    def moment(self, order: int) -> float:
        if whole_number(order, "order") >= self.tail_index:
            return math.inf  # SciPy integrates numerically here and returns anything, negative fourth moments included
        if self._table is not None:
            loc, scale, table = self._loc, self._scale, self._table
            parts = [1.0, *(table.central_moment(j, 0.0) for j in range(1, order + 1))]
            terms = [math.comb(order, j) * loc ** (order - j) * scale**j * part for j, part in enumerate(parts)]
            if all(map(math.isfinite, terms)) or self.frozen is None:
                return math.fsum(terms) if all(map(math.isfinite, terms)) else math.inf
        with np.errstate(all="ignore"):
            value = float(self.frozen.moment(order))
        return value if not math.isnan(value) else math.inf

    def central_moment(self, order: int) -> float:
        return super().central_moment(order) if order < 3 else self._standard_central(order)

    def _standard_central(self, order: int) -> float:
        """Of Z, times a power of the scale: a location far away takes no digits."""
        if order >= self.tail_index:
            return math.inf
        standard = self._standard
        table = standard.table if standard.table is not None else _plain_table(str(self._name), self._shapes)
        found = table.central_moment(order, table.mean)
        if not math.isfinite(found):  # its tail was cut before this moment was there
            found = Law.central_moment(self.standard_form()[0], order)
        with np.errstate(over="ignore", under="ignore"):
            return float(np.float64(self._scale) ** order * found)

    @cached_property
    def tail_index(self) -> float:  # type: ignore[override]
        """The smaller of the exponents a in P(|R| > x) ~ x^-a of the two tails; inf where the decay is faster.

        Read from quantiles at the masses 1e-30, 1e-60, 1e-120: a power law has the same exponent between each two of
        them, a lighter tail a growing one. From a table: from its last octave and one four octaves before.
        """
        if self._table is not None:
            return self._table.tail_index
        index, centre = math.inf, float(self.quantile(0.5))
        masses = np.array([1e-30, 1e-60, 1e-120])
        for bound, tail in zip(self.support, (self.quantile, self.upper_quantile), strict=True):
            if math.isfinite(bound):
                continue
            with np.errstate(all="ignore"):
                near, far = np.diff(np.log(masses)) / np.diff(-np.log(np.abs(tail(masses) - centre)))
            if math.isfinite(near) and math.isfinite(far) and abs(far / near - 1.0) < 0.02:
                index = min(index, float(far))
        return round(index, 6) if math.isfinite(index) else index

    def _scipys(self, name: str, points: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):  # far in its tails SciPy overflows on the way to the right answer
            return np.asarray(getattr(self.frozen, name)(points), dtype=np.float64)

    # -- location and scale -------------------------------------------------------------------------------------------

    @property
    def _table(self) -> CdfTable | None:
        return self._standard.table

    def _inwards(self, x: FloatArray) -> FloatArray:
        if self._name is None:
            return x
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray((x - self._loc) / self._scale)

    def _outwards(self, z: FloatArray) -> FloatArray:
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self._loc + self._scale * z) if self._name is not None else z


class Standard(NamedTuple):
    """A law of location 0 and scale 1: a closed form of E[(z - Z)+], or else a table; mean, variance and errors."""

    closed: Callable[[FloatArray], FloatArray] | None
    table: CdfTable | None
    mean: float
    variance: float
    support: tuple[float, float]
    error: float
    cdf_error: float


@lru_cache(maxsize=1024)
def standard_form_of(name: str, shapes: tuple[float, ...]) -> Standard:
    """What is known of a family at these shapes, checked once.

    Raises
    ------
    ValueError
        The parts of the law contradict each other, it has no mean, or its CDF is too slow.
    """
    from scipy import stats

    frozen = getattr(stats, name)(*shapes)
    formula = CLOSED_FORMS.get(name)
    closed = None if formula is None else (lambda z: np.asarray(formula(z, *shapes), dtype=np.float64))
    return _checked(describe(frozen), frozen, closed)


@lru_cache(maxsize=1024)
def _standard_law(kind: type[ScipyLaw], name: str, shapes: tuple[float, ...]) -> ScipyLaw:
    """One object for a whole location-scale family."""
    from scipy import stats

    return kind(getattr(stats, name)(*shapes))


@lru_cache(maxsize=128)
def _plain_table(name: str, shapes: tuple[float, ...]) -> CdfTable:
    """The table of a law that has a closed form."""
    from scipy import stats

    return _table_of(name, getattr(stats, name)(*shapes))


def _frozen_again(kind: type[ScipyLaw], name: str, shapes: tuple[float, ...], loc: float, scale: float) -> ScipyLaw:
    from scipy import stats

    return kind(getattr(stats, name)(*shapes, loc=loc, scale=scale))


def _from_table(kind: type[ScipyLaw], text: str, standard: Standard) -> ScipyLaw:
    law = kind.__new__(kind)
    law._read(None, (None, (), 0.0, 1.0), standard, text)
    return law


def _checked(text: str, frozen: Any, closed: Callable[[FloatArray], FloatArray] | None) -> Standard:
    support = _support(text, frozen)
    with np.errstate(all="ignore"):
        mean, variance = stated_moments(frozen) if closed is None else (float(frozen.mean()), float(frozen.var()))
    if mean is not None and math.isinf(mean):
        raise ValueError(f"{text} has no finite mean, so its return has none either")
    if mean is not None and not support[0] < mean < support[1]:
        mean = None  # SciPy's formula has cancelled: the CDF decides
    variance = None if variance is None or not variance > 0.0 else variance
    if closed is not None and mean is not None:
        with np.errstate(all="ignore"):
            spread, error = closed_form_error(frozen, closed, mean, support)
        if error <= _CLOSED_ERROR * spread:
            return Standard(closed, None, mean, math.inf if variance is None else variance, support, error, 0.0)
        mean = None  # of these families the CDF is known to be right, where formulas cancel
    table = _table_of(text, frozen)
    spread = 2.0 * float(table.put(np.array([table.mean]))[0])
    error = table.error
    if not error <= _LARGEST_ERROR * spread:
        raise ValueError(
            f"{text}: its CDF says what its mean is to within {error:.2g} only, for a mean deviation of {spread:.2g}; "
            "use a distrl.FiniteLaw of some hundred quantiles, or of a sample"
        )
    if mean is not None:
        gap = abs(mean - table.mean)
        if gap > error + _LARGEST_ERROR * spread:
            raise _contradiction(text, "mean", mean, table.mean)
        error += gap
    found = table.central_moment(2, table.mean)
    heavy = math.isinf(found) or table.tail_index < 2.5
    if variance is not None and not heavy and not abs(variance - found) <= 0.01 * found:
        if closed is None:
            raise _contradiction(text, "variance", variance, found)
        variance = None
    variance = found if variance is None else variance
    return Standard(None, table, table.mean, variance, support, error, table.cdf_error)


def _contradiction(text: str, what: str, stated: float, found: float) -> ValueError:
    return ValueError(
        f"{text} contradicts itself: by its formula its {what} is {stated:.12g}, by its CDF {found:.12g}; one of them "
        "is wrong, so use a distrl.FiniteLaw of a sample"
    )


def _support(text: str, frozen: Any) -> tuple[float, float]:
    if not hasattr(frozen, "support"):
        return -math.inf, math.inf
    try:
        low, high = (float(bound) for bound in frozen.support())
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text} has no single mean: its parameters must be single numbers ({error})") from error
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{text} has invalid parameters")
    return low, high


def _table_of(text: str, frozen: Any) -> CdfTable:
    cdf, survival, quantile = functions(frozen)
    hints = np.full(3, np.nan)
    if quantile is not None:
        try:
            with np.errstate(all="ignore"):
                hints = quantile(np.array([0.25, 0.5, 0.75]))
        except Exception:  # SciPy's root finder gave up: the CDF is searched instead
            pass
    bins = getattr(getattr(frozen, "dist", None), "_hbins", None)  # of a histogram
    if bins is not None:
        _, loc, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
        bins = float(loc) + float(scale) * np.asarray(bins, dtype=np.float64)
    return build_table(cdf, survival, _support(text, frozen), text, hints, bins)


# -- closed forms against the CDF -------------------------------------------------------------------------------------

_LEVELS = np.array([1e-3, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])
_WITNESSES = np.array([1e-12, 0.5, 1.0 - 1e-6])  # levels at which quantile and CDF have to agree
_FEW, _MANY = (np.polynomial.legendre.leggauss(order) for order in (10, 20))


def closed_form_error(
    frozen: Any, closed: Callable[[FloatArray], FloatArray], mean: float, support: tuple[float, float]
) -> tuple[float, float]:
    """(spread, error): E|Z - mean|, and how far the closed form and the mean are from integrals of SciPy's functions.

    Between quantiles by 20-point Gauss-Legendre, whose own error is what 10 points give less; beyond them by
    E[(Z - k)+] = int (isf(e^-s) - k) e^-s ds. About 600 values of SciPy's functions.
    """
    spread = 2.0 * float(closed(np.array([mean]))[0])
    quantiles = np.asarray(frozen.ppf(np.append(_LEVELS, _WITNESSES)))  # every call of SciPy costs a tenth of a ms
    marks = np.append(quantiles[: len(_LEVELS)], frozen.isf(_LEVELS[:1]))
    marks = np.unique(np.clip(marks[np.isfinite(marks)], *support))
    if not (len(marks) >= 4 and spread > 0.0 and math.isfinite(spread)):
        return 1.0, math.inf
    low, half, witnesses = marks[:-1], np.diff(marks) / 2, quantiles[len(_LEVELS) :]
    points = low[:, None] + half[:, None] * (1.0 + np.append(_FEW[0], _MANY[0]))
    values = np.asarray(frozen.cdf(np.append(points, witnesses)))
    inner = (witnesses > support[0]) & (witnesses < support[1])
    if not (np.abs(values[points.size :] - _WITNESSES)[inner] <= 1e-9).all():
        return 1.0, math.inf
    heights = values[: points.size].reshape(points.shape)
    few, many = half * (heights[:, :10] @ _FEW[1]), half * (heights[:, 10:] @ _MANY[1])
    doubt = 10.0 * np.abs(many - few)
    puts = closed(marks)
    rounding = 64.0 * np.finfo(np.float64).eps * (np.abs(marks).max() + abs(mean))
    error = float(np.maximum(np.abs(np.diff(puts) - many) - doubt - rounding, 0.0).sum())
    if not float(doubt.sum()) <= 1e-3 * spread:
        return 1.0, math.inf
    right = puts[-1] - (marks[-1] - mean)
    ends = ((puts[0], lambda t: marks[0] - frozen.ppf(t)), (right, lambda t: frozen.isf(t) - marks[-1]))
    for stated, excess in ends:
        found, unsure = _beyond(excess, float(_LEVELS[0]))
        if not unsure <= 1e-6 * spread:
            return 1.0, math.inf
        error += max(abs(float(stated) - found) - unsure - rounding, 0.0)
    return spread, error if not math.isnan(error) else math.inf


def _beyond(excess: Callable[[FloatArray], FloatArray], mass: float) -> tuple[float, float]:
    """int_0^mass max(excess(t), 0) dt, and a doubt about it."""
    s = -math.log(mass) + np.array([0.0, 2.0, 6.0, 14.0, 30.0, 70.0, 150.0, 300.0, 470.0, 680.0])
    low, half = s[:-1], np.diff(s) / 2

    at = low[:, None] + half[:, None] * (1.0 + np.append(_FEW[0], _MANY[0]))
    at = np.append(at, s[-1] - np.array([200.0, 100.0, 0.0]))
    heights = np.maximum(excess(np.exp(-at)), 0.0) * np.exp(-at)
    heights = np.where(np.isfinite(heights), heights, 0.0)
    inside, ends = heights[:-3].reshape(len(low), -1), heights[-3:]
    few, many = float(half @ (inside[:, :10] @ _FEW[1])), float(half @ (inside[:, 10:] @ _MANY[1]))
    rests = [0.0, 0.0]
    if ends[-1] > 1e-12 * many:  # a power law goes on like e^{-rate s}
        with np.errstate(all="ignore"):
            rests = (100.0 * ends[-1] / np.log(ends[:2] / ends[1:])).tolist()
            rests = [rest if rest > 0.0 else math.inf for rest in rests]
    return many + rests[1], abs(many - few) + abs(rests[1] - rests[0])
