"""BiCGSTAB for (I - A) x = b without a matrix, stopped in the norm that certificates speak of."""

import math
from collections.abc import Callable

import numpy as np

from distrl._kernels import krylov as kernels
from distrl._validation import FloatArray


def bicgstab(
    apply: Callable[[FloatArray, FloatArray], None],
    rhs: FloatArray,
    goal: float,
    limit: int,
    report: Callable[[float], None],
) -> tuple[FloatArray, float]:
    """Approximate x with (I - A) x = rhs, and the largest row sum of |residual| that the recurrence claims.

    Parameters
    ----------
    apply : fills its second argument with A times its first
    rhs : (S, m)
    goal : stop once max over rows of sum |residual| is at most this
    limit : largest number of iterations (two applications each)
    report : called with the claimed residual after each iteration

    Notes
    -----
    The recurrence can drift or break down (it then stops early): the caller recomputes the true residual. Seven arrays
    of the size of `rhs`. Source: van der Vorst 1992.
    """
    solution, residual = np.zeros_like(rhs), rhs.copy()
    direction, image, onward = np.zeros_like(rhs), np.zeros_like(rhs), np.empty_like(rhs)
    claimed = math.inf
    rho = alpha = omega = 1.0
    for _ in range(limit):
        fresh = kernels.dot(rhs, residual)
        if fresh == 0.0 or omega == 0.0:
            break
        kernels.next_direction(residual, image, (fresh / rho) * (alpha / omega), omega, direction)
        rho = fresh
        apply(direction, image)
        along = kernels.subtract_from(direction, image, rhs)
        if along == 0.0:
            break
        alpha = rho / along
        kernels.half_step(residual, image, alpha)
        apply(residual, onward)
        projection = kernels.subtract_from(residual, onward, residual)
        length = kernels.dot(onward, onward)
        omega = projection / length if length > 0.0 else 0.0
        claimed = kernels.full_step(solution, residual, direction, onward, alpha, omega)
        report(claimed)
        if claimed <= goal or not math.isfinite(claimed):
            break
    return solution, claimed
