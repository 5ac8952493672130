"""Draws transitions from an outcome table and turns them into n-step targets.

Every step takes exactly one number from the generator, every restart and every choice of a state one more, so where a
stream stands is a count. Rewards with a law are drawn apart (`fill_rewards`): the streams do not disturb one another.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._validation import BoolArray, FloatArray, IntArray


@kernel
def _find(marks: FloatArray, start: int, stop: int, u: float) -> int:
    """First index in start..stop-1 whose mark exceeds u, the last one if none does."""
    stop -= 1
    while start < stop:
        middle = (start + stop) // 2
        if marks[middle] > u:
            stop = middle
        else:
            start = middle + 1
    return start


@kernel
def rollouts(
    rng: np.random.Generator,
    table: Any,
    steps: int,
    uniform: bool,
    states: IntArray,
    next_states: IntArray,
    weights: FloatArray,
    ends: IntArray,
) -> tuple[FloatArray, IntArray, FloatArray, int]:
    """A path of at most `steps` steps (0: to its end) for each entry of `states`.

    `uniform` draws the states first, each uniformly; else they are given. `weights` get the product of the discounts,
    0 where the path ended; the rewards, laws and, but for single steps, discounts of path k are in ends[k-1]:ends[k] of
    what is returned, with the numbers drawn.
    """
    several = steps != 1
    rewards, laws = np.empty(len(states) + 16), np.empty(len(states) + 16, dtype=np.int64)
    discounts = np.empty(len(states) + 16 if several else 0)
    count = 0
    for k in range(len(states)):
        if uniform:
            states[k] = min(int(rng.random() * table.n_states), table.n_states - 1)
        state, weight, length = states[k], 1.0, 0
        while True:
            row = _find(table.marks, table.indptr[state], table.indptr[state + 1], rng.random())
            if count == len(rewards):
                more_rewards, more_laws = np.empty(2 * count), np.empty(2 * count, dtype=np.int64)
                more_discounts = np.empty(2 * count)  # paths of one step never need more room
                for i in range(count):
                    more_rewards[i], more_laws[i], more_discounts[i] = rewards[i], laws[i], discounts[i]
                rewards, laws, discounts = more_rewards, more_laws, more_discounts
            rewards[count], laws[count] = table.rewards[row], table.laws[row]
            if several:
                discounts[count] = table.discounts[row]
            state = table.next_states[row]
            weight *= table.discounts[row]  # 0 at an end
            count += 1
            length += 1
            if length == steps or table.terminals[row]:
                break
        next_states[k], weights[k], ends[k] = state, weight, count
    return rewards[:count], laws[:count], discounts[:count], count + (len(states) if uniform else 0)


@kernel
def discounted_sums(rewards: FloatArray, discounts: FloatArray, ends: IntArray, out: FloatArray) -> None:
    """out[k] = sum of the rewards ends[k-1]:ends[k], each times the discounts before it, from the last one back."""
    first = 0
    for k in range(len(ends)):
        total = 0.0
        for i in range(ends[k] - 1, first - 1, -1):
            total = rewards[i] + discounts[i] * total
        out[k] = total
        first = ends[k]


@kernel
def walk(
    rng: np.random.Generator,
    table: Any,
    initial: FloatArray,
    state: int,
    states: IntArray,
    rewards: FloatArray,
    laws: IntArray,
    next_states: IntArray,
    terminals: BoolArray,
    discounts: FloatArray,
) -> tuple[int, int]:
    """Steps of episodes from `state` (-1: a new one), each restarted from `initial` (cumulative) at its end.

    Returns the state it has come to and how many numbers were drawn.
    """
    drawn = 0
    for k in range(len(states)):
        if state < 0:
            state = _find(initial, 0, len(initial), rng.random())
            drawn += 1
        row = _find(table.marks, table.indptr[state], table.indptr[state + 1], rng.random())
        drawn += 1
        states[k], rewards[k], laws[k] = state, table.rewards[row], table.laws[row]
        next_states[k], terminals[k], discounts[k] = table.next_states[row], table.terminals[row], table.discounts[row]
        state = -1 if table.terminals[row] else table.next_states[row]
    return state, drawn


@kernel
def fill_rewards(
    laws: IntArray,
    rewards: FloatArray,
    family_of: IntArray,
    locations: FloatArray,
    scales: FloatArray,
    blocks: FloatArray,
    loaded: IntArray,
    used: IntArray,
    start: int,
) -> int:
    """Give entries from `start` on that have a law (index >= 0) their reward, location + scale * draw, in order.

    Draw number d of a family is entry d % K of its block d // K; `used` counts the draws, `loaded` says which block is
    in `blocks` (families, K). Stops at an entry whose block is not there and returns its index.
    """
    size = blocks.shape[1]
    for i in range(start, len(laws)):
        law = laws[i]
        if law >= 0:
            family = family_of[law]
            draw = used[family] - loaded[family] * size
            if loaded[family] < 0 or draw >= size:
                return i
            rewards[i] = locations[law] + scales[law] * blocks[family, draw]
            used[family] += 1
    return len(laws)


@kernel
def windows(
    states: IntArray,
    rewards: FloatArray,
    next_states: IntArray,
    terminals: BoolArray,
    discounts: FloatArray,
    steps: int,
    out_states: IntArray,
    out_rewards: FloatArray,
    out_next_states: IntArray,
    out_weights: FloatArray,
    out_at: IntArray,
) -> tuple[int, int]:
    """n-step targets of every visit along consecutive steps; returns how many, and the first visit still waiting.

    A visit waits until n = `steps` rewards are there (0: for the end of its episode) and is then a target (state, sum
    of discounted rewards, next state, product of the discounts); at an end every waiting visit becomes one, of weight
    0. `out_at` is the step that completed it. Where a step does not go on from the one before, the episode was cut off:
    waiting visits bootstrap where it was, or are dropped if steps is 0. Time O(n) a step, O(1) at ends.
    """
    count, first = 0, 0
    total = len(states)
    sums, powers = np.empty(total), np.empty(total)
    for k in range(total):
        if k > first and next_states[k - 1] != states[k]:
            weight, target = 1.0, 0.0
            for i in range(k - 1, first - 1, -1):
                target, weight = rewards[i] + discounts[i] * target, weight * discounts[i]
                sums[i], powers[i] = target, weight
            for i in range(first, k):
                if steps > 0:
                    out_states[count], out_rewards[count], out_at[count] = states[i], sums[i], k
                    out_next_states[count], out_weights[count] = next_states[k - 1], powers[i]
                    count += 1
            first = k
        if terminals[k]:
            target = 0.0
            for i in range(k, first - 1, -1):
                target = rewards[i] + discounts[i] * target
                sums[i] = target
            for i in range(first, k + 1):
                out_states[count], out_rewards[count], out_at[count] = states[i], sums[i], k
                out_next_states[count], out_weights[count] = next_states[k], 0.0
                count += 1
            first = k + 1
        elif steps > 0 and k - first + 1 == steps:
            weight, target = 1.0, 0.0
            for i in range(k, first - 1, -1):
                target, weight = rewards[i] + discounts[i] * target, weight * discounts[i]
            out_states[count], out_rewards[count], out_at[count] = states[first], target, k
            out_next_states[count], out_weights[count] = next_states[k], weight
            count += 1
            first += 1
    return count, first


@kernel
def count_visits(states: IntArray, visits: IntArray, out: IntArray) -> None:
    """out[k] = how often states[k] has been seen by then, this time included; `visits` goes on counting."""
    for k in range(len(states)):
        visits[states[k]] += 1
        out[k] = visits[states[k]]
