"""Exact laws on a lattice, level by level: masses f_k and what lies beyond, s_k = P(return > k), side by side.

With P_r the moves that pay r levels and e_k the ends that pay k,

    (I - P_0) f_k = e_k + sum_{r >= 1} P_r f_{k - r},    (I - P_0) s_k = e_{> k} + sum_{r >= 1} P_r s_{k - r},

s = 1 below level 0: sums of non-negative numbers only. The last W levels lie in a ring (W, S, 2), W - 1 the largest r.
"""

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def level_sides(
    level: int,
    ring: FloatArray,
    paid_at: IntArray,
    paid_to: IntArray,
    paid: IntArray,
    paid_probs: FloatArray,
    end_at: IntArray,
    ends: IntArray,
    end_probs: FloatArray,
    side: FloatArray,
    beyond: FloatArray,
) -> None:
    """side, beyond (S,) = the right-hand sides of f and s at `level`."""
    width = len(ring)
    row = level % width
    for x in range(len(side)):
        a = b = 0.0
        for j in range(paid_at[x], paid_at[x + 1]):
            r = paid[j]
            if r <= level:
                slot = row - r
                if slot < 0:
                    slot += width
                a += paid_probs[j] * ring[slot, paid_to[j], 0]
                b += paid_probs[j] * ring[slot, paid_to[j], 1]
            else:
                b += paid_probs[j]
        for j in range(end_at[x], end_at[x + 1]):
            if ends[j] == level:
                a += end_probs[j]
            elif ends[j] > level:
                b += end_probs[j]
        side[x] = a
        beyond[x] = b


@kernel
def keep_level(
    level: int,
    ring: FloatArray,
    chosen: IntArray,
    masses: FloatArray,
    totals: FloatArray,
) -> float:
    """Write f of the `chosen` states to `masses`, add to `totals` (S, 4), and return the largest s.

    totals: the sum of f, what that sum has lost (Kahan), the sum of |1 - s - sum of f|, and the sum of s.
    """
    row = level % len(ring)
    for i in range(len(chosen)):
        masses[i] = ring[row, chosen[i], 0]
    most = 0.0
    for x in range(len(totals)):
        s = ring[row, x, 1]
        addend = ring[row, x, 0] - totals[x, 1]
        larger = totals[x, 0] + addend
        totals[x, 1] = (larger - totals[x, 0]) - addend
        totals[x, 0] = larger
        totals[x, 2] += abs((1.0 - larger) - s)
        totals[x, 3] += s
        most = max(most, s)
    return most


@kernel
def levels(
    first: int,
    ring: FloatArray,
    paid_at: IntArray,
    paid_to: IntArray,
    paid: IntArray,
    paid_probs: FloatArray,
    end_at: IntArray,
    ends: IntArray,
    end_probs: FloatArray,
    free_at: IntArray,
    free_to: IntArray,
    free_probs: FloatArray,
    pivots: FloatArray,
    chosen: IntArray,
    enough: float,
    masses: FloatArray,
    totals: FloatArray,
) -> tuple[int, float]:
    """Levels first, first + 1, ... into the rows of `masses`, until s <= enough everywhere or the rows are full.

    For models whose free moves (off a state's own loop) lead to earlier states only. `pivots` is the probability of all
    that is no free loop. Returns how many levels were made, and the largest s of the last.
    """
    width, n = len(ring), len(pivots)
    most = 1.0
    for step in range(len(masses)):
        level = first + step
        row = level % width
        most = 0.0
        for x in range(n):
            a = b = 0.0
            for j in range(paid_at[x], paid_at[x + 1]):
                r = paid[j]
                if r <= level:
                    slot = row - r
                    if slot < 0:
                        slot += width
                    a += paid_probs[j] * ring[slot, paid_to[j], 0]
                    b += paid_probs[j] * ring[slot, paid_to[j], 1]
                else:
                    b += paid_probs[j]
            for j in range(end_at[x], end_at[x + 1]):
                if ends[j] == level:
                    a += end_probs[j]
                elif ends[j] > level:
                    b += end_probs[j]
            for j in range(free_at[x], free_at[x + 1]):
                a += free_probs[j] * ring[row, free_to[j], 0]
                b += free_probs[j] * ring[row, free_to[j], 1]
            f, s = a / pivots[x], b / pivots[x]
            ring[row, x, 0] = f
            ring[row, x, 1] = s
            addend = f - totals[x, 1]  # as in keep_level
            larger = totals[x, 0] + addend
            totals[x, 1] = (larger - totals[x, 0]) - addend
            totals[x, 0] = larger
            totals[x, 2] += abs((1.0 - larger) - s)
            totals[x, 3] += s
            most = max(most, s)
        for i in range(len(chosen)):
            masses[step, i] = ring[row, chosen[i], 0]
        if most <= enough and level > 0:
            return step + 1, most
    return len(masses), most


@kernel
def merge_sums(values: FloatArray, weights: FloatArray, near: float) -> int:
    """Merge sorted values that are within `near` of the first of them, in place; returns how many are left."""
    count = 0
    for i in range(len(values)):
        if count > 0 and values[i] - values[count - 1] <= near:
            weights[count - 1] += weights[i]
        else:
            values[count] = values[i]
            weights[count] = weights[i]
            count += 1
    return count
