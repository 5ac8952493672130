"""One sweep of the recursion over states and targets, on piecewise linear functions of the target.

A function f(x, .) has knots b_k = origin + k * s, k = first[x], ..., and lies in `f[ptr[x]:ptr[x + 1]]`; between knots
it is linear, before the first its slope is `low`, after the last it is `high`. Positions are in units of s from the
origin. With shift e = (r - (1 - g) origin) / s, the target b_k and the reward r lead to position (k - e) / g, and the
kink at position j comes back to g j + e. Every group of successors may have a discount g of its own.

The successors of one pair that pay the same reward are mixed into a buffer first, so that kinks of opposite sign
cancel; then the buffer is read at the targets that the knots lead to. Both run over stretches of one shift, in vector
instructions: within one the place in a cell moves by the same amount from knot to knot.
"""

import numpy as np
from numpy.typing import NDArray

from distrl._numba import kernel
from distrl._validation import BoolArray, FloatArray, IntArray

Choice = NDArray[np.int16]

#: What a sweep makes: a function below, one above with the best action of each cell, or of the cells' given actions;
#: and the same where targets never leave the knots, so that each knot has an action of its own.
LOWER, UPPER, FIXED, KNOTS, KNOTS_FIXED = 0, 1, 2, 3, 4


@kernel
def sweep(
    mode: int,
    order: IntArray,
    f: FloatArray,
    ptr: IntArray,
    first: IntArray,
    out: FloatArray,
    out_ptr: IntArray,
    out_first: IntArray,
    choice: Choice,
    pair_ptr: IntArray,
    group_ptr: IntArray,
    shifts: FloatArray,
    masses: FloatArray,
    next_ptr: IntArray,
    next_states: IntArray,
    probs: FloatArray,
    end_ptr: IntArray,
    ends: FloatArray,
    end_probs: FloatArray,
    factors: FloatArray,
    s: float,
    low: float,
    high: float,
    caps: FloatArray,
    slack: FloatArray,
    widest: int,
    buffer_size: int,
    with_hats: bool,
    keep: bool,
    rising: bool,
    before_ptr: IntArray,
    before: IntArray,
    waiting: BoolArray,
    owed: FloatArray,
    enough: float,
) -> tuple[float, float]:
    """out(x, .) from f for the states of `order`, one after the other; `out` may be `f` (Gauss-Seidel).

    LOWER takes `slack` (S,) off, and holds the ends below the lines of slope `low` and `high` through `caps` (S,); the
    others add it. Without hats nothing is said of what lies between knots; with `keep` a knot of `out` that is better
    stays then; with `rising` the others are made to fall nowhere. A state is looked at if it is `waiting` (S,), and
    those that lead to it, `before`, are to wait once it has changed by `enough` since they were told. Returns the
    largest rise and the largest fall of a knot of `out`.
    """
    q, buf = np.empty(widest + 1), np.empty(buffer_size)
    hats = np.zeros(widest + 2)  # that of the cell before knot k is hats[k], that of the cell behind it hats[k + 1]
    best, left, right = np.empty(widest + 1), np.empty(widest + 1), np.empty(widest + 1)
    pick = np.zeros(widest + 1)
    ramp = np.arange(float(max(widest, buffer_size) + 1))
    one_on = np.uint64(1)
    rise = fall = -np.inf
    bend = 1.0 if mode == LOWER else -1.0
    for place in range(len(order)):
        x = order[place]
        if not waiting[x]:
            continue
        waiting[x] = False
        base, k0 = out_ptr[x], out_first[x]
        n = out_ptr[x + 1] - base
        by_knot = mode >= KNOTS or n == 1
        fixed = mode in (FIXED, KNOTS_FIXED)
        entries = n if by_knot else n - 1
        for k in range(n):
            best[k] = np.inf
        for pair in range(pair_ptr[x], pair_ptr[x + 1]):
            action = pair - pair_ptr[x]
            if fixed:
                used = False
                for k in range(entries):
                    used |= choice[base + k] == action
                if not used:
                    continue
            for k in range(n):
                q[k] = 0.0
            for k in range(n + 1):
                hats[k] = 0.0
            # -- outcomes that end the return: p times the loss at b - r
            for end in range(end_ptr[pair], end_ptr[pair + 1]):
                p, w = end_probs[end] * s, ends[end] - k0
                for k in range(n):
                    d = k - w
                    q[k] += p * (high * max(d, 0.0) + low * min(d, 0.0))
                if with_hats and bend > 0.0 and 0.0 < w < n - 1:
                    cell = int(w)
                    t = w - cell
                    hats[cell + 1] += p * (high - low) * t * (1.0 - t)
            # -- outcomes that go on, those of one reward at a time
            for group in range(group_ptr[pair], group_ptr[pair + 1]):
                e, mass, g = shifts[group], masses[group], factors[group]
                stretch, shrink = 1.0 / g - 1.0, 1.0 - g
                start, stop = next_ptr[group], next_ptr[group + 1]
                least = first[next_states[start]]
                most = least
                for i in range(start, stop):
                    y = next_states[i]
                    least = min(least, first[y])
                    most = max(most, first[y] + ptr[y + 1] - ptr[y] - 1)
                least -= 1
                most += 1
                at = (k0 - e) / g
                lo = int(min(max(np.floor(at), least), most - 1))
                hi = int(min(max(np.floor((k0 + n - 1 - e) / g) + 1.0, lo + 1), most))
                size = hi - lo + 1
                for j in range(size):
                    buf[j] = 0.0
                for i in range(start, stop):
                    y, p = next_states[i], probs[i]
                    own, a = ptr[y], first[y] - lo
                    b = a + ptr[y + 1] - own - 1
                    one, other = f[own], f[ptr[y + 1] - 1]
                    for j in range(min(a, size)):
                        buf[j] += p * (one + low * s * (j - a))
                    start_at = max(a, 0)
                    count = min(b + 1, size) - start_at
                    if count > 0:
                        into, source = np.uint64(start_at), np.uint64(own - a + start_at)
                        for i in range(np.uint64(count)):
                            buf[into + i] += p * f[source + i]
                    for j in range(max(b + 1, 0), size):
                        buf[j] += p * (other + high * s * (j - b))
                # -- read at (k - e) / g: before the buffer, within it, behind it
                k = int(min(max(np.ceil(g * lo + e - k0), 0.0), n))
                slope = low * s * mass
                for i in range(k):
                    q[i] += g * (buf[0] + slope * (at - lo + i / g))
                while k < n:
                    u = at + k / g
                    if u >= hi:
                        break
                    j = min(max(int(np.floor(u)), lo), hi - 1)
                    t = u - j
                    count = min(n - k, hi - j)
                    if stretch > 0.0 and (1.0 - t) < stretch * count:
                        count = min(count, int((1.0 - t) / stretch) + 1)
                    into, source = np.uint64(k), np.uint64(j - lo)
                    behind = source + one_on
                    for i in range(np.uint64(count)):
                        value = buf[source + i]
                        q[into + i] += g * (value + (t + ramp[i] * stretch) * (buf[behind + i] - value))
                    k += count
                slope = high * s * mass
                for i in range(k, n):
                    q[i] += g * (buf[size - 1] + slope * (at - hi + i / g))
                # -- how far kinks that come to lie within cells raise, or lower, a chord over its curve
                if with_hats:
                    j = 1
                    while j < size - 1:
                        w = g * (lo + j) + e - k0
                        if w >= n - 1:
                            break
                        cell = max(int(np.floor(w)), 0)
                        t = w - cell
                        count = min(size - 1 - j, n - 1 - cell)
                        if shrink > 0.0 and t < shrink * count:
                            count = min(count, int(t / shrink) + 1)
                        into, source = np.uint64(cell + 1), np.uint64(j - 1)
                        here, behind = source + one_on, source + one_on + one_on
                        for i in range(np.uint64(count)):
                            turn = bend * (buf[behind + i] - 2.0 * buf[here + i] + buf[source + i])
                            share = t - ramp[i] * shrink
                            hats[into + i] += max(turn, 0.0) * share * (1.0 - share)
                        j += count
            # -- what this action adds to the state's function
            if mode == LOWER:
                for k in range(n):
                    best[k] = min(best[k], q[k] - max(hats[k], hats[k + 1]))
            elif by_knot:
                for k in range(n):
                    if choice[base + k] == action if fixed else q[k] < best[k]:
                        best[k] = q[k]
                        pick[k] = action
            elif fixed:
                for k in range(n - 1):
                    if choice[base + k] == action:
                        left[k] = q[k] + hats[k + 1]
                        right[k] = q[k + 1] + hats[k + 1]
            else:
                number = float(action)
                for k in range(n - 1):
                    hat = hats[k + 1]
                    middle = 0.5 * (q[k] + q[k + 1]) + hat
                    better = middle < best[k]
                    best[k] = middle if better else best[k]
                    left[k] = q[k] + hat if better else left[k]
                    right[k] = q[k + 1] + hat if better else right[k]
                    pick[k] = number if better else pick[k]
        # -- the state's new function; with `keep` at those knots where it is better than the old one
        if mode == LOWER:
            best[0] = min(best[0], low * s * (k0 - caps[x]))
            best[n - 1] = min(best[n - 1], high * s * (k0 + n - 1 - caps[x]))
            for k in range(n):
                best[k] -= slack[x]
        else:
            if not by_knot:
                best[0], best[n - 1] = left[0], right[n - 2]
                for k in range(1, n - 1):
                    best[k] = max(right[k - 1], left[k])
                pick[n - 1] = pick[n - 2]
            if rising:
                for k in range(1, n):
                    best[k] = max(best[k], best[k - 1])
            for k in range(n):
                best[k] += slack[x]
        most = 0.0
        for k in range(n):
            change = best[k] - out[base + k]
            if keep and bend * change < 0.0:
                continue
            rise = max(rise, change)
            fall = max(fall, -change)
            most = max(most, abs(change))
            out[base + k] = best[k]
            if mode != LOWER and not fixed:
                choice[base + k] = int(pick[k])
        owed[x] += most
        if owed[x] > enough:
            owed[x] = 0.0
            for i in range(before_ptr[x], before_ptr[x + 1]):
                waiting[before[i]] = True
    return rise, fall
