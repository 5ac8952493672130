"""Markov decision processes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    refuse_other_order,
)
from distrl.models.arrays import rows_of_mdp
from distrl.models.choices import Choices, end_absorbing
from distrl.models.discount_arrays import rows_of_pairs
from distrl.models.discounts import said_discount, settled
from distrl.models.exports import Exports
from distrl.models.given import Matrices, Names, Rewards, TableLike
from distrl.models.labels import labels_of
from distrl.models.mrp import MRP, refuse_beside_table
from distrl.models.outcomes import OutcomeTable, build_table
from distrl.models.policies import Policy, mixed_table, policy_matrix
from distrl.models.reading import outcome_rows
from distrl.models.tables.export import ToFrame, named_column


class MDP(Exports, ToFrame):
    """A Markov decision process with S states and A actions, of which each state has all or some.

    Parameters
    ----------
    P : (A, S, S) array, or list of A matrices (S, S), dense or scipy.sparse
        Transition probabilities, rows sum to 1 within 1e-9. Or an `OutcomeTable`, see `from_table`.
    rewards : (S,) | (S, A) | (A, S, S) numbers, list of A sparse (S, S), or laws nested [state] or [state][action]
    discount : float in [0, 1], or (S,) | (S, A) | (A, S, S) array of such
        1 is accepted; whether the return ends surely is checked for the policy. An array: as for `MRP`.
    axes : "ass", "sas" or None
        Order of the axes of arrays with three: (action, state, next state) or (state, action, next state), for `P` and
        `rewards` alike. None: "ass", save that an array (n, n, n), in which it cannot be told which comes first, is
        refused. A list holds one matrix for each action and needs no `axes`.
    available : (S, A) mask, optional
        Which actions each state has; None: all. The rows of `P` of the others may be zero or a distribution and are
        not used. Every state needs an action; a terminal state of which none is marked has all.
    states, actions : sequences of S and A names, optional
        They come back in tables, files and errors, and a policy may be given by them. Everywhere else states and
        actions are their positions.
    terminal, initial, layout, normalise, labels
        As for `MRP`.

    Attributes
    ----------
    outcomes : OutcomeTable
        Its sources are the available (state, action) pairs, state by state: see `pairs` and `indptr`. Where every
        state has every action, (state, action) is source `state * A + action`.
    choices : Choices, the pairs
    states, actions : sequences, the names, or `range(S)` and `range(A)`

    Raises
    ------
    ValueError, TypeError
        Naming the state, the action and the number.

    Notes
    -----
    Stored as outcome rows, never dense. Evaluate by `distrl.evaluate(mdp, method, policy=...)` or `mdp.under(policy)`.

    Examples
    --------
    >>> rows = [(0, 0, 1.0, 1, 5.0, False), (1, 0, 1.0, 1, 0.0, True), (1, 1, 1.0, 0, -1.0, False)]
    >>> MDP.from_outcomes(rows, discount=0.9).available
    array([[ True, False],
           [ True,  True]])
    """

    def __init__(
        self,
        P: Matrices | OutcomeTable,
        rewards: Rewards | None,
        discount: ArrayLike | None,
        terminal: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        *,
        layout: tuple[int, int] | None = None,
        axes: str | None = None,
        normalise: bool = False,
        available: Choices | ArrayLike | None = None,
        states: Sequence[Hashable] | None = None,
        actions: Sequence[Hashable] | None = None,
        labels: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        refuse_other_order(terminal, "terminal")
        refuse_other_order(initial, "initial")
        table = P if isinstance(P, OutcomeTable) else None
        if table is not None:
            refuse_beside_table(rewards=rewards, terminal=terminal)
            table, number = settled(table, discount)
            self.choices = Choices.of_sources(table.n_sources, table.n_states, available)
        else:
            rows, self.choices = rows_of_mdp(P, rewards, terminal, axes, available)
            rows, number = rows_of_pairs(rows, discount, self.choices, axes)
        n, pairs = self.choices.n_states, len(self.choices.actions)
        self.states = labels_of(states, "states", n)
        self.actions = labels_of(actions, "actions", self.choices.n_actions)
        if table is None:
            named = self.choices.described(self.states, self.actions)
            table = build_table(rows, n_sources=pairs, n_states=n, describe=named, normalise=normalise)
            table, number = settled(table, number)
        self.settle(table, number)
        self.describe_states(initial, layout, labels)

    @staticmethod
    def from_table(
        table: OutcomeTable,
        discount: float | None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
        *,
        available: Choices | ArrayLike | None = None,
        states: Sequence[Hashable] | None = None,
        actions: Sequence[Hashable] | None = None,
        labels: Mapping[str, ArrayLike] | None = None,
    ) -> MDP:
        """The MDP of a table whose sources are the available pairs.

        Parameters
        ----------
        table : OutcomeTable
            Taken as it is, unchecked; `build_table` makes and checks one.
        available : (S, A) mask or Choices, optional
            The pairs; None: every state has every action.
        discount, initial, layout, states, actions, labels
            As for `MDP`.
        """
        named: dict[str, Any] = {"available": available, "states": states, "actions": actions, "labels": labels}
        return MDP(table, None, discount, initial=initial, layout=layout, **named)

    @staticmethod
    def from_outcomes(
        rows: TableLike,
        discount: float | None,
        columns: Mapping[str, str | None] | None = None,
        absorbing: str | None = None,
        normalise: bool | None = False,
        *,
        states: Names = None,
        actions: Names = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> MDP:
        """From rows of (state, action, probability, next_state, reward, terminal).

        Parameters
        ----------
        rows : sequence of tuples, (n, 6) array, or a table whose columns have names
            A data frame, a mapping of columns, a sequence of mappings or of named tuples, or a structured array has
            names and is read by them: ours, or prob, new_state, done, idstatefrom and others; anything else is read by
            position. `distrl.models.reading` says what may stand in each column. Repeated rows of one (state, action,
            next state) add up; an action without rows in a state is not available there, and every state needs one
            that is; a terminal outcome ends the return after its reward.
        discount : float in [0, 1], or None: each row's own, in a column `discount`, by position the last
        columns : {our name: theirs}, optional
            For columns with other names. {"terminal": None}: there is no such column, and no outcome ends the return;
            this is also what a table without such a column means that has no further columns.
        absorbing : "end", "keep" or None
            What becomes of a state whose every outcome is a loop of reward 0. end: it is terminal, and a move into it
            ends the return after the move's reward; keep: it loops. The law of the return is the same. None: "end" at
            discount 1, where a return has to end, else "keep".
        normalise : bool
            Divide rows that do not sum to 1 by their sum, with a UserWarning that names the worst; else refuse them.
        states, actions : int or sequence of names, optional
            Their numbers; by default one more than the largest index in sight. Or their names, by position; by default
            in the order in which they come, numbers in theirs.
        initial, layout
            As for `MRP`.

        Returns
        -------
        MDP
            Time O(n log n), memory O(n) in the number of rows.

        Raises
        ------
        ValueError, TypeError
            Naming the row, the column (with those there are), or the state and action.
        """
        names = ("state", "action", "probability", "next_state", "reward", "terminal")
        ids, read, choices, number = outcome_rows(rows, names, columns, states, actions, discount=discount)
        describe = choices.described(ids.states, ids.actions)
        n, pairs = choices.n_states, len(choices.actions)
        table = build_table(read, n_sources=pairs, n_states=n, describe=describe, normalise=normalise)
        table = end_absorbing(table, absorbing, number, choices.states, describe)
        named: dict[str, Any] = {"available": choices, "states": ids.states, "actions": ids.actions}
        return MDP.from_table(table, number, initial, layout, **named)

    def __repr__(self) -> str:
        rows, numbers = len(self.outcomes.probs), self.choices.numbers
        actions = f"{self.n_actions}" if self.choices.even else f"{numbers.min()} to {numbers.max()}"
        return f"MDP(states={self.n_states}, actions={actions}, outcomes={rows}, discount={said_discount(self)})"

    @property
    def n_actions(self) -> int:
        """Number of actions A; a state may have fewer, see `available`."""
        return self.choices.n_actions

    @property
    def available(self) -> BoolArray:
        """(S, A) mask of the actions that each state has."""
        return self.choices.available

    @property
    def pairs(self) -> IntArray:
        """(pairs, 2) the (state, action) of every source of `outcomes`."""
        return np.stack([self.choices.states, self.choices.actions], axis=1)

    @property
    def indptr(self) -> IntArray:
        """(S + 1,) pairs `indptr[s]:indptr[s + 1]` are those of state s."""
        return self.choices.indptr

    @property
    def state_rows(self) -> IntArray:
        """(S + 1,) rows `state_rows[s]:state_rows[s + 1]` of `outcomes` are those of state s."""
        return self.outcomes.indptr[self.choices.indptr]

    @property
    def expected_rewards(self) -> FloatArray:
        """(S, A) mean one-step rewards, NaN where an action is not available."""
        return np.asarray(self.choices.matrix(self.outcomes.expected_rewards, np.nan))

    def policy_matrix(self, policy: Policy) -> FloatArray:
        """`policy` as an (S, A) matrix of action probabilities.

        Parameters
        ----------
        policy : (S,) ints, (S, A) probabilities, "uniform", or by name {state: action or {action: probability}}
            "uniform" is uniform over the actions that a state has.

        Raises
        ------
        ValueError, TypeError
            If it is not a policy of this MDP, naming the state, and the action where that is not available there.
        """
        return policy_matrix(policy, self.choices, self.states, self.actions)

    def pair_weights(self, policy: Policy) -> FloatArray:
        """(pairs,) the probability that `policy` takes the pair's action in its state; otherwise as `policy_matrix`."""
        return self.choices.values(self.policy_matrix(policy))

    def under(self, policy: Policy) -> MRP:
        """The MRP that follows `policy`: (S,) ints, (S, A) probabilities, "uniform", or by name.

        Time and memory O(number of outcomes).

        Raises
        ------
        ValueError, TypeError
            If it is not a policy, or at discount 1 if it need not end (naming a state from which it does not).
        """
        mixed = mixed_table(self.outcomes, self.policy_matrix(policy), self.choices, self.states)
        known: dict[str, Any] = {"states": self.states, "labels": self.labels}
        process = MRP.from_table(mixed, self.uniform_discount, self.initial, self.layout, **known)
        process.check_ends()
        return process

    def _source_columns(self) -> dict[str, Any]:
        state, action = self.pairs[self.outcomes.sources].T
        return {"state": named_column(self.states, state), "action": named_column(self.actions, action)}
