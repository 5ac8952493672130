"""Which pairs to sample next for a decision: where samples shrink most what a wrong choice is expected to cost.

Definitions. V are the values of the chosen policy p on the samples' own process, s2(y, b) the variance over the samples
of a pair of r + g V(z), N its number of samples, and D = (I - g P_p)^{-1}. An alternative is a pair k = (x, a) that p
does not take, and its gap, V(x) - Q(x, a), moves with the samples, to first order, by the sum over states y of
w(y) = D(x, y) - g sum_z P(z | x, a) D(z, y) times what the mean at (y, p(y)) moves by, less what that at k does. So the
gap's variance is sum over pairs c / N, c = w^2 s2 along p and s2 at k itself.

What is made small. With d(x) the discounted visits of x, gap delta and variance v, keeping p where the alternative is
better costs d(x) E max(-delta - sqrt(v) Z, 0), Z normal, whose derivative in v is d(x) phi(delta / sqrt(v)) / (2
sqrt(v)). So samples at a pair have the weight G = sum over alternatives of d phi / (2 sqrt(v)) c, and shares that make
sum G / N small go with sqrt(G) (Neyman), in batches, G anew after each. Visits are those of a policy that takes an
alternative as often as it may be better, from the model's initial law (all states alike without one): what lies behind
a choice that is open counts, and what only clearly bad actions lead to does not.

This is first order and normal, one change of action at a time: a rule without a guarantee. Source of the criterion:
Chick and Inoue 2001, "New Two-Stage and Sequential Procedures for Selecting the Best Simulated System" (linear loss).
"""

import numpy as np

from distrl._lazy import special
from distrl._memory import available_memory
from distrl._validation import BoolArray, FloatArray, IntArray, whole_number
from distrl.control.bellman import Pairs
from distrl.control.ends import with_silent_ends
from distrl.control.policy import MarkovPolicy, RunnablePolicy
from distrl.generative.adaptive import FLOOR, neyman_allocation
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.mdp import MDP
from distrl.returns import Functional, Mean

_BATCHES = 8
_PRIOR = 10.0  # samples that the common variance counts as, where a pair has few of its own
_MOST = 1000  # alternatives that are looked at, those of the largest cost


def next_samples(mdp: MDP, policy: RunnablePolicy, objective: Functional, n: int) -> IntArray:
    """(S, A) how many of the next `n` samples each pair gets.

    Parameters
    ----------
    mdp : EmpiricalMDP
    policy : MarkovPolicy
        That was chosen on it.
    objective : Mean
    n : int

    Raises
    ------
    ValueError, TypeError
        For a model that is not of samples, another objective, and a policy that depends on the step.
    """
    if not isinstance(mdp, EmpiricalMDP):
        raise TypeError(f"next_samples is for a decision from samples, and {mdp!r} is no EmpiricalMDP")
    if not isinstance(objective, Mean) or not isinstance(policy, MarkovPolicy) or policy.depends_on_step:
        raise ValueError(
            f"next_samples knows how the mean of one action for each state moves with samples, and not {objective!r} "
            f"under {type(policy).__name__}; for other objectives sample along the policy, or everywhere alike"
        )
    total = whole_number(n, "n")
    needed, there = 24.0 * mdp.n_states * mdp.n_states, available_memory()
    if needed > there:
        raise ValueError(
            f"next_samples holds the visits from each of {mdp.n_states} states to each, about {needed / 1e9:.3g} GB, "
            f"but {there / 1e9:.3g} GB are available; sample along the policy, or everywhere alike"
        )
    decision = _Decision(mdp, policy.actions)
    sizes = mdp.samples.totals.astype(np.int64)
    sizes = decision.with_floor(sizes, total)
    already = int(mdp.samples.totals.sum())
    for batch in range(1, _BATCHES + 1):
        wanted = already + total * batch // _BATCHES
        if wanted > sizes.sum():
            sizes = neyman_allocation(np.sqrt(decision.weights(sizes)), wanted, sizes)
    return np.asarray(mdp.choices.matrix(sizes - mdp.samples.totals, 0))


class _Decision:
    """A policy on samples, its alternatives, and how their gaps move with the samples of each pair."""

    def __init__(self, mdp: EmpiricalMDP, actions: IntArray) -> None:
        self.pairs = Pairs(with_silent_ends(mdp) if mdp.discount == 1.0 else mdp)
        self.unknown = mdp.unknown[mdp.choices.states, mdp.choices.actions]
        self.mdp, self.own = mdp, mdp.choices.sources(np.arange(mdp.n_states), actions)
        table, g = self.pairs.table, self.pairs.g
        onward = g * table.continuation
        visits = np.linalg.inv(np.eye(mdp.n_states) - onward[self.own].toarray())
        self.values = visits @ table.expected_rewards[self.own]
        gaps = self.values[self.pairs.states] - (table.expected_rewards + onward @ self.values)
        chosen = np.zeros(len(gaps), dtype=np.bool_)
        chosen[self.own] = True
        self.others = np.flatnonzero(~chosen)
        self.gaps = np.where(self.unknown, 0.0, gaps)[self.others]  # of what nobody saw nothing is against
        self.variance = self._variances(mdp)
        self.along = self.variance[self.own]
        sizes = np.maximum(mdp.samples.totals, 1).astype(np.float64)
        error = self.along / sizes[self.own]
        spread = np.empty(len(self.others))
        states = self.pairs.states[self.others]
        for first in range(0, len(self.others), _MOST):
            some = slice(first, first + _MOST)
            moves = visits[states[some]] - onward[self.others[some]] @ visits
            spread[some] = moves**2 @ error
        spread += self.variance[self.others] / sizes[self.others]
        self.reach = self._visits(np.asarray(spread))
        score = self.gaps**2 / np.maximum(2.0 * spread, 1e-300) - np.log(np.maximum(self.reach[states], 1e-300))
        kept = np.sort(np.argsort(score, kind="stable")[:_MOST])
        kept = kept[self.reach[states[kept]] > 0.0]
        self.others, self.gaps, states = self.others[kept], self.gaps[kept], states[kept]
        self.depth = self.reach[states]
        self.moves = (visits[states] - onward[self.others] @ visits) ** 2 * self.along

    def _variances(self, mdp: EmpiricalMDP) -> FloatArray:
        """(pairs,) of r + g V(y) over the samples, few ones drawn towards the mean of all that may be reached."""
        samples = mdp.samples
        returns = samples.rewards + samples.factors(mdp.uniform_discount) * self.values[samples.next_states]
        totals = samples.totals
        mean = np.bincount(samples.sources, samples.counts * returns, len(totals)) / np.maximum(totals, 1)
        square = samples.counts * (returns - mean[samples.sources]) ** 2
        variance = np.bincount(samples.sources, square, len(totals)) / np.maximum(totals - 1, 1)
        drawn = totals > 0
        near = drawn & self._reachable()[self.pairs.states]
        common = (float(variance[near].mean()) if near.any() else 0.0) or 1.0  # all alike: it is few samples that count
        pooled = (totals * variance + _PRIOR * common) / (totals + _PRIOR)
        return np.where(drawn | self.unknown, pooled, 0.0)  # outcomes that are known do not move

    def _reachable(self) -> BoolArray:
        """(S,) the states that may be reached from the start, whatever is done."""
        initial, table = self.mdp.initial, self.pairs.table
        found = np.ones(self.mdp.n_states, dtype=np.bool_) if initial is None else initial > 0.0
        here, on = self.pairs.states[table.sources], ~table.terminals
        while True:
            wider = found.copy()
            wider[table.next_states[on & found[here]]] = True
            if np.array_equal(wider, found):
                return found
            found = wider

    def _visits(self, spread: FloatArray) -> FloatArray:
        """(S,) discounted visits under the policy that takes what may be better as often as it may be."""
        mdp, table = self.mdp, self.pairs.table
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(spread > 0.0, self.gaps / np.sqrt(spread), np.where(self.gaps > 0.0, np.inf, 0.0))
        share = np.ones(len(self.pairs.states))
        share[self.others] = special.ndtr(-z)
        share /= np.add.reduceat(share, mdp.choices.indptr[:-1])[self.pairs.states]
        mixed = np.zeros((mdp.n_states, mdp.n_states))
        rows = table.continuation.tocoo()
        np.add.at(mixed, (self.pairs.states[rows.row], rows.col), self.pairs.g * share[rows.row] * rows.data)
        initial = np.full(mdp.n_states, 1.0 / mdp.n_states) if mdp.initial is None else mdp.initial
        return np.maximum(np.linalg.solve(np.eye(mdp.n_states) - mixed.T, initial), 0.0)

    def with_floor(self, sizes: IntArray, total: int) -> IntArray:
        """`sizes` with the first of `total` samples at pairs without any that are reached, the most visited first."""
        missing = np.flatnonzero(self.unknown & (self.reach[self.pairs.states] > 0.0))
        order = missing[np.argsort(-self.reach[self.pairs.states[missing]], kind="stable")]
        raised = sizes.copy()
        for _ in range(FLOOR):
            take = order[: total - int((raised - sizes).sum())]
            raised[take] += 1
        return raised

    def weights(self, sizes: IntArray) -> FloatArray:
        """(pairs,) G: what a unit of 1 / N costs at each pair, up to a factor."""
        counts = np.maximum(sizes, 1).astype(np.float64)
        weights = np.zeros(len(sizes))
        if not len(self.others):  # nothing to choose: the values from the start are what is left to know
            weights[self.own] = self.reach**2 * self.along
            return weights
        at = self.variance[self.others]
        spread = np.maximum(self.moves @ (1.0 / counts[self.own]) + at / counts[self.others], 1e-300)
        with np.errstate(divide="ignore", over="ignore"):
            log = np.log(self.depth) - 0.5 * self.gaps**2 / spread - 0.5 * np.log(spread)
        cost = np.exp(log - log.max())
        weights[self.own] = cost @ self.moves
        weights[self.others] = cost * at
        return weights
