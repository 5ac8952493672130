"""Outcomes as rows of (state, action) pairs, where a horizon's steps are states of their own."""

from dataclasses import dataclass

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.target.problem import Problem
from distrl.models.stages import discounted_steps

_SWEEPS = 2_000  # of bounds on the least mean


@dataclass(frozen=True, eq=False)
class Unrolled:
    """The rows of a problem; with a horizon the state x at step t is t * S + x, and the last step ends the return.

    Attributes
    ----------
    problem : Problem
    horizon : int or None
    states : (pairs,) the state of each pair
    pair_ptr : (N + 1,), row_ptr : (pairs + 1,)
    probs, next_states, rewards, ends : (rows,)
    """

    problem: Problem
    horizon: int | None
    states: IntArray
    pair_ptr: IntArray
    row_ptr: IntArray
    probs: FloatArray
    next_states: IntArray
    rewards: FloatArray
    ends: BoolArray

    @classmethod
    def of(cls, problem: Problem, horizon: int | None) -> "Unrolled":
        """The rows, as many times as there are steps.

        Parameters
        ----------
        problem : Problem
        horizon : int or None
            At least 1.
        """
        rows, choices, n = problem.outcomes, problem.mdp.choices, problem.mdp.n_states
        pairs, times = len(choices.actions), horizon or 1
        counts = np.bincount(rows.pairs, minlength=pairs)
        step = np.repeat(np.arange(times), len(rows.probs))
        following = np.tile(rows.next_states.astype(np.int64), times)
        ends = np.tile(rows.terminals, times)
        if horizon is not None:
            ends |= step == times - 1
            following = np.where(ends, 0, following + n * (step + 1))
        return cls(
            problem,
            horizon,
            np.tile(choices.states.astype(np.int64), times) + n * np.repeat(np.arange(times), pairs),
            pointers(np.tile(np.diff(choices.indptr), times)),
            pointers(np.tile(counts, times)),
            np.tile(rows.probs, times),
            following,
            np.tile(rows.rewards, times),
            ends,
        )

    @property
    def size(self) -> int:
        """N, the number of states."""
        return len(self.pair_ptr) - 1

    @property
    def actions(self) -> IntArray:
        """(pairs,) the action of each pair."""
        return np.tile(self.problem.mdp.choices.actions.astype(np.int64), self.horizon or 1)

    @property
    def reach(self) -> float:
        """No mean of a horizon, or below discount 1, is larger in size; infinite else."""
        steps = np.inf if self.problem.g == 1.0 else 1.0 / (1.0 - self.problem.g)
        if self.horizon is not None:
            steps = discounted_steps(self.problem.g, self.horizon)
        return float(self.problem.pairs.largest_reward * steps * (1.0 + 16.0 * EPS))

    def largest_means(self) -> FloatArray:
        """(N,) at least the largest mean from every state of a horizon."""
        return self._by_steps(1.0)

    def least_means(self) -> FloatArray:
        """(N,) at most the least mean of any policy; -inf at discount 1 where policies can go on for ever."""
        if self.horizon is not None:
            return self._by_steps(-1.0)
        pairs, g, n = self.problem.pairs, self.problem.g, self.size
        values = np.full(n, -self.reach if g < 1.0 else 0.0)
        for _ in range(min(_SWEEPS, n + 1) if g == 1.0 else _SWEEPS):
            backup = pairs.backup(values)
            after = -pairs.largest(backup.error - backup.values)
            if np.abs(after - values).max() <= (0.0 if g == 1.0 else 1e-9 * self.reach):
                return np.asarray(after)  # at discount 1: every policy ends within as many steps
            values = after
        return values if g < 1.0 else np.full(n, -np.inf)

    def _by_steps(self, side: float) -> FloatArray:
        pairs = self.problem.pairs
        values, found = np.zeros(self.problem.mdp.n_states), []
        for _ in range(self.horizon or 0):
            backup = pairs.backup(values)
            values = side * pairs.largest(side * backup.values + backup.error)
            found.append(values)
        return np.concatenate(found[::-1])


def pointers(counts: IntArray) -> IntArray:
    """Where each of so many begins, and the end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
