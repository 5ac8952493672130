"""Laws of a random reward, known through their integrated CDF.

For a law R with finite mean write

    put(k)       = E[(k - R)+] = integral of the CDF up to k,
    stop_loss(k) = E[(R - k)+] = put(k) - (k - E R).

Second differences of either on a grid are the exact masses of the hat-function (categorical) projection, so a law
that offers `put` can be projected exactly, whatever its shape. `FiniteLaw` has it as a finite sum; a frozen
`scipy.stats` law has it in closed form for the common families (`closed_forms.py`) and by Gauss-Legendre quadrature
of its CDF otherwise.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import LARGEST_NUMBER, FloatArray, distribution, float_array, whole_number
from distrl.models.closed_forms import CLOSED_FORMS

_LARGEST_FINITE_SUPPORT = 100_000
_STANDARD_DRAWS: dict[str, Callable[..., FloatArray]] = {
    "norm": np.random.Generator.standard_normal,
    "uniform": np.random.Generator.uniform,
    "expon": np.random.Generator.standard_exponential,
    "t": np.random.Generator.standard_t,
    "gamma": np.random.Generator.standard_gamma,
}
_TAIL = 1e-15  # mass that a quadrature table leaves out at either end


class Law(ABC):
    """A law on the real line with a finite mean: what reward laws and scipy.stats laws have in common here."""

    mean: float
    variance: float  # may be inf
    support: tuple[float, float]  # may be infinite
    tail_index: float = math.inf  # E|R|^p is finite for p below it; inf: for every p

    @abstractmethod
    def cdf(self, x: ArrayLike) -> FloatArray:
        """P(R <= x), elementwise."""

    @abstractmethod
    def cdf_left(self, x: ArrayLike) -> FloatArray:
        """P(R < x), elementwise; differs from `cdf` at atoms only."""

    @abstractmethod
    def put(self, k: ArrayLike) -> FloatArray:
        """E[(k - R)+], elementwise."""

    @abstractmethod
    def quantile(self, q: ArrayLike) -> FloatArray:
        """Lower quantile inf{x : F(x) >= q}, elementwise."""

    def survival(self, x: ArrayLike) -> FloatArray:
        """P(R > x), elementwise; where a law can, without the cancellation of 1 - cdf."""
        return 1.0 - self.cdf(x)

    def upper_quantile(self, t: ArrayLike) -> FloatArray:
        """Quantile at level 1 - t, elementwise; where a law can, for t far below rounding of 1 too."""
        return self.quantile(1.0 - np.asarray(t, dtype=np.float64))

    @abstractmethod
    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        """`size` independent draws."""

    def standard_form(self) -> tuple["Law", float, float]:
        """(law, location, scale) with R = location + scale * Z, Z ~ law: a location-scale family shares one law."""
        return self, 0.0, 1.0

    @abstractmethod
    def moment(self, order: int) -> float:
        """E[R^order]; may be inf."""

    def central_moment(self, order: int) -> float:
        """E[(R - E R)^order]; may be inf."""
        if order < 3:
            return (1.0, 0.0, self.variance)[order]
        terms = [math.comb(order, j) * self.moment(j) * (-self.mean) ** (order - j) for j in range(order + 1)]
        return math.fsum(terms) if all(map(math.isfinite, terms)) else math.inf

    def absolute_mean(self) -> float:
        """E|R|."""
        return float(2.0 * self.put(0.0) + self.mean)

    def put_error(self, reach: float) -> float:
        """Bound on the error of `put` at |k| <= reach: here that of rounding."""
        return 4.0 * float(np.finfo(np.float64).eps) * (reach + abs(self.mean))

    def resolution(self, reach: Any) -> Any:
        """Points |x| <= reach this close to a value may be taken for it: 0 where the CDF compares exactly."""
        return 0.0

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Equal keys mean equal laws; operators share work between them."""

    def stop_loss(self, k: ArrayLike) -> FloatArray:
        """E[(R - k)+], elementwise; rounding of the order of the spacing of floats at |k|."""
        points = np.asarray(k, dtype=np.float64)
        return np.maximum(self.put(points) - (points - self.mean), 0.0)


class FiniteLaw(Law):
    """A law on finitely many values.

    Parameters
    ----------
    values : array (n,)
        The values, finite, in any order; repeated values add up.
    probs : array (n,), optional
        Their probabilities, >= 0, sum 1 within 1e-9; uniform when left out.

    Raises
    ------
    ValueError, TypeError
        Naming the offending entry.

    Examples
    --------
    >>> coin = FiniteLaw([0, 1], [0.5, 0.5])
    >>> coin.mean
    0.5
    """

    def __init__(self, values: ArrayLike, probs: ArrayLike | None = None) -> None:
        raw = float_array(values, "FiniteLaw values", ndim=1)
        if not raw.size:
            raise ValueError("FiniteLaw needs at least one value")
        weights = (
            np.full(len(raw), 1.0 / len(raw))
            if probs is None
            else distribution(probs, "FiniteLaw probs", length=len(raw))
        )
        self.values, inverse = np.unique(raw, return_inverse=True)
        self.probs = np.asarray(np.bincount(inverse, weights=weights, minlength=len(self.values)), dtype=np.float64)
        kept = self.probs > 0
        self.values, self.probs = self.values[kept], self.probs[kept]
        self._cumulative = np.cumsum(self.probs)
        self._partial = np.cumsum(self.probs * self.values)
        self.mean = float(self.probs @ self.values)
        with np.errstate(over="ignore"):
            self.variance = float(self.probs @ (self.values - self.mean) ** 2)
        self.support = (float(self.values[0]), float(self.values[-1]))
        if np.abs(self.values).max() > LARGEST_NUMBER:
            raise ValueError(f"FiniteLaw values go beyond {LARGEST_NUMBER:g} in size; scale them down")

    def __repr__(self) -> str:
        return f"FiniteLaw({self.values.tolist()}, {self.probs.tolist()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FiniteLaw) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> Hashable:
        return ("finite", self.values.tobytes(), self.probs.tobytes())

    def cdf(self, x: ArrayLike) -> FloatArray:
        return self._cdf(x, "right")

    def cdf_left(self, x: ArrayLike) -> FloatArray:
        return self._cdf(x, "left")

    def _cdf(self, x: ArrayLike, side: Any) -> FloatArray:
        count = np.searchsorted(self.values, x, side=side)
        return np.where(count > 0, self._cumulative[np.maximum(count - 1, 0)], 0.0)

    def put(self, k: ArrayLike) -> FloatArray:
        points = np.asarray(k, dtype=np.float64)
        count = np.searchsorted(self.values, points, side="right")
        last = np.maximum(count - 1, 0)
        return np.where(count > 0, np.maximum(points * self._cumulative[last] - self._partial[last], 0.0), 0.0)

    def put_error(self, reach: float) -> float:
        # cumulative sums of n terms, of the masses and of masses times values
        return (len(self.values) + 4) * float(np.finfo(np.float64).eps) * (reach + self.absolute_mean())

    def quantile(self, q: ArrayLike) -> FloatArray:
        index = np.searchsorted(self._cumulative, np.asarray(q, dtype=np.float64) - 1e-9)
        return self.values[np.minimum(index, len(self.values) - 1)]

    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        return rng.choice(self.values, size=size, p=self.probs / self.probs.sum())

    def moment(self, order: int) -> float:
        with np.errstate(over="ignore"):
            return float(self.probs @ self.values ** whole_number(order, "order"))

    def central_moment(self, order: int) -> float:
        with np.errstate(over="ignore"):
            return float(self.probs @ (self.values - self.mean) ** order)


class ScipyLaw(Law):
    """A frozen `scipy.stats` law (or an instance of SciPy's newer `Normal()`-style classes) with a finite mean."""

    def __init__(self, frozen: Any) -> None:
        self.frozen = frozen
        self.mean = float(frozen.mean())
        with np.errstate(over="ignore"):  # inf is an answer
            variance = frozen.var() if hasattr(frozen, "var") else frozen.variance()
        self.variance = float(variance) if not np.isnan(variance) else math.inf
        low, high = frozen.support()
        self.support = (float(low), float(high))
        self._ppf = frozen.ppf if hasattr(frozen, "ppf") else frozen.icdf
        self._closed_form = _closed_form(frozen)
        self._draw = _numpy_draw(frozen)

    def __repr__(self) -> str:
        return f"ScipyLaw({_describe(self.frozen)})"

    def __reduce__(self) -> tuple[type, tuple[Any]]:  # closed forms are functions made here, which pickle refuses
        return type(self), (self.frozen,)

    @property
    def key(self) -> Hashable:
        frozen = self.frozen
        if not _is_scipys_own(frozen):  # two histograms, or two laws of one user's class, share their name
            return ("object", id(frozen))
        try:
            name, args, kwds = frozen.dist.name, tuple(map(float, frozen.args)), frozen.kwds.items()
            return (name, args, tuple(sorted((word, float(value)) for word, value in kwds)))
        except (TypeError, ValueError):
            return ("object", id(frozen))

    def cdf(self, x: ArrayLike) -> FloatArray:
        return np.asarray(self.frozen.cdf(x), dtype=np.float64)

    def cdf_left(self, x: ArrayLike) -> FloatArray:
        return self.cdf(x)

    def put(self, k: ArrayLike) -> FloatArray:
        points = np.asarray(k, dtype=np.float64)
        if self._closed_form is not None:
            return np.maximum(self._closed_form(points), 0.0)
        knots, puts, cdfs, _ = self._table
        outside = np.where(points >= knots[-1], points - self.mean, 0.0)
        cell = np.clip(np.searchsorted(knots, points, side="right") - 1, 0, len(knots) - 2)
        h = knots[cell + 1] - knots[cell]
        u = np.clip((points - knots[cell]) / h, 0.0, 1.0)
        # cubic Hermite: values `put`, slopes `cdf`; error h^4 max|f''| / 384
        inside = (
            puts[cell] * (1 + 2 * u) * (1 - u) ** 2
            + puts[cell + 1] * u * u * (3 - 2 * u)
            + h * u * (1 - u) * (cdfs[cell] * (1 - u) - cdfs[cell + 1] * u)
        )
        return np.where((points <= knots[0]) | (points >= knots[-1]), outside, np.maximum(inside, 0.0))

    def put_error(self, reach: float) -> float:
        error = super().put_error(reach)
        if self._closed_form is not None:
            return error
        knots, puts, _, cell_errors = self._table
        beyond = abs(float(knots[-1] - self.mean - puts[-1])) if reach > knots[-1] else 0.0
        reached = (knots[:-1] <= reach) & (knots[1:] >= -reach)
        return error + 2.0 * float(cell_errors[reached].max(initial=0.0)) + beyond

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Knots, put and CDF there by 4-point Gauss-Legendre of the CDF on half cells, and the error up to it."""
        from scipy import integrate  # not at the top: it would cost every import a tenth of a second

        tails = np.geomspace(_TAIL, 2e-3, 60)
        levels = np.concatenate([tails, np.linspace(2e-3, 1 - 2e-3, 401)[1:-1], 1 - tails[::-1]])
        marks = np.concatenate([self._ppf(levels), [bound for bound in self.support if math.isfinite(bound)]])
        marks = np.unique(marks[np.isfinite(marks)])
        pieces = 32
        steps = np.arange(pieces) / pieces
        knots = np.unique(np.append((marks[:-1, None] + np.diff(marks)[:, None] * steps).ravel(), marks[-1]))
        nodes, weights = np.polynomial.legendre.leggauss(4)

        def rule(start: FloatArray, half: FloatArray) -> FloatArray:
            return np.asarray(half * (self.cdf(start[:, None] + half[:, None] * (1 + nodes)) @ weights))

        half, middle = np.diff(knots) / 2, (knots[:-1] + knots[1:]) / 2
        whole, left, right = rule(knots[:-1], half), rule(knots[:-1], half / 2), rule(middle, half / 2)
        below, tail_error = 0.0, 0.0
        if not math.isfinite(self.support[0]):
            # in units of the tail's own length: QUADPACK maps the infinite end for a unit length
            unit = float(self.quantile(0.5) - knots[0])
            with np.errstate(over="ignore", under="ignore"):
                tail = integrate.quad(lambda y: self.frozen.cdf(knots[0] - unit * y), 0.0, np.inf, epsabs=0.0)
            below, tail_error = unit * tail[0], unit * tail[1]
        puts = below + np.concatenate([[0.0], np.cumsum(left + right)])
        cdfs = self.cdf(knots)
        # the quadrature errors of all cells below add up; the Hermite cubic errs most in the middle of its own cell
        quadrature = tail_error + np.cumsum(np.abs(left + right - whole))
        cubic = (left + right) / 2 + half / 4 * (cdfs[:-1] - cdfs[1:])
        return knots, puts, cdfs, quadrature + np.abs(left - cubic)

    def quantile(self, q: ArrayLike) -> FloatArray:
        return np.asarray(self._ppf(q), dtype=np.float64)

    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        if self._draw is not None:
            return self._draw(size, rng)
        if hasattr(self.frozen, "rvs"):
            return np.asarray(self.frozen.rvs(size=size, random_state=rng), dtype=np.float64)
        return np.asarray(self.frozen.sample(size, rng=rng), dtype=np.float64)

    def standard_form(self) -> tuple[Law, float, float]:
        if not _is_scipys_own(self.frozen):
            return super().standard_form()
        shapes, loc, scale = self.frozen.dist._parse_args(*self.frozen.args, **self.frozen.kwds)
        return _standard_law(type(self), self.frozen.dist.name, tuple(map(float, shapes))), float(loc), float(scale)

    def survival(self, x: ArrayLike) -> FloatArray:
        frozen = self.frozen
        return np.asarray((frozen.sf if hasattr(frozen, "sf") else frozen.ccdf)(x), dtype=np.float64)

    def upper_quantile(self, t: ArrayLike) -> FloatArray:
        frozen = self.frozen
        return np.asarray((frozen.isf if hasattr(frozen, "isf") else frozen.iccdf)(t), dtype=np.float64)

    def moment(self, order: int) -> float:
        if whole_number(order, "order") >= self.tail_index:
            return math.inf  # SciPy integrates numerically here and returns anything, negative fourth moments included
        value = float(self.frozen.moment(order))
        return value if not math.isnan(value) else math.inf

    @cached_property
    def tail_index(self) -> float:  # type: ignore[override]
        """The smaller of the exponents a in P(|R| > x) ~ x^-a of the two tails; inf where the decay is faster.

        Read from quantiles at the masses 1e-30, 1e-60, 1e-120: a power law has the same exponent between each two of
        them, a lighter tail a growing one.
        """
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


class LatticeLaw(ScipyLaw):
    """A frozen discrete law with infinitely many values: the integers (shifted by `loc`), `put` by partial sums."""

    def __init__(self, frozen: Any) -> None:
        super().__init__(frozen)
        start = self.support[0] if math.isfinite(self.support[0]) else float(self._ppf(1e-17))
        self._start = start

    # the frozen CDF is asked half-way between two values: at a value, a fractional `loc` rounds to either side of it
    def cdf(self, x: ArrayLike) -> FloatArray:
        points = np.asarray(x, dtype=np.float64)
        near = self.resolution(np.abs(points))
        return super().cdf(self._start + np.floor(points - self._start + near) + 0.5)

    def cdf_left(self, x: ArrayLike) -> FloatArray:
        points = np.asarray(x, dtype=np.float64)
        near = self.resolution(np.abs(points))
        return super().cdf(self._start + np.ceil(points - self._start - near) - 0.5)

    def resolution(self, reach: Any) -> Any:  # of a point and of the values, which are rounded sums
        return 2.0 * float(np.finfo(np.float64).eps) * (reach + abs(self._start))

    @cached_property
    def tail_index(self) -> float:  # type: ignore[override]
        """As for a continuous law, from survival at three scales; SciPy searches its far quantiles value by value."""
        spread = 30.0 * (1.0 + abs(self.mean - self._start))
        masses = 1.0 - self.cdf(self.mean + spread * np.array([1.0, 10.0, 100.0]))
        if masses.min() < 1e-12:
            return math.inf
        near, far = np.diff(-np.log(masses)) / math.log(10.0)
        return round(float(far), 2) if abs(far / near - 1.0) < 0.1 else math.inf

    def masses(self, x: ArrayLike) -> FloatArray:
        """Probabilities of values of the law, in time linear in their number; SciPy's CDF can take its square."""
        return _masses(self.frozen, np.asarray(x, dtype=np.float64))

    def put(self, k: ArrayLike) -> FloatArray:
        points = np.asarray(k, dtype=np.float64)
        if not points.size:
            return np.zeros_like(points)
        count = int(max(math.ceil(float(points.max()) - self._start), 0)) + 1
        if count > 50_000_000:
            raise ValueError(f"{self!r}: the grid reaches {count} integers above its start; rescale the law")
        lattice = self._start + np.arange(count + 1)
        cdfs = self.cdf(lattice)
        sums = np.concatenate([[0.0], np.cumsum(cdfs)])
        cell = np.clip(np.floor(points - self._start).astype(np.int64), 0, count)
        inside = sums[cell] + (points - lattice[cell]) * cdfs[cell]
        return np.where(points > self._start, inside, 0.0)

    def put_error(self, reach: float) -> float:
        # a sum of as many CDF values as there are integers up to the point, and no quadrature
        error = 4.0 * float(np.finfo(np.float64).eps) * (reach + abs(self.mean))
        return error * (1.0 + max(reach - self._start, 0.0) / 4.0)

    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        # not frozen.rvs: it truncates a fractional `loc` to an integer
        return self.quantile(rng.random(size))


def as_law(value: Any, name: str) -> Law:
    """`value` as a `Law`: a `Law` as it is, a frozen scipy.stats law wrapped (finite support: as a `FiniteLaw`).

    Raises
    ------
    TypeError
        If `value` is no law.
    ValueError
        If its mean is not finite or its parameters are not valid.
    """
    if isinstance(value, Law):
        return value
    if not (hasattr(value, "cdf") and (hasattr(value, "ppf") or hasattr(value, "icdf")) and hasattr(value, "support")):
        raise TypeError(f"{name} is {value!r}; expected a number, a distrl.FiniteLaw or a frozen scipy.stats law")
    if isinstance(value, type) or (not hasattr(value, "dist") and not hasattr(value, "icdf")):
        raise TypeError(f"{name} is not frozen: give its parameters, e.g. scipy.stats.norm(0, 1)")
    try:
        mean = float(value.mean())
        low, high = (float(bound) for bound in value.support())
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {_describe(value)} has no single mean ({error})") from error
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{name}: {_describe(value)} has invalid parameters")
    if not abs(mean) <= LARGEST_NUMBER:
        raise ValueError(f"{name}: {_describe(value)} has no finite mean, so its return has none either")
    # SciPy's newer classes have both a pdf and a pmf, whatever their kind
    if hasattr(value, "pmf") and (not hasattr(value, "pdf") or float(value.pmf(value.median())) > 0):
        return _discrete(value, low, high)
    return ScipyLaw(value)


def _discrete(frozen: Any, low: float, high: float) -> Law:
    inner = getattr(frozen, "dist", None)
    if inner is not None and hasattr(inner, "xk"):  # rv_discrete(values=(xk, pk)), any real values
        return FiniteLaw(np.asarray(inner.xk, dtype=np.float64) + _shapes_and_loc(frozen)[1], inner.pk)
    if high - low <= _LARGEST_FINITE_SUPPORT:
        loc = _shapes_and_loc(frozen)[1]
        values = np.round(low - loc) + np.arange(round(high - low) + 1) + loc
        return FiniteLaw(values, _masses(frozen, values))
    return LatticeLaw(frozen)


def _shapes_and_loc(frozen: Any) -> tuple[tuple[Any, ...], float]:
    if not hasattr(frozen, "dist"):
        return (), 0.0
    shapes, loc, _ = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    return shapes, float(loc)


def _masses(frozen: Any, values: FloatArray) -> FloatArray:
    """Of a discrete law at its values; without `loc`, and rounded: next to an integer SciPy finds no mass."""
    shapes, loc = _shapes_and_loc(frozen)
    masses = frozen.dist.pmf(np.round(values - loc), *shapes) if hasattr(frozen, "dist") else frozen.pmf(values)
    return np.asarray(masses, dtype=np.float64)


def _is_scipys_own(frozen: Any) -> bool:
    """Whether name and parameters say all about a frozen law."""
    from scipy import stats  # loaded already, by whoever froze the law

    dist = getattr(frozen, "dist", None)
    return dist is not None and type(getattr(stats, str(dist.name), None)) is type(dist)


@lru_cache(maxsize=1024)
def _standard_law(kind: type[ScipyLaw], name: str, shapes: tuple[float, ...]) -> ScipyLaw:
    """One object for a whole location-scale family."""
    from scipy import stats

    return kind(getattr(stats, name)(*shapes))


def _describe(frozen: Any) -> str:
    if not hasattr(frozen, "dist"):
        return repr(frozen)
    parameters = [f"{value}" for value in frozen.args] + [f"{key}={value}" for key, value in frozen.kwds.items()]
    return f"{frozen.dist.name}({', '.join(parameters)})"


def _numpy_draw(frozen: Any) -> Callable[[int, np.random.Generator], FloatArray] | None:
    """What `frozen.rvs` does, number by number, at half the cost for blocks of a few thousand."""
    name = getattr(getattr(frozen, "dist", None), "name", None)
    if name not in _STANDARD_DRAWS or not _is_scipys_own(frozen):
        return None
    standard = _STANDARD_DRAWS[name]
    shapes, loc, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    if any(map(np.ndim, (*shapes, loc, scale))):
        return None
    return lambda size, rng: standard(rng, *shapes, size=size) * scale + loc


def _closed_form(frozen: Any) -> Callable[[FloatArray], FloatArray] | None:
    name = getattr(getattr(frozen, "dist", None), "name", None)
    if name not in CLOSED_FORMS or not _is_scipys_own(frozen):
        return None
    standard = CLOSED_FORMS[name]
    shapes, loc, scale = frozen.dist._parse_args(*frozen.args, **frozen.kwds)
    numbers = [float(shape) for shape in shapes]
    if name == "truncnorm" and min(abs(numbers[0]), abs(numbers[1])) > 4 and numbers[0] * numbers[1] > 0:
        return None  # far in one tail the closed form cancels; quadrature does not
    return lambda k: float(scale) * standard((k - float(loc)) / float(scale), *numbers)
