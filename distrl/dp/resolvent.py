"""Solving u = b + factor * P u over states, and bounding its solution from above for certain."""

from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from distrl._validation import FloatArray

_DIRECT = 1500  # states up to which a sparse LU is always cheap
_SWEEPS = 1_000_000


class Resolvent:
    """(I - factor * P)^{-1} for a substochastic sparse P; factor < 1, or 1 where every state surely ends.

    Time: a sparse LU up to 1,500 states, BiCGSTAB above it (sweeps, which contract, if that fails).
    """

    def __init__(self, continuation: sparse.csr_array, factor: float) -> None:
        self.matrix = sparse.csr_array(continuation * factor)
        self.factor = factor
        self.n = continuation.shape[0]

    @cached_property
    def _lu(self) -> Any:
        system = sparse.eye_array(self.n, format="csc") - self.matrix.tocsc()
        return linalg.splu(sparse.csc_matrix(system))

    def solve(self, rhs: FloatArray) -> FloatArray:
        """Solution for one right-hand side (S,), to rounding where the solver allows; check with `upper` if it matters.

        Raises
        ------
        ValueError
            If the system is singular to working precision (discount 1 and an end too improbable to matter).
        """
        if self.matrix.nnz == 0:
            return rhs.copy()
        if self.n <= _DIRECT:
            try:
                solution = self._lu.solve(rhs)
            except RuntimeError as error:
                raise ValueError(
                    "the states' linear system is singular to working precision: some state ends with a probability "
                    "too small for float64; use a discount below 1"
                ) from error
            return np.asarray(solution + self._lu.solve(rhs + self.matrix @ solution - solution))
        return self._iterate(rhs)

    def _iterate(self, rhs: FloatArray) -> FloatArray:
        system = linalg.LinearOperator((self.n, self.n), matvec=lambda v: v - self.matrix @ v, dtype=np.float64)
        goal = 1e-14 * max(float(np.abs(rhs).max()), 1e-300)
        solution = rhs.copy()
        for _ in range(4):  # restarts double as refinement
            defect = rhs + self.matrix @ solution - solution
            size = float(np.abs(defect).max())
            if size <= goal:
                return solution
            step, _ = linalg.bicgstab(system, defect, rtol=1e-10, atol=0.0, maxiter=500)
            better = solution + step
            if not np.abs(rhs + self.matrix @ better - better).max() < size:
                break
            solution = better
        size = np.inf
        for _ in range(_SWEEPS):
            defect = rhs + self.matrix @ solution - solution
            previous, size = size, float(np.abs(defect).max())
            solution = solution + defect
            if size <= goal or (size <= 1e-11 * float(np.abs(rhs).max()) and size >= previous):
                break
        return solution

    @cached_property
    def gain(self) -> FloatArray:
        """h (S,) with (I - factor * P) h >= 1: what a unit error made at every step can add up to.

        The expected discounted number of steps, scaled up until the inequality holds in floating point; at worst the
        constant 1 / (1 - factor). inf where nothing can be certified (discount 1 and a hopeless system).
        """
        plain = np.full(self.n, np.inf)
        largest_row = float(self.matrix.sum(axis=1).max()) if self.matrix.nnz else 0.0
        if largest_row < 1.0:
            plain = np.full(self.n, 1.0 / (1.0 - largest_row))
        try:
            steps = np.maximum(self.solve(np.ones(self.n)), 1.0)
        except ValueError:
            return plain
        achieved = steps - self.matrix @ steps
        worst = float(achieved.min()) - 8 * np.finfo(float).eps * float(steps.max())
        return np.minimum(steps / worst, plain) if worst > 0.0 else plain

    def upper(self, rhs: FloatArray) -> FloatArray:
        """A certain upper bound of the solution for rhs >= 0: any u with u >= rhs + factor * P u is one."""
        if not rhs.any():
            return np.zeros(self.n)
        guess = np.maximum(self.solve(rhs), rhs)
        defect = float((rhs + self.matrix @ guess - guess).max()) + 8 * np.finfo(float).eps * float(guess.max())
        return guess + max(defect, 0.0) * self.gain
