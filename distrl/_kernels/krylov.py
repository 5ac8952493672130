"""Fused vector work of BiCGSTAB on (S, m) arrays.

Sums are taken row by row, then over rows: the order is fixed, so results do not depend on threads, and no BLAS pool
competes with other work. Every kernel reads and writes each array once.
"""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray


@kernel
def dot(first: FloatArray, second: FloatArray) -> float:
    """Sum of products."""
    total = 0.0
    for x in range(first.shape[0]):
        row = 0.0
        for i in range(first.shape[1]):
            row += first[x, i] * second[x, i]
        total += row
    return total


@kernel
def next_direction(residual: FloatArray, image: FloatArray, beta: float, omega: float, direction: FloatArray) -> None:
    """direction = residual + beta * (direction - omega * image)."""
    for x in range(residual.shape[0]):
        for i in range(residual.shape[1]):
            direction[x, i] = residual[x, i] + beta * (direction[x, i] - omega * image[x, i])


@kernel
def subtract_from(vector: FloatArray, image: FloatArray, weight: FloatArray) -> float:
    """image = vector - image; gives the sum of weight * image."""
    total = 0.0
    for x in range(vector.shape[0]):
        row = 0.0
        for i in range(vector.shape[1]):
            value = vector[x, i] - image[x, i]
            image[x, i] = value
            row += weight[x, i] * value
        total += row
    return total


@kernel
def half_step(residual: FloatArray, image: FloatArray, alpha: float) -> None:
    """residual -= alpha * image."""
    for x in range(residual.shape[0]):
        for i in range(residual.shape[1]):
            residual[x, i] -= alpha * image[x, i]


@kernel
def full_step(
    solution: FloatArray,
    residual: FloatArray,
    direction: FloatArray,
    image: FloatArray,
    alpha: float,
    omega: float,
) -> float:
    """solution += alpha * direction + omega * residual; residual -= omega * image; gives its largest row sum."""
    largest = 0.0
    for x in range(solution.shape[0]):
        row = 0.0
        for i in range(solution.shape[1]):
            solution[x, i] += alpha * direction[x, i] + omega * residual[x, i]
            residual[x, i] -= omega * image[x, i]
            row += abs(residual[x, i])
        if row != row:
            return np.inf
        largest = max(largest, row)
    return largest
