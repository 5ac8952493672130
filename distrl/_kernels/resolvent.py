"""BiCGSTAB for one right-hand side of a sparse system over states, on one thread and in a fixed order.

SciPy's takes its inner products from BLAS, whose threads wait for each other on a busy machine, a hundred times as long
as they work; and for some hundred states its overhead is most of the time.
"""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def _image(pointers: IntArray, columns: IntArray, values: FloatArray, vector: FloatArray, out: FloatArray) -> None:
    """out = vector - matrix @ vector."""
    for x in range(len(out)):
        total = vector[x]
        for k in range(pointers[x], pointers[x + 1]):
            total -= values[k] * vector[columns[k]]
        out[x] = total


@kernel
def defect(
    pointers: IntArray,
    columns: IntArray,
    values: FloatArray,
    excess: FloatArray,
    rhs: FloatArray,
    vector: FloatArray,
    left: FloatArray,
    size: FloatArray,
) -> None:
    """left = rhs - M vector and size, the sum of the absolute values of its terms, M = I - A as in `elimination`.

    (M u)(x) = e(x) u(x) + sum_y A(x, y) (u(x) - u(y)): where u is nearly constant nothing large cancels.
    """
    for x in range(len(rhs)):
        own = excess[x] * vector[x]
        total, sizes = rhs[x] - own, abs(rhs[x]) + abs(own)
        for k in range(pointers[x], pointers[x + 1]):
            term = values[k] * (vector[x] - vector[columns[k]])
            total -= term
            sizes += abs(term)
        left[x], size[x] = total, sizes


@kernel
def _dot(first: FloatArray, second: FloatArray) -> float:
    a = b = 0.0
    full = len(first) - len(first) % 2
    for i in range(0, full, 2):
        a += first[i] * second[i]
        b += first[i + 1] * second[i + 1]
    if full < len(first):
        a += first[full] * second[full]
    return a + b


@kernel
def bicgstab(
    pointers: IntArray,
    columns: IntArray,
    values: FloatArray,
    rhs: FloatArray,
    reduction: float,
    most: int,
    solution: FloatArray,
) -> bool:
    """solution with |rhs - (I - matrix) solution| <= reduction * |rhs|; False if `most` iterations are not enough.

    Breaks off, with what it has, where an inner product vanishes.
    """
    n = len(rhs)
    solution[:] = 0.0
    residual, shadow = rhs.copy(), rhs.copy()
    direction, image, half, other = np.zeros(n), np.zeros(n), np.empty(n), np.empty(n)
    goal = reduction * reduction * _dot(rhs, rhs)
    rho = alpha = omega = 1.0
    for _ in range(most):
        if _dot(residual, residual) <= goal:
            return True
        before, rho = rho, _dot(shadow, residual)
        if rho == 0.0 or omega == 0.0:
            return False
        beta = rho / before * (alpha / omega)
        for x in range(n):
            direction[x] = residual[x] + beta * (direction[x] - omega * image[x])
        _image(pointers, columns, values, direction, image)
        alpha = rho / _dot(shadow, image)
        for x in range(n):
            half[x] = residual[x] - alpha * image[x]
        _image(pointers, columns, values, half, other)
        size = _dot(other, other)
        omega = _dot(other, half) / size if size > 0.0 else 0.0
        for x in range(n):
            solution[x] += alpha * direction[x] + omega * half[x]
            residual[x] = half[x] - omega * other[x]
    return _dot(residual, residual) <= goal
