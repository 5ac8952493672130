"""One application of the optimality operator to values, with certain bounds on what float64 makes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from distrl._lazy import sparse
from distrl._tolerances import EPS, TINY
from distrl._validation import FloatArray, IntArray
from distrl.models.discounts import discounted, factors_of, lost_mass
from distrl.models.mdp import MDP


class Backup(NamedTuple):
    """q(x, a) = r(x, a) + sum p g V(y) of every pair (pairs,), and a bound on its error for this V."""

    values: FloatArray
    error: FloatArray


class Pairs:
    """The (state, action) pairs of a decision process, laid out for backups.

    Rows that did not sum to 1 count as mass that may lead anywhere: see `lost`.

    Parameters
    ----------
    mdp : MDP
        Outcomes may have discounts of their own; `g` is the largest.
    """

    def __init__(self, mdp: MDP) -> None:
        self.mdp, self.table, self.choices = mdp, mdp.outcomes.whole, mdp.choices
        self.g, self.states = mdp.largest_discount, mdp.choices.states
        table = self.table
        self._several = None
        if mdp.uniform_discount is None:  # the sums of p g, and what they lack of 1
            self._several = discounted(table, None), lost_mass(table, 1)
        sizes = np.array([0.0, *(law.absolute_mean() for law in table.reward_laws)])[table.laws + 1]
        self._sizes = np.where(table.laws >= 0, np.maximum(sizes, np.abs(table.rewards)), np.abs(table.rewards))
        self._absolute = np.add.reduceat(table.probs * self._sizes, table.indptr[:-1])
        self._terms = np.diff(table.indptr) + 6.0

    @property
    def largest_reward(self) -> float:
        """A bound on E|r| of every outcome."""
        return float(self._sizes.max()) * (1.0 + 4.0 * EPS)

    def lost(self, size: float) -> FloatArray:
        """(pairs,) what mass of which nothing is known can change of a backup of values up to `size`."""
        defects = self.table.known_defects
        if defects is None:
            return np.zeros(len(self.states))
        return defects * (2.0 * (self.largest_reward + self.g * size))

    @property
    def weights(self) -> sparse.csr_array:
        """(pairs, S) the sums of p g."""
        return self.g * self.table.continuation if self._several is None else self._several[0]

    def onward(self, values: FloatArray) -> FloatArray:
        """(pairs,) sum p g V(y) of `values` (S,)."""
        if self._several is not None:
            return np.asarray(self._several[0] @ values)
        return np.asarray(self.g * (self.table.continuation @ values))

    def backup(self, values: FloatArray) -> Backup:
        """One backup of `values` (S,)."""
        onward = self.onward(values)
        size = self._absolute + self.onward(np.abs(values))
        error = self._terms * EPS * size + np.where(size > 0.0, 4.0 * TINY, 0.0) + self.table.law_errors
        return Backup(self.table.expected_rewards + onward, error + self.lost(float(np.abs(values).max())))

    def advantage(self, values: FloatArray) -> Backup:
        """How far one backup of `values` (S,) exceeds them, (pairs,), and a bound on its error.

        r + g sum_y P(y) (V(y) - V(x)) - (g P(end) + 1 - g) V(x): no rounding of the size of V where values differ by
        little. What a row lacks of 1 by rounding is the state's own loop, as in `Resolvent`. With several discounts
        r + sum p g (V(y) - V(x)) - (1 - sum p g) V(x).
        """
        table, here = self.table, values[self.states]
        if self._several is not None:
            factors = factors_of(table, None)
            away = np.where(table.terminals, 0.0, factors * (values[table.next_states] - here[table.sources]))
            moved = np.add.reduceat(table.probs * away, table.indptr[:-1])
            lasting, farther = self._several[1] * here, np.add.reduceat(table.probs * np.abs(away), table.indptr[:-1])
            return self._gained(values, moved, lasting, self._absolute + farther)
        away = np.where(table.terminals, 0.0, values[table.next_states]) - here[table.sources]
        moved = self.g * np.add.reduceat(table.probs * away, table.indptr[:-1])
        lasting = (1.0 - self.g) * here
        size = self._absolute + self.g * np.add.reduceat(table.probs * np.abs(away), table.indptr[:-1])
        return self._gained(values, moved, lasting, size)

    def _gained(self, values: FloatArray, moved: FloatArray, lasting: FloatArray, size: FloatArray) -> Backup:
        table, size = self.table, size + np.abs(lasting)
        error = self._terms * EPS * size + np.where(size > 0.0, 4.0 * TINY, 0.0) + table.law_errors
        gain = table.expected_rewards + moved - lasting
        return Backup(gain, error + self.lost(float(np.abs(values).max())))

    def spread(self, errors: FloatArray) -> FloatArray:
        """(pairs,) g P e for errors e >= 0 of values, rounded up."""
        return np.asarray(self.onward(errors) * (1.0 + self._terms * EPS))

    def largest(self, values: FloatArray) -> FloatArray:
        """(S,) the largest of each state's pairs."""
        return np.asarray(np.maximum.reduceat(values, self.choices.indptr[:-1]))

    def first_best(self, values: FloatArray) -> IntArray:
        """(S,) the pair of the largest value of each state; the first of those that tie."""
        best = values == self.largest(values)[self.states]
        places = np.flatnonzero(best)
        _, first = np.unique(self.states[places], return_index=True)
        return np.asarray(places[first], dtype=np.int64)

    def actions(self, pairs: IntArray) -> IntArray:
        """(S,) the actions that one pair a state stands for."""
        return np.asarray(self.choices.actions[pairs], dtype=np.int64)
