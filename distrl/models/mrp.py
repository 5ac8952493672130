"""Markov reward processes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl._memory import check_memory
from distrl._validation import (
    BoolArray,
    FloatArray,
    refuse_other_order,
)
from distrl.models.arrays import rows_of_mrp
from distrl.models.choices import end_absorbing
from distrl.models.discount_arrays import rows_of_states
from distrl.models.discounts import said_discount, settled
from distrl.models.endings import refuse_endless, with_ends
from distrl.models.given import Matrices, Names, Rewards, TableLike
from distrl.models.labels import labels_of
from distrl.models.model import TabularModel
from distrl.models.outcomes import OutcomeTable, build_table
from distrl.models.reading import outcome_rows
from distrl.models.tables.export import ToFrame
from distrl.models.to_arrays import Arrays, dense_discount, terminal_sources, written


class MRP(TabularModel, ToFrame):
    """A Markov reward process: from state x an outcome (next state y, reward r, terminal) is drawn, and

        G(x) = r                      if the outcome is terminal,
        G(x) = r + discount * G(y)    otherwise.

    Parameters
    ----------
    P : (S, S) array or scipy.sparse
        Transition probabilities, rows sum to 1 within 1e-9 (what they lack is counted in certificates). Entries in
        [-1e-12, 0) are arithmetic's noise and count as 0. Or an `OutcomeTable`, see `from_table`.
    rewards : (S,) or (S, S) array or scipy.sparse, or a sequence of S numbers or laws
        Reward on leaving a state, or on each transition; a law is a `FiniteLaw` or a frozen `scipy.stats` law.
    discount : float in [0, 1], or (S,) or (S, S) array of such
        At 1 every state has to end surely, or be asked for a finite horizon: `check_ends` refuses it elsewhere. A class
        of states that is never left and never pays is an end then: the return from it is 0. An array gives each
        transition a factor of its own: what multiplies the return of the next state. A factor of 0 ends the return;
        where there are others, some outcome that ends or has a factor below 1 has to be reached from every state,
        likewise. None for a table with factors.
    terminal : (S,) mask, optional
        The return from these states is 0; moving into one ends the return after the move's reward. Their rows of `P`
        may be zero or a distribution and are not used; a reward there would be lost, so one that is not 0 is refused.
        Positions are not taken for a mask: `numpy.isin(numpy.arange(S), positions)`.
    initial : (S,) distribution, optional
        Law of the first state, used by summaries and trajectories.
    layout : (rows, columns), optional
        Shape of the map that the states make, row by row, for plots.
    normalise : bool
        Divide rows that do not sum to 1 by their sum, with a UserWarning that says which was furthest off, instead of
        refusing them.
    states : sequence of S names, optional
        They come back in tables, files and errors. Everywhere else a state is its position, 0..S-1.
    labels : {name: (S,) mask or positions}, optional
        Sets of states by name, such as "goal"; `mrp.reach("goal")` and files of model checkers use them.

    Attributes
    ----------
    outcomes : OutcomeTable
    discount : float
        Refused where outcomes have factors of their own: `discounts`, (n,), are those of the rows, `largest_discount`
        the largest of them.
    initial, layout
        As they were given.
    labels : StateLabels
        A mapping of names to (S,) masks, read-only; empty where none were given.
    states : sequence
        The names, or `range(S)`.

    Raises
    ------
    ValueError, TypeError
        Naming the state and the number.

    Notes
    -----
    Stored as outcome rows (`.outcomes`), never dense: memory O(S + number of outcomes).

    Examples
    --------
    >>> mrp = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> mrp.n_states
    2
    """

    #: Whether the probabilities are frequencies of samples: results are about the samples' own law then, and say so.
    sampled: bool = False

    def __init__(
        self,
        P: Matrices | OutcomeTable,
        rewards: Rewards | None,
        discount: ArrayLike | None,
        terminal: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        *,
        layout: tuple[int, int] | None = None,
        normalise: bool = False,
        states: Sequence[Hashable] | None = None,
        labels: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        for name, value in (("P", P), ("rewards", rewards), ("terminal", terminal), ("initial", initial)):
            refuse_other_order(value, name)
        if isinstance(P, OutcomeTable):
            refuse_beside_table(rewards=rewards, terminal=terminal)
            table, number = settled(P, discount)
            self.states = labels_of(states, "states", table.n_states)
        else:
            rows, n = rows_of_mrp(P, rewards, terminal)
            rows, number = rows_of_states(rows, discount, n)
            self.states = labels_of(states, "states", n)
            describe = names_of(self.states)
            table = build_table(rows, n_sources=n, n_states=n, describe=describe, normalise=normalise)
            table, number = settled(table, number)
        self.outcomes = table
        self.describe_states(initial, layout, labels)
        self.settle(table, number)

    @staticmethod
    def from_table(
        table: OutcomeTable,
        discount: float | None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
        *,
        states: Sequence[Hashable] | None = None,
        labels: Mapping[str, ArrayLike] | None = None,
    ) -> MRP:
        """The MRP of a table whose sources are the states.

        Parameters
        ----------
        table : OutcomeTable
            Taken as it is, unchecked; `build_table` makes and checks one.
        discount, initial, layout, states, labels
            As for `MRP`.
        """
        return MRP(table, None, discount, initial=initial, layout=layout, states=states, labels=labels)

    @staticmethod
    def from_outcomes(
        rows: TableLike,
        discount: float | None,
        columns: Mapping[str, str | None] | None = None,
        absorbing: str | None = None,
        normalise: bool = False,
        *,
        states: Names = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> MRP:
        """From rows of (state, probability, next_state, reward, terminal); `reward` may be a law.

        Parameters
        ----------
        rows, discount, columns, absorbing, normalise, states, initial, layout
            As for `MDP.from_outcomes`.

        Returns
        -------
        MRP
            Time O(n log n), memory O(n) in the number of rows.

        Raises
        ------
        ValueError, TypeError
            Naming the row, the column (with those there are), or the state.
        """
        names = ("state", "probability", "next_state", "reward", "terminal")
        ids, read, choices, number = outcome_rows(rows, names, columns, states, discount=discount)
        n, describe = len(ids.states), names_of(ids.states)
        table = build_table(read, n_sources=n, n_states=n, describe=describe, normalise=normalise)
        table = end_absorbing(table, absorbing, number, choices.states, describe)
        return MRP.from_table(table, number, initial, layout, states=ids.states)

    def settle(self, table: OutcomeTable, discount: float | None) -> None:
        """Keep the table and the discount; at discount 1 closed classes of reward 0 become ends: see `with_ends`."""
        super().settle(table, discount)
        if discount == 1.0:
            self.outcomes = with_ends(table, self.states)

    def check_ends(self) -> None:
        """Refuse returns that need not end: whatever is asked of returns without a horizon asks this first.

        Raises
        ------
        ValueError
            At discount 1, naming the states that never end and pay; where discounts differ by outcome, a state from
            which none is reached that ends or has one below 1.
        """
        refuse_endless(self, self.states, self.initial)

    def __repr__(self) -> str:
        table = self.outcomes
        return f"MRP(states={self.n_states}, outcomes={len(table.probs)}, discount={said_discount(self)})"

    def whole(self) -> Self:
        """The model with rows that sum to 1 to rounding; itself where they do."""
        table = self.outcomes.whole
        if table is self.outcomes:
            return self
        model = copy(self)
        model.outcomes = table
        return model

    @property
    def continuation(self) -> sparse.csr_array:
        """(S, S) sparse probabilities of going on: P without the terminal outcomes."""
        return self.outcomes.continuation

    @property
    def expected_rewards(self) -> FloatArray:
        """(S,) mean one-step rewards."""
        return self.outcomes.expected_rewards

    @property
    def terminal(self) -> BoolArray:
        """(S,) mask of the states whose return is surely 0 (a lone terminal outcome of reward 0)."""
        return terminal_sources(self.outcomes)

    def to_sparse(self) -> Arrays[sparse.csr_array]:
        """(P, R, terminal) with CSR arrays: the arguments that build this model.

        Raises
        ------
        ValueError
            If the model does not fit them, naming the place: several rewards or a law on one transition; an outcome
            that ends in a state whose own return is not 0; where discounts differ, several of them on one transition.

        Notes
        -----
        `.discount` is the number, or the outcomes' own discounts as an array: (S,) where the state says them, else
        (S, S), in which 0 stands for an end, so that outcomes may end anywhere.
        """
        known = self.outcomes, self.uniform_discount, self.terminal, np.arange(self.n_states)
        made = written(*known, names_of(self.states), self.states)
        return Arrays(*made[:3], dense_discount(made.discount, self.n_states))

    def to_arrays(self) -> Arrays[FloatArray]:
        """As `to_dense`; of arrays `a`, `from_arrays(a.P, a.R, a.discount, terminal=a.terminal)` is the model again."""
        check_memory(self.n_states, self.n_states, 4.0, "take to_sparse() instead")
        return self.to_dense()

    def to_dense(self) -> Arrays[FloatArray]:
        """(P, R, terminal) as arrays of shape (S, S), (S, S), (S,); see `to_sparse`. Memory O(S^2)."""
        given = self.to_sparse()
        return Arrays(given.P.toarray(), given.R.toarray(), given.terminal, given.discount)


def names_of(states: Sequence[Hashable]) -> Callable[[int], str]:
    """What names a row of an MRP's table in errors."""
    return lambda source: f"state {states[source]!r}"


def refuse_beside_table(**given: object) -> None:
    """An `OutcomeTable` knows its rewards and its ends."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"an OutcomeTable says what happens and what is paid; leave {name} out (None)")
