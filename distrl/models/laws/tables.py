"""A law rebuilt from its CDF alone: what a reward law is where no closed form is known.

On either side of a centre c the function that vanishes outwards is kept, F to the left and S = 1 - F to the right, as
Chebyshev interpolants of degree 16 on panels that are bisected until they agree with their higher coefficients. Their
integrals are exact, so that

    put(k)       = int_{-inf}^k F,
    stop_loss(k) = int_k^inf S,
    mean         = c + stop_loss(c) - put(c)

belong to one law, whose distance in W1 to the given one is at most `error`: the sum over the panels of length times
what the last coefficients leave open, and what is not known of the tails. Beyond the last panels a tail is a power law.
A panel between two neighbouring floats that still holds mass is an atom.
"""

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from distrl._validation import BoolArray, FloatArray, IntArray

Function = Callable[[FloatArray], FloatArray]

_DEGREE = 16
_NODES = -np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
_TO_COEFFICIENTS = np.linalg.inv(np.polynomial.chebyshev.chebvander(_NODES, _DEGREE)).T
_EPS = float(np.finfo(np.float64).eps)
_LARGEST = float(np.finfo(np.float64).max)
_SHARE = 1e-15  # of the quartiles' distance: what a panel may add to the error before it is bisected
_SMOOTH = 1e-8  # differences above this are no noise of a CDF but a jump or a singularity
_FINE = 1e-11  # differences below which a panel is smooth where it is short enough
_MOST_EVALUATIONS = 400_000
_LONGEST = 5.0  # seconds of CPU that a CDF may take in all
_ATOM = 1e-9  # jumps below this belong to the density
_CHUNK = 100_000


class _Sides:
    """F and S as they are used: clipped by the support, checked, counted."""

    def __init__(self, cdf: Function, survival: Function | None, support: tuple[float, float], name: str) -> None:
        self._cdf, self._survival, self.name = cdf, survival, name
        self.low, self.high = support
        self.evaluations, self._seconds = 0, 0.0

    def lower(self, x: FloatArray) -> FloatArray:
        """F, 0 below the support and 1 from its end on."""
        values = self._checked(self._cdf, x, "CDF")
        return np.where(x < self.low, 0.0, np.where(x >= self.high, 1.0, values))

    def somewhere(self, x: FloatArray) -> FloatArray:
        """F for a search over all floats, at the far ends of which some CDFs are NaN."""
        values = self._values(self._cdf, x)
        values = np.where(np.isnan(values), x > 0.0, values)
        return np.where(x < self.low, 0.0, np.where(x >= self.high, 1.0, values))

    def upper(self, x: FloatArray) -> FloatArray:
        """S, from a survival function where there is one: it keeps its digits where 1 - F has none."""
        if self._survival is None:
            return np.asarray(1.0 - self.lower(x))
        values = self._checked(self._survival, x, "survival function")
        return np.where(x < self.low, 1.0, np.where(x >= self.high, 0.0, values))

    def agree(self, x: FloatArray) -> bool:
        """Whether F + S = 1 at the points."""
        return bool((np.abs(self.lower(x) + self.upper(x) - 1.0) <= 1e-9).all())

    def without_survival(self) -> None:
        self._survival = None

    def _values(self, function: Function, x: FloatArray) -> FloatArray:
        points = self._inside(x).ravel()
        parts = [self._timed(function, points[start : start + 512]) for start in range(0, max(len(points), 1), 512)]
        return np.concatenate(parts).reshape(x.shape)

    def _timed(self, function: Function, points: FloatArray) -> FloatArray:
        started = time.thread_time()
        with np.errstate(all="ignore"):
            values = np.asarray(function(points), dtype=np.float64)
        self.evaluations += len(points)
        self._seconds += time.thread_time() - started
        each = self._seconds / max(self.evaluations, 1)
        if self._seconds > _LONGEST or (self.evaluations >= 3 and 1000 * each > _LONGEST):
            raise ValueError(
                f"{self.name}: a value of its CDF takes {1e3 * each:.3g} ms, and about 1,000 to 10,000 are needed; use "
                "a distrl.FiniteLaw of some hundred quantiles, or of a sample"
            )
        return values

    def _inside(self, x: FloatArray) -> FloatArray:
        return np.asarray(np.clip(x, max(self.low, -_LARGEST), min(self.high, _LARGEST)))

    def _checked(self, function: Function, x: FloatArray, what: str) -> FloatArray:
        values = self._values(function, x)
        wrong = ~((values >= -1e-9) & (values <= 1.0 + 1e-9))
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0])
            raise ValueError(
                f"{self.name}: its {what} is {values[at]:g} at {self._inside(x)[at]:.17g}, which is no probability; "
                "use a distrl.FiniteLaw of its quantiles or of a sample"
            )
        return np.asarray(np.clip(values, 0.0, 1.0))


@dataclass(frozen=True)
class Tail:
    """S(c + y) = mass (y / start)^-exponent for y > start, and likewise F(c - y); nothing where `mass` is 0."""

    start: float
    mass: float
    exponent: float
    integral: float  # over the tail
    error: float  # of `integral`

    def height(self, y: FloatArray) -> FloatArray:
        return self._power(y, self.mass, self.exponent)

    def beyond(self, y: FloatArray) -> FloatArray:
        """int_y^inf of the tail."""
        return self._power(y, self.integral, self.exponent - 1.0)

    def distance(self, mass: FloatArray) -> FloatArray:
        """The y with height(y) = mass."""
        with np.errstate(all="ignore"):
            return np.asarray(self.start * (self.mass / mass) ** (1.0 / self.exponent))

    def _power(self, y: FloatArray, height: float, exponent: float) -> FloatArray:
        if height == 0.0:
            return np.zeros_like(y)
        with np.errstate(all="ignore"):
            return np.asarray(height * (np.maximum(y, self.start) / self.start) ** -exponent)


Tails = tuple[Tail, Tail]


class CdfTable:
    """The law of the module's text.

    Attributes
    ----------
    centre : float, also one of the `edges`
    edges : (n + 1,) float, ascending
    coefficients : (n, 17) Chebyshev coefficients of F on panels left of the centre, of S on those right of it
    jumps, sizes : (j,) the atoms
    mean : float
    error : W1 between this law and the given one
    cdf_error : largest difference of the CDFs
    evaluations : number of values of F and S that were asked for
    """

    def __init__(
        self,
        centre: float,
        edges: FloatArray,
        coefficients: FloatArray,
        steps: BoolArray,
        tails: Tails,
        last: float,  # S at the last edge
    ) -> None:
        self.centre, self.edges, self.coefficients, self.tails = centre, edges, coefficients, tails
        self.error, self.cdf_error, self.evaluations = 0.0, 0.0, 0
        count = self._count = int(np.searchsorted(edges, centre))  # of panels left of the centre
        self._steps = steps
        half = np.diff(edges)[:, None] / 2
        chebint = np.polynomial.chebyshev.chebint
        from_left = chebint(coefficients[:count], lbnd=-1, axis=1) * half[:count]
        from_right = -chebint(coefficients[count:], lbnd=1, axis=1) * half[count:]
        signs = (-1.0) ** np.arange(_DEGREE + 2)
        # sums over panels, from the tails inwards
        below = np.cumsum(np.append(tails[0].integral, from_left.sum(axis=1)))
        above = np.cumsum(np.append(tails[1].integral, (from_right @ signs)[::-1]))[::-1]
        self._integrals = np.concatenate([from_left, from_right])
        self._integrals[:, 0] += np.concatenate([below[:-1], above[1:]])
        self.mean = centre + float(above[0]) - float(below[-1])
        starts = coefficients @ signs[:-1]
        upper = np.append(starts[count:], last)
        self._upper = np.minimum.accumulate(np.clip(upper, 0.0, 1.0))  # S at the edges from the centre on
        lower = np.append(starts[:count], 1.0 - self._upper[0])
        self._lower = np.maximum.accumulate(np.clip(lower, 0.0, 1.0))  # F at the edges up to the centre
        at = np.append(self._lower[:-1], 1.0 - self._upper)
        after = np.flatnonzero(steps) + 1
        self.jumps, self.sizes = edges[after], at[after] - at[after - 1]
        if tails[0].mass == 0.0 and at[0] > _ATOM:
            self.jumps, self.sizes = np.append(edges[0], self.jumps), np.append(at[0], self.sizes)

    # -- the law ----------------------------------------------------------------------------------------------------

    def cdf(self, x: FloatArray) -> FloatArray:
        right = x >= self.centre
        height = self._height(x)
        return np.where(right, 1.0 - height, height)

    def survival(self, x: FloatArray) -> FloatArray:
        right = x >= self.centre
        height = self._height(x)
        return np.where(right, height, 1.0 - height)

    def mass_at(self, x: FloatArray) -> FloatArray:
        """P(R = x)."""
        if not len(self.jumps):
            return np.zeros(np.shape(x))
        at = np.minimum(np.searchsorted(self.jumps, x), len(self.jumps) - 1)
        return np.where(self.jumps[at] == x, self.sizes[at], 0.0)

    def put(self, k: FloatArray) -> FloatArray:
        outwards = self._integral(k)
        return np.where(k >= self.centre, k - self.mean + outwards, outwards)

    def stop_loss(self, k: FloatArray) -> FloatArray:
        outwards = self._integral(k)
        return np.where(k >= self.centre, outwards, self.mean - k + outwards)

    def quantile(self, q: FloatArray) -> FloatArray:
        """inf{x : F(x) >= q}; to the left of the centre by F, to the right by S."""
        q = np.asarray(q, dtype=np.float64)
        return self._inverse(q, 1.0 - q)

    def upper_quantile(self, t: FloatArray) -> FloatArray:
        """The quantile at 1 - t."""
        t = np.asarray(t, dtype=np.float64)
        return self._inverse(1.0 - t, t)

    def central_moment(self, order: int, about: float) -> float:
        """E[(R - about)^order], order >= 1, by Gauss-Legendre on the panels; inf where a tail has none."""
        nodes, weights = np.polynomial.legendre.leggauss(_DEGREE)
        middle, half = (self.edges[1:] + self.edges[:-1]) / 2, np.diff(self.edges) / 2
        x = middle[:, None] + half[:, None] * nodes
        heights = np.polynomial.chebyshev.chebvander(nodes, _DEGREE) @ self.coefficients.T
        signs = np.where(np.arange(len(half)) < self._count, -1.0, 1.0)
        with np.errstate(over="ignore"):
            slopes = order * (x - about) ** (order - 1)
            total = float((signs * half * ((slopes * heights.T) @ weights)).sum()) + (self.centre - about) ** order
        for tail, sign in zip(self.tails, (-1.0, 1.0), strict=True):
            if tail.mass == 0.0:
                continue
            if tail.exponent <= 1.01 * order:  # about as well as an exponent is known
                return math.inf
            # the tail's own power, about the centre: what `about` changes there is of the next order
            grown = float(tail.start) ** order * tail.mass
            total += sign**order * grown * order / (tail.exponent - order)
        return total

    @property
    def tail_index(self) -> float:
        """The smaller exponent of the tails that are power laws: the same in the last octave as four octaves before."""
        index = math.inf
        for tail, height, sign in zip(self.tails, (self.cdf, self.survival), (-1.0, 1.0), strict=True):
            if tail.mass == 0.0:
                continue
            distances = tail.start * np.array([1 / 32, 1 / 16, 1 / 2, 1.0])
            heights = height(self.centre + sign * distances)
            if (heights > 0.0).all():
                near, far = np.log2(heights[0] / heights[1]), np.log2(heights[2] / heights[3])
                if abs(far / near - 1.0) < 0.02:
                    index = min(index, float(far))
        return round(index, 6) if math.isfinite(index) else index

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Equal for equal tables."""
        return self.centre, self.edges.tobytes(), self.coefficients.tobytes(), self.tails

    # -- panels -----------------------------------------------------------------------------------------------------

    def _at(self, x: FloatArray) -> tuple[IntArray, FloatArray]:
        panel = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.edges) - 2)
        return panel, _scaled(x, self.edges[panel], self.edges[panel + 1])

    def _height(self, x: FloatArray) -> FloatArray:
        """F left of the centre, S from it on."""
        return self._outwards(x, self.coefficients, [tail.height for tail in self.tails])

    def _integral(self, x: FloatArray) -> FloatArray:
        """int_{-inf}^x F left of the centre, int_x^inf S from it on."""
        return self._outwards(x, self._integrals, [tail.beyond for tail in self.tails])

    def _outwards(self, x: FloatArray, coefficients: FloatArray, tails: list[Function]) -> FloatArray:
        points = np.ravel(np.asarray(x, dtype=np.float64))
        out = np.empty(len(points))
        for start in range(0, len(points), _CHUNK):
            part = points[start : start + _CHUNK]
            out[start : start + _CHUNK] = np.maximum(_clenshaw(coefficients, *self._at(part)), 0.0)
        beyond = points < self.edges[0]
        out[beyond] = tails[0](self.centre - points[beyond])
        beyond = points >= self.edges[-1]
        out[beyond] = tails[1](points[beyond] - self.centre)
        return out.reshape(np.shape(x))

    def _inverse(self, q: FloatArray, t: FloatArray) -> FloatArray:
        shape = np.shape(q)
        q, t = np.clip(np.ravel(q), 0.0, 1.0), np.clip(np.ravel(t), 0.0, 1.0)
        right = t < self._upper[0]
        # the panel: F at its start < q <= F at its end, or S at its start > t >= S at its end
        panel = np.searchsorted(self._lower, q) - 1
        panel = np.where(right, np.searchsorted(-self._upper, -t) - 1 + self._count, panel)
        inner = np.clip(panel, 0, len(self.edges) - 2)
        low, high = self.edges[inner].copy(), self.edges[inner + 1].copy()
        wanted = np.where(right, t, q)
        narrow = 2.0 * _EPS * np.maximum(np.abs(low), np.abs(high))
        at_low, at_high = self._excess(inner, low, wanted, right), self._excess(inner, high, wanted, right)
        for step in range(120):
            todo = np.flatnonzero((high - low > narrow) & ~self._steps[inner])
            if not todo.size:
                break
            a, b, fa, fb = low[todo], high[todo], at_low[todo], at_high[todo]
            with np.errstate(all="ignore"):
                x = a + (b - a) * (fa / (fa - fb))
            x = np.where((step % 3 == 2) | ~np.isfinite(x), a + (b - a) / 2, x)
            x = np.clip(x, a + 0.4 * narrow[todo], b - 0.4 * narrow[todo])
            f = self._excess(inner[todo], x, wanted[todo], right[todo])
            below = f < 0.0
            low[todo], at_low[todo] = np.where(below, x, a), np.where(below, f, 0.5 * fa)
            high[todo], at_high[todo] = np.where(below, b, x), np.where(below, 0.5 * fb, f)
        out = high
        first, last = panel < 0, panel >= len(self.edges) - 1
        out[first] = self.edges[0]
        out[last] = self.edges[-1]
        if self.tails[0].mass > 0.0:
            far = ~right & (q < self._lower[0])
            out[far] = self.centre - self.tails[0].distance(q[far])
        if self.tails[1].mass > 0.0:
            far = right & (t < self._upper[-1])
            out[far] = self.centre + self.tails[1].distance(t[far])
        return np.asarray(out.reshape(shape))

    def _excess(self, panel: IntArray, x: FloatArray, wanted: FloatArray, right: BoolArray) -> FloatArray:
        """F - q, or t - S: below 0 on the left of the quantile."""
        height = _clenshaw(self.coefficients, panel, _scaled(x, self.edges[panel], self.edges[panel + 1]))
        return np.where(right, wanted - height, height - wanted)


def _scaled(x: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """x on [-1, 1], the ends of its panel; outside of it the nearer end."""
    with np.errstate(over="ignore", under="ignore"):  # panels may be denormally short
        return np.asarray(np.clip((x - left) / (right - left) * 2.0 - 1.0, -1.0, 1.0))


def _clenshaw(coefficients: FloatArray, panel: IntArray, at: FloatArray) -> FloatArray:
    """sum_k coefficients[panel, k] T_k(at)."""
    rows = coefficients.T
    ahead, here, twice = np.zeros(len(at)), np.zeros(len(at)), 2.0 * at
    for row in rows[:0:-1]:
        ahead, here = here, row[panel] + twice * here - ahead
    return np.asarray(rows[0][panel] + at * here - ahead)


# -- building ---------------------------------------------------------------------------------------------------------


def build_table(
    cdf: Function,
    survival: Function | None,
    support: tuple[float, float],
    name: str,
    hints: FloatArray,
    knots: FloatArray | None = None,
) -> CdfTable:
    """The law with this CDF, and survival function if that is known better than 1 - F.

    `hints` are guesses of its quartiles, checked; `knots` where its density is known to be rough. Cost: some 1,000
    values of the CDF where it is smooth, some 1,000 more for each jump or singularity, at most 400,000.

    Raises
    ------
    ValueError
        The CDF is no CDF, has more jumps than the budget resolves, takes more than 5 s in all, or has no mean.
    """
    sides = _Sides(cdf, survival, support, name)
    first, centre, third = (
        _quartile(sides, level, hint) for level, hint in zip((0.25, 0.5, 0.75), np.sort(hints), strict=True)
    )
    if not sides.agree(np.array([first, centre, third])):
        sides.without_survival()
    unit = third - first
    if not unit > 0.0:
        unit = _wider(sides)
    share = _SHARE * unit
    marks, tails = [], []
    for sign, function, end in ((-1.0, sides.lower, sides.low), (1.0, sides.upper, sides.high)):
        outer, tail = _march(function, centre, unit, sign, end, name)
        marks.append(outer)
        tails.append(tail)
    edges = np.unique(np.concatenate([marks[0], [centre], marks[1]]))
    if knots is not None:
        edges = np.unique(np.append(edges, knots[(knots > edges[0]) & (knots < edges[-1])]))
    pieces = []
    for function, part in ((sides.lower, edges[edges <= centre]), (sides.upper, edges[edges >= centre])):
        pieces.append(_panels(function, part, share, sides))
    coefficients = np.concatenate([piece.coefficients for piece in pieces])
    steps = np.concatenate([piece.steps for piece in pieces])
    starts = np.concatenate([piece.starts for piece in pieces])
    last = float(sides.upper(edges[-1:])[0])
    table = CdfTable(centre, np.append(starts, edges[-1]), coefficients, steps, (tails[0], tails[1]), last)
    table.error = sum(piece.error for piece in pieces) + tails[0].error + tails[1].error
    table.cdf_error = max(piece.roughness for piece in pieces)
    table.evaluations = sides.evaluations
    _check_monotone(table, sides)
    return table


def _quartile(sides: _Sides, level: float, hint: float) -> float:
    """The hint, if it is about right, else the float at which F reaches the level, by bisection over all floats."""
    if sides.low <= hint <= sides.high and abs(hint) < _LARGEST:
        height = float(sides.lower(np.array([hint]))[0])
        if abs(height - level) < 0.1:
            return float(hint)
    return float(search(sides.somewhere, np.array([level]), (sides.low, sides.high))[0])


def search(cdf: Function, levels: FloatArray, support: tuple[float, float]) -> FloatArray:
    """inf{x : F(x) >= level}, by bisection over all floats between the ends of the support: 64 steps."""
    low = np.full(len(levels), _number(max(support[0], -_LARGEST)))
    high = np.full(len(levels), _number(min(support[1], _LARGEST)))
    for _ in range(66):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        reached = cdf(_float(middle)) >= levels
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    return _float(high)


def _number(x: float) -> np.int64:
    """The floats in order, as integers."""
    bits = np.float64(x + 0.0).view(np.int64)
    return bits if bits >= 0 else np.int64(np.iinfo(np.int64).min) - bits


def _float(number: IntArray) -> FloatArray:
    return np.where(number >= 0, number, np.iinfo(np.int64).min - number).view(np.float64)


def _wider(sides: _Sides) -> float:
    """A length for a law whose quartiles are one atom."""
    for level in (0.1, 1e-2, 1e-4, 1e-6):
        ends = search(sides.somewhere, np.array([level, 1.0 - level]), (sides.low, sides.high))
        if ends[1] > ends[0]:
            return float(ends[1] - ends[0])
    raise ValueError(f"{sides.name} has all its mass at one number; give the number as the reward")


def _march(
    function: Function, centre: float, unit: float, sign: float, end: float, name: str
) -> tuple[FloatArray, Tail]:
    """Distances unit, 2 unit, 4 unit, ... from the centre, until what is beyond is negligible; and the tail beyond."""
    nothing = Tail(1.0, 0.0, math.inf, 0.0, 0.0)
    if end == centre:
        return np.empty(0), nothing
    distances, heights = np.empty(0), np.empty(0)
    octave = 0
    while True:
        with np.errstate(over="ignore"):
            more = unit * 2.0 ** np.arange(octave, octave + 8)
            x = centre + sign * more
        inside = (np.abs(x) < _LARGEST) & (x > end if sign < 0.0 else x < end)
        more = more[inside]
        distances, heights = np.append(distances, more), np.append(heights, function(centre + sign * more))
        last = _where_to_stop(distances, heights, unit)
        if last is not None or not inside.all():
            break
        octave += 8
    if last is None and math.isfinite(end):
        return np.append(centre + sign * distances, end), nothing
    last = len(distances) - 1 if last is None else last
    distances, heights = distances[: last + 1], heights[: last + 1]
    return centre + sign * distances, _tail(distances, heights, unit, name) if math.isinf(end) else nothing


def _where_to_stop(distances: FloatArray, heights: FloatArray, unit: float) -> int | None:
    negligible = (heights == 0.0) | ((heights < 1e-15) & (distances * heights <= 1e-17 * unit)) | (heights < 1e-290)
    # 1 - F has no digits left: it is a multiple of 2^-53, but for the rounding of a logarithm
    counts = heights * 2.0**53
    few = (counts > 0.5) & (counts < 1e6)
    if few.sum() >= 2 and (np.abs(counts - np.round(counts))[few] < 1e-4).all():
        negligible |= counts < 1e6
    noise = np.append(False, (heights[1:] > 0.99 * heights[:-1]) & (heights[1:] < 1e-8))
    found = np.flatnonzero(negligible | noise)
    return int(found[0]) if found.size else None


def _tail(distances: FloatArray, heights: FloatArray, unit: float, name: str) -> Tail:
    start, mass = float(distances[-1]), float(heights[-1])
    positive = heights > 0.0
    if mass == 0.0 or positive.sum() < 3:
        return Tail(start, 0.0, math.inf, 0.0, start * mass)
    slopes = -np.diff(np.log2(heights))
    exponent, before = float(slopes[-1]), float(slopes[-2])
    if heights[-1] > 0.99 * heights[-2]:  # noise: what it was before
        exponent, before = float(slopes[-2]), float(slopes[-3]) if len(slopes) > 2 else 0.0
    if not exponent > 1.002:
        falls = f"P(|R| > x) falls like x^-{max(exponent, 0.0):.4g}"
        if exponent > 1.0:
            raise ValueError(f"{name}: {falls}, so heavy that float64 cannot tell its mean from an infinite one")
        raise ValueError(f"{name} has no finite mean: {falls}, so its return has none either")
    integral = start * mass / (exponent - 1.0)
    other = start * mass / (before - 1.0) if before > 1.0 else math.inf
    rounding = integral * 1e-10 + start * min(mass, _EPS)
    return Tail(start, mass, exponent, integral, abs(integral - other) + rounding)


@dataclass
class _Panels:
    starts: FloatArray
    coefficients: FloatArray
    steps: BoolArray
    error: float
    roughness: float


def _panels(function: Function, edges: FloatArray, share: float, sides: _Sides) -> _Panels:
    """Interpolants of `function` between the edges, bisected until they are smooth, noise, or a step."""
    low, high = edges[:-1], edges[1:]
    before = np.full(len(low), np.inf)
    starts, found, steps = [np.empty(0)], [np.empty((0, _DEGREE + 1))], [np.empty(0, dtype=np.bool_)]
    error = roughness = 0.0
    while len(low):
        if sides.evaluations + len(low) * (_DEGREE + 1) > _MOST_EVALUATIONS:
            raise ValueError(
                f"{sides.name}: its CDF has more jumps or kinks than {_MOST_EVALUATIONS:,} of its values resolve, or "
                "too much noise; use a distrl.FiniteLaw of its values or of some hundred quantiles"
            )
        middle = low + (high - low) / 2
        x = middle[:, None] + (high - low)[:, None] / 2 * _NODES
        x[:, 0], x[:, -1] = low, high
        values = function(x)
        coefficients = values @ _TO_COEFFICIENTS
        rough = np.abs(coefficients[:, -3:]).sum(axis=1)
        step = (middle <= low) | (middle >= high)
        # a singularity shrinks with its panel, noise does not
        noise = (rough <= _SMOOTH) & (np.where(rough < 1e-13, 4.0, 1.25) * rough > before)
        smooth = noise | ((rough <= _FINE) & (rough * (high - low) <= share))
        done = smooth | step
        coefficients[step, 1:], coefficients[step, 0] = 0.0, values[step, 0]
        step &= np.abs(values[:, -1] - values[:, 0]) > _ATOM
        starts.append(low[done])
        found.append(coefficients[done])
        steps.append(step[done])
        error += float((rough * (high - low))[smooth].sum())
        roughness = max(roughness, float(rough[smooth].max(initial=0.0)))
        low, high = np.append(low[~done], middle[~done]), np.append(middle[~done], high[~done])
        before = np.tile(rough[~done], 2)
    order = np.argsort(np.concatenate(starts), kind="stable")
    return _Panels(
        np.concatenate(starts)[order], np.concatenate(found)[order], np.concatenate(steps)[order], error, roughness
    )


def _check_monotone(table: CdfTable, sides: _Sides) -> None:
    x = table.edges
    heights = np.append(sides.lower(x[x < table.centre]), 1.0 - sides.upper(x[x >= table.centre]))
    falls = np.diff(heights) < -1e-7
    if falls.any():
        i = int(np.argmax(falls))
        raise ValueError(
            f"{sides.name}: its CDF falls from {heights[i]:.12g} at {x[i]:.12g} to {heights[i + 1]:.12g} at "
            f"{x[i + 1]:.12g}; use a distrl.FiniteLaw of a sample"
        )
