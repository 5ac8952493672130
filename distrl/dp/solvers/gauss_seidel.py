"""Gauss-Seidel sweeps: a state's new law is read by the states that come after it in the same sweep."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._validation import FloatArray
from distrl.dp.solvers.base import Solved, Stop, has_stalled
from distrl.dp.status import Status
from distrl.operators.system import System

#: Over-relaxation; 1.3 diverges on some walks and random graphs, 1.2 on none that was tried.
RELAXATION = 1.2
_TINY = 30_000  # numbers read in a sweep up to which ...
_AT_ONCE = 9  # ... one sweep in so many has its residual looked at


@dataclass(frozen=True)
class GaussSeidel:
    """Gauss-Seidel sweeps from the end that most of the flow goes to; they stop as `Sweeps` do. Two arrays.

    Parameters
    ----------
    relaxation : float
        Above 1 it is over-relaxation; where that has not helped for twenty sweeps, plain Gauss-Seidel, which contracts,
        goes on, in both directions in turn.
    """

    relaxation: float = 1.0
    name: ClassVar[str] = "gauss-seidel"
    takes_law_blocks: ClassVar[bool] = False

    def solve(self, system: System, start: FloatArray, stop: Stop) -> Solved:
        """Solve `system` from `start`, which is overwritten, until `stop` is met; see `Solver.solve`."""
        call, last, relax = stop.call, stop.last, self.relaxation
        cdf, image = start, np.empty_like(start)
        smallest, since, forward = math.inf, 0, not system.uphill
        turning = False
        at_once = _AT_ONCE if len(system.plan.successor) * system.grid.atoms <= _TINY else 1
        with call.interruptible():
            while call.iterations < last:
                times = at_once if not turning and last - call.iterations >= at_once else 1
                residual = system.gauss_seidel(cdf, image, forward, relax, times)
                call.count(times)
                cdf, image = image, cdf
                stop.report(residual)
                if residual <= stop.goal:
                    return Solved(cdf, Status.CONVERGED)
                smallest, since = (residual, 0) if residual < smallest else (smallest, since + times)
                if since > 20 and relax > 1.0:
                    relax, since, turning = 1.0, 0, True
                if has_stalled(system, residual, since):
                    return Solved(cdf, Status.STALLED)
                forward ^= turning
        return Solved(cdf, stop.missed)
