"""Mixtures of shifted reward laws: the exact target of a state whose rewards have infinitely many values."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distrl._tolerances import EPS, NOT_ZERO
from distrl._validation import FloatArray
from distrl.models.laws import Law

_CHUNK = 2_000_000  # entries of a temporary array
_ROUNDS = 400  # two thirds secant steps, one third bisection: ten times what float64 can need


class Part(NamedTuple):
    """sum_k weights[k] * law of (shifts[k] + R); R = 0 where `law` is None, shifts sorted."""

    law: Law | None
    shifts: FloatArray
    weights: FloatArray

    @classmethod
    def sorted(cls, law: Law | None, shifts: FloatArray, weights: FloatArray) -> "Part":
        """The part with these shifts in any order, without those of weight 0."""
        order = np.argsort(shifts, kind="stable")
        order = order[weights[order] > 0.0]
        return cls(law, shifts[order], weights[order])


class Mixture:
    """The law of one target; what `distrl.returns._continuous` asks of a `Law`."""

    def __init__(self, parts: list[Part], tol: float = 0.0, near: FloatArray | None = None) -> None:
        self._parts, self._tol, self._near = parts, tol, near
        means = [part.shifts + (0.0 if part.law is None else part.law.mean) for part in parts]
        self.mean = float(sum(part.weights @ mean for part, mean in zip(parts, means, strict=True)))
        self.inversion_error = 0.0  # widest bracket that a search ended with

    def cdf(self, x: FloatArray) -> FloatArray:
        """P(Z <= x), x (k,)."""
        total = np.zeros(len(x))
        for law, shifts, weights in self._parts:
            if law is None:
                total += np.append(0.0, np.cumsum(weights))[np.searchsorted(shifts, x, side="right")]
            else:
                total += self._averaged(law.cdf, x, shifts, weights)
        return total

    def put(self, k: FloatArray) -> FloatArray:
        """E[(k - Z)+], of the shape of k."""
        points = np.ravel(k)
        total = np.zeros(len(points))
        for law, shifts, weights in self._parts:
            if law is None:
                total += self._averaged(lambda gap: np.maximum(gap, 0.0), points, shifts, weights)
            else:
                total += self._averaged(law.put, points, shifts, weights)
        return total.reshape(np.shape(k))

    def stop_loss(self, k: FloatArray) -> FloatArray:
        """E[(Z - k)+], of the shape of k."""
        return np.maximum(self.put(k) - (k - self.mean), 0.0)

    def rounding(self, reach: float) -> float:
        """Bound on the rounding of `put` at points up to `reach` in size: the laws' own, and that of the sums."""
        error = 0.0
        for law, shifts, weights in self._parts:
            far = reach + float(np.abs(shifts).max(initial=0.0))
            own = 4.0 * EPS * far if law is None else law.rounding(far)
            error += float(weights.sum()) * (own + 8.0 * EPS * far)
        return error

    def quantile(self, q: FloatArray, upper: bool = False) -> FloatArray:
        """inf{z : F(z) >= level}, or inf{z : F(z) > level}, of the shape of `q`, each in (0, 1).

        F at all starting points together, `near` if given, brackets every level. A bracket with F(low) < level <=
        F(high) (upper: F(low) <= level < F(high)) is narrowed by secants (Illinois), every third time by half, until
        it is narrower than `tol` or 8 eps of the values' size; its upper end is given.
        """
        level = np.ravel(q)
        if not level.size:
            return np.zeros(np.shape(q))
        ends = level if self._near is None else np.array([level.min(), level.max()])
        low, high = np.full(len(ends), np.inf), np.full(len(ends), -np.inf)
        for law, shifts, _ in self._parts:  # a mixture's quantile lies among those of its parts
            own = 0.0 if law is None else law.quantile(ends)
            low, high = np.minimum(low, shifts[0] + own), np.maximum(high, shifts[-1] + own)
        size = float(max(np.abs(low).max(), np.abs(high).max()))
        size += max(law.absolute_mean() for law, _, _ in self._parts if law is not None)  # not 0 by symmetry
        narrow = max(self._tol, 8.0 * EPS * size)

        def sided(gap: FloatArray) -> FloatArray:
            # the side is decided by the sign: a tie counts as reached for the lower quantile only
            return np.where(gap == 0.0, -NOT_ZERO if upper else NOT_ZERO, gap)

        def excess(x: FloatArray, at: FloatArray) -> FloatArray:
            return sided(self.cdf(x) - at)

        points = np.sort(np.concatenate([low, high, (low + high) / 2 if self._near is None else self._near]))
        heights = np.maximum.accumulate(self.cdf(points))
        above = np.searchsorted(heights, level, side="right" if upper else "left")
        below, above = np.maximum(above - 1, 0), np.minimum(above, len(points) - 1)
        low, high = points[below], points[above]
        at_low, at_high = sided(heights[below] - level), sided(heights[above] - level)
        step = np.full(len(level), max(points[-1] - points[0], narrow))
        self._widened(excess, level, low, at_low, -step)
        self._widened(excess, level, high, at_high, step)
        side = np.zeros(len(level))
        for count in range(_ROUNDS):
            todo = np.flatnonzero(high - low > narrow)
            if not todo.size:
                break
            a, b, fa, fb = low[todo], high[todo], at_low[todo], at_high[todo]
            x = (a + b) / 2 if count % 3 == 2 else a + (b - a) * (fa / (fa - fb))
            x = np.clip(x, a + 0.4 * narrow, b - 0.4 * narrow)
            f = excess(x, level[todo])
            left = f < 0.0
            # Illinois: an end that stays twice running counts half, or the other would crawl
            at_high[todo] = np.where(left, np.where(side[todo] < 0, 0.5, 1.0) * fb, f)
            at_low[todo] = np.where(left, f, np.where(side[todo] > 0, 0.5, 1.0) * fa)
            low[todo], high[todo] = np.where(left, x, a), np.where(left, b, x)
            side[todo] = np.where(left, -1.0, 1.0)
        self.inversion_error = max(self.inversion_error, float((high - low).max()))
        return high.reshape(np.shape(q))

    def expectiles(self, taus: FloatArray, start: FloatArray) -> FloatArray:
        """The e (m,) with tau E(Z - e)+ = (1 - tau) E(e - Z)+ at each of `taus`, by Newton from `start` (m,).

        h(e) = (1 - 2 tau) E(e - Z)+ + tau (e - E Z) is increasing, and convex or concave: after one step the iterates
        approach its root from one side.
        """
        e = start.copy()
        for _ in range(_ROUNDS):
            below = self.cdf(e)
            step = ((1.0 - 2.0 * taus) * self.put(e) + taus * (e - self.mean)) / (taus + (1.0 - 2.0 * taus) * below)
            e -= step
            if np.abs(step).max() <= 16.0 * EPS * (np.abs(e).max() + abs(self.mean)):
                break
        return e

    @staticmethod
    def _widened(
        excess: Callable[[FloatArray, FloatArray], FloatArray],
        level: FloatArray,
        end: FloatArray,
        values: FloatArray,
        step: FloatArray,
    ) -> None:
        """Move `end` and the excess `values` there by growing steps until F is on its side of the level."""
        for _ in range(1100):
            wrong = np.flatnonzero((values < 0.0) == (step > 0.0))
            if not wrong.size:
                break
            end[wrong] += step[wrong]
            step[wrong] *= 2.0
            values[wrong] = excess(end[wrong], level[wrong])

    @staticmethod
    def _averaged(
        function: Callable[[FloatArray], FloatArray], x: FloatArray, shifts: FloatArray, weights: FloatArray
    ) -> FloatArray:
        """sum_k weights[k] function(x - shifts[k])."""
        out = np.empty(len(x))
        rows = max(1, _CHUNK // len(shifts))
        for start in range(0, len(x), rows):
            out[start : start + rows] = function(x[start : start + rows, None] - shifts) @ weights
        return out
