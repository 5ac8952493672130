"""One sweep of the recursion for the least P(G < b) over states and targets b, on piecewise linear functions.

Knots and layout are those of `target.py`: a function f(x, .) has knots origin + k * s, k = first[x], ..., and lies in
`f[ptr[x]:ptr[x + 1]]`; it is constant beyond them, 0 before and 1 behind. Positions are in units of s. The recursion
has no factor: a kink D of f at position j comes back to g j + e, where the chord of its cell is off by D t (1 - t) / g,
t its share of the cell; a jump p of an outcome that ends at t by p t at most on its left, and p (1 - t) on its right.

A cell is a chord, whose ends are moved by what it is off, or flat: what is known of one end holds for all of it, since
the probability rises with b. Flat cells keep a value between those of the next knots, so that none sinks without end.
"""

import numpy as np
from numpy.typing import NDArray

from distrl._numba import kernel
from distrl._validation import BoolArray, FloatArray, IntArray

Choice = NDArray[np.int16]


@kernel
def sweep(
    below: bool,
    order: IntArray,
    f: FloatArray,
    choice: Choice,
    ptr: IntArray,
    first: IntArray,
    edges: FloatArray,
    pair_ptr: IntArray,
    group_ptr: IntArray,
    shifts: FloatArray,
    next_ptr: IntArray,
    next_states: IntArray,
    probs: FloatArray,
    end_ptr: IntArray,
    ends: FloatArray,
    end_probs: FloatArray,
    g: float,
    near: float,
    slack: FloatArray,
    widest: int,
    buffer_size: int,
    before_ptr: IntArray,
    before: IntArray,
    waiting: BoolArray,
    enough: float,
) -> float:
    """Improve `f` in place for the states of `order`; returns the largest change of a knot.

    With `below` f is below the probability of every policy, and rises: `edges` (S,) are positions that no return
    exceeds. Without it f is above its own image under `choice`, a pair of each cell, and falls: `edges` are positions
    that are reached for certain, whatever `choice` says in cells up to them. Returns that end within `near` of a knot
    count as at the side that is safe. A backup may be off by `slack` (S,). A state is looked at if it is `waiting`, and
    those that lead to it, `before`, are to wait once it has changed by `enough`.
    """
    q, hats, buf = np.empty(widest), np.empty(widest), np.empty(buffer_size)
    top, best, new = np.empty(widest), np.empty(widest), np.empty(widest)
    left, right, held = np.empty(widest), np.empty(widest), np.empty(widest + 2)
    pick = np.zeros(widest)
    ramp = np.arange(float(max(widest, buffer_size) + 1))
    one_on = np.uint64(1)
    bend = 1.0 if below else -1.0
    stretch, shrink = 1.0 / g - 1.0, 1.0 - g
    changed = 0.0
    for place in range(len(order)):
        x = order[place]
        if not waiting[x]:
            continue
        waiting[x] = False
        base, k0 = ptr[x], first[x]
        n = ptr[x + 1] - base
        edge = edges[x] - k0
        for k in range(n):
            top[k] = best[k] = left[k] = right[k] = np.inf
        for pair in range(pair_ptr[x], pair_ptr[x + 1]):
            for k in range(n):
                q[k] = hats[k] = 0.0
            # -- outcomes that end the return: a jump from 0 to p behind r
            for end in range(end_ptr[pair], end_ptr[pair + 1]):
                p, w = end_probs[end], ends[end] - k0 + bend * near
                for k in range(n):
                    if k > w:
                        q[k] += p
                if 0.0 <= w < n - 1:
                    cell = int(w)
                    t = w - cell
                    hats[cell] += p * t * g if below else p * (1.0 - t) * g
            # -- outcomes that go on, those of one reward at a time
            for group in range(group_ptr[pair], group_ptr[pair + 1]):
                e = shifts[group]
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
                    one, other = p * f[own], p * f[ptr[y + 1] - 1]
                    for j in range(min(a, size)):
                        buf[j] += one
                    start_at = max(a, 0)
                    count = min(b + 1, size) - start_at
                    if count > 0:
                        into, source = np.uint64(start_at), np.uint64(own - a + start_at)
                        for i in range(np.uint64(count)):
                            buf[into + i] += p * f[source + i]
                    for j in range(max(b + 1, 0), size):
                        buf[j] += other
                # -- read at (k - e) / g: before the buffer, within it, behind it
                k = int(min(max(np.ceil(g * lo + e - k0), 0.0), n))
                for i in range(k):
                    q[i] += buf[0]
                while k < n:
                    u = at + k / g
                    if u >= hi:
                        break
                    j = min(max(int(np.floor(u)), lo), hi - 1)
                    t = u - j
                    count = min(n - k, hi - j)
                    if (1.0 - t) < stretch * count:
                        count = min(count, int((1.0 - t) / stretch) + 1)
                    into, source = np.uint64(k), np.uint64(j - lo)
                    behind = source + one_on
                    for i in range(np.uint64(count)):
                        value = buf[source + i]
                        q[into + i] += value + (t + ramp[i] * stretch) * (buf[behind + i] - value)
                    k += count
                for i in range(k, n):
                    q[i] += buf[size - 1]
                # -- how far kinks that come to lie within cells raise, or lower, a chord over its curve
                j = 1
                while j < size - 1:
                    w = g * (lo + j) + e - k0
                    if w >= n - 1:
                        break
                    cell = max(int(np.floor(w)), 0)
                    t = w - cell
                    count = min(size - 1 - j, n - 1 - cell)
                    if t < shrink * count:
                        count = min(count, int(t / shrink) + 1)
                    into, source = np.uint64(cell), np.uint64(j - 1)
                    here, behind = source + one_on, source + one_on + one_on
                    for i in range(np.uint64(count)):
                        turn = bend * (buf[behind + i] - 2.0 * buf[here + i] + buf[source + i])
                        share = t - ramp[i] * shrink
                        hats[into + i] += max(turn, 0.0) * share * (1.0 - share)
                    j += count
            # -- what this action adds: the ends that a chord may have in each cell, or a flat one
            number = float(pair - pair_ptr[x])
            if below:
                for k in range(n):
                    top[k] = min(top[k], q[k])
                for k in range(n - 1):
                    hat = hats[k] / g
                    left[k] = min(left[k], q[k] - hat)
                    right[k] = min(right[k], q[k + 1] - hat)
            else:
                for k in range(n - 1):
                    hat, here, behind_it = hats[k] / g, q[k], q[k + 1]
                    after = q[k + 2] if k + 2 < n else 1.0
                    chord = 2.0 * hat <= behind_it - here and hat <= after - behind_it
                    one = here + hat if chord else behind_it
                    other = behind_it + hat if chord else behind_it
                    if one + other < best[k]:
                        best[k], left[k], right[k], pick[k] = one + other, one, other, number
        # -- the state's new function
        off = slack[x]
        if below:
            for k in range(n):  # what is known at each knot
                top[k] = 1.0 if k > edge else max(top[k] - off, f[base + k])
            for k in range(n - 1):
                one, other, known = left[k] - off, right[k] - off, top[k]
                if one < (top[k - 1] if k > 0 else 0.0) or one + other <= 2.0 * known or other <= known:
                    one = other = known
                left[k], right[k] = one, other
            new[0], new[n - 1] = 0.0, 1.0
            for k in range(1, n - 1):
                new[k] = min(right[k - 1], left[k])
        else:
            for k in range(n - 1):
                if k + 1 <= edge:
                    left[k] = right[k] = -off
            new[0], new[n - 1] = 0.0, 1.0
            for k in range(1, n - 1):
                new[k] = max(max(right[k - 1], left[k]) + off, new[k - 1])
        # -- where a knot would be worse its two cells stay as they are, with both their ends
        for k in range(n):
            held[k + 1] = bend * (new[k] - f[base + k])
        held[0] = held[n + 1] = 0.0
        most_here = 0.0
        for k in range(n):
            if not below and k < n - 1 and held[k + 1] >= 0.0 and held[k + 2] >= 0.0:
                choice[base + k] = int(pick[k])
            if held[k] < 0.0 or held[k + 1] < 0.0 or held[k + 2] < 0.0:
                new[k] = f[base + k]
        for k in range(n):
            if not below and k > 0:
                new[k] = max(new[k], new[k - 1])
            most_here = max(most_here, abs(new[k] - f[base + k]))
            f[base + k] = new[k]
        changed = max(changed, most_here)
        if most_here > enough:
            for i in range(before_ptr[x], before_ptr[x + 1]):
                waiting[before[i]] = True
    return changed
