"""Quantiles of a mixture of sorted particle lists, and its distance to a law: one k-way merge a source.

The target of source x is the mixture of the lists k in plan.list_ptr[x]:plan.list_ptr[x + 1]. List k has the particles
shift[k] + discount[k] * values[successor[k], j], j = 0..n-1, each of weight prob[k] / n; or, where successor[k] is -1,
the one particle shift[k] of weight prob[k]. Rows of `values` are sorted. A binary heap holds the first particle left of
each list: time O(K n log K) for K lists.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import EPS, LEVEL
from distrl._validation import FloatArray, IntArray


@kernel
def _sift(head: FloatArray, which: IntArray, count: int, at: int) -> None:
    """Move the entry `at` down to where the heap is in order."""
    key, item = head[at], which[at]
    child = 2 * at + 1
    while child < count:
        if child + 1 < count and head[child + 1] < head[child]:
            child += 1
        if head[child] >= key:
            break
        head[at], which[at] = head[child], which[child]
        at = child
        child = 2 * at + 1
    head[at], which[at] = key, item


@kernel
def _first_heads(values: FloatArray, plan: Any, x: int, head: FloatArray, which: IntArray, position: IntArray) -> int:
    """Fill the heap with the first particle of each list; returns the number of lists."""
    first = plan.list_ptr[x]
    count: int = plan.list_ptr[x + 1] - first
    for k in range(count):
        y = plan.successor[first + k]
        head[k] = plan.shift[first + k]
        if y >= 0:
            head[k] += plan.discount[first + k] * values[y, 0]
        which[k] = k
        position[k] = 0
    for at in range(count // 2 - 1, -1, -1):
        _sift(head, which, count, at)
    return count


@kernel
def _next_head(
    values: FloatArray, plan: Any, x: int, head: FloatArray, which: IntArray, position: IntArray, count: int
) -> int:
    """Replace the smallest particle by the next of its list; returns the number of lists that are left."""
    k = which[0]
    row = plan.list_ptr[x] + k
    y = plan.successor[row]
    position[k] += 1
    if y >= 0 and position[k] < values.shape[1]:
        head[0] = plan.shift[row] + plan.discount[row] * values[y, position[k]]
    else:
        count -= 1
        head[0], which[0] = head[count], which[count]
    _sift(head, which, count, int(np.int64(0)))  # a bare 0 would be a type of its own, to compile for
    return count


@kernel
def _cut(position: IntArray, current: int, cuts: IntArray, i: int) -> None:
    """cuts[:, i] of a source's lists when the next particle, of the list `current`, is the one at level i."""
    for k in range(len(cuts)):
        cuts[k, i] = position[k]
    cuts[current, i] += 1


@kernel
def choose(
    values: FloatArray,
    plan: Any,
    levels: FloatArray,
    flat: float,
    choices: IntArray,
    cuts: IntArray,
    start: int,
    stop: int,
) -> None:
    """choices[x, i, 0] = the particle at the lower quantile F^{-1}(levels[i]) of source x's target, start <= x < stop.

    Where flat = 1 the one at the upper quantile Fbar^{-1}(levels[i]); in between `choices[x, i, 1]` is that. A particle
    is named list * n + j; -1 marks a source without lists. If not empty, cuts[k, i] = how many particles of list k are
    met up to choices[x, i, 0].
    """
    m, n = len(levels), values.shape[1]
    lists = 1
    for x in range(start, stop):
        lists = max(lists, plan.list_ptr[x + 1] - plan.list_ptr[x])
    head = np.empty(lists)
    which, position = np.empty(lists, dtype=np.int64), np.empty(lists, dtype=np.int64)
    last = choices.shape[2] - 1
    for x in range(start, stop):
        first = plan.list_ptr[x]
        if first == plan.list_ptr[x + 1]:
            choices[x] = -1
            continue
        count = _first_heads(values, plan, x, head, which, position)
        low, high = 0 if flat < 1.0 else m, 0 if flat > 0.0 else m  # what is not asked for is not looked for
        total, rest, particle = 0.0, 0.0, 0
        while count > 0 and (low < m or high < m):
            k = which[0]
            particle = (first + k) * n + position[k]
            mass = plan.prob[first + k] / (n if plan.successor[first + k] >= 0 else 1)
            added = total + mass  # compensated: rounding of a long sum must stay far below the tolerance of ties
            rest += (total - added) + mass if total >= mass else (mass - added) + total
            total = added
            while low < m and total + rest >= levels[low] - LEVEL:
                choices[x, low, 0] = particle
                if len(cuts) > 0:
                    _cut(position, k, cuts[first : plan.list_ptr[x + 1]], low)
                low += 1
            while high < m and total + rest > levels[high] + LEVEL:
                choices[x, high, last] = particle
                if len(cuts) > 0 and flat == 1.0:
                    _cut(position, k, cuts[first : plan.list_ptr[x + 1]], high)
                high += 1
            count = _next_head(values, plan, x, head, which, position, count)
        for i in range(low, m):  # probabilities that sum to a little less than 1 leave the last levels open
            choices[x, i, 0] = particle
        for i in range(high, m):
            choices[x, i, last] = particle
        if len(cuts) > 0:
            for k in range(plan.list_ptr[x + 1] - first):
                for i in range(low if flat < 1.0 else high, m):
                    cuts[first + k, i] = position[k]


@kernel
def _particle(values: FloatArray, plan: Any, name: int) -> float:
    k = name // values.shape[1]
    y = plan.successor[k]
    value: float = plan.shift[k]
    if y >= 0:
        value += plan.discount[k] * values[y, name - k * values.shape[1]]
    return value


@kernel
def read(
    values: FloatArray,
    plan: Any,
    choices: IntArray,
    flat: float,
    out: FloatArray,
    moved: FloatArray,
    start: int,
    stop: int,
) -> None:
    """out[x, i] = (1 - flat) * first particle chosen + flat * second; moved[x] = max |out[x] - values[x]| if not empty.

    Choices made at other values are allowed: it is then a step with frozen choices, linear in `values`. A source
    without lists is left out.
    """
    for x in range(start, stop):
        largest = 0.0
        for i in range(out.shape[1] if choices[x, 0, 0] >= 0 else 0):
            value = _particle(values, plan, choices[x, i, 0])
            if choices.shape[2] == 2 and choices[x, i, 1] != choices[x, i, 0]:
                other = _particle(values, plan, choices[x, i, 1])
                blend = (1.0 - flat) * value + flat * other
                value = min(max(blend, min(value, other)), max(value, other))  # rounding must not disturb the order
            out[x, i] = value
            if len(moved) > 0:
                largest = max(largest, abs(value - values[x, i]))
        if len(moved) > 0:
            moved[x] = largest


@kernel
def largest(
    values: FloatArray, plan: Any, cuts: IntArray, choices: IntArray, changed: IntArray, start: int, stop: int
) -> None:
    """choices[x, i] = the largest particle among the first cuts[k, i] of each list k; changed[x] = how often it is new.

    The present choice is kept if it is as large up to rounding, so that repeated improvement ends.
    """
    n, m = values.shape[1], choices.shape[1]
    most = np.empty(m)
    for x in range(start, stop):
        changed[x] = 0
        if plan.list_ptr[x] == plan.list_ptr[x + 1]:
            continue
        for i in range(m):
            value = _particle(values, plan, choices[x, i])
            most[i] = value + 16.0 * EPS * abs(value)
        for k in range(plan.list_ptr[x], plan.list_ptr[x + 1]):
            y, shift, discount = plan.successor[k], plan.shift[k], plan.discount[k]
            for i in range(m):
                if cuts[k, i] == 0:
                    continue
                value = shift + discount * values[y, cuts[k, i] - 1] if y >= 0 else shift
                if value > most[i]:
                    most[i] = value
                    choices[x, i] = k * n + cuts[k, i] - 1
                    changed[x] += 1


@kernel
def follow(plan: Any, choices: IntArray, values: FloatArray) -> None:
    """Solve values[x, i] = shift[k] + discount[k] * values[successor[k], j], choices[x, i] = k * n + j, in place.

    Each value follows one other: a walk ends at a return's end or in a cycle, whose values are a geometric series, and
    is then unwound. Time O(S m). A cycle without any discount is gone round once from the present values; rows with
    choices -1 are kept.
    """
    n = values.shape[1]
    total = choices.size
    flat, which = values.reshape(-1), choices.reshape(-1)
    met, path = np.full(total, -1), np.empty(total, dtype=np.int64)
    for begin in range(total):
        length, at = 0, begin
        while at >= 0 and met[at] < 0 and which[at] >= 0:
            met[at] = begin
            path[length] = at
            length += 1
            k = which[at] // n
            y = plan.successor[k]
            at = y * n + which[at] - k * n if y >= 0 else -1
        if length == 0:
            continue
        if at >= 0 and which[at] >= 0 and met[at] == begin:  # a new cycle, through `at`
            series, factor, t = 0.0, 1.0, length
            while path[t - 1] != at:
                t -= 1
            for s in range(t - 1, length):
                k = which[path[s]] // n
                series += factor * plan.shift[k]
                factor *= plan.discount[k]
            if factor < 1.0:
                flat[at] = series / (1.0 - factor)
        value = flat[at] if at >= 0 else 0.0
        for s in range(length - 1, -1, -1):
            k = which[path[s]] // n
            value = plan.shift[k] + plan.discount[k] * value
            flat[path[s]] = value


@kernel
def distances(
    values: FloatArray,
    weights: FloatArray,
    plan: Any,
    laws: FloatArray,
    law_weights: FloatArray,
    out: FloatArray,
    start: int,
    stop: int,
) -> None:
    """out[x] = (W1 between the law on laws[x] and the target of x, width of the two together), start <= x < stop.

    int |F - G| by the same merge, with the law as one more list. Particle j of state y has the weight weights[y, j]
    here; rows of `laws` are sorted, too. One row of weights serves all laws.
    """
    lists = 1
    for x in range(start, stop):
        lists = max(lists, plan.list_ptr[x + 1] - plan.list_ptr[x])
    head = np.empty(lists)
    which, position = np.empty(lists, dtype=np.int64), np.empty(lists, dtype=np.int64)
    m = laws.shape[1]
    for x in range(start, stop):
        first = plan.list_ptr[x]
        own = law_weights[x if len(law_weights) > 1 else 0]
        count = _first_heads(values, plan, x, head, which, position)
        lowest = min(laws[x, 0], head[0]) if count > 0 else laws[x, 0]
        i, area, here, total, rest = 0, 0.0, lowest, 0.0, 0.0
        while count > 0 or i < m:
            before = here
            if count == 0 or (i < m and laws[x, i] <= head[0]):
                here, mass = laws[x, i], -own[i]
                i += 1
            else:
                k = which[0]
                y = plan.successor[first + k]
                here, mass = head[0], plan.prob[first + k]
                if y >= 0:
                    mass *= weights[y if len(weights) > 1 else 0, position[k]]
                count = _next_head(values, plan, x, head, which, position, count)
            area += abs(total + rest) * (here - before)
            added = total + mass  # compensated, as masses of both signs nearly cancel
            rest += (total - added) + mass if abs(total) >= abs(mass) else (mass - added) + total
            total = added
        out[x, 0], out[x, 1] = area, here - lowest
