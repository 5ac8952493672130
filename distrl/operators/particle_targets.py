"""The targets r + discount * v of particle laws: lists for the merge kernel, exact mixtures for continuous rewards."""

from typing import NamedTuple

import numpy as np

from distrl._kernels import quantile as kernels
from distrl._threads import Workers
from distrl._tolerances import EPS, LEVEL_OF_CONTINUOUS, NOT_ZERO
from distrl._validation import FloatArray, IntArray, plain
from distrl.models.discounts import factors_of
from distrl.models.laws import FiniteLaw, Law
from distrl.models.outcomes import OutcomeTable
from distrl.operators.kernel_plan import values_of
from distrl.operators.mixture import Mixture, Part
from distrl.returns._continuous import wasserstein_1


class MixturePlan(NamedTuple):
    """Kernel input, see `distrl._kernels.quantile`: the lists of particles whose mixture is a source's target.

    All but `list_ptr` have an entry for each list.
    """

    discount: FloatArray
    list_ptr: IntArray
    prob: FloatArray
    shift: FloatArray
    successor: IntArray


class LawOutcomes(NamedTuple):
    """The outcomes of one source that share a reward law: those that go on, and the probability of those that end."""

    law: Law
    probs: FloatArray
    successors: IntArray
    discounts: FloatArray
    ending: float


class LawTarget:
    """The target of a source with a reward law that has infinitely many values.

    Parameters
    ----------
    source : int
    lists : MixturePlan
        Of the source's outcomes whose rewards have finitely many values.
    groups : list of LawOutcomes
        The others.
    """

    def __init__(self, source: int, lists: MixturePlan, groups: list[LawOutcomes]) -> None:
        self.source, self._lists, self._groups = source, lists, groups

    def quantiles(
        self, values: FloatArray, levels: FloatArray, flat: float, tol: float, near: FloatArray | None = None
    ) -> tuple[FloatArray, float]:
        """(m,) the quantiles that `QuantileBellman` takes, and their error; levels are compared up to 1e-12.

        The search is faster from points `near` them, whatever these are.
        """
        mixture = self.mixture(values, equal_weights(values), tol, near)
        low = mixture.quantile(levels - LEVEL_OF_CONTINUOUS) if flat < 1.0 else np.zeros(len(levels))
        high = mixture.quantile(levels + LEVEL_OF_CONTINUOUS, upper=True) if flat > 0.0 else np.zeros(len(levels))
        return np.maximum.accumulate((1.0 - flat) * low + flat * high), mixture.inversion_error

    def derivative(self, values: FloatArray, at: FloatArray) -> FloatArray:
        """(m, S, n) how fast the target's quantiles, at the points `at` (m,) in order, move with the particles (S, n).

        With each particle's discount times its share of the target's density at the point, which is taken over half the
        way to the neighbouring points; 0 where there is none.
        """
        half = 0.25 * np.gradient(at) if len(at) > 1 else np.ones(1)
        half = np.maximum(half, 1e-9 * max(float(np.ptp(at)), float(np.abs(at).max()), NOT_ZERO))
        near, total = np.zeros((len(at), *values.shape)), np.zeros(len(at))
        for law, probs, successors, discounts, ending in self._groups:
            for prob, successor, discount in zip(probs, successors, discounts, strict=True):
                gaps = at[:, None] - discount * values[successor]
                mass = prob / values.shape[1] * (law.cdf(gaps + half[:, None]) - law.cdf(gaps - half[:, None]))
                near[:, successor] += discount * mass
                total += mass.sum(axis=1)
            total += ending * (law.cdf(at + half) - law.cdf(at - half))
        for k in range(len(self._lists.shift)):
            successor, discount = self._lists.successor[k], self._lists.discount[k]
            onward = discount * values[successor] if successor >= 0 else np.zeros(1)
            mass = (
                self._lists.prob[k]
                / len(onward)
                * (np.abs(at[:, None] - self._lists.shift[k] - onward) <= half[:, None])
            )
            total += mass.sum(axis=1)
            if successor >= 0:
                near[:, successor] += discount * mass
        return np.divide(near, total[:, None, None], out=np.zeros_like(near), where=total[:, None, None] > 0.0)

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
        slack = 2.0 * mixture.inversion_error + (4.0 * mixture.rounding(reach) + 4.0 * EPS * reach) * len(law)
        return distance, slack

    def mixture(self, values: FloatArray, weights: FloatArray, tol: float, near: FloatArray | None = None) -> Mixture:
        """The target at the states' particles `values` (S, n), rows sorted, `weights` (1 or S, n)."""
        weights = np.broadcast_to(weights, values.shape)
        parts = []
        for law, probs, successors, discounts, ending in self._groups:
            shifts = np.append((discounts[:, None] * values[successors]).ravel(), 0.0)
            parts.append(Part.sorted(law, shifts, np.append((probs[:, None] * weights[successors]).ravel(), ending)))
        going_on = self._lists.successor >= 0
        successors = self._lists.successor[going_on]
        onward = self._lists.shift[going_on, None] + self._lists.discount[going_on, None] * values[successors]
        shifts = np.append(onward.ravel(), self._lists.shift[~going_on])
        masses = (self._lists.prob[going_on, None] * weights[successors]).ravel()
        masses = np.append(masses, self._lists.prob[~going_on])
        if len(shifts):
            parts.append(Part.sorted(None, shifts, masses))
        return Mixture(parts, tol, near)


def equal_weights(values: FloatArray) -> FloatArray:
    """(1, n): one row of weights for all."""
    n = values.shape[-1]
    return np.full((1, n), 1.0 / n)


class ParticleTargets:
    """The unprojected targets T theta of an outcome table at particle laws theta.

    Attributes
    ----------
    discount : what was given: a number, or None for a table with discounts of its own
    plan : lists of every source whose rewards are finitely many; none for the others
    with_laws : the targets of the others
    """

    def __init__(self, table: OutcomeTable, discount: float | None, threads: int | None = None) -> None:
        self.table, self.discount, self.threads = table, discount, threads
        factors = factors_of(table, discount)
        infinite = np.array([False, *(not isinstance(law, FiniteLaw) for law in table.reward_laws)])[table.laws + 1]
        going_on = factors > 0.0
        sources = np.unique(table.sources[infinite])

        def lists(rows: IntArray) -> MixturePlan:
            counts, weights, rewards = values_of(table, table.laws[rows], table.rewards[rows])
            rows = np.repeat(rows, counts)
            successor = np.where(going_on[rows], table.next_states[rows], -1)
            pointers = np.searchsorted(table.sources[rows], np.arange(table.n_sources + 1)).astype(np.int64)
            return MixturePlan(factors[rows], pointers, table.probs[rows] * weights, rewards, successor)

        def with_law(source: int) -> LawTarget:
            own = np.arange(table.indptr[source], table.indptr[source + 1])
            groups = []
            for index in np.unique(table.laws[own[infinite[own]]]):
                rows = own[table.laws[own] == index]
                onward = rows[going_on[rows]]
                ending = float(table.probs[rows[~going_on[rows]]].sum())
                law = table.reward_laws[index]
                groups.append(LawOutcomes(law, table.probs[onward], table.next_states[onward], factors[onward], ending))
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
        slack = 4.0 * EPS * size + (8.0 * EPS + defect) * width + pieces * EPS * distance
        for target in self.with_laws:
            x = target.source
            own = law_weights[x if len(law_weights) > 1 else 0]
            distance[x], error = target.distance(values, weights, laws[x], own)
            slack[x] = error + defect[x] * 2.0 * size
        return distance, np.asarray(slack + self.table.law_errors)
