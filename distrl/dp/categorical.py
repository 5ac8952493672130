"""The categorical fixed point F = Pi T F, and categorical dynamic programming towards it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse, special
from scipy.sparse import linalg

from distrl._kernels.categorical import largest_distance
from distrl._validation import FloatArray, whole_number
from distrl.dp.certificate import Certifier
from distrl.dp.krylov import bicgstab
from distrl.dp.moments import mean_and_variance
from distrl.dp.run import Run
from distrl.dp.solution import Solution, Status
from distrl.models.mrp import MRP
from distrl.operators.categorical import CategoricalBellman
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid

_EPS = float(np.finfo(np.float64).eps)
_SOLVERS = ("auto", "direct", "iterate", "krylov")
#: `auto`: systems up to this many unknowns go to the sparse direct solver ...
DIRECT_UNKNOWNS = 2_000
#: ... and models whose effective horizon max (I - g P)^{-1} 1 is at most this many steps to sweeps.
SWEEP_HORIZON = 12.0
_CYCLE = 300  # BiCGSTAB iterations between two true residuals
_REJECTED = 3  # cycles without progress before krylov leaves the rest to sweeps


@dataclass(frozen=True)
class CategoricalFixedPoint:
    """The fixed point of the categorical Bellman operator, solved directly (DCFP) or iteratively.

    F = A F + b in CDF form on the first m - 1 atoms of every state; A is non-negative with column sums at most the
    discount, so the solution is unique.

    Parameters
    ----------
    atoms : int
        Number of atoms m, if no grid is given.
    grid : Grid, optional
        By default `Grid.covering(model, atoms)`, on which nothing is clipped.
    solver : "auto", "direct", "krylov" or "iterate"
        direct: sparse LU of I - A; time and memory by fill-in, fine up to some thousand unknowns.
        krylov: BiCGSTAB without a matrix, started from the exact mean and variance, residuals recomputed, each cycle
        accepted only if the true residual falls, plain sweeps if it does not.
        iterate: plain sweeps from a Dirac at the grid's middle, the textbook's algorithm; error falls by the discount.
        auto: direct for up to 2,000 unknowns; else sweeps from the exact mean and variance where the effective horizon
        is at most 12 steps; else krylov. `Solution.reason` says which and why.

    Notes
    -----
    Time O(nnz * m) an application; memory about 8 vectors of S * m floats (iterate: 3).
    Guarantee: the certificate (claim `certificate-martingale-coupling`); with no clipping at most
    spacing / (2 sqrt(1 - discount^2)) plus the iteration error. Source: Rowland et al. 2024, "Near-Minimax-Optimal
    Distributional Reinforcement Learning with a Generative Model"; the certificate is this library's.
    """

    atoms: int = 201
    grid: Grid | None = None
    solver: str = "auto"

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        if self.solver not in _SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(_SOLVERS)}; got {self.solver!r}")

    def _solve(self, model: MRP, run: Run) -> Solution:
        problem = Problem.of(model, self.grid, self.atoms, run)
        solver, reason = self.solver, "asked for"
        if solver == "auto":
            solver, reason = choose_solver(problem)
        steps: dict[str, Callable[[Problem, Run], Outcome]] = {
            "direct": _direct,
            "krylov": _krylov,
            "iterate": lambda p, r: _sweep(p, r, dirac_start(p)),
            "sweeps": lambda p, r: _sweep(p, r, moment_start(p)),
        }
        outcome = steps[solver](problem, run)
        return problem.solution(outcome, run, self, solver, reason)


@dataclass(frozen=True)
class CategoricalDP:
    """`sweeps` applications of the categorical Bellman operator to a Dirac at the grid's middle, history kept.

    Parameters
    ----------
    atoms : int
    sweeps : int
    grid : Grid, optional
        By default `Grid.covering(model, atoms)`.

    Notes
    -----
    `Solution.history.probs` is (sweeps + 1, S, m), the start first, and `.residuals` (sweeps,) the sup-W1 size of each
    step. Memory 8 * sweeps * S * m bytes. Each iterate's error is at most discount^k times the first plus the
    certificate's rounding part. Source: Rowland et al. 2018; Bellemare, Dabney, Rowland 2023.
    """

    atoms: int = 201
    sweeps: int = 100
    grid: Grid | None = None

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        object.__setattr__(self, "sweeps", whole_number(self.sweeps, "sweeps", low=0))

    def _solve(self, model: MRP, run: Run) -> Solution:
        problem = Problem.of(model, self.grid, self.atoms, run)
        cdf = dirac_start(problem)
        history = np.empty((self.sweeps + 1, *cdf.shape))
        residuals = np.empty(self.sweeps)
        history[0] = cdf
        done = 0
        try:
            while done < self.sweeps:
                problem.operator.apply_cdf(history[done], history[done + 1])
                residuals[done] = problem.grid.spacing * largest_distance(history[done], history[done + 1])
                done += 1
                run.iterations = done
                if run.progress is not None:
                    run.progress(done / self.sweeps, done, float(residuals[done - 1]) * problem.gain)
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        else:
            status = Status.SWEEPS_DONE
        kept = history[: done + 1]
        probs = np.diff(kept, axis=2, prepend=0.0)
        solution = problem.solution(Outcome(kept[-1], status), run, self, "sweeps", f"{done} sweeps asked for")
        object.__setattr__(solution, "history", History(probs, residuals[:done]))
        return solution


class History(NamedTuple):
    """Iterates (k + 1, S, m), the start first, and the sup-W1 sizes (k,) of the steps between them."""

    probs: FloatArray
    residuals: FloatArray


class Outcome(NamedTuple):
    """Where a solver ended: CDF values (S, m) at the atoms, and how."""

    cdf: FloatArray
    status: Status


class Problem(NamedTuple):
    """An MRP on a grid with its operator, certifier and tolerance."""

    model: MRP
    grid: Grid
    operator: CategoricalBellman
    certifier: Certifier
    gain: float
    tol: float

    @classmethod
    def of(cls, model: MRP, grid: Grid | None, atoms: int, run: Run) -> "Problem":
        """The problem on `grid`, or on the covering grid with `atoms` atoms."""
        chosen = Grid.covering(model, atoms) if grid is None else grid
        operator = CategoricalBellman(model, chosen)
        certifier = Certifier(model, operator)
        gain = certifier.gain
        tol = run.tol
        if tol is None:
            # CDF values err by at most W1 / spacing: they too should be right to nine digits, where float64 allows it
            tol = max(min(1e-10 * chosen.width, 2e-10 * chosen.spacing), 16 * _EPS * gain * chosen.width)
        return cls(model, chosen, operator, certifier, gain, tol)

    @property
    def unknowns(self) -> int:
        """Size S * (m - 1) of the linear system."""
        return self.model.n_states * (self.grid.atoms - 1)

    def solution(self, outcome: Outcome, run: Run, method: Any, solver: str, reason: str) -> Solution:
        """Turn CDF values into laws (negative rounding cut off) and certify exactly those."""
        probs = np.maximum(np.diff(outcome.cdf, axis=1, prepend=0.0), 0.0)
        probs /= probs.sum(axis=1, keepdims=True)
        certificate, residual = self.certifier.certify(probs)
        status = outcome.status
        if status is Status.SWEEPS_DONE and residual * self.gain <= self.tol:
            status = Status.CONVERGED
        return Solution(
            returns=CategoricalReturns._trusted(self.grid, probs),
            status=status,
            iterations=run.iterations,
            residual=residual,
            clipped_mass=float(certificate.clipped_mass.max()),
            elapsed=run.elapsed,
            certificate=certificate,
            tol=self.tol,
            solver=solver,
            reason=reason,
            model=self.model,
            method=method,
        )


def choose_solver(problem: Problem) -> tuple[str, str]:
    """The rule of `solver="auto"` and the sentence that explains it."""
    if problem.unknowns <= DIRECT_UNKNOWNS:
        return "direct", f"{problem.unknowns} unknowns, at most {DIRECT_UNKNOWNS}"
    if problem.gain <= SWEEP_HORIZON:
        return "sweeps", f"effective horizon {problem.gain:.3g} steps, at most {SWEEP_HORIZON:g}"
    return "krylov", f"{problem.unknowns} unknowns and effective horizon {problem.gain:.3g} steps"


def dirac_start(problem: Problem) -> FloatArray:
    """(S, m) CDF values of a Dirac at the grid's middle."""
    grid = problem.grid
    row = np.clip(np.arange(1.0, grid.atoms + 1.0) - (grid.atoms - 1) / 2, 0.0, 1.0)
    return np.asarray(np.tile(row, (problem.model.n_states, 1)))


def moment_start(problem: Problem) -> FloatArray:
    """(S, m) CDF values of projected normal laws with the exact means, and variances plus a guess of rounding's.

    With the exact means the error starts without its slowest mode, which decays at the rate of the discount.
    """
    model, grid = problem.model, problem.grid
    mean, variance = mean_and_variance(model, problem.certifier.linear, problem.certifier.square)
    square = model.discount**2
    rounding = grid.spacing**2 / 6 / max(1.0 - square, 1.0 / problem.gain)
    spread = np.where(np.isfinite(variance), variance, grid.width**2) + np.where(variance > 0, rounding, 0.0)
    sd = np.maximum(np.sqrt(np.clip(spread, 0.0, grid.width**2)), 1e-6 * grid.spacing)[:, None]
    score = (grid.points - np.clip(mean, grid.low, grid.high)[:, None]) / sd
    put = sd * (score * special.ndtr(score) + np.exp(-0.5 * np.square(score)) / math.sqrt(2 * math.pi))
    cdf = np.ones_like(put)
    cdf[:, :-1] = np.clip(np.diff(put, axis=1) / grid.spacing, 0.0, 1.0)
    return np.asarray(cdf)


def _sweep(problem: Problem, run: Run, cdf: FloatArray) -> Outcome:
    """Plain sweeps until the bound on the iteration error meets the tolerance."""
    operator, spacing, gain, tol = problem.operator, problem.grid.spacing, problem.gain, problem.tol
    limit = run.max_iterations
    if limit is None:
        limit = run.iterations + _enough_sweeps(problem)
    image = np.empty_like(cdf)
    smallest, since = math.inf, 0
    try:
        while run.iterations < limit:
            operator.apply_cdf(cdf, image)
            run.iterations += 1
            residual = spacing * largest_distance(cdf, image)
            cdf, image = image, cdf
            run.report(residual * gain, tol)
            if residual * gain <= tol:
                return Outcome(cdf, Status.CONVERGED)
            smallest, since = (residual, 0) if residual < smallest else (smallest, since + 1)
            if since > 50 and residual < 1e4 * _EPS * problem.grid.width:
                return Outcome(cdf, Status.STALLED)
    except KeyboardInterrupt:
        return Outcome(cdf, Status.INTERRUPTED)
    return Outcome(cdf, Status.MAX_ITERATIONS)


def _enough_sweeps(problem: Problem) -> int:
    """Twice the sweeps that the contraction needs from anywhere; undiscounted, 1 - 1 / gain is taken as the rate."""
    rate = min(problem.model.discount, 1.0 - 1.0 / max(problem.gain, 1.0)) if problem.gain < 1e15 else 1.0
    if rate <= 0.0:
        return 10
    ratio = max(problem.grid.width * problem.gain / problem.tol, 2.0)
    return int(min(2.0 * math.log(ratio) / -math.log1p(rate - 1.0) + 100, 1e9)) if rate < 1.0 else 10**6


def _direct(problem: Problem, run: Run) -> Outcome:
    """Sparse LU of I - A in CDF form, with refinement while it helps."""
    cdf = dirac_start(problem)
    try:
        return _factorise_and_refine(problem, run, cdf)
    except KeyboardInterrupt:
        return Outcome(cdf, Status.INTERRUPTED)


def _factorise_and_refine(problem: Problem, run: Run, cdf: FloatArray) -> Outcome:
    """Overwrites `cdf`, which is a valid array of CDF values at any moment."""
    shape = cdf.shape
    system = sparse.csc_matrix(sparse.eye_array(problem.unknowns, format="csr") - problem.operator.matrix())
    factors = linalg.splu(system)
    cdf[:, :-1] = factors.solve(problem.operator.offset()).reshape(shape[0], -1)
    best, image = math.inf, np.empty(shape)
    for _ in range(4):
        problem.operator.apply_cdf(cdf, image)
        run.iterations += 1
        residual = problem.grid.spacing * largest_distance(cdf, image)
        if residual * problem.gain <= problem.tol:
            return Outcome(cdf, Status.CONVERGED)
        if not residual < best:
            break
        best = residual
        cdf[:, :-1] += factors.solve((image - cdf)[:, :-1].ravel()).reshape(shape[0], -1)
    return Outcome(cdf, Status.STALLED)


def _krylov(problem: Problem, run: Run) -> Outcome:
    """BiCGSTAB on the correction, true residuals between cycles, a step taken only if they fall; then sweeps."""
    gain, tol, spacing = problem.gain, problem.tol, problem.grid.spacing
    limit = run.max_iterations if run.max_iterations is not None else 10**9

    def apply(vector: FloatArray, out: FloatArray) -> None:
        run.iterations += 1
        problem.operator.apply_cdf(vector, out, affine=False)

    cdf = moment_start(problem)
    image, trial_image = np.empty_like(cdf), np.empty_like(cdf)
    residual = _residual(problem, run, cdf, image)
    rejected = 0
    while rejected < _REJECTED and run.iterations < limit:
        run.report(residual * gain, tol)
        if residual * gain <= tol:
            return Outcome(cdf, Status.CONVERGED)
        # float64 recurrences lose touch with the true residual after ten digits or so: cycles double as refinement
        goal = max(0.5 * tol / gain, 1e-10 * residual) / spacing
        cycle = min(_CYCLE, max((limit - run.iterations) // 2, 1))
        try:
            step, _ = bicgstab(apply, image - cdf, goal, cycle, lambda claim: run.report(spacing * claim * gain, tol))
            step += cdf
            trial_residual = _residual(problem, run, step, trial_image)
        except KeyboardInterrupt:
            return Outcome(cdf, Status.INTERRUPTED)
        rejected = 0 if trial_residual <= 0.5 * residual else rejected + 1
        if trial_residual < residual:
            cdf, image, trial_image, residual = step, trial_image, image, trial_residual
        else:  # the sweep already done is a certain step forward
            cdf, image = image, cdf
            residual = _residual(problem, run, cdf, image)
    if residual * gain <= tol:
        return Outcome(cdf, Status.CONVERGED)
    return _sweep(problem, run, cdf)


def _residual(problem: Problem, run: Run, cdf: FloatArray, image: FloatArray) -> float:
    """Fill `image` with one application and give sup-W1(cdf, image); inf if the iterate is not finite."""
    problem.operator.apply_cdf(cdf, image)
    run.iterations += 1
    residual = problem.grid.spacing * largest_distance(cdf, image)
    return residual if math.isfinite(residual) else math.inf


def check_atoms_and_grid(method: Any) -> None:
    """The options that categorical methods share."""
    object.__setattr__(method, "atoms", whole_number(method.atoms, "atoms", low=2))
    if method.grid is not None and not isinstance(method.grid, Grid):
        raise TypeError(f"grid must be a distrl.Grid or None, got {method.grid!r}")
