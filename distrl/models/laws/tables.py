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
from collections.abc import Hashable

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.laws.describe import Function
from distrl.models.laws.tails import Tail

DEGREE = 16  # of the interpolants
ATOM = 1e-9  # jumps below this belong to the density
_CHUNK = 100_000  # points that are worked out at once

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
        signs = (-1.0) ** np.arange(DEGREE + 2)
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
        if tails[0].mass == 0.0 and at[0] > ATOM:
            self.jumps, self.sizes = np.append(edges[0], self.jumps), np.append(at[0], self.sizes)

    # -- the law ----------------------------------------------------------------------------------------------------

    def cdf(self, x: FloatArray) -> FloatArray:
        """F(x)."""
        right = x >= self.centre
        height = self._height(x)
        return np.where(right, 1.0 - height, height)

    def survival(self, x: FloatArray) -> FloatArray:
        """S(x) = P(R > x), without the cancellation of 1 - F where S was given."""
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
        """E[(k - R)+]."""
        outwards = self._integral(k)
        return np.where(k >= self.centre, k - self.mean + outwards, outwards)

    def stop_loss(self, k: FloatArray) -> FloatArray:
        """E[(R - k)+]."""
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
        nodes, weights = np.polynomial.legendre.leggauss(DEGREE)
        middle, half = (self.edges[1:] + self.edges[:-1]) / 2, np.diff(self.edges) / 2
        x = middle[:, None] + half[:, None] * nodes
        heights = np.polynomial.chebyshev.chebvander(nodes, DEGREE) @ self.coefficients.T
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
        narrow = 2.0 * EPS * np.maximum(np.abs(low), np.abs(high))
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
