"""A decision process as the recursion over targets needs it, and what is known before it begins.

Known are a mean-optimal policy, the largest mean V* from above, and of that policy's return the mean, variance and
range. They start the recursion, since for d = b - V and any law of mean V and variance v

    max(d, 0) <= E(b - G)+ <= (d + sqrt(d^2 + v)) / 2    (Jensen; Scarf 1958),

the right side for the policy, the left for V = V* and every policy.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import undiscounted, with_silent_ends
from distrl.control.method import largest_size
from distrl.control.policy_iteration import PolicyIteration
from distrl.control.target.parts import Side, cut, has_wide_laws, refused
from distrl.dp.call import Call
from distrl.dp.certified_moments import certified_moments
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.lattice_rows import OffLattice, common_step
from distrl.dp.resolvent import Resolvent
from distrl.models.discounts import factors_of
from distrl.models.laws import FiniteLaw
from distrl.models.mdp import MDP
from distrl.models.stages import step_under
from distrl.returns import Mean

_SDS = 5.0  # of the return, taken for its range where that is infinite
_CERTAIN = 1e-9  # of the size of returns: a range below that is none
_MOST_ACTIONS = 32_767  # tables hold two bytes a cell


class Outcomes(NamedTuple):
    """Outcome rows with one number each as reward, by pair, reward and discount; finite reward laws are spread out."""

    pairs: IntArray
    probs: FloatArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    factors: FloatArray

    @classmethod
    def of(cls, mdp: MDP, side: Side = Side.NONE, parts: int = 1) -> "Outcomes":
        """The outcomes of `mdp`; rewards of infinitely many values rounded to the ends of so many `parts`.

        Raises
        ------
        ValueError
            Naming a state whose reward has a law of infinitely many values, for rounding one without bounds.
        """
        table = mdp.outcomes.whole
        constant = np.flatnonzero(table.laws < 0)
        rows, values, masses = [constant], [table.rewards[constant]], [table.probs[constant]]
        for index, law in enumerate(table.reward_laws):
            own = np.flatnonzero(table.laws == index)
            if isinstance(law, FiniteLaw):
                points, weights = law.values, law.probs
            elif side is Side.NONE or not np.isfinite(law.support).all():
                raise refused(mdp, index, side)
            else:
                points, weights = cut(law, parts, side)
            rows.append(np.repeat(own, len(points)))
            values.append(np.tile(points, len(own)))
            masses.append(np.multiply.outer(table.probs[own], weights).ravel())
        row, reward, mass = np.concatenate(rows), np.concatenate(values), np.concatenate(masses)
        factors = factors_of(table, mdp.uniform_discount)[row]
        ends = factors == 0.0
        order = np.lexsort((table.next_states[row], factors, reward, ends, table.sources[row]))
        row = row[order]
        return cls(table.sources[row], mass[order], table.next_states[row], reward[order], ends[order], factors[order])


class Groups(NamedTuple):
    """Outcomes as kernels read them: those that go on in groups of one pair, reward and discount, and
    those that end."""

    group_ptr: IntArray
    rewards: FloatArray
    factors: FloatArray
    masses: FloatArray
    next_ptr: IntArray
    next_states: IntArray
    probs: FloatArray
    end_ptr: IntArray
    ends: FloatArray
    end_probs: FloatArray

    @classmethod
    def of(cls, outcomes: Outcomes, n_pairs: int) -> "Groups":
        """The groups of all pairs."""
        on = outcomes.next_states[~outcomes.terminals], outcomes.probs[~outcomes.terminals]
        pair, reward = outcomes.pairs[~outcomes.terminals], outcomes.rewards[~outcomes.terminals]
        factor = outcomes.factors[~outcomes.terminals]
        fresh = np.ones(len(pair), dtype=np.bool_)
        fresh[1:] = (np.diff(pair) != 0) | (np.diff(reward) != 0.0) | (np.diff(factor) != 0.0)
        starts = np.flatnonzero(fresh)
        ending = outcomes.pairs[outcomes.terminals]
        masses = np.add.reduceat(on[1], starts) if len(starts) else np.empty(0)
        return cls(
            group_ptr=np.searchsorted(pair[starts], np.arange(n_pairs + 1)).astype(np.int64),
            rewards=reward[starts],
            factors=factor[starts],
            masses=np.asarray(masses),
            next_ptr=np.append(starts, len(pair)).astype(np.int64),
            next_states=on[0].astype(np.int64),
            probs=on[1],
            end_ptr=np.searchsorted(ending, np.arange(n_pairs + 1)).astype(np.int64),
            ends=outcomes.rewards[outcomes.terminals],
            end_probs=outcomes.probs[outcomes.terminals],
        )


@dataclass(frozen=True, eq=False)
class Problem:
    """What is solved.

    Attributes
    ----------
    mdp : MDP
        At discount 1 with ends where nothing is paid any more.
    outcomes, groups : Outcomes, Groups
    step : float or None
        At discount 1, what all rewards are multiples of.
    side, parts : Side, int
        How `outcomes` round rewards of infinitely many values, if `mdp` has such.
    """

    mdp: MDP
    outcomes: Outcomes
    groups: Groups
    step: float | None
    side: Side = Side.NONE
    parts: int = 1

    @classmethod
    def of(cls, mdp: MDP, ends: bool, side: Side = Side.NONE, parts: int = 1) -> "Problem":
        """The outcomes of `mdp`; with `ends`, returns are to end by themselves.

        Raises
        ------
        ValueError
            For reward laws of infinitely many values that are not to be rounded or have no bounds, naming a state, and
            for too many actions.
        """
        if mdp.n_actions > _MOST_ACTIONS:
            raise ValueError(f"targets need at most {_MOST_ACTIONS} actions, the model has {mdp.n_actions}")
        if ends and undiscounted(mdp):
            mdp = with_silent_ends(mdp)
        outcomes = Outcomes.of(mdp, side, parts)
        step = None
        if mdp.uniform_discount == 1.0 and not has_wide_laws(mdp):
            try:
                step = common_step(np.unique(outcomes.rewards))
            except OffLattice:
                step = None
        return cls(mdp, outcomes, Groups.of(outcomes, len(mdp.choices.actions)), step, side, parts)

    def beside(self, side: Side, parts: int) -> "Problem":
        """The same process with rewards rounded otherwise; itself where there is nothing to round."""
        if not self.rounded or (side, parts) == (self.side, self.parts):
            return self
        outcomes = Outcomes.of(self.mdp, side, parts)
        groups = Groups.of(outcomes, len(self.mdp.choices.actions))
        return replace(self, outcomes=outcomes, groups=groups, side=side, parts=parts)

    @cached_property
    def rounded(self) -> bool:
        """Whether rewards are rounded."""
        return has_wide_laws(self.mdp)

    @property
    def largest(self) -> float:
        """The largest size of a reward of `outcomes`, or mean size of a law, rounded up."""
        return max(self.pairs.largest_reward, float(np.abs(self.outcomes.rewards).max()) * (1.0 + 4.0 * EPS))

    @cached_property
    def expected(self) -> FloatArray:
        """(pairs,) mean rewards of `outcomes`."""
        rows = self.outcomes
        return np.asarray(np.bincount(rows.pairs, weights=rows.probs * rows.rewards))  # every pair has a row

    @property
    def g(self) -> float:
        """The discount, the largest one where outcomes have their own: what every backup contracts by at least."""
        return self.mdp.largest_discount

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs, for means."""
        return Pairs(self.mdp)

    @cached_property
    def before(self) -> tuple[IntArray, IntArray]:
        """(S + 1,) and (n,) the states that lead to each state in one step, as pointers and numbers."""
        n, rows = self.mdp.n_states, self.outcomes
        on = ~rows.terminals
        here = self.mdp.choices.states[rows.pairs[on]]
        keys = np.unique(rows.next_states[on].astype(np.int64) * n + here)
        ptr = np.searchsorted(keys, n * np.arange(n + 1, dtype=np.int64))
        return ptr.astype(np.int64), np.asarray(keys % n, dtype=np.int64)

    def rounding(self, high: float, reach: float, largest: float, spread: float) -> FloatArray:
        """(S,) what one backup can be wrong by: float64's rounding, errors of reward laws, and mass of which nothing is
        known.

        Parameters
        ----------
        high : float
            The largest slope of the functions.
        reach, largest : float
            The largest size of a target, 0 where they are exact, and of a value.
        spread : float
            How far apart in W1 the returns from two states can be.
        """
        table, choices = self.mdp.outcomes, self.mdp.choices
        rows = np.bincount(self.outcomes.pairs, minlength=len(choices.actions)) + 24.0
        size = largest + 4.0 * high * (reach + self.largest if reach else 0.0)
        error = high * (table.law_errors + 2.0 * table.defects * (2.0 * self.pairs.largest_reward + spread))
        return np.asarray(np.maximum.reduceat(rows * EPS * size + error, choices.indptr[:-1]))


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of returns that go on until they end.

    Attributes
    ----------
    largest_mean : (S,) at least V*
    actions : (S,) a mean-optimal policy
    moments : CertifiedMoments
        Of the return under that policy.
    steps : float
        How many steps count: 1 / (1 - g), at discount 1 the largest expected number under that policy.
    reward : float
        The largest size of a reward.
    """

    largest_mean: FloatArray
    actions: IntArray
    moments: CertifiedMoments
    steps: float
    reward: float

    @classmethod
    def of(cls, problem: Problem) -> "Known":
        """By `PolicyIteration`, and moments of its policy.

        Raises
        ------
        ValueError
            As `PolicyIteration` does; and at discount 1 if no bound on the largest mean was found, or the policy hardly
            ever ends, naming a state.
        """
        mdp = problem.mdp
        found = PolicyIteration().optimal(mdp, Mean(), Call())
        actions = found.policy.first_actions(mdp.n_states)
        process = step_under(mdp, actions).whole()
        moments = certified_moments(process)
        known = np.isfinite(found.upper) & np.isfinite(moments.sd) & np.isfinite(moments.mean_error)
        if not known.all():
            state = mdp.states[int(np.argmin(known))]
            raise ValueError(f"nothing is certain of the largest mean from state {state!r}: {found.reason}")
        steps = 1.0 / (1.0 - problem.g) if problem.g < 1.0 else float(Resolvent.of(process).gains.max())
        return cls(found.upper, actions, moments, steps, problem.pairs.largest_reward)

    @property
    def least_mean(self) -> FloatArray:
        """(S,) what the mean-optimal policy reaches for certain."""
        return self.moments.mean - self.moments.mean_error

    @cached_property
    def likely(self) -> tuple[FloatArray, FloatArray]:
        """(S,) ends of the range of the mean-optimal policy's return, five standard deviations away if infinite."""
        known, far = self.moments, _SDS * self.moments.sd
        low = np.where(np.isfinite(known.low), known.low, known.mean - far)
        return low, np.where(np.isfinite(known.high), known.high, known.mean + far)

    @cached_property
    def width(self) -> float:
        """The range of returns over all states: what tolerances are a share of, and lattices divide."""
        low, high = self.likely
        wide, size = float(high.max() - low.min()), largest_size(self.largest_mean, self.reward)
        return wide if wide > _CERTAIN * size else (size or 1.0)

    @cached_property
    def spread(self) -> float:
        """How far apart in W1 the returns from two states can be."""
        return float(self.largest_mean.max() - self.least_mean.min() + 2.0 * self.moments.sd.max())
