"""The categorical fixed point F = Pi T F, and categorical dynamic programming towards it."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from distrl._display import at_most
from distrl._memory import check_memory
from distrl._threads import check_threads
from distrl._validation import FloatArray, real_number, whole_number
from distrl.dp.auto import solve_by_rule
from distrl.dp.problem import Problem, dirac_start, moment_start
from distrl.dp.refine import Target, enough_atoms, solve_to_target
from distrl.dp.run import Run
from distrl.dp.solution import Solution
from distrl.dp.solvers import SINGLE_ENTRIES, Outcome, Stop, affords_direct, direct, krylov, sweep
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.operators.system import System
from distrl.returns.grid import Grid
from distrl.theory.bounds import fixed_point_w1

_MOST_SWEEPS = 100_000  # before a solver that takes seconds at most is tried
_SOLVERS = ("auto", "direct", "iterate", "krylov")


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
        If one of these two stalls above a tolerance that float64 can reach, the other is tried.
        iterate: plain sweeps from a Dirac at the grid's middle, the textbook's algorithm; error falls by the discount.
        auto: strongly connected components in topological order; states on no cycle but a loop of their own are solved
        exactly in one pass, each larger component by the rule in `distrl.dp.auto.choose_solver`: sparse LU,
        Gauss-Seidel, sweeps with a coarse correction, or BiCGSTAB. `Solution.reason` says which and why.
    threads : int, optional
        Threads over states, at most 16; by default one each core. Results do not depend on it, bit for bit. Small
        problems use one.
    target_w1 : float, optional
        Choose the number of atoms so that the certificate is at most this at every state: `atoms` is not used then, and
        of `grid` only the interval. `Solution.reason` says how many and why.

    Raises
    ------
    ValueError
        If the arrays do not fit in memory, or `target_w1` cannot be met.

    Notes
    -----
    Time O(nnz * m) an application. Memory in arrays of S * m float64: iterate 2, krylov 9, auto 2 to 10; beyond
    20 million entries BiCGSTAB works in float32 inside float64 refinement and takes 5.5. direct: by fill-in.
    Guarantee: the certificate (claim `certificate-martingale-coupling`); with no clipping at most
    spacing / (2 sqrt(1 - discount^2)) plus the iteration error. Source: Rowland et al. 2024, "Near-Minimax-Optimal
    Distributional Reinforcement Learning with a Generative Model"; the certificate is this library's.
    """

    atoms: int = 201
    grid: Grid | None = None
    solver: str = "auto"
    threads: int | None = None
    target_w1: float | None = None

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        object.__setattr__(self, "threads", check_threads(self.threads))
        if self.solver not in _SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(_SOLVERS)}; got {self.solver!r}")
        if self.target_w1 is not None:
            object.__setattr__(self, "target_w1", real_number(self.target_w1, "target_w1"))
            if not self.target_w1 > 0.0:
                raise ValueError(f"target_w1 must be positive, got {self.target_w1:g}")

    def _solve(self, model: MRP, run: Run) -> Solution:
        if self.target_w1 is None:
            return self._solve_on(model, self.grid, run)
        tol = run.tol

        def solve(grid: Grid) -> Solution:
            run.tol = min(1e-3 * self.target_w1, 1e-10 * grid.width) if tol is None else tol  # type: ignore[operator]
            return self._solve_on(model, grid, run)

        def worst(solution: Solution) -> float:
            assert solution.certificate is not None
            return float(solution.certificate.w1.max())

        target = Target(f"target_w1={self.target_w1:g}", self.target_w1, worst, order=1)
        interval = Grid.covering(model, 2) if self.grid is None else self.grid
        first = interval.atoms
        if model.discount < 1.0:  # enough where nothing is clipped
            first = enough_atoms(fixed_point_w1(1.0, model.discount), self.target_w1 / interval.width, 1)
        solution, how = solve_to_target(model, interval, first, target, solve, self._arrays)
        return replace(solution, reason=f"{solution.reason}; {how}", elapsed=run.elapsed)

    def _arrays(self, states: int, atoms: int) -> float:
        """Arrays of (states, atoms) float64 that a solve needs."""
        if self.solver == "iterate":
            return 2.0
        return 5.5 if states * atoms > SINGLE_ENTRIES else 9.0

    def _solve_on(self, model: MRP, grid: Grid | None, run: Run) -> Solution:
        atoms = self.atoms if grid is None else grid.atoms
        other = "" if self.solver == "iterate" else ", or solver='iterate', which needs 2"
        check_memory(model.n_states, atoms, self._arrays(model.n_states, atoms), f"use fewer atoms{other}")
        problem = Problem.of(model, grid, atoms, run)
        system = System.whole(problem.operator, self.threads)
        stop = problem.stop(run)
        solver, reason = self.solver, "asked for"
        if solver != "iterate" and affords_direct(system):  # then sweeps without end are no last resort
            stop = stop._replace(enough=min(stop.enough, _MOST_SWEEPS))
        if solver == "iterate":
            outcome = sweep(system, dirac_start(problem), stop)
        elif solver == "direct":
            outcome = direct(system, np.empty((system.n, problem.grid.atoms)), stop)
        elif solver == "krylov":
            outcome = krylov(system, moment_start(problem, system.workers), stop)
        else:
            outcome, solver, reason = solve_by_rule(problem, system, stop)
        solution = problem.solution(outcome, run, self, solver, reason, self.threads)
        return solution if self.solver == "iterate" else self._others(problem, system, stop, solution)

    def _others(self, problem: Problem, system: System, stop: Stop, solution: Solution) -> Solution:
        """What other solvers make of a result that misses a tolerance within reach of float64: the best of them all.

        Sparse LU where its factors are sure to fit, then BiCGSTAB from where the best so far stands.
        """
        run = stop.run
        for name, way in (("direct", direct), ("krylov", krylov)):
            if solution.status is not Status.STALLED or problem.out_of_reach():
                break
            if name == solution.solver or (name == "direct" and not affords_direct(system)):
                continue
            cdf = np.cumsum(solution.returns.arrays()["probs"], axis=1)
            cdf[:, -1] = 1.0
            told = f"{solution.reason}; it stalled at an error bound of {at_most(solution.bound)}, so {name} was tried"
            other = problem.solution(way(system, cdf, stop), run, self, name, told, self.threads)
            better = other.bound < solution.bound or other.status is Status.INTERRUPTED
            solution = other if better else replace(solution, reason=told, iterations=run.iterations)
        return solution


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
        atoms = self.atoms if self.grid is None else self.grid.atoms
        check_memory(model.n_states, atoms, 2.0 * (self.sweeps + 1), "use fewer atoms or sweeps")
        problem = Problem.of(model, self.grid, self.atoms, run)
        cdf = dirac_start(problem)
        system = System.whole(problem.operator, None)
        history = np.empty((self.sweeps + 1, *cdf.shape))
        residuals = np.empty(self.sweeps)
        history[0] = cdf
        done = 0
        try:
            while done < self.sweeps:
                residual = system.apply(history[done], history[done + 1])
                residuals[done] = problem.grid.spacing * residual
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
        return replace(solution, history=History(probs, residuals[:done]))


class History(NamedTuple):
    """Iterates (k + 1, S, m), the start first, and the sup-W1 sizes (k,) of the steps between them."""

    probs: FloatArray
    residuals: FloatArray


def check_atoms_and_grid(method: Any) -> None:
    """The options that categorical methods share."""
    object.__setattr__(method, "atoms", whole_number(method.atoms, "atoms", low=2))
    if method.grid is not None and not isinstance(method.grid, Grid):
        raise TypeError(f"grid must be a distrl.Grid or None, got {method.grid!r}")
