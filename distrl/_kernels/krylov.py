"""Fused vector work of BiCGSTAB and of its coarse correction, on rows start to stop of (S, m) arrays.

Sums are kept row by row and added in the order of the rows, so results do not depend on threads, and no BLAS pool
competes with other work. Every kernel reads and writes each array once.
"""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def _dot(first: FloatArray, second: FloatArray) -> float:
    """Sum of products, in four interleaved sums."""
    a = b = c = d = 0.0
    full = len(first) - len(first) % 4
    for i in range(0, full, 4):
        a += first[i] * second[i]
        b += first[i + 1] * second[i + 1]
        c += first[i + 2] * second[i + 2]
        d += first[i + 3] * second[i + 3]
    for i in range(full, len(first)):
        a += first[i] * second[i]
    return (a + b) + (c + d)


@kernel
def _size(vector: FloatArray) -> float:
    """Sum of absolute values, in four interleaved sums."""
    a = b = c = d = 0.0
    full = len(vector) - len(vector) % 4
    for i in range(0, full, 4):
        a += abs(vector[i])
        b += abs(vector[i + 1])
        c += abs(vector[i + 2])
        d += abs(vector[i + 3])
    for i in range(full, len(vector)):
        a += abs(vector[i])
    return (a + b) + (c + d)


@kernel
def difference(image: FloatArray, cdf: FloatArray, out: FloatArray, sums: FloatArray, start: int, stop: int) -> None:
    """out = image - cdf; sums = its rows' sums of squares."""
    for x in range(start, stop):
        for i in range(out.shape[1]):
            out[x, i] = image[x, i] - cdf[x, i]
        sums[x] = _dot(out[x], out[x])


@kernel
def add(solution: FloatArray, step: FloatArray, weight: float, start: int, stop: int) -> None:
    """solution += weight * step."""
    for x in range(start, stop):
        for i in range(solution.shape[1]):
            solution[x, i] += weight * step[x, i]


@kernel
def next_direction(
    residual: FloatArray,
    image: FloatArray,
    beta: float,
    omega: float,
    direction: FloatArray,
    start: int,
    stop: int,
) -> None:
    """direction = residual + beta * (direction - omega * image)."""
    for x in range(start, stop):
        for i in range(residual.shape[1]):
            direction[x, i] = residual[x, i] + beta * (direction[x, i] - omega * image[x, i])


@kernel
def first_image(
    vector: FloatArray, weight: FloatArray, image: FloatArray, sums: FloatArray, start: int, stop: int
) -> None:
    """image = vector - image; sums = weight * image."""
    for x in range(start, stop):
        for i in range(vector.shape[1]):
            image[x, i] = vector[x, i] - image[x, i]
        sums[x] = _dot(weight[x], image[x])


@kernel
def half_step(
    solution: FloatArray,
    residual: FloatArray,
    moved: FloatArray,
    image: FloatArray,
    alpha: float,
    start: int,
    stop: int,
) -> None:
    """solution += alpha * moved; residual -= alpha * image."""
    for x in range(start, stop):
        for i in range(residual.shape[1]):
            solution[x, i] += alpha * moved[x, i]
            residual[x, i] -= alpha * image[x, i]


@kernel
def second_image(
    vector: FloatArray,
    residual: FloatArray,
    image: FloatArray,
    sums: FloatArray,
    squares: FloatArray,
    start: int,
    stop: int,
) -> None:
    """image = vector - image; sums = residual * image, squares = image * image."""
    for x in range(start, stop):
        for i in range(vector.shape[1]):
            image[x, i] = vector[x, i] - image[x, i]
        sums[x] = _dot(residual[x], image[x])
        squares[x] = _dot(image[x], image[x])


@kernel
def full_step(
    solution: FloatArray,
    residual: FloatArray,
    moved: FloatArray,
    image: FloatArray,
    omega: float,
    weight: FloatArray,
    sums: FloatArray,
    sizes: FloatArray,
    start: int,
    stop: int,
) -> None:
    """solution += omega * moved; residual -= omega * image; sums = weight * residual, sizes = |residual|."""
    for x in range(start, stop):
        for i in range(solution.shape[1]):
            solution[x, i] += omega * moved[x, i]
            residual[x, i] -= omega * image[x, i]
        sums[x] = _dot(weight[x], residual[x])
        sizes[x] = _size(residual[x])


@kernel
def restrict(
    vector: FloatArray,
    shift: IntArray,
    label: IntArray,
    weight: FloatArray,
    edges: IntArray,
    out: FloatArray,
    start: int,
    stop: int,
) -> None:
    """out[chunk, cluster, j] = sum over a chunk's states of weight * vector[x, j + shift[x]]; chunks start to stop."""
    last = vector.shape[1] - 1
    for chunk in range(start, stop):
        out[chunk] = 0.0
        for x in range(edges[chunk], edges[chunk + 1]):
            k, scale = shift[x], weight[x]
            first, end = max(0, -k), min(last, last - k)
            target = out[chunk, label[x], first:end]
            source = vector[x, first + k : end + k]
            for j in range(len(target)):
                target[j] += scale * source[j]


@kernel
def prolong(
    coarse: FloatArray,
    shift: IntArray,
    label: IntArray,
    vector: FloatArray,
    out: FloatArray,
    start: int,
    stop: int,
) -> None:
    """out = vector + the cluster's coarse row, shifted."""
    last = vector.shape[1] - 1
    for x in range(start, stop):
        k = shift[x]
        first, end = max(0, -k), min(last, last - k)
        for j in range(last + 1):
            out[x, j] = vector[x, j]
        target = out[x, first + k : end + k]
        source = coarse[label[x], first:end]
        for j in range(len(target)):
            target[j] += source[j]


@kernel
def coarse_entries(shares: FloatArray, first: int, parts: int, discount: float, matrix: FloatArray) -> None:
    """matrix -= R A P from shares[c, d, q], the weight of reads of cluster d by c at position (first + q) / parts.

    Atom j of d's vector moves to position + discount * j and is split as everywhere; what leaves the vector is lost.
    """
    clusters, last = shares.shape[0], matrix.shape[0] // shares.shape[0]
    for c in range(clusters):
        for d in range(clusters):
            for q in range(shares.shape[2]):
                share = shares[c, d, q]
                if share == 0.0:
                    continue
                at = (first + q) / parts
                for j in range(last):
                    here, following = at + discount * j, at + discount * (j + 1)
                    for i in range(max(int(np.floor(here)), 0), min(int(np.floor(following)) + 1, last)):
                        value = min(max(i + 1 - here, 0.0), 1.0) - min(max(i + 1 - following, 0.0), 1.0)
                        matrix[c * last + i, d * last + j] -= share * value


@kernel
def invert(matrix: FloatArray, inverse: FloatArray) -> bool:
    """Gauss-Jordan with row pivots: inverse = matrix^-1, `matrix` is used up; False if it is singular.

    One thread and a fixed order; 2 n^3 operations.
    """
    n = len(matrix)
    inverse[:] = 0.0
    for i in range(n):
        inverse[i, i] = 1.0
    for column in range(n):
        pivot = column
        for i in range(column + 1, n):
            if abs(matrix[i, column]) > abs(matrix[pivot, column]):
                pivot = i
        if not abs(matrix[pivot, column]) > 1e-14:
            return False
        if pivot != column:
            for j in range(n):
                matrix[pivot, j], matrix[column, j] = matrix[column, j], matrix[pivot, j]
                inverse[pivot, j], inverse[column, j] = inverse[column, j], inverse[pivot, j]
        scale = 1.0 / matrix[column, column]
        left, right = matrix[column], inverse[column]
        for j in range(column, n):
            left[j] *= scale
        for j in range(n):
            right[j] *= scale
        for i in range(n):
            factor = matrix[i, column]
            if i == column or factor == 0.0:
                continue
            row, other = matrix[i], inverse[i]
            for j in range(column, n):
                row[j] -= factor * left[j]
            for j in range(n):
                other[j] -= factor * right[j]
    return True


@kernel
def multiply(matrix: FloatArray, vector: FloatArray, out: FloatArray) -> None:
    """out = matrix @ vector, in a fixed order."""
    for i in range(len(out)):
        out[i] = _dot(matrix[i], vector)


@kernel
def largest(values: FloatArray) -> float:
    """Largest entry, inf if one is not a number."""
    top = 0.0
    for value in values:
        if value != value:
            return np.inf
        top = max(top, value)
    return top
