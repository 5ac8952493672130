"""Block tridiagonal elimination for M-matrices: no pivots, one thread, a fixed order."""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def _solve(work: FloatArray, size: int) -> None:
    """work = [M | R] becomes [. | M^{-1} R], M of `size` rows: elimination four rows at a time, rows stay in cache."""
    width = work.shape[1]
    for r in range(size):
        row = work[r]
        p = 0
        while p + 4 <= r:
            first, second, third, fourth = work[p], work[p + 1], work[p + 2], work[p + 3]
            a = row[p]
            b = row[p + 1] - a * first[p + 1]
            c = row[p + 2] - a * first[p + 2] - b * second[p + 2]
            d = row[p + 3] - a * first[p + 3] - b * second[p + 3] - c * third[p + 3]
            for j in range(p + 4, width):
                row[j] -= a * first[j] + b * second[j] + c * third[j] + d * fourth[j]
            p += 4
        while p < r:
            a, first = row[p], work[p]
            for j in range(p + 1, width):
                row[j] -= a * first[j]
            p += 1
        scale = 1.0 / row[r]
        for j in range(r + 1, width):
            row[j] *= scale
    for r in range(size - 1, -1, -1):
        row = work[r]
        p = r + 1
        while p + 4 <= size:
            first, second, third, fourth = work[p], work[p + 1], work[p + 2], work[p + 3]
            a, b, c, d = row[p], row[p + 1], row[p + 2], row[p + 3]
            for j in range(size, width):
                row[j] -= a * first[j] + b * second[j] + c * third[j] + d * fourth[j]
            p += 4
        while p < size:
            a, first = row[p], work[p]
            for j in range(size, width):
                row[j] -= a * first[j]
            p += 1


@kernel
def eliminate(
    pointers: IntArray,
    columns: IntArray,
    values: FloatArray,
    rhs: FloatArray,
    block: int,
    carried: FloatArray,
    solution: FloatArray,
) -> None:
    """solution = (I - A)^{-1} rhs for A in CSR form whose entries lie at most in the next block of `block` rows.

    carried (rows, block + 1) gets, from the last block backwards, what each unknown of the block before adds, and in
    its last column what the rows have by themselves.
    """
    n = len(rhs)
    work = np.empty((block, 2 * block + 1))
    start = (n - 1) // block * block
    stop = n
    while start >= 0:
        size = stop - start
        before = block if start > 0 else 0
        part = work[:size, : size + before + 1]
        part[:] = 0.0
        for r in range(size):
            row = part[r]
            row[r] = 1.0
            row[size + before] = rhs[start + r]
            for k in range(pointers[start + r], pointers[start + r + 1]):
                value, column = values[k], columns[k]
                if column >= stop:
                    beyond = carried[column]
                    for j in range(size):
                        row[j] -= value * beyond[j]
                    row[size + before] += value * beyond[block]
                elif column >= start:
                    row[column - start] -= value
                else:
                    row[size + column - (start - block)] += value
        _solve(part, size)
        for r in range(size):
            for j in range(before):
                carried[start + r, j] = part[r, size + j]
            carried[start + r, block] = part[r, size + before]
        start, stop = start - block, start
    for r in range(n):
        start = r // block * block
        total = carried[r, block]
        if start > 0:
            for j in range(block):
                total += carried[r, j] * solution[start - block + j]
        solution[r] = total
