"""Nested CVaR: a stationary policy that is the best for the worst part of every step, by Newton steps.

Definitions. For a pair (x, a) and values V let Q(x, a; V) be CVaR at the level of r + g V(y) over the outcomes: the
mean of the lowest mass `level`. T V(x) = max_a Q(x, a; V) is monotone and a g-contraction in the sup norm, and its
fixed point is the best nested CVaR of any policy (Ruszczynski 2010).

CVaR is the smallest mean under weights of the outcomes of at most 1 / level, so that T is the step of a game between
two players who both see the state: `distrl.control.games` has the steps and the bounds. Rewards from a FiniteLaw are
outcomes of their own.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._kernels.nested import tail_shares
from distrl._lazy import sparse
from distrl._tolerances import EPS, TINY
from distrl._validation import FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import with_silent_ends
from distrl.control.games import Backup, by_newton
from distrl.control.method import ControlMethod, Found, largest_size
from distrl.control.objectives import NestedCVaR
from distrl.control.policy import MarkovPolicy
from distrl.dp.call import Call
from distrl.dp.resolvent import Resolvent
from distrl.models.laws import FiniteLaw
from distrl.models.mdp import MDP
from distrl.models.stages import discounted_steps
from distrl.returns import Functional

_SHARE = 1e-9  # of the values' size, that the gap is to be at most unless the call says otherwise


@dataclass(frozen=True)
class NestedIteration(ControlMethod):
    """The best nested CVaR: Newton steps for the optimality equation; with a horizon backwards.

    Notes
    -----
    The policy is stationary; with a horizon it depends on the step. Guarantee: the policy's nested CVaR is at least
    `lower`, no policy's is above `upper`, rounding counted; a residual of r leaves 2 r g / (1 - g) between them. At
    discount 1 there is no contraction: without a horizon only models are taken in which every policy ends within a
    number of steps, which are as many steps back; others are refused.

    Time: a sort of the outcomes a step, and a linear system over states for each of some ten steps. Memory
    O(outcomes). Source: Ruszczynski 2010, "Risk-averse dynamic programming for Markov decision processes"; Hoffman and
    Karp 1966, "On nonterminating stochastic games", for the steps.
    """

    counts: ClassVar[str] = "steps"

    def serves(self, objective: Functional) -> bool:
        return isinstance(objective, NestedCVaR)

    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The policy of the largest nested CVaR.

        Parameters
        ----------
        mdp : MDP
        objective : NestedCVaR
            At one level.
        call : Call
            Its `max_iterations` counts steps.

        Raises
        ------
        ValueError
            For a reward law with a density, naming it; for several levels; at discount 1, without a horizon, naming a
            state to which one may come back.
        """
        endless = mdp.discount == 1.0 and call.horizon is None
        backups = _Backups(with_silent_ends(mdp) if endless else mdp, objective.single())
        if call.horizon is not None:
            return _by_steps(backups, call.horizon, call, stationary=False)
        if endless:
            return _by_steps(backups, _longest(backups.pairs), call, stationary=True)
        return _by_newton(backups, call)


class _Backups:
    """The outcomes of a decision process, one row for each value of a random reward, and CVaR of them."""

    def __init__(self, mdp: MDP, level: float) -> None:
        self.pairs, self.level, self.g = Pairs(mdp), level, mdp.discount
        table = self.pairs.table
        for law in table.reward_laws:
            if not isinstance(law, FiniteLaw):
                raise ValueError(
                    f"nested CVaR takes rewards with finitely many values, and {law!r} has a density; give "
                    "FiniteLaw(values, probs) in its place"
                )
        finite = [law for law in table.reward_laws if isinstance(law, FiniteLaw)]
        counts = np.array([*(len(law.values) for law in finite), 1])[table.laws]
        row = np.repeat(np.arange(len(table.probs)), counts)
        self.sources, self.next_states = table.sources[row], table.next_states[row]
        self.going_on = ~table.terminals[row]
        self.rewards, self.probs = table.rewards[row].copy(), table.probs[row].copy()
        first = np.cumsum(counts) - counts
        for number, law in enumerate(finite):
            for start in first[table.laws == number].tolist():
                own = slice(start, start + len(law.values))
                self.rewards[own] = law.values
                self.probs[own] *= law.probs / law.probs.sum()
        self.starts = np.searchsorted(self.sources, np.arange(table.n_sources)).astype(np.int64)
        self.probs /= np.add.reduceat(self.probs, self.starts)[self.sources]
        self.widest = float(np.abs(self.rewards).max())
        self.bounds = np.append(self.starts, len(self.probs)).astype(np.int64)
        self.terms = np.diff(self.bounds) + 16.0
        self._nothing = np.zeros(len(self.starts))

    def backup(self, values: FloatArray) -> Backup:
        """One backup of `values` (S,)."""
        outcomes = self.rewards + np.where(self.going_on, self.g * values[self.next_states], 0.0)
        order = np.lexsort((outcomes, self.sources))  # sources come in order already
        weights = np.empty_like(self.probs)
        tail_shares(self.bounds, order, self.probs, self.level, weights)
        found = np.add.reduceat(weights * outcomes, self.starts)
        size = np.maximum.reduceat(np.abs(outcomes), self.starts)
        error = self.terms * EPS * (2.0 + 2.0 / self.level) * size + np.where(size > 0.0, 4.0 * TINY, 0.0)
        unknown = self.pairs.table.law_errors + self.pairs.lost(float(np.abs(values).max(initial=0.0)))
        return Backup(found, error + unknown / self.level, weights, self._nothing)

    def solved(self, backup: Backup, policy: IntArray) -> FloatArray:
        """(S,) the values of the process that both choices make: `policy` one pair a state, and the worst outcomes."""
        weights, n = backup.weights, len(policy)
        state = np.full(len(self.starts), -1, dtype=np.int64)
        state[policy] = np.arange(n)
        own = np.flatnonzero((state[self.sources] >= 0) & (weights > 0.0))
        here, on = state[self.sources[own]], self.going_on[own]
        entries = (weights[own][on], (here[on], self.next_states[own][on]))
        matrix = sparse.coo_array(entries, shape=(n, n)).tocsr()
        ending = np.bincount(here[~on], weights=weights[own][~on], minlength=n)
        rewards = np.bincount(here, weights=weights[own] * self.rewards[own], minlength=n)
        return Resolvent(matrix, self.g, np.asarray(ending, dtype=np.float64)).solve(np.asarray(rewards))


def _by_newton(backups: _Backups, call: Call) -> Found:
    pairs = backups.pairs

    def goal(size: float) -> float:
        return _SHARE * size if call.tol is None else 0.5 * call.tol

    call.enter("looking for values that a step leaves as they are")
    best, limited, reason = by_newton(backups, np.zeros(pairs.mdp.n_states), call, goal)
    policy = MarkovPolicy(pairs.actions(best.policy), pairs.mdp.n_actions)
    size = largest_size(best.values, pairs.largest_reward)
    return Found(policy, best.values, best.low, best.high, limited, reason, size)


def _by_steps(backups: _Backups, horizon: int, call: Call, stationary: bool) -> Found:
    """Backward induction: the best first action with h steps left, h = 1, ..., H."""
    pairs, n, g = backups.pairs, backups.pairs.mdp.n_states, backups.g
    chosen = np.zeros((horizon, n), dtype=np.int64)
    values, low, high, done = np.zeros(n), np.zeros(n), np.zeros(n), 0
    call.enter("stepping back from the horizon")
    with call.interruptible():
        for step in range(horizon - 1, -1, -1):
            backup = backups.backup(low)
            policy = pairs.first_best(backup.pairs)
            above = backup if low is high else backups.backup(high)
            chosen[step] = pairs.actions(policy)
            ends = (backup.pairs - backup.error)[policy], pairs.largest(above.pairs + above.error)
            values, low, high, done = 0.5 * (ends[0] + ends[1]), *ends, done + 1
            call.count()
            call.advance(done / horizon)
    size = largest_size(values, pairs.largest_reward)
    reason = f"{done} steps back from the horizon"
    if done < horizon:
        chosen[: horizon - done] = pairs.actions(pairs.choices.indptr[:-1])
        reach = np.full(n, backups.widest * discounted_steps(g, horizon) * (1.0 + 8.0 * EPS))
        low, high, values = -reach, reach, np.zeros(n)
        reason = f"{done} of {horizon} steps back from the horizon"
    if stationary:
        reason = f"every policy ends within {horizon} steps"
        chosen = chosen[0] if horizon else pairs.actions(pairs.choices.indptr[:-1])
    return Found(MarkovPolicy(chosen, pairs.mdp.n_actions), values, low, high, done < horizon, reason, size)


def _longest(pairs: Pairs) -> int:
    """Steps after which every return has ended, whatever is done."""
    table = pairs.table
    alive, on = np.ones(pairs.mdp.n_states, dtype=np.bool_), ~table.terminals
    here = pairs.states[table.sources]
    for step in range(pairs.mdp.n_states + 1):
        if not alive.any():
            return step
        following = np.zeros_like(alive)
        following[here[on & alive[table.next_states]]] = True
        if np.array_equal(following, alive):
            break
        alive = following
    state = pairs.mdp.states[int(np.argmax(alive))]
    raise ValueError(
        "at discount 1 nested CVaR is no contraction, and is worked out only where every policy ends within a number "
        f"of steps; from state {state!r} one may go on for longer than there are states; use a discount below 1 or "
        "give horizon="
    )
