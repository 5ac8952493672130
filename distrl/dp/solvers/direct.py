"""Sparse LU of I - A."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._lazy import linalg, sparse
from distrl._memory import available_memory
from distrl._validation import FloatArray
from distrl.dp.solvers.base import Solved, Stop
from distrl.dp.status import Status
from distrl.operators.system import System

_AFFORDED = 5_000  # unknowns; full factors of so many take 200 MB


@dataclass(frozen=True)
class Direct:
    """Sparse LU of I - A on the first m - 1 atoms, with refinement while it helps. Time and memory by fill-in.

    The start is not used. Where the factorisation is interrupted, the laws are Diracs at the last atom.
    """

    name: ClassVar[str] = "direct"
    takes_law_blocks: ClassVar[bool] = True

    def solve(self, system: System, start: FloatArray, stop: Stop) -> Solved:
        """Solve `system` from `start`, which is overwritten, until `stop` is met; see `Solver.solve`."""
        cdf, (n, m) = start, start.shape
        cdf[:, :-1] = 0.0  # a law at any moment, since an interruption may come before there is a solution
        cdf[:, -1] = 1.0
        image = np.empty_like(cdf)
        best = math.inf
        with stop.call.interruptible():
            system.apply(cdf, image)  # the offset b
            factors = linalg.splu(sparse.csc_matrix(sparse.eye_array(system.unknowns, format="csr") - system.matrix()))
            cdf[:, :-1] = factors.solve(image[:, :-1].ravel()).reshape(n, m - 1)
            for _ in range(4):
                residual = system.apply(cdf, image)
                stop.call.count()
                if residual <= stop.goal:
                    return Solved(cdf, Status.CONVERGED)
                if not residual < best:
                    break
                best = residual
                cdf[:, :-1] += factors.solve((image - cdf)[:, :-1].ravel()).reshape(n, m - 1)
        return Solved(cdf, Status.INTERRUPTED if stop.call.interrupted else Status.STALLED)


def affords_direct(system: System) -> bool:
    """Whether sparse LU is a matter of seconds, and of memory that is there, even if its factors fill in completely."""
    return system.unknowns <= _AFFORDED and 8.0 * system.unknowns**2 <= 0.5 * available_memory()
