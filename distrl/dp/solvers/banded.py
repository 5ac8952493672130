"""Exact elimination along a narrow chain of states: block tridiagonal LU with dense blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._kernels import banded as kernels
from distrl._lazy import csgraph, sparse
from distrl._validation import FloatArray, IntArray
from distrl.dp.resolvent import bandwidth
from distrl.dp.solvers.base import ByValue, Solved, Stop
from distrl.dp.solvers.krylov import Krylov
from distrl.dp.status import Status
from distrl.operators.system import System


def narrow_order(matrix: sparse.csr_array) -> tuple[IntArray, int]:
    """(order, width): states in reverse Cuthill-McKee order, and how far apart neighbours are in it at most."""
    order = csgraph.reverse_cuthill_mckee(sparse.csr_matrix(matrix), symmetric_mode=False).astype(np.int64)
    return order, max(bandwidth(matrix, order), 1)


@dataclass(frozen=True, eq=False)
class Banded(ByValue):
    """Exact elimination for states that lead at most `width` places along `order`; BiCGSTAB where rounding is left.

    In blocks of `width` states the system is block tridiagonal. From the last block backwards,

        X_k = (I - A_kk - A_k,k+1 X_k+1)^{-1} A_k,k-1

    is what block k - 1 adds to block k. I - A is an M-matrix with weakly dominant rows, so every block that is inverted
    is one too: no pivots are needed and nothing grows. Time O(n width^2 m^3), memory n * width * m^2. The start is not
    used. Where elimination is interrupted, the laws are Diracs at the last atom.

    Parameters
    ----------
    order : (n,) states in the order of elimination
    width : int
        How many places along `order` a state leads at most; see `narrow_order`.
    """

    order: IntArray
    width: int
    name: ClassVar[str] = "banded"
    takes_law_blocks: ClassVar[bool] = True

    def solve(self, system: System, start: FloatArray, stop: Stop) -> Solved:
        """Solve `system` from `start`, which is overwritten, until `stop` is met; see `Solver.solve`."""
        cdf, order = start, self.order
        n, last = cdf.shape[0], cdf.shape[1] - 1
        cdf[:, :-1] = 0.0  # a law at any moment, since an interruption may come before there is a solution
        cdf[:, -1] = 1.0
        image = np.empty_like(cdf)
        with stop.call.interruptible():
            system.apply(cdf, image)  # the offset b
            places = (order[:, None] * last + np.arange(last)).ravel()
            matrix = sparse.csr_array(system.matrix()[places][:, places])
            carried = np.empty((n * last, self.width * last + 1))
            solution = np.empty(n * last)
            pointers, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
            offset = image[order, :-1].ravel()
            kernels.eliminate(pointers, columns, matrix.data, offset, self.width * last, carried, solution)
            cdf[order, :-1] = solution.reshape(n, last)
            residual = system.apply(cdf, image)
            stop.call.count()
        if stop.call.interrupted:
            return Solved(cdf, Status.INTERRUPTED)
        return Solved(cdf, Status.CONVERGED) if residual <= stop.goal else Krylov().solve(system, cdf, stop)
