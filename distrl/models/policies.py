"""Policies in, the probability of every action in every state out."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._tolerances import EPS, MIXED_ROW_SUM, ROW_SUM
from distrl._validation import FloatArray, float_array, real_number, refuse_other_order, without_noise
from distrl.models.choices import Choices
from distrl.models.outcomes import OutcomeTable, build_table

#: (S,) actions, (S, A) probabilities, {state: action or {action: probability}} by name, or "uniform".
Policy = ArrayLike | Mapping[Any, Any]


def policy_matrix(
    policy: Policy, choices: Choices, states: Sequence[Hashable], actions: Sequence[Hashable]
) -> FloatArray:
    """What `MDP.policy_matrix` says."""
    if isinstance(policy, str):
        if policy != "uniform":
            raise ValueError(f"policy {policy!r} is not known; give 'uniform', (S,) actions or (S, A) probabilities")
        if choices.even:
            return np.full(choices.shape, 1.0 / choices.n_actions)
        return np.where(choices.available, 1.0 / choices.numbers[:, None], 0.0)
    if isinstance(policy, Mapping):
        policy = _by_name(policy, states, actions)
    refuse_other_order(policy, "policy")
    array = without_noise(float_array(policy, "policy", ndim=(1, 2)))
    shape = (choices.n_states, choices.n_actions)
    if array.shape not in (shape[:1], shape):
        raise ValueError(f"policy must have shape {shape[:1]} or {shape}, got {array.shape}")
    chosen = _of_actions(array, states, shape[1]) if array.ndim == 1 else _of_probabilities(array, states)
    if not choices.even:
        played = (chosen > 0.0) & ~choices.available
        if played.any():
            state, action = (int(i) for i in np.argwhere(played)[0])
            there = ", ".join(repr(actions[a]) for a in np.flatnonzero(choices.available[state]).tolist())
            raise ValueError(
                f"the policy plays action {actions[action]!r} in state {states[state]!r} with probability "
                f"{chosen[state, action]:g}, where it is not available; available there: {there}"
            )
    return chosen


def _of_actions(array: FloatArray, states: Sequence[Hashable], n_actions: int) -> FloatArray:
    wrong = (array != np.floor(array)) | (array < 0) | (array >= n_actions)
    if wrong.any():
        state = int(np.argmax(wrong))
        raise ValueError(
            f"policy[{state}]{_named(states, state)} is {array[state]:g}, not an action in 0..{n_actions - 1}"
        )
    return np.eye(n_actions)[array.astype(np.int64)]


def _of_probabilities(array: FloatArray, states: Sequence[Hashable]) -> FloatArray:
    if (array < 0).any():
        state, action = (int(i) for i in np.argwhere(array < 0)[0])
        raise ValueError(
            f"policy[{state}, {action}]{_named(states, state)} is {array[state, action]:g}; probabilities cannot be "
            "negative"
        )
    with np.errstate(over="ignore"):
        sums = array.sum(axis=1)
    unfair = np.abs(sums - 1.0) > ROW_SUM
    if unfair.any():
        state = int(np.argmax(unfair))
        raise ValueError(
            f"policy[{state}]{_named(states, state)} sums to {sums[state]:.12g}, not 1; divide it by its sum"
        )
    return array


def _by_name(policy: Mapping[Any, Any], states: Sequence[Hashable], actions: Sequence[Hashable]) -> FloatArray:
    """{state: action} or {state: {action: probability}} as a matrix."""
    matrix = np.zeros((len(states), len(actions)))
    for name in policy:
        if name not in states:
            raise ValueError(f"the policy has an action for {name!r}, which is no state")
    for state, name in enumerate(states):
        if name not in policy:
            raise ValueError(f"the policy has no action for state {name!r}")
        mixed = policy[name] if isinstance(policy[name], Mapping) else {policy[name]: 1.0}
        for action, probability in mixed.items():
            if action not in actions:
                raise ValueError(f"the policy plays {action!r} in state {name!r}, which is no action")
            number = real_number(probability, f"the policy's probability of {action!r} in state {name!r}")
            matrix[state, actions.index(action)] = number
    return matrix


def _named(states: Sequence[Hashable], state: int) -> str:
    """The name of a state beside its position, where it has one."""
    return "" if isinstance(states, range) else f" (state {states[state]!r})"


def mixed_table(table: OutcomeTable, matrix: FloatArray, choices: Choices, states: Sequence[Hashable]) -> OutcomeTable:
    """The table of states that mix their pairs' outcomes by the (S, A) `matrix` of a policy. Time O(n)."""
    weights = choices.values(matrix)
    rows = table.rows.take(np.flatnonzero(weights[table.sources] > 0))
    mixed = build_table(
        rows._replace(sources=choices.states[rows.sources], probs=rows.probs * weights[rows.sources]),
        n_sources=choices.n_states,
        n_states=choices.n_states,
        describe=lambda source: f"state {states[source]!r} under the policy",
        tolerance=MIXED_ROW_SUM,
    )
    lacking = np.abs(matrix.sum(axis=1) - 1.0)  # what the policy lacks itself
    lacking[lacking <= EPS * (8.0 + choices.n_actions)] = 0.0
    defects = lacking + choices.matrix(weights * table.defects, 0.0).sum(axis=1)
    if defects.any():  # those of two actions must not cancel
        mixed = replace(mixed.whole, known_defects=defects)
    return mixed
