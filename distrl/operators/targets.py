"""The targets r + discount * v of particle laws: lists for the merge kernel, exact mixtures for continuous rewards."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distrl._kernels import quantile as kernels
from distrl._threads import Workers
from distrl._validation import FloatArray, IntArray, plain
from distrl.models.laws import FiniteLaw, Law
from distrl.models.outcomes import OutcomeTable
from distrl.operators.plan import values_of
from distrl.returns._continuous import wasserstein_1

_EPS = float(np.finfo(np.float64).eps)
_LEVEL_TOLERANCE = 1e-12  # ties of levels with flat regions of a CDF that is summed from continuous ones
_CHUNK = 2_000_000  # entries of a temporary array
_ROUNDS = 400  # two thirds secant steps, one third bisection: ten times what float64 can need


class ListPlan(NamedTuple):
    """Kernel input, see `distrl._kernels.quantile`: the lists of particles whose mixture is a source's target."""

    discount: float
    list_ptr: IntArray
    prob: FloatArray
    shift: FloatArray
    successor: IntArray


class Part(NamedTuple):
    """sum_k weights[k] * law of (shifts[k] + R); R = 0 where `law` is None, shifts sorted."""

    law: Law | None
    shifts: FloatArray
    weights: FloatArray


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
            own = 4.0 * _EPS * far if law is None else law.rounding(far)
            error += float(weights.sum()) * (own + 8.0 * _EPS * far)
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
        narrow = max(self._tol, 8.0 * _EPS * size)

        def sided(gap: FloatArray) -> FloatArray:
            # the side is decided by the sign: a tie counts as reached for the lower quantile only
            return np.where(gap == 0.0, -1e-300 if upper else 1e-300, gap)

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
            if np.abs(step).max() <= 16.0 * _EPS * (np.abs(e).max() + abs(self.mean)):
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


class LawTarget:
    """The target of a source with a reward law that has infinitely many values."""

    def __init__(self, source: int, lists: ListPlan, groups: list[tuple[Law, FloatArray, IntArray, float]]) -> None:
        self.source = source
        self._lists = lists  # of the source's other outcomes
        self._groups = groups  # law, probabilities of going on and successors, probability of ending

    def quantiles(
        self, values: FloatArray, levels: FloatArray, flat: float, tol: float, near: FloatArray | None = None
    ) -> tuple[FloatArray, float]:
        """(m,) the quantiles that `QuantileBellman` takes, and their error; levels are compared up to 1e-12.

        The search is faster from points `near` them, whatever these are.
        """
        mixture = self.mixture(values, equal_weights(values), tol, near)
        low = mixture.quantile(levels - _LEVEL_TOLERANCE) if flat < 1.0 else np.zeros(len(levels))
        high = mixture.quantile(levels + _LEVEL_TOLERANCE, upper=True) if flat > 0.0 else np.zeros(len(levels))
        return np.maximum.accumulate((1.0 - flat) * low + flat * high), mixture.inversion_error

    def distance(
        self, values: FloatArray, weights: FloatArray, law: FloatArray, law_weights: FloatArray
    ) -> tuple[float, float]:
        """W1 between a law on sorted values and the target, and a bound on its numerical error.

        An inexact quantile costs at most twice its bracket's width times the mass in it; the masses sum to at most 1.
        """
        mixture = self.mixture(values, weights, 0.0, law)
        kept = law_weights > 0.0
        law, cumulative = law[kept], np.cumsum(law_weights[kept])
        cumulative[-1] = 1.0
        distance = float(wasserstein_1(law[None], cumulative[None], mixture)[0])
        reach = float(np.abs(law).max() + np.abs(values).max(initial=0.0))
        slack = 2.0 * mixture.inversion_error + (4.0 * mixture.rounding(reach) + 4.0 * _EPS * reach) * len(law)
        return distance, slack

    def mixture(self, values: FloatArray, weights: FloatArray, tol: float, near: FloatArray | None = None) -> Mixture:
        """The target at the states' particles `values` (S, n), rows sorted, `weights` (1 or S, n)."""
        g = self._lists.discount
        weights = np.broadcast_to(weights, values.shape)
        parts = []
        for law, probs, successors, ending in self._groups:
            shifts = np.append(g * values[successors].ravel(), 0.0)
            parts.append(_part(law, shifts, np.append((probs[:, None] * weights[successors]).ravel(), ending)))
        going_on = self._lists.successor >= 0
        successors = self._lists.successor[going_on]
        onward = self._lists.shift[going_on, None] + g * values[successors]
        shifts = np.append(onward.ravel(), self._lists.shift[~going_on])
        masses = (self._lists.prob[going_on, None] * weights[successors]).ravel()
        masses = np.append(masses, self._lists.prob[~going_on])
        if len(shifts):
            parts.append(_part(None, shifts, masses))
        return Mixture(parts, tol, near)


def _part(law: Law | None, shifts: FloatArray, weights: FloatArray) -> Part:
    order = np.argsort(shifts, kind="stable")
    order = order[weights[order] > 0.0]
    return Part(law, shifts[order], weights[order])


def equal_weights(values: FloatArray) -> FloatArray:
    """(1, n): one row of weights for all."""
    n = values.shape[-1]
    return np.full((1, n), 1.0 / n)


class Targets:
    """The unprojected targets T theta of an outcome table at particle laws theta.

    Attributes
    ----------
    plan : lists of every source whose rewards are finitely many; none for the others
    with_laws : the targets of the others
    """

    def __init__(self, table: OutcomeTable, discount: float, threads: int | None = None) -> None:
        self.table, self.threads = table, threads
        infinite = np.array([False, *(not isinstance(law, FiniteLaw) for law in table.reward_laws)])[table.laws + 1]
        going_on = ~table.terminals & (discount > 0.0)
        sources = np.unique(table.sources[infinite])

        def lists(rows: IntArray) -> ListPlan:
            counts, weights, rewards = values_of(table, table.laws[rows], table.rewards[rows])
            rows = np.repeat(rows, counts)
            successor = np.where(going_on[rows], table.next_states[rows], -1)
            pointers = np.searchsorted(table.sources[rows], np.arange(table.n_sources + 1)).astype(np.int64)
            return ListPlan(discount, pointers, table.probs[rows] * weights, rewards, successor)

        def with_law(source: int) -> LawTarget:
            own = np.arange(table.indptr[source], table.indptr[source + 1])
            groups = []
            for index in np.unique(table.laws[own[infinite[own]]]):
                rows = own[table.laws[own] == index]
                onward = rows[going_on[rows]]
                ending = float(table.probs[rows[~going_on[rows]]].sum())
                groups.append((table.reward_laws[index], table.probs[onward], table.next_states[onward], ending))
            return LawTarget(source, lists(own[~infinite[own]]), groups)

        self.plan = lists(np.flatnonzero(~np.isin(table.sources, sources)))
        self.with_laws = [with_law(int(source)) for source in sources]

    def distances(
        self, values: FloatArray, weights: FloatArray, laws: FloatArray, law_weights: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """W1 between each source's law and its target, and a bound on the numerical error of that.

        Parameters
        ----------
        values, weights : (S, n) and (1 or S, n), the states' particles, rows sorted
        laws, law_weights : (sources, l) and (1 or sources, l), the sources'

        Returns
        -------
        distance, slack : (sources,)
            int |F - G| by a merge, time as for an application; for continuous targets through E[(k - Z)+] at the laws'
            particles and the target's quantiles in between. Slack, to first order in eps: positions r + discount * v
            are rounded, compensated sums of masses err by a few eps, the sum of the pieces by eps for each; masses that
            do not sum to 1 count with the defect times the width, laws known by quadrature with their `error`.
        """
        workers = Workers(self.threads, 8 * len(self.plan.shift) * values.shape[1])
        both = np.empty((self.table.n_sources, 2))
        given, beside = (plain(values), plain(weights)), (plain(laws), plain(law_weights))
        workers.rows(len(both), kernels.distances, *given, self.plan, *beside, both)
        distance, width = both[:, 0].copy(), both[:, 1]
        defect = np.abs(np.add.reduceat(self.table.probs, self.table.indptr[:-1]) - 1.0)
        defect += np.abs(weights.sum(axis=1) - 1.0).max() + np.abs(law_weights.sum(axis=1) - 1.0)
        pieces = np.diff(self.plan.list_ptr) * values.shape[1] + laws.shape[1]
        size = np.abs(values).max() + np.abs(laws).max() + np.abs(self.plan.shift).max(initial=0.0)
        slack = 4.0 * _EPS * size + (8.0 * _EPS + defect) * width + pieces * _EPS * distance
        for target in self.with_laws:
            x = target.source
            own = law_weights[x if len(law_weights) > 1 else 0]
            distance[x], error = target.distance(values, weights, laws[x], own)
            slack[x] = error + defect[x] * 2.0 * size
        return distance, np.asarray(slack + self.table.law_errors)
