"""Sweeps, each followed by an exact solve of the slow part of its error."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._validation import FloatArray
from distrl.dp.solvers.base import MARGIN, Solved, Stop
from distrl.dp.solvers.krylov import Krylov
from distrl.dp.solvers.shifted_coarse import ShiftedCoarse
from distrl.dp.status import Status
from distrl.operators.system import System

_SLOWEST = 0.4  # what a round may keep of the residual


@dataclass(frozen=True)
class TwoGrid:
    """F <- T F + P (E^-1 - I) R (T F - F), see `ShiftedCoarse`, then a Gauss-Seidel sweep: two applications a round.

    Residuals are true ones; where a round keeps more than .4 of them, over four rounds, BiCGSTAB with the same coarse
    correction goes on, and where the coarse system is singular BiCGSTAB alone does the work. Two arrays.

    Parameters
    ----------
    coarse : callable
        From a `System` to its `ShiftedCoarse`, such as `Clustered(mean, weights, labels)`; raises
        `numpy.linalg.LinAlgError` where that is singular.
    """

    coarse: Callable[[System], ShiftedCoarse]
    name: ClassVar[str] = "two-grid"
    takes_law_blocks: ClassVar[bool] = False

    def solve(self, system: System, start: FloatArray, stop: Stop) -> Solved:
        """Solve `system` from `start`, which is overwritten, until `stop` is met; see `Solver.solve`."""
        try:
            coarse = self.coarse(system)
        except np.linalg.LinAlgError as error:
            return Krylov().solve(system, start, stop)._replace(solver=Krylov.name, reason=f"but {error}")
        call = stop.call
        cdf, image = start, np.empty_like(start)
        residuals: list[float] = []
        with call.interruptible():
            while call.iterations < stop.limit:
                residual = system.apply(cdf, image)
                call.count()
                stop.report(residual)
                if residual <= MARGIN * stop.goal:
                    return Solved(image, Status.CONVERGED)
                residuals.append(residual)
                if not residual <= 4.0 * min(residuals):
                    break
                if len(residuals) > 4 and not residual <= residuals[-5] * _SLOWEST**4:
                    break
                coarse.correct_step(image, cdf)
                cdf, image = image, cdf
                system.gauss_seidel(cdf, image, forward=len(residuals) % 2 == 1)
                call.count()
                cdf, image = image, cdf
        if call.interrupted:
            return Solved(cdf, Status.INTERRUPTED)
        return Krylov(lambda _: coarse).solve(system, cdf, stop)
