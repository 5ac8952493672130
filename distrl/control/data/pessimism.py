"""A policy that is good for every process that samples do not contradict, and what it is worth with confidence.

Definitions. At a pair (x, a) with n samples let L V(x, a) be the least mean of r + g V(y) under laws that are not less
likely than the samples allow (`likely.least_means`), within an interval [low, high] known to hold every return; U V the
largest. delta is 1 - level, K the number of pairs with samples, and T_a V(x) the true mean.

`upper` is the fixed point of max_a U V, the radius that of delta / (2 K). The true best values V* do not depend on the
samples, so that U V*(x, a) >= T_a V*(x) for all pairs at once with probability 1 - delta / 2; then V* <= max_a U V*,
and V* is below the fixed point, since the operator is monotone.

`lower` is the fixed point W of max_a max(L V - g (high - low) / (2 n), low), the radius that of delta / (2 K n). W does
depend on the samples of x, but through one number only: leave them out. For a number w let W_w solve the equations of
all other states, with w at x; it depends on their samples alone, is W for w = W(x), and moves by |w - w'| at most, up
with w (Agarwal, Kakade and Yang 2020 have the idea). So it is enough to be right at n values of w, the middles of equal
cells of [low, high], one of which is within (high - low) / (2 n) of W(x): L W_w(x, a) <= T_a W_w(x) for all of them and
all pairs at once with probability 1 - delta / 2. Then L W(x, a) - g (high - low) / (2 n) <= T_a W(x), whichever action
was chosen, W <= T_p W for the greedy policy p, and the true value of p is at least W at every state.

Premises: rewards in a known range, a discount below 1, numbers of samples that were fixed beforehand (not chosen by
looking at samples), and samples that are independent draws. Pairs without samples have the worst and the best return.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._lazy import sparse
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.data.likely import least_means
from distrl.control.data.premises import checked_level, known_range, refuse_outside
from distrl.control.games import Backup, by_newton
from distrl.control.method import ControlMethod, Found, largest_size
from distrl.control.policy import MarkovPolicy
from distrl.control.policy_iteration import evaluated
from distrl.dp.call import Call
from distrl.dp.resolvent import Resolvent
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.mdp import MDP
from distrl.returns import Functional, Mean
from distrl.theory import likelihood_radius

_SHARE = 1e-8  # of the returns' range, that float64 and unfinished steps may cost unless the call says otherwise


@dataclass(frozen=True)
class PessimisticIteration(ControlMethod):
    """The policy of the largest mean that samples guarantee: what `optimize(..., pessimism=level)` runs.

    Parameters
    ----------
    level : float in [0.5, 1)
        The probability with which both bounds hold at all states, whichever policy the samples make one choose.

    Notes
    -----
    Guarantee, with that probability and under the premises above: the true value of the policy is at least `lower`, and
    no policy's is above `upper` (claims `pessimistic-lower-bound` and `empirical-likelihood-coverage`). `values` are
    the policy's on the samples' own process. Where a pair's r + g V(y) has the standard deviation s, one step costs
    some s sqrt(2 c) + O(c), c = log(2 K n / delta) / n; so bounds are narrow where the samples agree, and not by the
    range of returns.

    Time: some ten steps, each O(distinct samples) and a linear system over states. Sources: Owen 2001, "Empirical
    Likelihood"; Filippi, Cappe and Garivier 2010, "Optimism in Reinforcement Learning and Kullback-Leibler Divergence";
    Jin, Yang and Wang 2021, "Is Pessimism Provably Efficient for Offline RL?"; the constants are derived here.
    """

    level: float = 0.95
    counts: ClassVar[str] = "steps"

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", checked_level(self.level))

    def serves(self, objective: Functional) -> bool:
        return isinstance(objective, Mean)

    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The policy with the best lower bound at every state.

        Parameters
        ----------
        mdp : EmpiricalMDP
            With `return_range`.
        objective : Mean
        call : Call
            Its `tol` bounds what float64 and unfinished steps cost the bounds; `max_iterations` counts steps of each.

        Raises
        ------
        ValueError, TypeError
            For a model that is not of samples, or without a range of returns; with a horizon.
        """
        if call.horizon is not None:
            raise ValueError(
                f"{type(self).__name__} takes no horizon: its bound leaves one state's samples out, once, and not by "
                "step; leave method out"
            )
        low, high = known_range(mdp)
        assert isinstance(mdp, EmpiricalMDP)  # `known_range` has asked
        pairs, g = Pairs(mdp), mdp.discount
        totals, unknown = mdp.samples.totals, mdp.unknown[mdp.choices.states, mdp.choices.actions]
        drawn, half = totals > 0, 0.5 * (1.0 - self.level)
        count, n = int(drawn.sum()), np.maximum(totals, 1)
        fixed = np.where(unknown, np.inf, 0.0)
        radii = np.where(drawn, likelihood_radius(n, half / (max(count, 1) * n)), fixed)
        above = np.where(drawn, likelihood_radius(n, np.full(len(n), half / max(count, 1))), fixed)
        worst = _Likely(mdp, pairs, radii, np.where(drawn, 0.5 * g / n, 0.0), (low, high), worst=True)
        best = _Likely(mdp, pairs, above, np.zeros(len(n)), (low, high), worst=False)
        aim = 0.25 * (1.0 - g) * (_SHARE * (high - low) if call.tol is None else call.tol)
        start = np.full(mdp.n_states, 0.5 * (low + high))
        call.enter("looking for the worst case of the best policy")
        reached, limited, how = by_newton(worst, start, call, lambda _: aim)
        call.enter("looking for what no policy exceeds")
        top, stopped, _ = by_newton(best, start, call, lambda _: aim)
        cost = reached.gap / (1.0 - g) * (1.0 + 8.0 * EPS)  # W is known up to the gap, and its excess goes on for ever
        lower, upper = np.maximum(reached.low - cost, low), np.minimum(top.high, high)
        now = evaluated(pairs, reached.policy)
        policy = MarkovPolicy(pairs.actions(reached.policy), mdp.n_actions)
        reason = f"{how}; {totals.sum()} samples of {count} pairs, returns in [{low:g}, {high:g}]"
        size = largest_size(now.values, pairs.largest_reward)
        left = max(reached.gap + cost, top.gap)
        return Found(policy, now.values, lower, upper, limited or stopped, reason, size, unsolved=left)

    def said(self, sampled: bool) -> tuple[str, str]:
        return (
            "values are about the samples' own law, bounds about the process that was sampled",
            f"intervals are statistical, {self.level:.6g} confidence at all states together, if the numbers of samples "
            "were fixed beforehand: the policy's true value is above the lower end, no policy's above the upper",
        )


class _Likely:
    """The game against a second player who chooses among laws that the samples do not contradict."""

    def __init__(
        self,
        mdp: EmpiricalMDP,
        pairs: Pairs,
        radii: FloatArray,
        cost: FloatArray,
        ends: tuple[float, float],
        worst: bool,
    ) -> None:
        self.pairs, self.g, self.radii, self.cost, self.worst = pairs, mdp.discount, radii, cost, worst
        self.low, self.high = ends
        samples, table = mdp.samples, pairs.table
        rest = np.flatnonzero(samples.totals[table.sources] == 0)
        sources = np.concatenate([samples.sources, table.sources[rest]])
        order = np.argsort(sources, kind="stable")
        shares = samples.counts / samples.totals[samples.sources]
        self.sources = sources[order]
        self.next_states = np.concatenate([samples.next_states, table.next_states[rest]])[order]
        self.going_on = ~np.concatenate([samples.terminals, table.terminals[rest]])[order]
        self.rewards = np.concatenate([samples.rewards, table.rewards[rest]])[order]
        self.probs = np.concatenate([shares, table.probs[rest]])[order]
        self.starts = np.searchsorted(self.sources, np.arange(samples.n_sources)).astype(np.int64)
        known = np.isfinite(radii)[self.sources]
        rewards, onward = self.rewards[known], np.where(self.going_on[known], self.g, 0.0)
        refuse_outside(mdp, self.sources[known], (rewards, rewards), onward, ends)

    def backup(self, values: FloatArray) -> Backup:
        """L or U of values (S,) within the range of returns, every pair, and the laws that reach it."""
        width, size = self.high - self.low, max(abs(self.low), abs(self.high))
        returns = self.rewards + np.where(self.going_on, self.g * values[self.next_states], 0.0)
        distances = (returns - self.low if self.worst else self.high - returns) / width
        least = least_means(self.starts, np.maximum(distances, 0.0), self.probs, self.radii)
        means = least.means - self.cost
        cut = means <= 0.0
        weights = np.where(cut[self.sources], 0.0, least.weights)
        rest = 1.0 - np.add.reduceat(weights, self.starts)
        end, sign = (self.low, 1.0) if self.worst else (self.high, -1.0)
        constants = np.where(cut, end, rest * end - sign * width * self.cost)
        unknown = self.pairs.table.law_errors + self.pairs.lost(size)
        error = width * least.errors + 32.0 * EPS * size + np.where(self.radii == 0.0, unknown, 0.0)
        return Backup(end + sign * width * np.where(cut, 0.0, means), error, weights, constants)

    def solved(self, backup: Backup, policy: IntArray) -> FloatArray:
        """(S,) the values under one pair a state and the laws of the backup, kept within the range of returns."""
        n = len(policy)
        state = np.full(len(self.starts), -1, dtype=np.int64)
        state[policy] = np.arange(n)
        own = np.flatnonzero(state[self.sources] >= 0)
        here, on, weights = state[self.sources[own]], self.going_on[own], backup.weights[own]
        entries = (weights[on], (here[on], self.next_states[own][on]))
        matrix = sparse.coo_array(entries, shape=(n, n)).tocsr()
        ending = np.maximum(1.0 - np.bincount(here[on], weights=weights[on], minlength=n), 0.0)
        rewards = np.bincount(here, weights=weights * self.rewards[own], minlength=n) + backup.constants[policy]
        return np.clip(Resolvent(matrix, self.g, ending).solve(rewards), self.low, self.high)
