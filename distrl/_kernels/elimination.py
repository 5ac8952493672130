"""Elimination in I - A without a subtraction: off-diagonal entries and row excesses are data, diagonals are sums.

Row x of the matrix has -A(x, y) off the diagonal and, on it, e(x) + sum_{y not x} A(x, y). Eliminating state k,

    A(x, y) += l A(k, y),   e(x) += l e(k),   l = A(x, k) / w,   w = e(k) + sum_{y not k} A(k, y),

keeps that form and adds numbers of one sign only (Grassmann, Taksar, Heyman 1985). A(x, x) is never looked at.
"""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray

#: A result below this may have lost its relative accuracy to gradual underflow (2^-960).
TINY = 2.0**-960


@kernel
def eliminate_dense(matrix: FloatArray, excess: FloatArray, pivots: FloatArray) -> bool:
    """LU in place: factors l below the diagonal, rows of U above it, pivots w; False where underflow can matter.

    Row by row, so that the inner loop adds a multiple of one row to another.
    """
    n = len(excess)
    safe = True
    smallest = np.empty(n)  # of each finished row's entries: what a small factor can make underflow
    for x in range(n):
        row = matrix[x]
        row[x] = 0.0
        for k in range(x):
            if row[k] > 0.0:
                factor = row[k] / pivots[k]
                row[k] = factor
                tail, above = row[k + 1 :], matrix[k, k + 1 :]  # slices, for the compiler to vectorise
                doubtful = not factor * smallest[k] >= TINY
                for j in range(len(tail)):
                    tail[j] += factor * above[j]
                excess[x] += factor * excess[k]
                if doubtful:  # an addend of a larger number may underflow
                    if factor < TINY or (excess[k] > 0.0 and excess[x] < TINY):
                        safe = False
                    for j in range(len(tail)):
                        if k + 1 + j != x and above[j] > 0.0 and tail[j] < TINY:
                            safe = False
        row[x] = 0.0
        total, lost = excess[x], 0.0  # Kahan's sum: relative error 2 units whatever the length
        least = total if total > 0.0 else np.inf
        for y in range(x + 1, n):
            if row[y] > 0.0:
                least = min(least, row[y])
                addend = row[y] - lost
                larger = total + addend
                lost = (larger - total) - addend
                total = larger
        pivots[x] = total
        smallest[x] = least
        if least < TINY:
            safe = False
    return safe


@kernel
def _grown_integers(array: IntArray, size: int) -> IntArray:
    wider = np.empty(max(size, 2 * len(array)), dtype=np.int64)
    for k in range(len(array)):  # a slice takes two seconds more to compile
        wider[k] = array[k]
    return wider


@kernel
def _grown(array: FloatArray, size: int) -> FloatArray:
    wider = np.empty(max(size, 2 * len(array)))
    for k in range(len(array)):
        wider[k] = array[k]
    return wider


@kernel
def _file(x: int, key: int, keys: IntArray, heads: IntArray, after: IntArray, before: IntArray) -> None:
    """Move x to the front of the list of its key."""
    if keys[x] >= 0:
        if before[x] >= 0:
            after[before[x]] = after[x]
        else:
            heads[keys[x]] = after[x]
        if after[x] >= 0:
            before[after[x]] = before[x]
    keys[x] = key
    before[x] = -1
    after[x] = heads[key]
    if heads[key] >= 0:
        before[heads[key]] = x
    heads[key] = x


@kernel
def eliminate_sparse(
    pointers: IntArray, columns: IntArray, values: FloatArray, excess: FloatArray, budget: int, order: IntArray
) -> tuple[int, bool, FloatArray, IntArray, IntArray, FloatArray]:
    """Eliminate states one by one, the one that fills in least first, until what is left is dense.

    The order is Markowitz's: (entries of the row) * (entries of the column), so that states that lead nowhere any more
    cost nothing. `excess` and `order` are overwritten. Work is counted in entries touched, those of a dense rest,
    which are touched in order, at a hundredth; it is given up beyond `budget`.

    Returns
    -------
    (states eliminated or -1 if given up, whether underflow is sure not to matter, pivots, at, states, values)
        Of step i the row of U stands in states, values [at[2i]:at[2i + 1]], the column of L, rows and factors l, in
        [at[2i + 1]:at[2i + 2]]; behind at[2 done] come the rows of what is left, one after another.
    """
    n = len(excess)
    top = 16_383
    start, length, room = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    in_row, in_column = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    size = len(columns)
    pool, amounts = np.empty(2 * size + n, dtype=np.int64), np.empty(2 * size + n)
    nodes = np.empty(6 * size + 3 * n, dtype=np.int64)  # entries by column: (next, row, place in the row), which moves
    first = np.full(n, -1, dtype=np.int64)
    used = made = active = 0
    safe = True
    for x in range(n):
        start[x] = used
        for j in range(pointers[x], pointers[x + 1]):
            y = columns[j]
            pool[used], amounts[used] = y, values[j]
            nodes[made], nodes[made + 1], nodes[made + 2] = first[y], x, used - start[x]
            first[y] = made
            made += 3
            used += 1
            in_column[y] += 1
        length[x] = room[x] = in_row[x] = used - start[x]
        active += length[x]
    keys, heads = np.full(n, -1, dtype=np.int64), np.full(top + 1, -1, dtype=np.int64)
    after, before = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for x in range(n - 1, -1, -1):
        _file(x, min(in_row[x] * in_column[x], top), keys, heads, after, before)
    pivots, gone = np.empty(n), np.zeros(n, dtype=np.int64)
    at = np.zeros(2 * n + 1, dtype=np.int64)
    states, factors = np.empty(2 * size + 1, dtype=np.int64), np.empty(2 * size + 1)
    place = np.full(n, -1, dtype=np.int64)  # where in the row under work a column stands
    work = low = done = end = 0
    while done < n and work <= budget:
        left = n - done
        if left <= 24 or 3 * active > left * left:
            break
        while heads[low] < 0:
            low += 1
        k = heads[low]
        heads[low] = after[k]
        if after[k] >= 0:
            before[after[k]] = -1
        gone[k] = 1
        order[done] = k
        begin = end
        if begin + length[k] + in_column[k] > len(states):
            states = _grown_integers(states, begin + length[k] + in_column[k])
            factors = _grown(factors, begin + length[k] + in_column[k])
        total, lost = excess[k], 0.0  # Kahan's sum
        for j in range(start[k], start[k] + length[k]):
            if gone[pool[j]] == 0:
                states[end], factors[end] = pool[j], amounts[j]
                end += 1
                addend = amounts[j] - lost
                larger = total + addend
                lost = (larger - total) - addend
                total = larger
        pivots[done] = total
        middle = end
        work += length[k]
        node = first[k]
        while node >= 0:
            x = nodes[node + 1]
            if gone[x] == 0:
                factor = amounts[start[x] + nodes[node + 2]] / total
                states[end], factors[end] = x, factor
                end += 1
                in_row[x] -= 1
                active -= 1
                excess[x] += factor * excess[k]
                if factor < TINY or (excess[k] > 0.0 and excess[x] < TINY):
                    safe = False
                others = middle - begin
                if others > 1 or (others == 1 and states[begin] != x):  # the way back alone counts on the diagonal only
                    if length[x] + others > room[x]:  # to the end of the pool, with more room
                        room[x] = 2 * (length[x] + others)
                        if used + room[x] > len(pool):
                            pool = _grown_integers(pool, used + room[x])
                            amounts = _grown(amounts, used + room[x])
                        for j in range(length[x]):
                            pool[used + j], amounts[used + j] = pool[start[x] + j], amounts[start[x] + j]
                        start[x] = used
                        used += room[x]
                    if made + 3 * others > len(nodes):
                        nodes = _grown_integers(nodes, made + 3 * others)
                    known = length[x]
                    for j in range(start[x], start[x] + known):
                        place[pool[j]] = j
                    for j in range(begin, middle):
                        y = states[j]
                        if y != x:
                            here = place[y]
                            if here < 0:
                                here = start[x] + length[x]
                                pool[here], amounts[here] = y, 0.0
                                nodes[made], nodes[made + 1], nodes[made + 2] = first[y], x, length[x]
                                first[y] = made
                                made += 3
                                length[x] += 1
                                in_row[x] += 1
                                in_column[y] += 1
                                active += 1
                            amounts[here] += factor * factors[j]
                            if amounts[here] < TINY:
                                safe = False
                    for j in range(start[x], start[x] + known):
                        place[pool[j]] = -1
                    work += known + others
            node = nodes[node]
            work += 1
        done += 1
        active -= middle - begin
        at[2 * done - 1], at[2 * done] = middle, end
        for j in range(begin, end):
            y = states[j]
            if j < middle:
                in_column[y] -= 1
            key = min(in_row[y] * in_column[y], top)
            if key != keys[y]:
                _file(y, key, keys, heads, after, before)
                low = min(low, key)
    left = n - done
    if work > budget or (left > 24 and work + left * left * left // 300 > budget):
        return -1, safe, pivots, at, states, factors
    filled = 2 * done
    for x in range(n):
        if gone[x] == 0:
            order[filled - done] = x
            if end + length[x] > len(states):
                states, factors = _grown_integers(states, end + length[x]), _grown(factors, end + length[x])
            for j in range(start[x], start[x] + length[x]):
                if gone[pool[j]] == 0:
                    states[end], factors[end] = pool[j], amounts[j]
                    end += 1
            filled += 1
            at[filled] = end
    return done, safe, pivots, at, states, factors


@kernel
def substitute(
    order: IntArray,
    pivots: FloatArray,
    at: IntArray,
    states: IntArray,
    factors: FloatArray,
    rest: FloatArray,
    vector: FloatArray,
) -> None:
    """vector = (I - A)^{-1} vector, from the factors of the two eliminations; these are only read."""
    n, left = len(order), len(rest)
    done = n - left
    for i in range(done):
        amount = vector[order[i]]
        for j in range(at[2 * i + 1], at[2 * i + 2]):
            vector[states[j]] += factors[j] * amount
    part = np.empty(left)
    for i in range(left):
        total = vector[order[done + i]]
        for j in range(i):
            total += rest[i, j] * part[j]
        part[i] = total
    for i in range(left - 1, -1, -1):
        total = part[i]
        for j in range(i + 1, left):
            total += rest[i, j] * part[j]
        part[i] = total / pivots[done + i]
        vector[order[done + i]] = part[i]
    for i in range(done - 1, -1, -1):
        total = vector[order[i]]
        for j in range(at[2 * i], at[2 * i + 1]):
            total += factors[j] * vector[states[j]]
        vector[order[i]] = total / pivots[i]
