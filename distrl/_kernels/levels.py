"""Values of all levels, read from functions of the target that enclose the smallest loss.

A function f(x, .) has knots b_k = origin + k * s, k = first[x], ..., and lies in `f[ptr[x]:ptr[x + 1]]`, as in
`distrl._kernels.target`.
"""

import math

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray


@kernel
def _crossing(target: float, s: float, here: float, rise: float) -> float:
    """Where a function that is `here` <= 0 at a target, the last such knot, leaves 0 behind it, rounded up."""
    part = np.inf
    if here < 0.0:
        part = -here / rise
    elif rise > 0.0:
        part = 0.0
    found = target + s * part
    return found + 8.0 * EPS * (abs(found) + s)


@kernel
def raised(
    f: FloatArray,
    ptr: IntArray,
    first: IntArray,
    origin: float,
    s: float,
    means: FloatArray,
    high: float,
    out: FloatArray,
    zero: FloatArray,
    mean: FloatArray,
) -> None:
    """`out` is f raised to max(b - mean, 0) at knots, but where f lies above both between knots as well.

    That is between `zero` (S,), the largest target at which f is at most 0, and `mean` (S,), the largest one at which
    the line b - mean is at most f; both are rounded up, -inf where there is none, and inf where there is no largest.
    Behind its last knot f goes on with the slope `high`, and the line beside it.
    """
    for x in range(len(first)):
        base, n, line = ptr[x], ptr[x + 1] - ptr[x], means[x]
        zero[x] = mean[x] = -np.inf
        k = n - 1
        while k >= 0 and f[base + k] > 0.0:
            k -= 1
        if k >= 0:
            here = f[base + k]
            rise = high * s if k == n - 1 else f[base + k + 1] - here
            zero[x] = _crossing(origin + s * (first[x] + k), s, here, rise)
        k = n - 1
        while k >= 0 and (origin + s * (first[x] + k) - line) - f[base + k] > 0.0:
            k -= 1
        if k >= 0:
            target, rise = origin + s * (first[x] + k), 0.0
            here = (target - line) - f[base + k]
            if k < n - 1:
                rise = ((origin + s * (first[x] + k + 1) - line) - f[base + k + 1]) - here
            mean[x] = _crossing(target, s, here, rise)
        low, most = zero[x], mean[x]
        for k in range(n):
            target, value = origin + s * (first[x] + k), f[base + k]
            more = max(value, max(target - line, 0.0))
            out[base + k] = value if low < target < most else more


@kernel
def conjugates(
    f: FloatArray,
    ptr: IntArray,
    first: IntArray,
    origin: float,
    s: float,
    levels: FloatArray,
    order: IntArray,
    room: float,
    values: FloatArray,
    targets: FloatArray,
) -> None:
    """values (S, K) = max over knots b of {level * b - f(x, b)} / level, and `targets` the smallest b of it.

    Values are raised by `room` times the sizes of both. Levels ascend along `order`. Only the knots of the lower convex
    hull can be the best, and the best one moves to the right as the level rises.
    """
    widest = 0
    for x in range(len(first)):
        widest = max(widest, ptr[x + 1] - ptr[x])
    # of each knot of the hull: its number, its value, and how far it is from the one before, in number and value
    hull, height = np.empty(widest), np.empty(widest)
    gap, rise = np.empty(widest), np.empty(widest)
    rising = np.empty(len(levels))
    for i in range(len(levels)):
        rising[i] = levels[order[i]]
    for x in range(len(first)):
        base, n, start = ptr[x], ptr[x + 1] - ptr[x], float(first[x])
        hull[0], height[0], top = 0.0, f[base], 0
        last, low, apart, more = 0.0, f[base], 0.0, 0.0  # the hull's last knot
        for i in range(1, n):
            k, value = float(i), f[base + i]
            away, up = k - last, value - low
            while top > 0 and not more * away < up * apart:
                top -= 1
                last, low, apart, more = hull[top], height[top], gap[top], rise[top]
                away, up = k - last, value - low
            top += 1
            last, low, apart, more = k, value, away, up
            hull[top], height[top], gap[top], rise[top] = k, value, away, up
        place, target, loss = 0, origin + s * start, height[0]
        behind = after = 0.0
        if top > 0:
            behind, after = origin + s * (start + hull[1]), height[1]
        for i in range(len(rising)):
            level = rising[i]
            value = level * target - loss
            while place < top:
                other = level * behind - after
                if other <= value:
                    break
                value, target, loss = other, behind, after
                place += 1
                if place < top:
                    behind, after = origin + s * (start + hull[place + 1]), height[place + 1]
            value /= level
            values[x, order[i]] = value + room * (abs(target) + abs(value))
            targets[x, order[i]] = target


@kernel
def settle(
    lower: FloatArray,
    upper: FloatArray,
    targets: FloatArray,
    levels: FloatArray,
    near: float,
    zero: FloatArray,
    mean: FloatArray,
    means: FloatArray,
    least: FloatArray,
) -> None:
    """Ends (S, K) of the best values from conjugates, in place.

    `lower` loses near / level and its rounding, and is `least` (S,) at least, which is the target then. `upper` is that
    of the lines which cross at `zero` and at `mean` (S,) at least, and at most `means` (S,).
    """
    short = near / levels
    for x in range(len(means)):
        at, lines, most, sure = mean[x], zero[x], means[x], least[x]
        if math.isfinite(at) and at <= most:
            lines = most  # on at - (at - most) / level, for levels up to 1
        elif math.isfinite(at):
            for i in range(len(levels)):
                meeting = at - (at - most) / levels[i]
                upper[x, i] = max(upper[x, i], meeting + 4.0 * EPS * (abs(at) + abs(meeting)))
        for i in range(len(levels)):
            reached, target = lower[x, i] - short[i], targets[x, i]
            upper[x, i] = min(max(upper[x, i], lines), most)
            reached -= 4.0 * EPS * (abs(target) + abs(reached))
            lower[x, i] = max(reached, sure)
            targets[x, i] = sure if reached < sure else target
