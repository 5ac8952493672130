"""What `T:` statements say, as the outcomes of every state and action."""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._validation import FloatArray, IntArray

#: In place of a number: every action, every state.
ALL = -1
#: Rows that are not written out: nothing was said, the state itself.
_NOTHING, _IDENTITY = -1, -2
_MEND = "the model has more transitions than fit into memory"


class Transitions(NamedTuple):
    """The outcomes with probabilities that are not 0, by action * S + state and next state, both ascending.

    `statements` is the last statement that said something of each of the A * S pairs, -1 if none did.
    """

    pairs: IntArray
    successors: IntArray
    probs: FloatArray
    statements: IntArray


class TransitionStatements:
    """`T:` statements in their order. A row says all of a (state, action), what is said later of one cell of it holds.

    Rows are kept without their zeros, and what a statement says of many pairs at once is kept once.
    """

    def __init__(self, states: int, actions: int) -> None:
        check_memory(states, actions, 4.0, "look at the numbers of states and actions")
        self._states = states
        self._row = np.full((actions, states), _NOTHING)
        self._said = np.full((actions, states), -1)
        self._ends, self._columns, self._values = array("q", [0]), array("q"), array("d")
        self._cells = tuple(array("q") for _ in range(4))  # action, state, next state, statement
        self._shares = array("d")

    def cell(self, action: int, state: int, successor: int, share: float, statement: int) -> None:
        """One probability, of some or `ALL` actions and states."""
        if successor == ALL:
            self.row(action, state, np.full(self._states, share), statement)
            return
        for column, entry in zip(self._cells, (action, state, successor, statement), strict=True):
            column.append(entry)
        self._shares.append(share)

    def row(self, action: int, state: int, shares: FloatArray, statement: int) -> None:
        """All probabilities, of some or `ALL` actions and states."""
        columns = np.flatnonzero(shares)
        self._columns.frombytes(columns.astype(np.int64).tobytes())
        self._values.frombytes(shares[columns].astype(np.float64).tobytes())
        self._ends.append(len(self._columns))
        self._set(action, state, len(self._ends) - 2, statement)

    def identity(self, action: int, statement: int) -> None:
        """Every state stays where it is."""
        self._set(action, ALL, _IDENTITY, statement)

    def _set(self, action: int, state: int, row: int, statement: int) -> None:
        actions = slice(None) if action == ALL else action
        states = slice(None) if state == ALL else state
        self._row[actions, states] = row
        self._said[actions, states] = statement

    def outcomes(self) -> Transitions:
        """The outcomes, when all statements have been read. Time O(n log n) in their number."""
        n, rows, said = self._states, self._row.ravel(), self._said.ravel()
        ends = np.array(self._ends)
        counts = np.zeros(len(rows), dtype=np.int64)
        written, stays = rows >= 0, np.flatnonzero(rows == _IDENTITY)
        counts[written] = np.diff(ends)[rows[written]]
        total = int(counts.sum())
        check_memory(total + len(stays), 1, 8.0, _MEND)
        pairs = np.repeat(np.arange(len(rows)), counts)
        first = np.zeros(len(rows), dtype=np.int64)
        first[written] = ends[rows[written]]
        place = np.arange(total) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        cells = self._expanded()
        latest = said.copy()
        np.maximum.at(latest, cells.pairs, cells.statements)
        every = Transitions(
            np.concatenate([pairs, stays, cells.pairs]),
            np.concatenate([np.array(self._columns)[place], stays % n, cells.successors]),
            np.concatenate([np.array(self._values)[place], np.ones(len(stays)), cells.probs]),
            np.concatenate([said[pairs], said[stays], cells.statements]),
        )
        order = np.lexsort((every.statements, every.successors, every.pairs))
        pairs, successors, probs = every.pairs[order], every.successors[order], every.probs[order]
        last = np.ones(len(order), dtype=np.bool_)
        last[:-1] = (pairs[1:] != pairs[:-1]) | (successors[1:] != successors[:-1])
        kept = last & (probs != 0.0)
        return Transitions(pairs[kept], successors[kept], probs[kept], latest)

    def _expanded(self) -> Transitions:
        """The cells, one for each pair that they are about, but for those that a later row has overruled."""
        n, n_actions = self._states, len(self._row)
        action, state, successor, statement = (np.array(column, dtype=np.int64) for column in self._cells)
        times = np.where(action == ALL, n_actions, 1) * np.where(state == ALL, n, 1)
        check_memory(int(times.sum()), 1, 8.0, _MEND)
        copy = np.repeat(np.arange(len(action)), times)
        within = np.arange(len(copy)) - np.repeat(np.cumsum(times) - times, times)
        states = np.where(state[copy] == ALL, within % n, state[copy])
        inner = np.where(state[copy] == ALL, n, 1)
        actions = np.where(action[copy] == ALL, within // inner, action[copy])
        pairs = actions * n + states
        valid = statement[copy] > self._said.ravel()[pairs]
        copy, pairs = copy[valid], pairs[valid]
        return Transitions(pairs, successor[copy], np.array(self._shares)[copy], statement[copy])
