"""Four ways to solve F = A F + b for the states of a system, all with true residuals and one stopping rule."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distrl._kernels import krylov as kernels
from distrl._lazy import linalg, sparse
from distrl._memory import available_memory
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.coarse import Coarse
from distrl.dp.krylov import Preconditioner, bicgstab
from distrl.dp.status import Status
from distrl.operators.system import System

_EPS = float(np.finfo(np.float64).eps)
_SLOWEST = 0.4  # what a round of two_grid may keep of the residual
#: Array entries from which BiCGSTAB works in float32.
SINGLE_ENTRIES = 20_000_000
#: Corrections leave dips in CDFs of about the residual; cutting them off costs part of it, so aim below the goal.
_MARGIN = 0.25
_CYCLE = 300  # BiCGSTAB iterations between two true residuals
_CYCLES = 100  # cycles altogether
_TINY = 30_000  # numbers read in a sweep up to which ...
_AT_ONCE = 9  # ... Gauss-Seidel looks at the residual of one sweep in so many
_DIRECT_UNKNOWNS = 5_000  # full factors of so many take 200 MB
_REJECTED = 3  # cycles without progress before krylov leaves the rest to sweeps


class Outcome(NamedTuple):
    """Where a solver ended: CDF values (n, m) at the atoms, and how."""

    cdf: FloatArray
    status: Status


class Stop(NamedTuple):
    """When to stop, in units of the grid's spacing.

    Attributes
    ----------
    call : Call
    goal : largest row sum of |F - T F| that meets the tolerance
    tol : the tolerance on sup-W1, for reports
    enough : sweeps that the contraction needs from anywhere, twice over
    """

    call: Call
    goal: float
    tol: float
    enough: int

    @property
    def limit(self) -> int:
        return 10**9 if self.call.max_iterations is None else self.call.max_iterations

    @property
    def missed(self) -> Status:
        """Why a loop ended above the goal: Ctrl-C, the user's limit, or, where there is none, what float64 can do."""
        if self.call.interrupted:
            return Status.INTERRUPTED
        return Status.STALLED if self.call.max_iterations is None else Status.MAX_ITERATIONS

    def report(self, residual: float) -> None:
        self.call.report(residual * self.tol / self.goal, self.tol)


def _stalled(system: System, residual: float, since: int) -> bool:
    """No number any more, or `since` sweeps without a smaller residual near what rounding allows."""
    return residual == math.inf or (since > 50 and residual < 1e4 * _EPS * (system.grid.atoms - 1))


def sweep(system: System, cdf: FloatArray, stop: Stop) -> Outcome:
    """Plain sweeps until the bound on the iteration error meets the tolerance. Two arrays."""
    call = stop.call
    limit = stop.call.iterations + stop.enough if call.max_iterations is None else call.max_iterations
    image = np.empty_like(cdf)
    smallest, since = math.inf, 0
    with call.interruptible():
        while call.iterations < limit:
            residual = system.apply(cdf, image)
            call.count()
            cdf, image = image, cdf
            stop.report(residual)
            if residual <= stop.goal:
                return Outcome(cdf, Status.CONVERGED)
            smallest, since = (residual, 0) if residual < smallest else (smallest, since + 1)
            if _stalled(system, residual, since):
                return Outcome(cdf, Status.STALLED)
    return Outcome(cdf, stop.missed)


def gauss_seidel(system: System, cdf: FloatArray, stop: Stop, relax: float = 1.0) -> Outcome:
    """Gauss-Seidel sweeps from the end that most of the flow goes to; the stopping rule of `sweep`. Two arrays.

    relax > 1 is over-relaxation; where that has not helped for twenty sweeps, plain Gauss-Seidel, which contracts, goes
    on, in both directions in turn.
    """
    call = stop.call
    limit = stop.call.iterations + stop.enough if call.max_iterations is None else call.max_iterations
    image = np.empty_like(cdf)
    smallest, since, forward = math.inf, 0, not system.uphill
    turning = False
    at_once = _AT_ONCE if len(system.plan.successor) * system.grid.atoms <= _TINY else 1
    with call.interruptible():
        while call.iterations < limit:
            times = at_once if not turning and limit - call.iterations >= at_once else 1
            residual = system.gauss_seidel(cdf, image, forward, relax, times)
            call.count(times)
            cdf, image = image, cdf
            stop.report(residual)
            if residual <= stop.goal:
                return Outcome(cdf, Status.CONVERGED)
            smallest, since = (residual, 0) if residual < smallest else (smallest, since + times)
            if since > 20 and relax > 1.0:
                relax, since, turning = 1.0, 0, True
            if _stalled(system, residual, since):
                return Outcome(cdf, Status.STALLED)
            forward ^= turning
    return Outcome(cdf, stop.missed)


def affords_direct(system: System) -> bool:
    """Whether sparse LU is a matter of seconds, and of memory that is there, even if its factors fill in completely."""
    return system.unknowns <= _DIRECT_UNKNOWNS and 8.0 * system.unknowns**2 <= 0.5 * available_memory()


def direct(system: System, cdf: FloatArray, stop: Stop) -> Outcome:
    """Sparse LU of I - A in CDF form, with refinement while it helps; `cdf` is overwritten."""
    n, m = cdf.shape
    cdf[:, :-1] = 0.0  # a law at any moment: an interrupted factorisation leaves the Dirac at the last atom
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
                return Outcome(cdf, Status.CONVERGED)
            if not residual < best:
                break
            best = residual
            cdf[:, :-1] += factors.solve((image - cdf)[:, :-1].ravel()).reshape(n, m - 1)
    return Outcome(cdf, Status.INTERRUPTED if stop.call.interrupted else Status.STALLED)


def krylov(system: System, cdf: FloatArray, stop: Stop, coarse: Preconditioner | None = None) -> Outcome:
    """BiCGSTAB on the correction, true residuals between cycles, a step taken only if they fall; then sweeps.

    `cdf` is overwritten. Eight arrays of its size, nine with `coarse`, and what that holds; above 20 million entries
    seven of them are float32, and cycles, which reduce the residual by 1e-4 then, refine in float64: half the memory
    and traffic.
    """
    call = stop.call
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
            if residual <= _MARGIN * stop.goal:
                return Outcome(cdf, Status.CONVERGED)
            goal = max(0.5 * _MARGIN * stop.goal, depth * residual)
            cycles += 1
            cycle = min(_CYCLE, max((stop.limit - call.iterations) // applications, 1))
            rows(system.n, kernels.difference, image, cdf, defect, sums)
            defect[:, -1] = 0.0  # rounding of the whole mass, which no step may amplify
            del image  # not needed before the step is known
            step, claim = bicgstab(system, defect, goal, cycle, report, coarse)
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
    if call.interrupted:
        return Outcome(cdf, Status.INTERRUPTED)
    if residual <= stop.goal:
        return Outcome(cdf, Status.CONVERGED)
    return sweep(system, cdf, stop)


def two_grid(
    system: System,
    cdf: FloatArray,
    stop: Stop,
    coarse: Coarse,
    otherwise: Callable[[System, FloatArray, Stop], Outcome],
) -> Outcome:
    """Sweeps, each followed by an exact solve of the slow part of its error; `otherwise` where that is not enough.

    F <- T F + P (E^-1 - I) R (T F - F), see `Coarse`, then a Gauss-Seidel sweep: two applications a round, two arrays.
    Residuals are true ones; where a round keeps more than .4 of them, over four rounds, `otherwise` goes on. Not for
    reward laws that apply as matrices.
    """
    call = stop.call
    image = np.empty_like(cdf)
    residuals: list[float] = []
    with call.interruptible():
        while call.iterations < stop.limit:
            residual = system.apply(cdf, image)
            call.count()
            stop.report(residual)
            if residual <= _MARGIN * stop.goal:
                return Outcome(image, Status.CONVERGED)
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
    return Outcome(cdf, Status.INTERRUPTED) if call.interrupted else otherwise(system, cdf, stop)
