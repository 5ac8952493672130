"""One sweep of the recursion for E G^2 - 2 b E G over states and targets b, on knots of each state's own.

q(x, .), the least of E G^2 - 2 b E G over policies, is concave in b: a chord of it, or of what is below it, is below
it. From above it is the least of lines, one for each policy; a line is a mean and a mean square.
"""

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray


@kernel
def _turn(points: FloatArray, means: FloatArray, squares: FloatArray, j: int) -> float:
    """From which target on, between knot j and the next one, the line of that one is taken: where the two meet."""
    rise, more = squares[j + 1] - squares[j], means[j + 1] - means[j]
    here: float = points[j + 1]
    if more > 0.0:
        here = min(max(0.5 * rise / more, points[j]), points[j + 1])
    elif rise < 2.0 * points[j + 1] * more:
        here = points[j]
    return here


@kernel
def turns(points: FloatArray, means: FloatArray, squares: FloatArray, inner: IntArray, out: FloatArray) -> None:
    """`_turn` of the knots `inner` into `out`."""
    for k in range(len(inner)):
        out[k] = _turn(points, means, squares, inner[k])


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
    lower: FloatArray,
    means: FloatArray,
    squares: FloatArray,
    choice: IntArray,
    caps: FloatArray,
    floors: FloatArray,
    law_errors: FloatArray,
    defects: FloatArray,
    slope: float,
    farthest: float,
    widest: int,
) -> tuple[float, float]:
    """Improve `lower` and the lines (`means`, `squares`) with their pairs `choice` in place, for the states of `order`.

    Means lie between `floors` (may be -inf) and `caps` (S,); `slope` is the largest size of a finite one. On top of
    rounding come `law_errors` (pairs,), of the rewards' means, and `defects` (pairs,), masses of which nothing is known
    but that the mean of their return is at most `farthest` in size. Returns the largest change of each.
    """
    low, size = np.empty(widest), np.empty(widest)
    first, second = np.empty(widest), np.empty(widest)
    best, most = np.empty(widest), np.empty(widest)
    risen = fallen = 0.0
    for place in range(len(order)):
        x = order[place]
        base, n = ptr[x], ptr[x + 1] - ptr[x]
        for k in range(n):
            best[k] = np.inf
        for pair in range(pair_ptr[x], pair_ptr[x + 1]):
            for k in range(n):
                low[k] = size[k] = first[k] = second[k] = 0.0
                most[k] = -np.inf
            for row in range(row_ptr[pair], row_ptr[pair + 1]):
                p, r, y = probs[row], rewards[row], next_states[row]
                if ends[row]:
                    for k in range(n):
                        b = points[base + k]
                        low[k] += p * r * (r - 2.0 * b)
                        most[k] = max(most[k], r * (r - 2.0 * b))
                        size[k] += p * abs(r) * (abs(r) + 2.0 * abs(b))
                        first[k] += p * r
                        second[k] += p * r * r
                    continue
                start, last = ptr[y], ptr[y + 1] - 1
                cap, floor = caps[y], floors[y]
                j = start
                for k in range(n):
                    t = points[base + k]
                    b = (t - r) / g
                    while j < last and points[j + 1] <= b:
                        j += 1
                    # -- below: a chord, or a line of the steepest slope; never below what any law has
                    value, scale = -b * b, 0.0
                    if b > cap:
                        value = cap * (cap - 2.0 * b)
                    elif b < floor:
                        value = floor * (floor - 2.0 * b)
                    if b < points[start]:
                        if floor > -np.inf:
                            scale = abs(lower[start])
                            value = max(value, lower[start] - 2.0 * floor * (b - points[start]))
                    elif j == last:
                        scale = abs(lower[last])
                        value = max(value, lower[last] - 2.0 * cap * (b - points[last]))
                    else:
                        part = (b - points[j]) / (points[j + 1] - points[j])
                        scale = abs(lower[j]) + abs(lower[j + 1])
                        value = max(value, lower[j] + part * (lower[j + 1] - lower[j]))
                    low[k] += p * (r * (r - 2.0 * t) + g * g * value)
                    most[k] = max(most[k], r * (r - 2.0 * t) + g * g * value)
                    scale += abs(value) + 4.0 * abs(b) * slope
                    size[k] += p * (abs(r) * (abs(r) + 2.0 * abs(t)) + g * g * scale)
                    # -- above: the line of the two knots around that the policy plays on with
                    i = j
                    if j < last and b > points[j] and b >= _turn(points, means, squares, j):
                        i = j + 1
                    first[k] += p * (r + g * means[i])
                    second[k] += p * (r * r + g * (2.0 * r * means[i] + g * squares[i]))
            terms = (row_ptr[pair + 1] - row_ptr[pair] + 24.0) * EPS
            for k in range(n):
                b = points[base + k]
                value = low[k] - terms * size[k] - 2.0 * law_errors[pair] * (abs(b) + slope)
                if defects[pair] > 0.0:  # any law of mean m has E G^2 - 2 b E G >= m (m - 2 b)
                    least = -b * b if abs(b) < farthest else farthest * (farthest - 2.0 * abs(b))
                    value -= 2.0 * defects[pair] * max(most[k] - least, 0.0)
                best[k] = min(best[k], value)
                old = squares[base + k] - 2.0 * b * means[base + k]
                fall = old - (second[k] - 2.0 * b * first[k])
                same = 16.0 * EPS * (squares[base + k] + 2.0 * abs(b * means[base + k]))
                # what is as good, by the same pair, is what the policy has by now: means may differ where losses do not
                if fall > same or (pair == choice[base + k] and fall >= -same):
                    fallen = max(fallen, fall if fall > same else 0.0)
                    means[base + k], squares[base + k], choice[base + k] = first[k], second[k], pair
        for k in range(n):
            rise = best[k] - lower[base + k]
            if rise > 0.0:
                risen = max(risen, rise)
                lower[base + k] = best[k]
    return risen, fallen
