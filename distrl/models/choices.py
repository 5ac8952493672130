"""Which actions each state of a decision process has: the sources of its outcome table are (state, action) pairs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distrl._lazy import sparse
from distrl._validation import BoolArray, FloatArray, IntArray, bool_array
from distrl.models.outcomes import OutcomeTable, build_table

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Choices:
    """The (state, action) pairs that are available, state by state: those of s are `indptr[s]:indptr[s + 1]`.

    Where every action is available everywhere, pair `state * n_actions + action` is (state, action).

    Attributes
    ----------
    n_actions : int
    indptr : (S + 1,) int
    actions : (pairs,) int
        The action of each pair; ascending within a state.
    """

    n_actions: int
    indptr: IntArray
    actions: IntArray

    @classmethod
    def full(cls, n_states: int, n_actions: int) -> Choices:
        """Every action in every state."""
        return cls(n_actions, n_actions * np.arange(n_states + 1), np.tile(np.arange(n_actions), n_states))

    @classmethod
    def of_keys(cls, keys: IntArray, n_states: int, n_actions: int) -> Choices:
        """The pairs `state * n_actions + action`, in any order and any number of times."""
        size = n_states * n_actions
        if size <= 4 * len(keys):  # a mark for each pair is cheaper than a sort of the keys
            marks = np.zeros(size, dtype=np.bool_)
            marks[keys] = True
            distinct = np.flatnonzero(marks)
        else:
            distinct = np.unique(keys)
        indptr = np.searchsorted(distinct // n_actions, np.arange(n_states + 1))
        return cls(n_actions, indptr.astype(np.int64), distinct % n_actions)

    @classmethod
    def where(cls, available: BoolArray) -> Choices:
        """The pairs that an (S, A) mask marks."""
        return cls.of_keys(np.flatnonzero(available), *available.shape)

    @classmethod
    def of_sources(cls, n_sources: int, n_states: int, available: Choices | ArrayLike | None) -> Choices:
        """The sources of a table: all pairs if `available` is None, else those of a mask, or as they are given."""
        if available is None:
            return cls.full(n_states, n_sources // n_states)
        return (
            available if isinstance(available, Choices) else cls.where(available_mask(available, np.shape(available)))
        )

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return len(self.indptr) - 1

    @property
    def full_size(self) -> int:
        """Number of pairs if all were available: S * A."""
        return self.n_states * self.n_actions

    @property
    def even(self) -> bool:
        """Whether every action is available in every state."""
        return len(self.actions) == self.full_size

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array with one entry a pair: (S, A) where every action is available, else (pairs,)."""
        return (self.n_states, self.n_actions) if self.even else (len(self.actions),)

    @property
    def numbers(self) -> IntArray:
        """(S,) number of actions of each state."""
        return np.diff(self.indptr)

    @cached_property
    def states(self) -> IntArray:
        """(pairs,) the state of each pair."""
        return np.repeat(np.arange(self.n_states), self.numbers)

    @cached_property
    def available(self) -> BoolArray:
        """(S, A) mask of the pairs."""
        mask = np.zeros((self.n_states, self.n_actions), dtype=np.bool_)
        mask[self.states, self.actions] = True
        return mask

    def sources(self, states: IntArray, actions: IntArray) -> IntArray:
        """The pair of each (states[i], actions[i]), which have to be available."""
        keys = states * self.n_actions + actions
        if self.even:
            return keys
        own = self.states * self.n_actions + self.actions
        if self.full_size <= 4 * len(keys):
            places = np.zeros(self.full_size, dtype=np.int64)
            places[own] = np.arange(len(own))
            return np.asarray(places[keys])
        return np.searchsorted(own, keys).astype(np.int64)

    def matrix(self, values: NDArray[T], fill: float) -> NDArray[T]:
        """One value a pair as an (S, A) matrix, `fill` where an action is not available."""
        if self.even:
            return values.reshape(self.n_states, self.n_actions)
        filled = np.full((self.n_states, self.n_actions), fill, dtype=values.dtype)
        filled[self.states, self.actions] = values
        return filled

    def values(self, matrix: FloatArray) -> FloatArray:
        """The entries of an (S, A) matrix, one a pair."""
        return matrix.ravel() if self.even else matrix[self.states, self.actions]

    def of_action(self, action: int, matrix: sparse.csr_array) -> sparse.csr_array:
        """The rows of one action from a matrix with a row for each pair: (S, columns), zero where it is missing."""
        if self.even:
            return matrix[action :: self.n_actions]
        pairs = np.flatnonzero(self.actions == action)
        where = (np.ones(len(pairs)), (self.states[pairs], pairs))
        return sparse.csr_array(where, shape=(self.n_states, len(self.actions))) @ matrix

    def described(self, states: Sequence[Hashable], actions: Sequence[Hashable]) -> Callable[[int], str]:
        """What names a pair in errors, from the names of states and actions."""
        return lambda pair: f"state {states[self.states[pair]]!r}, action {actions[self.actions[pair]]!r}"


def available_mask(available: ArrayLike, shape: tuple[int, ...]) -> BoolArray:
    """`available` as an (S, A) mask."""
    array = np.asarray(available)
    if array.shape != shape:
        raise ValueError(f"available must be a mask of shape {shape}, got shape {array.shape}")
    return bool_array(array.ravel(), "available", array.size).reshape(shape)


def end_absorbing(
    table: OutcomeTable, choice: str | None, discount: float | None, states: IntArray, describe: Callable[[int], str]
) -> OutcomeTable:
    """`table`, with returns that end in its absorbing states: those whose every row is a loop of reward 0.

    Parameters
    ----------
    choice : "end", "keep" or None
        end: such a state is terminal, as in `MRP(terminal=mask)`: a move into it ends the return after the move's
        reward. keep: it loops. The law of the return is the same. None: "end" at discount 1, where a return has to
        end, else "keep".
    states : (sources,) the state of each source
    """
    if choice not in ("end", "keep", None):
        raise ValueError(f"absorbing must be 'end', 'keep' or None, got {choice!r}")
    largest = discount if table.discounts is None else float(table.discounts.max())
    if choice == "keep" or (choice is None and largest != 1.0):
        return table
    here = states[table.sources]
    loop = (table.next_states == here) & (table.rewards == 0.0) & (table.laws == -1) & ~table.terminals
    absorbing = np.bincount(here, weights=~loop, minlength=table.n_states) == 0
    ended = table.rows._replace(terminals=table.terminals | absorbing[table.next_states])
    return build_table(ended, n_sources=table.n_sources, n_states=table.n_states, describe=describe)
