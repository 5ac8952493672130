"""What `R:` statements say, as one reward for each outcome."""

from __future__ import annotations

from array import array
from itertools import product

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.models.cassandra.transitions import ALL


class RewardStatements:
    """`R:` statements in their order, as they are written: nothing is spread over states until it is asked for."""

    def __init__(self, states: int, actions: int) -> None:
        if actions * states * states >= 2**62:
            raise ValueError(f"{states} states and {actions} actions are more than can be numbered")
        self._states = states
        self._cells = tuple(array("q") for _ in range(4))  # action, state, next state, statement
        self._paid = array("d")
        self._rows = tuple(array("q") for _ in range(4))  # action, state, where its numbers begin, statement
        self._numbers = array("d")

    def cell(self, action: int, state: int, successor: int, reward: float, statement: int) -> None:
        """One reward, of some or `ALL` actions, states and next states."""
        for column, entry in zip(self._cells, (action, state, successor, statement), strict=True):
            column.append(entry)
        self._paid.append(reward)

    def row(self, action: int, state: int, rewards: array[float], statement: int) -> None:
        """A reward for each next state, of some or `ALL` actions and states."""
        for column, entry in zip(self._rows, (action, state, len(self._numbers), statement), strict=True):
            column.append(entry)
        self._numbers.extend(rewards)

    def of(self, actions: IntArray, states: IntArray, successors: IntArray) -> FloatArray:
        """The reward of each outcome: what the last statement about it says, 0 without one.

        Statements with a `*` in the same places are looked up together: time O((m + n) log m) for m statements.
        """
        rewards, latest = np.zeros(len(actions)), np.full(len(actions), -1)
        n = self._states
        asked = (actions, states, successors)
        cells = [np.array(column, dtype=np.int64) for column in self._cells]
        paid = np.array(self._paid)
        for named in product((True, False), repeat=3):
            chosen = _with_pattern(cells[:3], named)
            if chosen.size:
                keys = _keys([column[chosen] for column in cells[:3]], named, n)
                found, place = _last(keys, cells[3][chosen], _keys(asked, named, n), latest)
                rewards[found] = paid[chosen[place]]
                latest[found] = cells[3][chosen[place]]
        rows = [np.array(column, dtype=np.int64) for column in self._rows]
        numbers = np.array(self._numbers)
        for named in product((True, False), repeat=2):
            chosen = _with_pattern(rows[:2], named)
            if chosen.size:
                keys = _keys([column[chosen] for column in rows[:2]], named, n)
                found, place = _last(keys, rows[3][chosen], _keys(asked[:2], named, n), latest)
                rewards[found] = numbers[rows[2][chosen[place]] + successors[found]]
                latest[found] = rows[3][chosen[place]]
        return rewards


def _with_pattern(columns: list[IntArray], named: tuple[bool, ...]) -> IntArray:
    """The statements that name something in these places, and have a `*` in the others."""
    fits = np.ones(len(columns[0]), dtype=np.bool_)
    for column, name in zip(columns, named, strict=True):
        fits &= (column != ALL) == name
    return np.flatnonzero(fits)


def _keys(columns: tuple[IntArray, ...] | list[IntArray], named: tuple[bool, ...], n: int) -> IntArray:
    """One number for the entries that are named."""
    keys = np.zeros(len(columns[0]), dtype=np.int64)
    for column, name in zip(columns, named, strict=True):
        keys = keys * n + (column if name else 0)
    return keys


def _last(keys: IntArray, statements: IntArray, asked: IntArray, latest: IntArray) -> tuple[IntArray, IntArray]:
    """(which were `asked` for, the statement about each): the last with its key, if later than `latest`."""
    order = np.lexsort((statements, keys))
    ordered = keys[order]
    place = np.searchsorted(ordered, asked, side="right") - 1
    hit = (place >= 0) & (ordered[place] == asked)
    found = np.flatnonzero(hit)
    at = order[place[found]]
    later = statements[at] > latest[found]
    return found[later], at[later]
