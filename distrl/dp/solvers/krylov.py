"""BiCGSTAB on what is left of the error, with true residuals between its cycles."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._kernels import krylov as kernels
from distrl._validation import FloatArray
from distrl.dp.solvers.base import MARGIN, Solved, Stop
from distrl.dp.solvers.bicgstab import Preconditioner, bicgstab_laws
from distrl.dp.solvers.sweeps import Sweeps
from distrl.dp.status import Status
from distrl.operators.system import System

#: Array entries from which BiCGSTAB works in float32.
SINGLE_ENTRIES = 20_000_000
_CYCLE = 300  # BiCGSTAB iterations between two true residuals
_CYCLES = 100  # cycles altogether
_REJECTED = 3  # cycles without progress before the rest is left to sweeps


@dataclass(frozen=True)
class Krylov:
    """BiCGSTAB on the correction, true residuals between cycles, a step taken only if they fall; then sweeps.

    Eight arrays of (n, m), nine with a preconditioner, and what that holds; above 20 million entries seven of them are
    float32, and cycles, which reduce the residual by 1e-4 then, refine in float64: half the memory and traffic.

    Parameters
    ----------
    preconditioner : callable, optional
        From a `System` to a `Preconditioner` of it: `Grouped(labels)` or `Clustered(mean, weights, labels)`, which go
        into files with the solver, or a function of your own, which does not.
    name : str
        What results call it: "krylov-groups" with groups of states, for example.
    """

    preconditioner: Callable[[System], Preconditioner] | None = None
    name: str = "krylov"
    takes_law_blocks: ClassVar[bool] = True

    def solve(self, system: System, start: FloatArray, stop: Stop) -> Solved:
        """Solve `system` from `start`, which is overwritten, until `stop` is met; see `Solver.solve`."""
        coarse = None if self.preconditioner is None else self.preconditioner(system)
        call, cdf = stop.call, start
        single = cdf.size > SINGLE_ENTRIES
        depth = 1e-4 if single else 1e-10  # recurrences lose touch with the true residual: cycles double as refinement
        defect = np.empty(cdf.shape, dtype=np.float32 if single else np.float64)
        image = np.empty_like(cdf)
        rows, sums = system.workers.rows, np.empty(system.n)
        applications = 2 if coarse is None else 2 + 2 * coarse.applications  # an iteration

        def true_residual() -> float:
            call.count()
            residual = system.apply(cdf, image)
            return residual if math.isfinite(residual) else math.inf

        def report(claim: float) -> None:
            call.count(applications)
            stop.report(claim)

        with call.interruptible():
            residual = true_residual()
            rejected, cycles = 0, 0
            while rejected < _REJECTED and cycles < _CYCLES and call.iterations < stop.limit:
                stop.report(residual)
                if residual <= MARGIN * stop.goal:
                    return Solved(cdf, Status.CONVERGED)
                goal = max(0.5 * MARGIN * stop.goal, depth * residual)
                cycles += 1
                cycle = min(_CYCLE, max((stop.limit - call.iterations) // applications, 1))
                rows(system.n, kernels.difference, image, cdf, defect, sums)
                defect[:, -1] = 0.0  # rounding of the whole mass, which no step may amplify
                del image  # not needed before the step is known
                step, claim = bicgstab_laws(system, defect, goal, cycle, report, coarse)
                taken = claim <= residual  # else the step may be too large to be taken back without loss
                if taken:
                    rows(system.n, kernels.add, cdf, step, 1.0)
                image = np.empty_like(cdf)
                before, residual = residual, true_residual()
                rejected = 0 if residual <= 0.5 * before else rejected + 1
                if not residual < before:
                    if taken:
                        rows(system.n, kernels.add, cdf, step, -1.0)
                        true_residual()
                    cdf, image = image, cdf  # a sweep is a certain step forward
                    residual = true_residual()
            if residual <= stop.goal:
                return Solved(cdf, Status.CONVERGED)
        return Solved(cdf, Status.INTERRUPTED) if call.interrupted else Sweeps().solve(system, cdf, stop)
