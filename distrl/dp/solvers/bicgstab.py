"""BiCGSTAB for (I - A) x = b without a matrix, stopped in the norm that certificates speak of."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from distrl._kernels import krylov as kernels
from distrl._validation import FloatArray
from distrl.operators.system import System


class Preconditioner(Protocol):
    """An approximate inverse of I - A, of which `correct` is a linear function."""

    @property
    def applications(self) -> int:
        """Applications' worth of sweeps in a correction."""

    def correct(self, vector: FloatArray, out: FloatArray) -> FloatArray:
        """Write the preconditioned `vector` to `out`, and return `out`."""


def bicgstab_laws(
    system: System,
    rhs: FloatArray,
    goal: float,
    limit: int,
    report: Callable[[float], None],
    preconditioner: Preconditioner | None = None,
) -> tuple[FloatArray, float]:
    """Approximate x with (I - A) x = rhs, and the largest row sum of |residual| that the recurrence claims.

    Parameters
    ----------
    system : gives A and the threads
    rhs : (n, m)
    goal : stop once max over rows of sum |residual| is at most this
    limit : largest number of iterations (two applications each)
    report : called with the claimed residual after each iteration
    preconditioner : applied on the right; None for none

    Notes
    -----
    The recurrence can drift or break down (it then stops early): the caller recomputes the true residual. Seven arrays
    of the size of `rhs` with a preconditioner, six without. Source: van der Vorst 1992.
    """
    n, rows = system.n, system.workers.rows
    solution, residual = np.zeros_like(rhs), rhs.copy()
    direction, image = np.zeros_like(rhs), np.zeros_like(rhs)
    moved = direction if preconditioner is None else np.empty_like(rhs)  # the preconditioned direction
    onward = np.empty_like(rhs)
    sums, others = np.empty(n), np.empty(n)
    claimed = math.inf
    rho = alpha = omega = 1.0
    rows(n, kernels.full_step, solution, residual, rhs, image, 0.0, rhs, sums, others)  # sums only
    fresh = float(sums.sum())
    for _ in range(limit):
        if fresh == 0.0 or omega == 0.0 or not math.isfinite(fresh):
            break
        rows(n, kernels.next_direction, residual, image, (fresh / rho) * (alpha / omega), omega, direction)
        rho = fresh
        step = direction if preconditioner is None else preconditioner.correct(direction, moved)
        system.linear(step, image)
        rows(n, kernels.first_image, step, rhs, image, sums)
        along = float(sums.sum())
        if along == 0.0:
            break
        alpha = rho / along
        rows(n, kernels.half_step, solution, residual, step, image, alpha)
        step = residual if preconditioner is None else preconditioner.correct(residual, moved)
        system.linear(step, onward)
        rows(n, kernels.second_image, step, residual, onward, sums, others)
        length = float(others.sum())
        omega = float(sums.sum()) / length if length > 0.0 else 0.0
        rows(n, kernels.full_step, solution, residual, step, onward, omega, rhs, sums, others)
        fresh, claimed = float(sums.sum()), kernels.largest(others)
        report(claimed)
        if claimed <= goal or not math.isfinite(claimed):
            break
    return solution, claimed
