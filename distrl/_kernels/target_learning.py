"""Learning of losses: U(x, a, b), the least E(b - G)+ after action a in state x, at the targets b of a lattice.

One transition (x, a, r, y) renews all targets of its pair, since E(b - r - w G')+ = w E((b - r) / w - G')+: the target
that is left is known, whatever it was. Between knots losses are interpolated, below the first they are its own, and
beyond the last one they grow with slope 1.
"""

from typing import Any

import numpy as np

from distrl._kernels.td import GENERATIVE, SYNCHRONOUS, TRAJECTORY
from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def _scaled(losses: FloatArray, pair: int, left: float, weight: float, low: float, spacing: float) -> float:
    """weight * U(pair, left / weight), for weight > 0, without overflow."""
    last = losses.shape[1] - 1
    high = low + last * spacing
    if left <= weight * low:
        return float(weight * losses[pair, 0])
    if left >= weight * high:
        return float(weight * (losses[pair, last] - high) + left)
    place = (left / weight - low) / spacing
    j = min(max(int(place), 0), last - 1)
    share = place - j
    return float(weight * ((1.0 - share) * losses[pair, j] + share * losses[pair, j + 1]))


@kernel
def _losses_after(
    losses: FloatArray, first: int, last: int, reward: float, weight: float, low: float, spacing: float, out: FloatArray
) -> None:
    """What a transition to the state of the pairs first..last-1 makes of every target."""
    for k in range(len(out)):
        left = low + k * spacing - reward
        if weight == 0.0:
            out[k] = max(left, 0.0)
            continue
        best = _scaled(losses, first, left, weight, low, spacing)
        for pair in range(first + 1, last):
            best = min(best, _scaled(losses, pair, left, weight, low, spacing))
        out[k] = best


@kernel
def _start_target(losses: FloatArray, first: int, last: int, low: float, spacing: float, level: float) -> float:
    """The knot b of the largest b - min U(b) / level, the first where some tie: the target that CVaR starts with."""
    best, found = -np.inf, low
    for k in range(losses.shape[1]):
        least = losses[first, k]
        for pair in range(first + 1, last):
            least = min(least, losses[pair, k])
        value = low + k * spacing - least / level
        if value > best:
            best, found = value, low + k * spacing
    return found


@kernel
def _least(
    losses: FloatArray, first: int, last: int, target: float, low: float, spacing: float, share: float, number: float
) -> int:
    """One of the pairs first..last-1: any with probability `share`, else that of the least loss, the first of these."""
    if number < share:
        return first + min(int(number / share * (last - first)), last - first - 1)
    found = first
    least = _scaled(losses, first, target, 1.0, low, spacing)
    for pair in range(first + 1, last):
        loss = _scaled(losses, pair, target, 1.0, low, spacing)
        if loss < least:
            least, found = loss, pair
    return found


@kernel
def _left(target: float, reward: float, weight: float, low: float, high: float) -> float:
    """The target that is left after a reward, moved into the lattice."""
    if target - reward <= weight * low:
        return low
    if target - reward >= weight * high:
        return high
    return (target - reward) / weight


@kernel
def _below(amounts: FloatArray, start: int, stop: int, number: float) -> int:
    """First row in start..stop-1 whose cumulative probability (column 0) exceeds the number; the last if none does."""
    stop -= 1
    while start < stop:
        middle = (start + stop) // 2
        if amounts[middle, 0] > number:
            stop = middle
        else:
            start = middle + 1
    return start


@kernel
def start_target(losses: FloatArray, first: int, last: int, low: float, spacing: float, level: float) -> float:
    """As `_start_target`; for Python."""
    return _start_target(losses, first, last, low, spacing, level)


@kernel
def least(
    losses: FloatArray, first: int, last: int, target: float, low: float, spacing: float, share: float, number: float
) -> int:
    """As `_least`; for Python."""
    return _least(losses, first, last, target, low, spacing, share, number)


@kernel
def left(target: float, reward: float, weight: float, low: float, high: float) -> float:
    """As `_left`; for Python."""
    return _left(target, reward, weight, low, high)


@kernel
def renew_losses(
    losses: FloatArray,
    pair: int,
    first: int,
    last: int,
    reward: float,
    weight: float,
    step: float,
    low: float,
    spacing: float,
) -> None:
    """U(pair, b) += step (loss after the transition - U(pair, b)), for all b; the next state has first..last-1."""
    fresh = np.empty(losses.shape[1])
    _losses_after(losses, first, last, reward, weight, low, spacing, fresh)
    for k in range(len(fresh)):
        losses[pair, k] += step * (fresh[k] - losses[pair, k])


@kernel
def play_losses(
    world: Any,
    stride: Any,
    place: IntArray,
    target: FloatArray,
    visits: IntArray,
    losses: FloatArray,
    low: float,
    spacing: float,
    level: float,
) -> None:
    """The updates of a stride, all transitions of one from the losses before it; see `distrl._kernels.td.draw`.

    Along a trajectory `place[0]` is the state and `target[0]` what is left of the target, which is a state's own at the
    start of an episode.
    """
    pairs, indptr, places, amounts, initial = world
    numbers, noise, sizes, explorations = stride.numbers, stride.noise, stride.sizes, stride.explorations
    sampling, block = stride.sampling, stride.block
    high = low + (losses.shape[1] - 1) * spacing
    fresh, chosen = np.empty((block, losses.shape[1])), np.empty(block, np.int64)
    for update in range(len(explorations)):
        for k in range(block):
            t = update * block + k
            if sampling == SYNCHRONOUS:
                pair = k
            elif sampling == GENERATIVE:
                pair = min(int(numbers[t, 3] * len(losses)), len(losses) - 1)
            else:
                if place[0] < 0:
                    place[0] = _below(initial, 0, len(initial), numbers[t, 3])
                    target[0] = _start_target(losses, pairs[place[0]], pairs[place[0] + 1], low, spacing, level)
                first, last = pairs[place[0]], pairs[place[0] + 1]
                pair = _least(losses, first, last, target[0], low, spacing, explorations[update], numbers[t, 2])
            row = _below(amounts, indptr[pair], indptr[pair + 1], numbers[t, 0])
            reward, weight = amounts[row, 1], amounts[row, 3]
            if places[row, 1] >= 0:
                reward += amounts[row, 2] * noise[places[row, 1], t]
            state = places[row, 0]
            _losses_after(losses, pairs[state], pairs[state + 1], reward, weight, low, spacing, fresh[k])
            chosen[k] = pair
            if sampling == TRAJECTORY:
                place[0] = -1 if places[row, 2] != 0 else state
                target[0] = _left(target[0], reward, weight, low, high)
        for k in range(block):
            pair = chosen[k]
            visits[pair] += 1
            clock = visits[pair] if stride.by_visits else stride.first + update + 1
            step = sizes[clock - 1] if len(sizes) > 0 else stride.scale / (stride.offset + clock) ** stride.exponent
            for j in range(losses.shape[1]):
                losses[pair, j] += step * (fresh[k, j] - losses[pair, j])
