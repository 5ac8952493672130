"""Four ways to solve F = A F + b for the states of a system, all with true residuals and one stopping rule."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from distrl._kernels import krylov as kernels
from distrl._validation import FloatArray
from distrl.dp.coarse import Coarse
from distrl.dp.krylov import bicgstab
from distrl.dp.run import Run
from distrl.dp.solution import Status
from distrl.operators.system import System

_EPS = float(np.finfo(np.float64).eps)
_CYCLE = 300  # BiCGSTAB iterations between two true residuals
_REJECTED = 3  # cycles without progress before krylov leaves the rest to sweeps


class Outcome(NamedTuple):
    """Where a solver ended: CDF values (n, m) at the atoms, and how."""

    cdf: FloatArray
    status: Status


class Stop(NamedTuple):
    """When to stop, in units of the grid's spacing.

    Attributes
    ----------
    run : Run
    goal : largest row sum of |F - T F| that meets the tolerance
    tol : the tolerance on sup-W1, for reports
    enough : sweeps that the contraction needs from anywhere, twice over
    """

    run: Run
    goal: float
    tol: float
    enough: int

    @property
    def limit(self) -> int:
        return 10**9 if self.run.max_iterations is None else self.run.max_iterations

    def report(self, residual: float) -> None:
        self.run.report(residual * self.tol / self.goal, self.tol)


def sweep(system: System, cdf: FloatArray, stop: Stop) -> Outcome:
    """Plain sweeps until the bound on the iteration error meets the tolerance. Two arrays."""
    run = stop.run
    limit = stop.run.iterations + stop.enough if run.max_iterations is None else run.max_iterations
    image = np.empty_like(cdf)
    smallest, since = math.inf, 0
    try:
        while run.iterations < limit:
            residual = system.apply(cdf, image)
            run.iterations += 1
            cdf, image = image, cdf
            stop.report(residual)
            if residual <= stop.goal:
                return Outcome(cdf, Status.CONVERGED)
            smallest, since = (residual, 0) if residual < smallest else (smallest, since + 1)
            if since > 50 and residual < 1e4 * _EPS * (system.grid.atoms - 1):
                return Outcome(cdf, Status.STALLED)
    except KeyboardInterrupt:
        return Outcome(cdf, Status.INTERRUPTED)
    return Outcome(cdf, Status.MAX_ITERATIONS)


def direct(system: System, cdf: FloatArray, stop: Stop) -> Outcome:
    """Sparse LU of I - A in CDF form, with refinement while it helps; `cdf` is overwritten."""
    n, m = cdf.shape
    cdf[:, :-1] = 0.0
    cdf[:, -1] = 1.0
    image = np.empty_like(cdf)
    system.apply(cdf, image)  # the offset b
    factors = linalg.splu(sparse.csc_matrix(sparse.eye_array(system.unknowns, format="csr") - system.matrix()))
    cdf[:, :-1] = factors.solve(image[:, :-1].ravel()).reshape(n, m - 1)
    best = math.inf
    for _ in range(4):
        residual = system.apply(cdf, image)
        stop.run.iterations += 1
        if residual <= stop.goal:
            return Outcome(cdf, Status.CONVERGED)
        if not residual < best:
            break
        best = residual
        cdf[:, :-1] += factors.solve((image - cdf)[:, :-1].ravel()).reshape(n, m - 1)
    return Outcome(cdf, Status.STALLED)


def krylov(system: System, cdf: FloatArray, stop: Stop, coarse: Coarse | None = None) -> Outcome:
    """BiCGSTAB on the correction, true residuals between cycles, a step taken only if they fall; then sweeps.

    Ten arrays of the size of `cdf`, which is overwritten.
    """
    run = stop.run
    image, trial_image, defect = np.empty_like(cdf), np.empty_like(cdf), np.empty_like(cdf)
    sums = np.empty(system.n)

    def true_residual(iterate: FloatArray, out: FloatArray) -> float:
        run.iterations += 1
        residual = system.apply(iterate, out)
        return residual if math.isfinite(residual) else math.inf

    def report(claim: float) -> None:
        run.iterations += 2
        stop.report(claim)

    residual = true_residual(cdf, image)
    rejected = 0
    while rejected < _REJECTED and run.iterations < stop.limit:
        stop.report(residual)
        if residual <= stop.goal:
            return Outcome(cdf, Status.CONVERGED)
        # float64 recurrences lose touch with the true residual after ten digits or so: cycles double as refinement
        goal = max(0.5 * stop.goal, 1e-10 * residual)
        cycle = min(_CYCLE, max((stop.limit - run.iterations) // 2, 1))
        try:
            system.workers.rows(system.n, kernels.difference, image, cdf, defect, sums)
            step, _ = bicgstab(system, defect, goal, cycle, report, coarse)
            step += cdf
            trial_residual = true_residual(step, trial_image)
        except KeyboardInterrupt:
            return Outcome(cdf, Status.INTERRUPTED)
        rejected = 0 if trial_residual <= 0.5 * residual else rejected + 1
        if trial_residual < residual:
            cdf, image, trial_image, residual = step, trial_image, image, trial_residual
        else:  # the sweep already done is a certain step forward
            cdf, image = image, cdf
            residual = true_residual(cdf, image)
    if residual <= stop.goal:
        return Outcome(cdf, Status.CONVERGED)
    return sweep(system, cdf, stop)


def two_grid(
    system: System,
    cdf: FloatArray,
    stop: Stop,
    coarse: Coarse,
    otherwise: Callable[[System, FloatArray, Stop], Outcome],
    slowest: float,
) -> Outcome:
    """Sweeps, each followed by an exact solve of the slow part of its error; `otherwise` where that is not enough.

    F <- T F + P (E^-1 - D^-1) R (T F - F), see `Coarse`. Two arrays. Every residual is a true one; where they fall by
    less than a factor `slowest` a sweep on average over eight sweeps, the iterate goes on to `otherwise`.
    """
    run = stop.run
    image = np.empty_like(cdf)
    residuals: list[float] = []
    try:
        while run.iterations < stop.limit:
            residual = system.apply(cdf, image)
            run.iterations += 1
            stop.report(residual)
            if residual <= stop.goal:
                return Outcome(image, Status.CONVERGED)
            residuals.append(residual)
            if not residual <= 4.0 * min(residuals):
                break
            if len(residuals) > 8 and not residual <= residuals[-9] * slowest**8:
                break
            coarse.correct_step(image, cdf)
            cdf, image = image, cdf
    except KeyboardInterrupt:
        return Outcome(cdf, Status.INTERRUPTED)
    return otherwise(system, cdf, stop)
