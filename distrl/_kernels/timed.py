"""One step of the recursion of entropic risk, the best action of every state."""

import math

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import EPS, TINY
from distrl._validation import BoolArray, FloatArray, IntArray

# exponents up to which exp(z) - 1 - z is a polynomial of degree 5, or 9: what that leaves out is below eps |z|
_TINY_SERIES, _SERIES = 0.002, 0.1
_WIDE = 1.0  # exponents from which sums are taken about the largest term: 1/b is below the values' size then


@kernel
def _log_mean_exp(
    values: FloatArray, probs: FloatArray, first: int, count: int, b: float, mean: float, far: float
) -> float:
    """(1/b) log sum p exp(b v) of finite values[:count] with probs[first:first + count], where far = max |b (v - mean)|
    is not tiny.

    About the mean where nothing overflows, so that no 1/b magnifies rounding, else about the largest term.
    """
    total = 0.0
    if far > _WIDE:
        top = values[0]
        for k in range(1, count):
            top = max(top, values[k]) if b > 0.0 else min(top, values[k])
        for k in range(count):
            total += probs[first + k] * math.exp(b * (values[k] - top))
        return float(top + math.log(total) / b)
    if far > _SERIES:
        for k in range(count):
            z = b * (values[k] - mean)
            total += probs[first + k] * (math.expm1(z) - z)
        return mean + math.log1p(total) / b
    for k in range(count):
        z = b * (values[k] - mean)
        square = z * z
        fourth = square * square
        more = (1 / 2 + z * (1 / 6)) + square * (1 / 24 + z * (1 / 120))
        more += fourth * ((1 / 720 + z * (1 / 5040)) + square * (1 / 40320 + z * (1 / 362880)))
        total += probs[first + k] * (square * more)
    sixth = 1 / 2 - total * (1 / 3 - total * (1 / 4 - total * (1 / 5 - total * (1 / 6))))
    return mean + total * (1.0 - total * sixth) / b


@kernel
def _with_unknown_mass(
    values: FloatArray, count: int, b: float, mixed: float, side: float, mass: float, far: float
) -> float:
    """`mixed` moved to the given side by mass of which nothing is known but that its value is at most `far` there."""
    if b * side > 0.0:  # a larger moment is the end on this side
        more = mass * math.exp(min(b * (far - mixed), 700.0))
        moved = mixed + math.log1p(more) / b if b * (far - mixed) < 700.0 else far
    else:
        counting = -np.inf
        for k in range(count):
            counting = max(counting, b * values[k])
        lost = mass * math.exp(min(counting - b * mixed, 700.0))
        moved = mixed + math.log1p(-lost) / b if lost < 1.0 else far
    return min(moved, far) if side > 0.0 else max(moved, far)


@kernel
def entropic_step(
    pairs: IntArray,
    rows: IntArray,
    probs: FloatArray,
    next_states: IntArray,
    going_on: BoolArray,
    rewards: FloatArray,
    defects: FloatArray,
    farthest: float,
    after: FloatArray,
    discount: float,
    b: float,
    side: float,
    preferred: IntArray,
    tie: float,
    out: FloatArray,
    chosen: IntArray,
    caps: FloatArray,
    risen: float,
) -> None:
    """out[x] = max over pairs of (1/b) log sum p exp(b (r + discount after[y])), moved to `side` by what may be off.

    That is the rounding of 4 (outcomes + 16) eps of the largest value, and mass of which nothing is known but that its
    value is at most `farthest` on that side. Pairs of x are pairs[x]:pairs[x + 1], outcomes of pair i rows[i]:rows[i +
    1]; chosen[x] is the first best pair, or `preferred[x]` where that falls short of it by `tie` at most, and then
    `out` is of that pair.

    Pairs that cannot be chosen are passed over, which changes nothing: those whose mean, for b > 0 with b w^2 / 8 on it
    for values on an interval of width w (Hoeffding), is too small; and where `caps` is not empty those with too small a
    caps[pair] + risen, which they are worth at most. Pairs that are looked at get a new one.
    """
    known_before = len(caps) > 0
    most = 0
    for pair in range(len(rows) - 1):
        most = max(most, rows[pair + 1] - rows[pair])
    values = np.empty(most)
    for x in range(len(out)):
        best, kept, place, least = -np.inf, -np.inf, pairs[x], -np.inf
        for turn in range(pairs[x] - 1, pairs[x + 1]):  # the preferred one first, and then all in their order
            pair = preferred[x] if turn < pairs[x] else turn
            if pair < 0:
                continue
            if turn == preferred[x]:
                if kept > best:
                    best, place = kept, pair
                continue
            bar = max(best, least)
            if known_before and turn >= pairs[x] and caps[pair] + risen < bar:
                continue
            first, count, size, mean = rows[pair], rows[pair + 1] - rows[pair], 0.0, 0.0
            for k in range(count):
                value = rewards[first + k]
                if going_on[first + k]:
                    value += discount * after[next_states[first + k]]
                size = max(size, abs(value))
                mean += probs[first + k] * value
                values[k] = value
            known = size < np.inf
            far, total = 0.0, 0.0
            for k in range(count if known else 0):  # most exponents are small, many steps back from the end
                z = b * (values[k] - mean)
                far = max(far, abs(z))
                square = z * z
                total += probs[first + k] * (square * ((1 / 2 + z * (1 / 6)) + square * (1 / 24 + z * (1 / 120))))
            room = 4.0 * (count + 16.0) * EPS * size + TINY if size > 0.0 else 0.0
            if not known:
                mixed = side * np.inf
            else:
                if turn >= pairs[x] and defects[pair] <= 0.0:
                    jensen = mean + 4.0 * room + (far * far / (2.0 * b) if b > 0.0 else 0.0)  # w <= 2 far / b
                    if jensen < bar:
                        if known_before:
                            caps[pair] = jensen - risen * (1.0 - 4.0 * EPS)
                        continue
                if far <= _TINY_SERIES:
                    mixed = mean + total * (1.0 - total * (0.5 - total * (1 / 3))) / b
                else:
                    mixed = _log_mean_exp(values, probs, first, count, b, mean, far)
                mixed += side * room
            if known_before:  # twice what rounding allows, and as much for sums with it
                caps[pair] = mixed + 4.0 * room - risen * (1.0 - 4.0 * EPS)
            if known and defects[pair] > 0.0:
                mixed = _with_unknown_mass(values, count, b, mixed, side, defects[pair], farthest)
            if turn < pairs[x]:
                kept, least = mixed, mixed - tie - 4.0 * EPS * abs(mixed)
            elif mixed > best:
                best, place = mixed, pair
        if preferred[x] >= 0 and kept >= best - tie:
            best, place = kept, preferred[x]
        out[x] = best
        chosen[x] = place
