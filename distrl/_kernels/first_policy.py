"""Sweeps of value iteration that say which actions are about the best ones; nothing is claimed of their values."""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def greedy_sweeps(
    pairs: IntArray,
    rows: IntArray,
    weights: FloatArray,
    next_states: IntArray,
    rewards: FloatArray,
    before: FloatArray,
    values: FloatArray,
    policy: IntArray,
    sweeps: int,
    better: float,
) -> tuple[int, float, float]:
    """values[x] = max over pairs of r + sum of w before[y], forth and back over states; `before` may be `values`.

    Pairs of x are pairs[x]:pairs[x + 1], what pair i leads to rows[i]:rows[i + 1]. `policy` (S,) changes to a pair that
    is better by more than `better` times its size. Ends after so many sweeps, or where two of them changed nothing of
    it. Returns how many sweeps were made, and the least and the largest change of a value in the last one.
    """
    n, quiet, done = len(values), 0, 0
    least = most = 0.0
    for sweep in range(sweeps):
        changed, least, most = False, np.inf, -np.inf
        for i in range(n):
            x = i if sweep % 2 == 0 else n - 1 - i
            best, kept, place = -np.inf, -np.inf, policy[x]
            for pair in range(pairs[x], pairs[x + 1]):
                onward = 0.0
                for k in range(rows[pair], rows[pair + 1]):
                    onward += weights[k] * before[next_states[k]]
                worth = rewards[pair] + onward
                if worth > best:
                    best, place = worth, pair
                if pair == policy[x]:
                    kept = worth
            if best - kept > better * abs(best):
                changed, policy[x] = True, place
            least, most = min(least, best - values[x]), max(most, best - values[x])
            values[x] = best
        for x in range(n):
            before[x] = values[x]
        done += 1
        quiet = 0 if changed else quiet + 1
        if quiet == 2:
            break
    return done, least, most
