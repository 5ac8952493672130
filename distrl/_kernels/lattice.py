"""Exact laws on a lattice, level by level: masses f_k and what lies beyond, s_k = P(return > k), side by side.

With P_r the moves that pay r levels and e_k the ends that pay k,

    (I - P_0) f_k = e_k + sum_{r >= 1} P_r f_{k - r},    (I - P_0) s_k = e_{> k} + sum_{r >= 1} P_r s_{k - r},

s = 1 below level 0: sums of non-negative numbers only. The last W levels lie in a ring (W, S, 2), W - 1 the largest r.
A state is looked at between its smallest and its largest return alone: before that f = 0 and s = 1, afterwards both 0.
"""

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray

_NOTHING = 1e-290  # what is below counts as 0: numbers without full accuracy are slow, and say nothing


@kernel
def _add(x: int, f: float, s: float, before: float, totals: FloatArray) -> None:
    """What a level of a state adds to its totals: f + s - s_{k-1}, its sum's size summed up, and s.

    The first is 0 but for rounding, and so is its sum over levels, which is that of all f less 1 - s.
    """
    totals[x, 0] += f - (before - s)
    totals[x, 1] += abs(totals[x, 0])
    totals[x, 2] += s


@kernel
def level_sides(
    level: int,
    ring: FloatArray,
    at: IntArray,
    to: IntArray,
    paid: IntArray,
    probs: FloatArray,
    end_at: IntArray,
    ends: IntArray,
    end_probs: FloatArray,
    side: FloatArray,
    beyond: FloatArray,
) -> None:
    """side, beyond (S,) = the right-hand sides of f and s at `level`; moves that pay nothing are left out."""
    width = len(ring)
    row = level % width
    for x in range(len(side)):
        a = b = 0.0
        for j in range(at[x], at[x + 1]):
            r = paid[j]
            if r > level:
                b += probs[j]
            elif r > 0:
                slot = row - r
                if slot < 0:
                    slot += width
                a += probs[j] * ring[slot, to[j], 0]
                b += probs[j] * ring[slot, to[j], 1]
        for j in range(end_at[x], end_at[x + 1]):
            if ends[j] == level:
                a += end_probs[j]
            elif ends[j] > level:
                b += end_probs[j]
        side[x] = a
        beyond[x] = b


@kernel
def keep_level(level: int, ring: FloatArray, column: IntArray, masses: FloatArray, totals: FloatArray) -> float:
    """Write f to `masses`, each state to its `column` (-1: none), add to `totals` (S, 3); returns the largest s."""
    width = len(ring)
    row = level % width
    most = 0.0
    for x in range(len(totals)):
        f, s = ring[row, x, 0], ring[row, x, 1]
        _add(x, f, s, ring[(row - 1) % width, x, 1], totals)
        most = max(most, s)
        if column[x] >= 0:
            masses[column[x]] = f
    return most


@kernel
def levels(
    first: int,
    ring: FloatArray,
    at: IntArray,
    to: IntArray,
    paid: IntArray,
    probs: FloatArray,
    end_at: IntArray,
    ends: IntArray,
    end_probs: FloatArray,
    pivots: FloatArray,
    low: IntArray,
    high: IntArray,
    column: IntArray,
    enough: float,
    masses: FloatArray,
    totals: FloatArray,
) -> tuple[int, float]:
    """Levels first, first + 1, ... into the rows of `masses`, until s <= enough everywhere or the rows are full.

    For models whose free moves (off a state's own loop) lead to earlier states only. `pivots` is the probability of all
    that is no free loop; `low` and `high` are levels that no return of a state is below or above. Returns how many
    levels were made, and the largest s of the last.
    """
    width, n = len(ring), len(pivots)
    last_end = -1
    for j in range(len(ends)):
        last_end = max(last_end, ends[j])
    most = 1.0
    masses[:] = 0.0
    for step in range(len(masses)):
        level = first + step
        row = level % width
        previous = row - 1 if row > 0 else width - 1
        most = 0.0
        for x in range(n):
            if level < low[x]:
                most = 1.0
                continue
            if level > high[x] + width:
                continue
            a = b = 0.0
            for j in range(at[x], at[x + 1]):
                r = paid[j]
                if r <= level:
                    slot = row - r
                    if slot < 0:
                        slot += width
                    a += probs[j] * ring[slot, to[j], 0]
                    b += probs[j] * ring[slot, to[j], 1]
                else:
                    b += probs[j]
            if level <= last_end:
                for j in range(end_at[x], end_at[x + 1]):
                    if ends[j] == level:
                        a += end_probs[j]
                    elif ends[j] > level:
                        b += end_probs[j]
            f, s = a / pivots[x], b / pivots[x]
            if s < _NOTHING:
                s = 0.0
                if f < _NOTHING:
                    f = 0.0
            before = ring[previous, x, 1]
            ring[row, x, 0] = f
            ring[row, x, 1] = s
            _add(x, f, s, before, totals)
            most = max(most, s)
            if column[x] >= 0:
                masses[step, column[x]] = f
        if most <= enough and level > 0:
            return step + 1, most
    return len(masses), most


@kernel
def step_back(
    at: IntArray,
    to: IntArray,
    paid: IntArray,
    probs: FloatArray,
    zero: int,
    below: FloatArray,
    reach: IntArray,
    masses: FloatArray,
    reached: IntArray,
) -> None:
    """Add the masses (S, levels) of one step more to `masses`, zeros: those `below`, moved by what moves pay.

    Column `zero` is level 0; what would lie beyond an end is put onto it. The move j of x leads to state `to[j]`, -1
    where it ends. State y has masses in columns reach[y, 0]..reach[y, 1] alone; `reached` (S, 2) is that of the next.
    """
    width = masses.shape[1]
    last = width - 1
    for x in range(len(masses)):
        low, high = last, 0
        for j in range(at[x], at[x + 1]):
            r, p, y = paid[j], probs[j], to[j]
            if y < 0:
                k = min(max(zero + r, 0), last)
                masses[x, k] += p
                low, high = min(low, k), max(high, k)
                continue
            first, end = max(reach[y, 0], -r), min(reach[y, 1], last - r)  # what stays inside
            for k in range(first, end + 1):
                masses[x, k + r] += p * below[y, k]
            for k in range(reach[y, 0], min(first, reach[y, 1] + 1)):
                masses[x, 0] += p * below[y, k]
            for k in range(max(end + 1, reach[y, 0]), reach[y, 1] + 1):
                masses[x, last] += p * below[y, k]
            low = min(low, min(max(reach[y, 0] + r, 0), last))
            high = max(high, min(max(reach[y, 1] + r, 0), last))
        while low < high and masses[x, low] < _NOTHING:
            masses[x, low] = 0.0
            low += 1
        while low < high and masses[x, high] < _NOTHING:
            masses[x, high] = 0.0
            high -= 1
        reached[x, 0], reached[x, 1] = low, high


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


@kernel
def transpose(rows: FloatArray, count: int, block: FloatArray, begin: int) -> None:
    """block[i, begin + k] = rows[k, i] for the first `count` rows, some columns at a time, for the cache."""
    n = rows.shape[1]
    for first in range(0, n, 64):
        for i in range(first, min(first + 64, n)):
            for k in range(count):
                block[i, begin + k] = rows[k, i]


@kernel
def gather(rows: FloatArray, count: int, first: int, times: int, block: FloatArray, spread: FloatArray) -> None:
    """Split the masses rows[k, i] of levels first + k between the atoms around them, `times` levels apart.

    block[i, j] is the mass at level j * times, and spread[i] adds up mass times the variance of where it goes.
    """
    n = len(block)
    for begin in range(0, n, 64):  # some columns at a time, for the cache
        for k in range(count):
            atom = (first + k) // times
            over = first + k - atom * times
            part, variance = over / times, float(over * (times - over))
            for i in range(begin, min(begin + 64, n)):
                mass = rows[k, i]
                if mass > 0.0:
                    share = mass * part
                    block[i, atom] += mass - share
                    if over > 0:
                        block[i, atom + 1] += share
                        spread[i] += mass * variance


@kernel
def close_up(flat: FloatArray, rows: int, room: int, length: int) -> None:
    """Move rows of `length` numbers, `room` apart, next to each other, in place."""
    for i in range(1, rows):
        for k in range(length):
            flat[i * length + k] = flat[i * room + k]
