"""One sweep of the recursion for the least P(G < b) over states and targets b, by steps between knots.

P(G < b) rises with b. From above a target counts as the next knot, from below as the one before; where a state's knots
are all returns that it can have, the next one is right for both.
"""

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray


@kernel
def sweep(
    order: IntArray,
    pair_ptr: IntArray,
    row_ptr: IntArray,
    probs: FloatArray,
    next_states: IntArray,
    rewards: FloatArray,
    ends: BoolArray,
    g: float,
    ptr: IntArray,
    points: FloatArray,
    below: FloatArray,
    above: FloatArray,
    choice: IntArray,
    highest: FloatArray,
    safe: BoolArray,
    every: bool,
    fixed: bool,
    lost: FloatArray,
    near: float,
    widest: int,
) -> tuple[float, float]:
    """Improve `below` and `above` in place, for the states of `order`; `fixed` improves `above` for `choice` alone.

    No return from a state is above `highest` (S,). Where `safe` (S,), the first knot is reached for certain by its
    choice. `every`: knots are all returns that there are. Targets nearer than `near` are one. `lost` (pairs,) is a mass
    of which nothing is known. Returns the largest changes.
    """
    low, high = np.empty(widest), np.empty(widest)
    least = np.empty(widest)
    risen = fallen = 0.0
    for place in range(len(order)):
        x = order[place]
        base, n = ptr[x], ptr[x + 1] - ptr[x]
        for k in range(n):
            least[k] = 1.0
        for pair in range(pair_ptr[x], pair_ptr[x + 1]):
            for k in range(n):
                low[k] = high[k] = 0.0
            for row in range(row_ptr[pair], row_ptr[pair + 1]):
                p, r, y = probs[row], rewards[row], next_states[row]
                if ends[row]:
                    for k in range(n):
                        if points[base + k] > r + near:
                            low[k] += p
                            high[k] += p
                    continue
                start, stop = ptr[y], ptr[y + 1]
                j = start
                for k in range(n):
                    b = (points[base + k] - r) / g
                    while j < stop and points[j] + near < b:  # as the policy rounds, bit for bit
                        j += 1
                    if j == stop:
                        high[k] += p
                        low[k] += p if b > highest[y] + near else p * below[stop - 1]
                        continue
                    high[k] += p * above[j]
                    if b >= points[start] - near:
                        low[k] += p * below[j if every or points[j] <= b + near else j - 1]
            room = (row_ptr[pair + 1] - row_ptr[pair] + 4.0) * EPS + lost[pair]
            for k in range(n):
                least[k] = min(least[k], low[k] - room)
                fall = above[base + k] - high[k] - room
                if fixed and choice[base + k] != pair:
                    continue
                if fall > (0.0 if fixed else 1e-14) and not (safe[x] and k == 0):
                    fallen = max(fallen, fall)
                    above[base + k] -= fall
                    choice[base + k] = pair
        if fixed:
            continue
        for k in range(n):
            rise = least[k] - below[base + k]
            if rise > 0.0:
                risen = max(risen, rise)
                below[base + k] = least[k]
    return risen, fallen
