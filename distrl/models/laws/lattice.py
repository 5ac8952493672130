"""Discrete laws of scipy.stats and of users, by their masses."""

import math
import time
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._tolerances import EPS, LARGEST_NUMBER
from distrl._validation import FloatArray, whole_number
from distrl.models.laws.describe import describe, is_frozen, own_parameters, parameters_of, stated_moments
from distrl.models.laws.finite import FiniteLaw

_LARGEST_FINITE_SUPPORT = 100_000
_MOST_VALUES = 2**20
_LONGEST = 5.0  # seconds of CPU that masses may take in all
_LARGEST_ERROR = 1e-6  # of the mean absolute deviation: beyond it a law is refused

Masses = Callable[[FloatArray], FloatArray]


class LatticeLaw(FiniteLaw):
    """A discrete law with infinitely (or very) many values, cut where what is beyond is counted in `error`.

    Everything that is done with finitely many values is done with those that are kept. `support` is that of the whole
    law, `tail_index` the exponent of its tail, and `frozen` the law that was given.
    """

    def __init__(
        self,
        values: FloatArray,
        probs: FloatArray,
        *,
        support: tuple[float, float],
        error: float,
        tail_index: float,
        frozen: object,
    ) -> None:
        super().__init__(values, probs)
        self.support, self.error, self.tail_index = support, error, tail_index
        self.cdf_error = float(1.0 - self.cdf(self.values[-2])) if len(self.values) > 1 else 0.0
        self._text = describe(frozen)
        #: the frozen law of SciPy, where name and parameters say all
        self.frozen = frozen if own_parameters(frozen) is not None else None
        if self.tail_index <= 2.0:
            self.variance = math.inf

    def __repr__(self) -> str:
        return f"LatticeLaw({self._text})"

    @property
    def key(self) -> Hashable:
        return ("lattice", self.support, self.values.tobytes(), self.probs.tobytes())

    def cdf(self, x: ArrayLike) -> FloatArray:
        return super().cdf(self._near(x))

    def cdf_left(self, x: ArrayLike) -> FloatArray:
        return super().cdf_left(self._near(x))

    def quantile(self, q: ArrayLike) -> FloatArray:
        levels = np.asarray(q, dtype=np.float64)
        index = np.searchsorted(self._cumulative, levels * (1.0 - 4.0 * EPS))
        inside = self.values[np.minimum(index, len(self.values) - 1)]
        return np.where(levels <= 0.0, self.support[0], np.where(levels >= 1.0, self.support[1], inside))

    def survival(self, x: ArrayLike) -> FloatArray:
        return self._above[np.searchsorted(self.values, self._near(x), side="right")]

    def upper_quantile(self, t: ArrayLike) -> FloatArray:
        masses = np.asarray(t, dtype=np.float64)
        # the smallest value with no more than t above it
        index = len(self.values) - np.searchsorted(self._above[:0:-1], masses, side="right")
        inside = self.values[np.clip(index, 0, len(self.values) - 1)]
        return np.where(masses <= 0.0, self.support[1], inside)

    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        # not frozen.rvs: it truncates a fractional `loc` to an integer
        return np.asarray(np.minimum(self.quantile(rng.random(size)), self.values[-1]))

    def moment(self, order: int) -> float:
        return super().moment(order) if whole_number(order, "order") < self.tail_index else math.inf

    def central_moment(self, order: int) -> float:
        return super().central_moment(order) if order < self.tail_index else math.inf

    @cached_property
    def _above(self) -> FloatArray:
        """P(R >= values[i]), and 0 after the last."""
        return np.append(np.cumsum(self.probs[::-1])[::-1], 0.0)

    def _near(self, x: ArrayLike) -> FloatArray:
        """The points, those that are a value but for rounding moved there."""
        points = np.asarray(x, dtype=np.float64)
        nearest = self.values[0] + np.round(points - self.values[0])
        return np.where(np.abs(points - nearest) <= self._doubt(np.abs(points)), nearest, points)

    def resolution(self, reach: float) -> float:
        return float(self._doubt(np.asarray(reach)))

    def _doubt(self, size: FloatArray) -> FloatArray:
        """By how much a point of this size, and a value, which is a rounded sum, may be off."""
        return np.asarray(4.0 * EPS * (size + abs(self.values[0])))


def discrete_law(given: object) -> FiniteLaw:
    """A law that has masses: finite where it has up to 100,000 values, else a `LatticeLaw`.

    Raises
    ------
    ValueError
        The masses are none, contradict mean or CDF, leave too much in the tail, or are too slow.
    """
    frozen: Any = given
    text = describe(given)
    inner = getattr(frozen, "dist", None)
    try:
        low, high = (float(bound) for bound in frozen.support())
        loc = _location(frozen, low)
    except (TypeError, ValueError) as fault:
        raise ValueError(f"{text} has no single mean: its parameters must be single numbers ({fault})") from fault
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"{text} has invalid parameters")
    if inner is not None and hasattr(inner, "xk"):  # rv_discrete(values=(xk, pk)), any real values
        return FiniteLaw(np.asarray(inner.xk, dtype=np.float64) + loc, inner.pk)
    masses = _Masses(_function(frozen, "pmf", loc), text)
    mean = stated_moments(frozen)[0]
    if mean is not None and not abs(mean) <= LARGEST_NUMBER:
        raise ValueError(f"{text} has no finite mean, so its return has none either")
    few = high - low <= _LARGEST_FINITE_SUPPORT
    if few:
        values = np.round(low - loc) + np.arange(round(high - low) + 1) + loc
        probs = masses(values)
    else:
        centre = mean if mean is not None else float(frozen.median())
        if not math.isfinite(centre):
            raise ValueError(f"{text} has no finite mean, so its return has none either")
        start = np.round(np.clip(centre, low, high) - loc) + loc
        values, probs = _window(masses, float(start), low, high)
    kept, error = _completed(values, probs, mean, text, cut=not few)
    if mean is None:
        _compare_with_cdf(_function(frozen, "cdf", loc), text, kept)
    if few:
        kept.error = error
        return kept
    return LatticeLaw(
        kept.values,
        kept.probs,
        support=(low, high),
        error=error,
        tail_index=_tail_index(masses, float(start), low, high),
        frozen=frozen,
    )


def _completed(
    values: FloatArray, probs: FloatArray, mean: float | None, text: str, cut: bool
) -> tuple[FiniteLaw, float]:
    """The law with all its mass, and its distance in W1 from the given one.

    What is beyond a cut, E[(R - last)+] by the mean, becomes mass at twice the last value; that is wrong by no more
    than twice as much.
    """
    total = math.fsum(probs)
    beyond, last = 1.0 - total, float(values[-1])
    if not abs(beyond) <= 1e-6:
        raise ValueError(
            f"{text}: the masses of its {len(values):,} values {'next to its mean ' if cut else ''}sum to "
            f"{total:.12g}, not 1; rescale it or cut its tail: a distrl.FiniteLaw of its first values, or of a sample"
        )
    known = math.fsum(probs * values)
    excess = 0.0 if mean is None or not cut else mean - known - beyond * last
    far = excess / max(abs(last), 1.0)
    if far > 1e-17 and probs[-1] + beyond >= far:
        probs = np.append(probs, far)
        probs[-2] += beyond - far
        law, error = FiniteLaw(np.append(values, last + max(abs(last), 1.0)), probs), 2.0 * excess
    else:
        law = FiniteLaw(values, probs / total)
        error = abs(mean - law.mean) if mean is not None else abs(beyond) * float(last - values[0]) if cut else 0.0
    spread = float(law.probs @ np.abs(law.values - law.mean))
    error += abs(total - 1.0) * spread
    if error > _LARGEST_ERROR * spread + 1e-12 * abs(law.mean):
        raise ValueError(
            f"{text}: its {len(values):,} values {'next to the mean ' if cut else ''}have the mean "
            f"{known:.9g}, the whole law {'an unknown one' if mean is None else f'{mean:.9g}'}; "
            "rescale it or cut its tail: a distrl.FiniteLaw of its first values, or of a sample"
        )
    return law, error


class _Masses:
    """Masses at the values of a law: without `loc`, and rounded, since next to an integer SciPy finds none."""

    def __init__(self, function: Masses, text: str) -> None:
        self._function, self._text, self._seconds = function, text, 0.0

    def __call__(self, values: FloatArray) -> FloatArray:
        parts = [self._part(values[start : start + 1024]) for start in range(0, len(values), 1024)]
        found = np.concatenate(parts)
        if not (found >= 0.0).all():
            at = int(np.argmin(found >= 0.0))
            raise ValueError(f"{self._text}: its mass at {values[at]:g} is {found[at]:g}; use a distrl.FiniteLaw")
        return found

    def _part(self, values: FloatArray) -> FloatArray:
        if self._seconds > _LONGEST:
            raise ValueError(
                f"{self._text}: its masses take more than {_LONGEST:g} s; use a distrl.FiniteLaw of a sample"
            )
        started = time.thread_time()
        with np.errstate(all="ignore"):
            masses = self._function(values)
        self._seconds += time.thread_time() - started
        return masses


def _location(frozen: Any, low: float) -> float:
    """Where 0 of the integers lies."""
    if not is_frozen(frozen):
        return low if math.isfinite(low) else 0.0
    try:
        return float(parameters_of(frozen)[1])
    except TypeError:  # poisson_binom, whose shapes are an array, reads its arguments in a way of its own
        return float(frozen.kwds.get("loc", 0.0))


def _function(frozen: Any, name: str, loc: float) -> Masses:
    """The frozen function at values loc + integer; without a fractional `loc`, since next to an integer SciPy fails."""
    if not is_frozen(frozen) or loc == round(loc):
        return lambda values: np.asarray(getattr(frozen, name)(values), dtype=np.float64)
    shapes = parameters_of(frozen)[0]
    function = getattr(frozen.dist, name)
    return lambda values: np.asarray(function(np.round(values - loc), *shapes), dtype=np.float64)


def _window(masses: Masses, centre: float, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Values of the lattice low, low + 1, ... around the centre until their masses vanish at the ends, at most 2^20."""
    reach, values, probs = 64.0, np.empty(0), np.empty(0)
    while True:
        ends = max(low, centre - reach), min(high, centre + reach)
        if ends[1] - ends[0] >= _MOST_VALUES:
            return values, probs
        values = ends[0] + np.arange(round(ends[1] - ends[0]) + 1, dtype=np.float64)
        probs = masses(values)
        edges = (probs[0] if ends[0] > low else 0.0, probs[-1] if ends[1] < high else 0.0)
        if max(edges) * len(values) ** 2 <= 1e-18 and probs.sum() > 0.999:
            return values, probs
        if ends == (low, high):
            return values, probs
        reach *= 2.0


def _tail_index(masses: Masses, centre: float, low: float, high: float) -> float:
    """The smaller of the exponents a in P(|R| > x) ~ x^-a of the two tails; inf where the decay is faster."""
    index, distances = math.inf, 2.0 ** np.array([16, 20, 24])
    for bound, sign in ((low, -1.0), (high, 1.0)):
        probs = np.zeros(3) if math.isfinite(bound) else masses(centre + sign * distances)
        if (probs > 0.0).all():
            near, far = -np.diff(np.log2(probs)) / 4.0
            if abs(far / near - 1.0) < 0.02:
                index = min(index, float(far) - 1.0)
    return round(index, 3) if math.isfinite(index) else index


def _compare_with_cdf(cdf: Masses, text: str, law: FiniteLaw) -> None:
    """At values of the law: between them some CDFs of SciPy are not those of a discrete law."""
    values = law.quantile(np.array([0.1, 0.5, 0.9]))
    with np.errstate(all="ignore"):
        stated = cdf(values)
    gap = np.abs(stated - law.cdf(values))
    if not (gap <= 1e-6).all():
        raise ValueError(
            f"{text} contradicts itself: its CDF is {stated[np.argmax(gap)]:.12g} at {values[np.argmax(gap)]:g}, its "
            f"masses up to there sum to {float(law.cdf(values[np.argmax(gap)])):.12g}; use a distrl.FiniteLaw"
        )
