"""Rewards as arrays, matrices or nested laws in, one reward for each outcome out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray, float_array
from distrl.models.given import Rewards
from distrl.models.laws import Law, is_law
from distrl.models.reading import split_laws


def holds_laws(rewards: object) -> bool:
    """Whether a nested sequence has anything in it that looks like a law."""
    if sparse.issparse(rewards) or isinstance(rewards, str | bytes):
        return False
    if is_law(rewards):
        return True
    if isinstance(rewards, np.ndarray) and rewards.dtype != object:
        return False
    return isinstance(rewards, Sequence | np.ndarray) and any(holds_laws(entry) for entry in rewards)


def rewards_of_states(
    given: Rewards, states: IntArray, actions: IntArray, successors: IntArray, n: int, n_actions: int
) -> tuple[FloatArray, IntArray, list[Law]]:
    """Reward, law index and the laws, for the rows (states[i], successors[i]) of an MRP."""
    rewards: Any = given
    constant = np.full(len(states), -1)
    if sparse.issparse(rewards):
        return _sparse_entries(rewards, "rewards", n, states, successors), constant, []
    if holds_laws(rewards):
        if is_law(rewards) or len(rewards) != n:
            count = "one law" if not hasattr(rewards, "__len__") else f"{len(rewards)} entries"
            raise ValueError(f"rewards must hold a number or a law for each of the {n} states, got {count}")
        values, index, laws = split_laws(rewards, "rewards")
        return values[states], index[states], laws
    array = float_array(rewards, "rewards", ndim=(1, 2))
    if array.shape == (n,):
        return array[states], constant, []
    if array.shape == (n, n):
        return array[states, successors], constant, []
    raise ValueError(f"rewards must have shape ({n},) or ({n}, {n}), got {array.shape}")


def rewards_of_pairs(
    given: Rewards, states: IntArray, actions: IntArray, successors: IntArray, n: int, n_actions: int
) -> tuple[FloatArray, IntArray, list[Law]]:
    """Reward, law index and the laws, for the rows (states[i], actions[i], successors[i]) of an MDP."""
    rewards: Any = given
    constant = np.full(len(states), -1)
    shapes = f"({n},), ({n}, {n_actions}) or ({n_actions}, {n}, {n})"
    if sparse.issparse(rewards) or (isinstance(rewards, Sequence) and any(sparse.issparse(m) for m in rewards)):
        if sparse.issparse(rewards) or len(rewards) != n_actions or not all(sparse.issparse(m) for m in rewards):
            raise ValueError(f"sparse rewards must be a list of {n_actions} matrices, one for each action")
        values = np.zeros(len(states))
        for a, matrix in enumerate(rewards):
            rows = actions == a
            values[rows] = _sparse_entries(matrix, f"rewards[{a}]", n, states[rows], successors[rows])
        return values, constant, []
    if holds_laws(rewards):
        return _laws_of_pairs(rewards, states * n_actions + actions, n, n_actions)
    array = float_array(rewards, "rewards", ndim=(1, 2, 3))
    if array.shape == (n,):
        return array[states], constant, []
    if array.shape == (n, n_actions):
        return array[states, actions], constant, []
    if array.shape == (n_actions, n, n):
        return array[actions, states, successors], constant, []
    raise ValueError(f"rewards must have shape {shapes}, got {array.shape}")


def _laws_of_pairs(rewards: Any, pairs: IntArray, n: int, n_actions: int) -> tuple[FloatArray, IntArray, list[Law]]:
    """Of laws nested [state] or [state][action], those of each `state * n_actions + action`."""
    if is_law(rewards) or len(rewards) != n:
        raise ValueError(f"rewards with laws must be nested [state] or [state][action] with {n} states")
    per_pair: list[Any] = []
    for s, entry in enumerate(rewards):
        if isinstance(entry, Sequence | np.ndarray):
            if len(entry) != n_actions:
                raise ValueError(f"rewards[{s}] holds {len(entry)} entries, one for each of {n_actions} actions needed")
            per_pair.extend(entry)
        else:
            per_pair.extend([entry] * n_actions)
    values, index, laws = split_laws(per_pair, "rewards (state * actions + action)")
    return values[pairs], index[pairs], laws


def _sparse_entries(matrix: Any, name: str, n: int, rows: IntArray, columns: IntArray) -> FloatArray:
    """Entries of an (n, n) sparse reward matrix at (rows, columns); what is not stored is 0."""
    if matrix.shape != (n, n):
        raise ValueError(f"{name} must have shape ({n}, {n}), got {matrix.shape}")
    coo = sparse.coo_array(matrix)
    data = float_array(coo.data, f"{name}.data", ndim=1)  # duplicates add up, which small integers may not hold
    csr = sparse.csr_array((data, (coo.row, coo.col)), shape=(n, n))
    if not len(rows):
        return np.empty(0)  # SciPy answers an empty selection with a sparse array
    return np.asarray(csr[rows, columns], dtype=np.float64).reshape(-1)
