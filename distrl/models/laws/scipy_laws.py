"""Continuous laws of scipy.stats and of users, compared with themselves before anything trusts them."""

import math
from collections.abc import Callable, Hashable
from functools import cached_property, lru_cache
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, whole_number
from distrl.models.laws.base import Law
from distrl.models.laws.describe import describe, own_parameters, says_itself
from distrl.models.laws.standard import checked_standard, plain_table, standard_form_of, support_of
from distrl.models.laws.tables import CdfTable

_STANDARD_DRAWS: dict[str, Callable[..., FloatArray]] = {
    "norm": np.random.Generator.standard_normal,
    "uniform": np.random.Generator.uniform,
    "expon": np.random.Generator.standard_exponential,
    "t": np.random.Generator.standard_t,
    "gamma": np.random.Generator.standard_gamma,
}
_FAR = 1e100  # standard deviations or so from which on a law is at a point


class ScipyLaw(Law):
    """A continuous law with a finite mean: frozen from `scipy.stats`, of its newer classes, or with a CDF of one's own.

    A frozen law of SciPy is location + scale * Z; what is costly is done once for each Z. Z has a closed form of
    E[(z - Z)+], checked against the integral of its CDF, or a `CdfTable`. Any other object is read once, into a table,
    and is then its table: it is the same after a pickle, and draws by inversion.
    """

    def __init__(self, frozen: object) -> None:
        text = describe(frozen)
        support_of(text, frozen)  # which is where SciPy says that parameters are not valid
        own = own_parameters(frozen)
        self.frozen: Any
        self._name: str | None
        self._shapes: tuple[float, ...]
        if own is None:
            self.frozen, standard = None, checked_standard(text, frozen, None)
            self._name, self._shapes, loc, scale = None, (), 0.0, 1.0
        else:
            self.frozen, standard = frozen, standard_form_of(own[0], own[1])
            self._name, self._shapes, loc, scale = own
        self._standard, self._text, self._loc, self._scale = standard, text, loc, scale
        self.mean = loc + scale * standard.mean
        with np.errstate(over="ignore", under="ignore"):
            self.variance = float(np.float64(scale) ** 2 * standard.variance)
        self.error, self.cdf_error = scale * standard.error, standard.cdf_error
        self.support = (loc + scale * standard.support[0], loc + scale * standard.support[1])

    def __repr__(self) -> str:
        return f"ScipyLaw({self._text})"

    def __copy__(self) -> "ScipyLaw":
        return self  # nothing in it changes

    def __deepcopy__(self, memo: object) -> "ScipyLaw":
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[object, ...]:
        if self.frozen is not None:
            return _frozen_again, (type(self), self._name, self._shapes, self._loc, self._scale)
        return super().__reduce_ex__(protocol)  # the table, and no function of a user's

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
        table = standard.table if standard.table is not None else plain_table(str(self._name), self._shapes)
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


@lru_cache(maxsize=1024)
def _standard_law(kind: type[ScipyLaw], name: str, shapes: tuple[float, ...]) -> ScipyLaw:
    """One object for a whole location-scale family."""
    from scipy import stats

    return kind(getattr(stats, name)(*shapes))


def _frozen_again(kind: type[ScipyLaw], name: str, shapes: tuple[float, ...], loc: float, scale: float) -> ScipyLaw:
    from scipy import stats

    return kind(getattr(stats, name)(*shapes, loc=loc, scale=scale))
