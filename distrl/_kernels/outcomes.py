"""Outcome rows from transitions that are grouped by choice, in one pass."""

import numpy as np
from numpy.typing import NDArray

from distrl._numba import kernel
from distrl._tolerances import ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray

Index = NDArray[np.int32]


@kernel
def ascend(first: Index, second: Index, third: Index) -> bool:
    """Whether rows of two or three columns ascend strictly, compared from the first column on; `third` may be empty."""
    for row in range(1, len(first)):
        if first[row] == first[row - 1]:
            if second[row] == second[row - 1]:
                if len(third) == 0 or third[row] <= third[row - 1]:
                    return False
            elif second[row] < second[row - 1]:
                return False
        elif first[row] < first[row - 1]:
            return False
    return True


@kernel
def mark_absorbing(
    owners: IntArray,
    first: IntArray,
    targets: Index,
    probs: FloatArray,
    by_state: FloatArray,
    by_choice: FloatArray,
    by_transition: FloatArray,
    absorbing: BoolArray,
) -> None:
    """Leave of the marks those of states all of whose choices surely stay and pay nothing."""
    for choice in range(len(owners)):
        state, total, base = owners[choice], 0.0, 0.0
        if len(by_state):
            base += by_state[state]
        if len(by_choice):
            base += by_choice[choice]
        for row in range(first[choice], first[choice + 1]):
            total += probs[row]
            reward = base + by_transition[row] if len(by_transition) else base
            if probs[row] > 0.0 and (targets[row] != state or reward != 0.0):
                absorbing[state] = False
        if abs(total - 1.0) > ROW_SUM:
            absorbing[state] = False


@kernel
def fill_outcomes(
    pair_states: IntArray,
    pair_choices: IntArray,
    ended: BoolArray,
    first: IntArray,
    targets: Index,
    probs: FloatArray,
    by_state: FloatArray,
    by_choice: FloatArray,
    by_transition: FloatArray,
    indptr: IntArray,
    out_probs: FloatArray,
    out_states: IntArray,
    out_rewards: FloatArray,
    out_terminals: BoolArray,
    sums: FloatArray,
    mixed: BoolArray,
) -> None:
    """The rows of each (state, choice): a lone end where the state has `ended`, a loop where the choice is -1.

    Rows that move into an ended state end there. Those of a pair are in order if they are sorted by end, reward and
    next state; `targets` are ascending within a choice, and `mixed` marks the pairs whose rows are not. Transitions of
    probability 0 are left out; `sums` is what a pair's add up to.
    """
    count = 0
    for pair in range(len(pair_states)):
        indptr[pair] = count
        state, choice = pair_states[pair], pair_choices[pair]
        if ended[state] or choice < 0:
            out_probs[count], out_states[count], out_terminals[count] = 1.0, state, ended[state]
            out_rewards[count] = by_state[state] + 0.0 if len(by_state) and not ended[state] else 0.0
            sums[pair] = 1.0
            count += 1
            continue
        base, total, last_reward, last_end, alone = 0.0, 0.0, 0.0, False, True
        if len(by_state):
            base += by_state[state]
        if len(by_choice):
            base += by_choice[choice]
        for row in range(first[choice], first[choice + 1]):
            probability = probs[row]
            total += probability
            if probability > 0.0:
                target = targets[row]
                reward = base + by_transition[row] if len(by_transition) else base
                end = ended[target]
                out_probs[count], out_states[count], out_terminals[count] = probability, target, end
                out_rewards[count] = reward + 0.0  # no -0.0
                if not alone and (end < last_end or (end == last_end and reward < last_reward)):
                    mixed[pair] = True
                last_reward, last_end, alone = reward, end, False
                count += 1
        sums[pair] = total
    indptr[len(pair_states)] = count
