"""Transition matrices and rewards in, rows of outcomes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    bool_array,
    float_array,
    refuse_other_order,
    without_noise,
)
from distrl.models.choices import Choices, available_mask
from distrl.models.given import Matrices, Rewards
from distrl.models.laws import Law
from distrl.models.outcomes import Rows
from distrl.models.reward_arrays import holds_laws, rewards_of_pairs, rewards_of_states


class _Entries(NamedTuple):
    """The non-zero entries of transition matrices, and the numbers of states and of actions, 1 for an MRP."""

    states: IntArray
    actions: IntArray
    successors: IntArray
    probs: FloatArray
    n_states: int
    n_actions: int


def rows_of_mrp(P: Matrices, rewards: Rewards, terminal: ArrayLike | None) -> tuple[Rows, int]:
    """The outcome rows that `MRP(P, rewards, terminal=)` says, and the number of states."""
    states, successors, probs, n = _transitions(P, "P")
    entries = _Entries(states, np.zeros_like(states), successors, probs, n, 1)
    return _rows(entries, rewards, terminal, Choices.full(n, 1), of_actions=False), n


def rows_of_mdp(
    P: Matrices, rewards: Rewards, terminal: ArrayLike | None, axes: str | None, available: Choices | ArrayLike | None
) -> tuple[Rows, Choices]:
    """The outcome rows that `MDP(P, rewards, terminal=, axes=, available=)` says; their sources are the pairs."""
    check_axes(axes)
    entries = _transition_stack(actions_first(P, "P", axes))
    shape = (entries.n_states, entries.n_actions)
    choices = Choices.full(*shape) if available is None else _choices(available, shape, terminal)
    return _rows(entries, actions_first(rewards, "rewards", axes), terminal, choices, of_actions=True), choices


def check_axes(axes: str | None) -> None:
    """Refuse what is no order of the axes of arrays with three."""
    if axes not in ("ass", "sas", None):
        raise ValueError(f"axes must be 'ass', 'sas' or None, got {axes!r}")


def _choices(available: Choices | ArrayLike, shape: tuple[int, int], terminal: ArrayLike | None) -> Choices:
    """The pairs of a mask; a terminal state of which it marks no action has all."""
    mask = available_mask(available.available if isinstance(available, Choices) else available, shape)
    if terminal is not None:
        ends = bool_array(terminal, "terminal", shape[0])
        mask[ends & ~mask.any(axis=1)] = True
    without = ~mask.any(axis=1)
    if without.any():
        raise ValueError(
            f"available[{int(np.argmax(without))}] marks no action; every state needs one: a loop with reward 0, or "
            "mark the state as terminal"
        )
    return Choices.where(mask)


def _rows(entries: _Entries, rewards: Any, terminal: Any, choices: Choices, *, of_actions: bool) -> Rows:
    """Rows of the pairs that are available; terminal states stay where they are, with reward 0, and end."""
    n, n_actions = entries.n_states, entries.n_actions
    mask = np.zeros(n, dtype=bool) if terminal is None else bool_array(terminal, "terminal", n)
    states, actions, successors, probs = entries[:4]
    if not choices.even:
        closed = ~choices.available[states, actions]
        _check_unused(entries, closed, "not available", of_actions)
        states, actions, successors, probs = states[~closed], actions[~closed], successors[~closed], probs[~closed]
    sources = choices.sources(states, actions)
    reader = rewards_of_pairs if of_actions else rewards_of_states
    if not mask.any():
        values, laws, given = reader(rewards, states, actions, successors, n, n_actions)
        return Rows(sources, probs, successors, values, np.zeros(len(states), dtype=np.bool_), laws, given)
    ending = np.flatnonzero(mask[choices.states])  # pairs of terminal states
    bare = _without_row(ending, sources, len(choices.actions))  # a terminal state without a row stays where it is
    here = np.append(states, choices.states[bare])
    doing = np.append(actions, choices.actions[bare])
    values, laws, given = reader(rewards, here, doing, np.append(successors, choices.states[bare]), n, n_actions)
    _refuse_terminal_rewards(mask, here, doing, (values, laws, given), of_actions)
    values, laws = values[: len(states)], laws[: len(states)]
    live = ~mask[states]
    _check_unused(entries._replace(states=states, actions=actions, probs=probs), ~live, "terminal", of_actions)
    return Rows(
        np.concatenate([sources[live], ending]),
        np.concatenate([probs[live], np.ones(len(ending))]),
        np.concatenate([successors[live], choices.states[ending]]),
        np.concatenate([values[live], np.zeros(len(ending))]),
        np.concatenate([mask[successors[live]], np.ones(len(ending), dtype=bool)]),
        np.concatenate([laws[live], np.full(len(ending), -1)]),
        given,
    )


def _transitions(P: Any, name: str) -> tuple[IntArray, IntArray, FloatArray, int]:
    """Non-zero entries of a square transition matrix as (source, successor, probability), and its size."""
    if sparse.issparse(P):
        if P.ndim != 2:
            raise ValueError(f"{name} must be a matrix, got a sparse array of shape {P.shape}")
        coo = sparse.coo_array(P)
        probs = float_array(coo.data, f"{name}.data", ndim=1)
        sources, successors, shape = coo.row.astype(np.int64), coo.col.astype(np.int64), coo.shape
    else:
        dense = float_array(P, name, ndim=2)
        sources, successors = np.nonzero(dense)
        probs, shape = dense[sources, successors], dense.shape
    probs = without_noise(probs)
    stored = probs != 0.0
    if not stored.all():
        sources, successors, probs = sources[stored], successors[stored], probs[stored]
    if shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"{name} must be square with at least one state, got shape {shape}")
    return sources, successors, probs, int(shape[0])


def _transition_stack(P: Any) -> _Entries:
    """The non-zero entries of one matrix for each action."""
    if sparse.issparse(P):
        raise ValueError("P must be an (A, S, S) array or a list of A sparse matrices, got a single sparse matrix")
    if isinstance(P, Sequence) and any(sparse.issparse(matrix) for matrix in P):
        matrices = list(P)
    else:
        dense = float_array(P, "P", ndim=3)
        matrices = list(dense)
    if not matrices:
        raise ValueError("P holds no action; an MDP needs at least one")
    parts = [_transitions(matrix, f"P[{a}]") for a, matrix in enumerate(matrices)]
    sizes = [part[3] for part in parts]
    if len(set(sizes)) > 1:
        raise ValueError(f"the matrices of P differ in size: {sizes}")
    action = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    state, successor, probs = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return _Entries(state, action, successor, probs, sizes[0], len(parts))


def actions_first(
    given: Matrices | Rewards, name: str, axes: str | None, *, finite: bool = True
) -> FloatArray | Matrices | Rewards:
    """An array of three axes as (action, state, next state); anything else as it is.

    An (n, n, n) array whose order nobody gave, and whose two readings differ, is refused: rows sum to 1 in both.
    """
    listed = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    refuse_other_order(given, name)
    entries: Any = given if listed else ()
    for number, matrix in enumerate(entries):
        refuse_other_order(matrix, f"{name}[{number}]")
    if sparse.issparse(given) or any(sparse.issparse(matrix) for matrix in entries):
        if axes == "sas":
            raise ValueError(f"axes='sas' is for arrays; sparse {name} are a list of one (S, S) matrix for each action")
        return given
    if holds_laws(given):
        return given
    array = float_array(given, name, finite=finite)
    if array.ndim != 3:
        return array
    if axes == "sas":
        return array.transpose(1, 0, 2)
    first, second, last = array.shape
    if axes is None and first == last != second:
        raise ValueError(
            f"{name} has shape {array.shape}, which is not (action, state, next state); "
            "give axes='sas' if it is (state, action, next state)"
        )
    ambiguous = axes is None and not listed and first == second == last
    if ambiguous and not np.array_equal(array, array.transpose(1, 0, 2), equal_nan=True):
        raise ValueError(
            f"{name} has shape {array.shape}, so it cannot be told whether actions or states come first; "
            "give axes='ass' for (action, state, next state) or axes='sas' for (state, action, next state)"
        )
    return array


def _without_row(pairs: IntArray, sources: IntArray, size: int) -> IntArray:
    """Those of `pairs` that are no source of a transition."""
    has_row = np.zeros(size, dtype=np.bool_)
    has_row[sources] = True
    return pairs[~has_row[pairs]]


def _check_unused(entries: _Entries, unused: BoolArray, why: str, of_actions: bool) -> None:
    """Rows that are not used may be zero or a distribution; anything else is a user's slip."""
    if not unused.any():
        return
    n = entries.n_states
    for action in range(entries.n_actions):
        rows = unused & (entries.actions == action)
        states, probs = entries.states[rows], entries.probs[rows]
        sums = np.bincount(states, weights=probs, minlength=n)
        wrong = (np.abs(sums - 1.0) > 1e-9) & (sums != 0.0)
        if wrong.any() or (probs < 0).any():
            state = int(np.argmax(wrong)) if wrong.any() else int(states[np.argmax(probs < 0)])
            what = f"action {action}: state" if of_actions else "state"
            raise ValueError(
                f"{what} {state} is {why} but its row sums to {sums[state]:.12g} or has a negative entry; "
                "give zeros or a distribution there"
            )


def _refuse_terminal_rewards(
    mask: BoolArray,
    states: IntArray,
    actions: IntArray,
    rewards: tuple[FloatArray, IntArray, Sequence[Law]],
    of_actions: bool,
) -> None:
    """The return from a terminal state is 0: a reward on a row of one would be lost without a word."""
    values, laws, given = rewards
    nothing = np.array([law.support == (0.0, 0.0) for law in given] + [True])  # the last serves the numbers' index -1
    lost = mask[states] & ((values != 0.0) | ~nothing[laws])
    if lost.any():
        row = int(np.argmax(lost))
        reward = f"{values[row]:g}" if laws[row] < 0 else repr(given[laws[row]])
        where = f"state {states[row]}" + (f", action {actions[row]}" if of_actions else "")
        raise ValueError(
            f"{where} is terminal, and its reward of {reward} would be lost, since the return from there is 0; "
            "put the reward on the transitions into the state, or set it to 0"
        )
