"""Plain sweeps F <- A F + b: the textbook's dynamic programming."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._validation import FloatArray
from distrl.dp.solvers.base import Solved, Stop, has_stalled
from distrl.dp.status import Status
from distrl.operators.system import System


@dataclass(frozen=True)
class Sweeps:
    """Applications of the operator until the bound on the iteration error meets the tolerance.

    The error shrinks by the discount at every sweep, or by 1 - 1 / gain where that is less. Time O(nnz m) a sweep, two
    arrays of (n, m).
    """

    name: ClassVar[str] = "sweeps"
    takes_law_blocks: ClassVar[bool] = True

    def solve(self, system: System, start: FloatArray, stop: Stop) -> Solved:
        """Solve `system` from `start`, which is overwritten, until `stop` is met; see `Solver.solve`."""
        call, last = stop.call, stop.last
        cdf, image = start, np.empty_like(start)
        smallest, since = math.inf, 0
        with call.interruptible():
            while call.iterations < last:
                residual = system.apply(cdf, image)
                call.count()
                cdf, image = image, cdf
                stop.report(residual)
                if residual <= stop.goal:
                    return Solved(cdf, Status.CONVERGED)
                smallest, since = (residual, 0) if residual < smallest else (smallest, since + 1)
                if has_stalled(system, residual, since):
                    return Solved(cdf, Status.STALLED)
        return Solved(cdf, stop.missed)
