"""The categorical fixed point F = Pi T F, and categorical dynamic programming towards it.

Definitions. G(x) = R(x) + g G(y) is the return from state x: R the reward, y the next state, g the discount, G(y) = 0
where the return has ended. T maps the laws of all states to those of R + g G(y) under them; Pi puts every mass on the
two atoms around it, so that means are kept, and on the last atom where it lies beyond the grid. F(x) holds the CDF of
x at the m atoms, spacing s apart.

Operator. In CDF form Pi T is affine, F -> A F + b with A >= 0. It contracts sup-W1 by g, clipped or not (claim
`categorical-w1-contraction`), so that it has one fixed point F* (claim `categorical-unique-fixed-point`).

Termination. With the residual rho(x) = W1(F(x), (Pi T F)(x)),

    W1(F(x), F*(x)) <= [(I - g P)^{-1} rho](x),     P the probabilities of going on,

which is what `Solution.bounds` says, rounding included; CONVERGED means that it is at most the tolerance everywhere.
The distance to the true law is the certificate's (`distrl.dp.certificate`).

Sources: Bellemare, Dabney, Munos 2017; Rowland et al. 2018 and 2024 ("Near-Minimax-Optimal Distributional Reinforcement
Learning with a Generative Model", which solves the linear system directly).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from distrl._threads import check_threads
from distrl._validation import real_number
from distrl.dp.call import Call
from distrl.dp.fixed_point import SOLVERS, arrays_needed, fixed_point
from distrl.dp.horizon_categorical import GridSearch
from distrl.dp.horizon_categorical import Reached as ReachedBySteps
from distrl.dp.method import Method
from distrl.dp.on_grid import check_atoms_and_grid
from distrl.dp.problem import Reached
from distrl.dp.refine import Goal, enough_atoms, solve_to_goal
from distrl.dp.resolution import MOST, PILOT, SHARE, Resolution
from distrl.dp.solution import Solution
from distrl.dp.solvers.base import Solver
from distrl.dp.status import Status
from distrl.dp.undiscounted import default_grid, on_own_lattice, words_of
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid
from distrl.theory import fixed_point_w1


@dataclass(frozen=True)
class CategoricalFixedPoint:
    """The fixed point of the categorical Bellman operator, solved directly (DCFP) or iteratively.

    F = A F + b in CDF form on the first m - 1 atoms of every state; A is non-negative with column sums at most the
    discount, so the solution is unique.

    Parameters
    ----------
    atoms : int, optional
        Number of atoms m, if no grid is given. By default as many as it takes for the certificate's rounding part to be
        at most 1% of the standard deviation of every return that is random, between 51 and 2,001; more than 201 only
        while states times atoms stay below 4 million and memory holds them. By the exact variances beforehand, and
        where that asks for more than 201, by what rounding adds on 201. `Solution.reason` says how many and why.
    grid : Grid, optional
        By default on the interval of `Grid.covering(model, atoms)`, on which nothing is clipped. At discount 1 on what
        returns reach, but for a probability of 1e-10 where a cycle pays; with an atom at every multiple of the rewards'
        step, where they have one and there are few enough: see `distrl.dp.undiscounted`.
    solver : "auto", "direct", "krylov" or "iterate", or a `distrl.dp.solvers.Solver`
        direct: sparse LU of I - A; time and memory by fill-in, fine up to some thousand unknowns.
        krylov: BiCGSTAB without a matrix, started from the exact mean and variance, residuals recomputed, each cycle
        accepted only if the true residual falls, plain sweeps if it does not.
        If one of these two stalls above a tolerance that float64 can reach, the other is tried.
        iterate: plain sweeps from a Dirac at the grid's middle, the textbook's algorithm; error falls by the discount.
        auto: strongly connected components in topological order; states on no cycle but a loop of their own are solved
        exactly in one pass, each larger component by the rule in `distrl.dp.solvers.select_solver`: sparse LU,
        Gauss-Seidel, sweeps with a coarse correction, or BiCGSTAB. `Solution.reason` says which and why.
        An object, one of the library's or your own, is given all states at once, from the laws that the exact means
        and variances suggest.
    threads : int, optional
        Threads over states, at most 16; by default one each core. Results do not depend on it, bit for bit. Small
        problems use one.
    target_w1 : float, optional
        Choose the number of atoms so that the certificate is at most this at every state: `atoms` is not used then, and
        of `grid` only the interval. `Solution.reason` says how many and why.
    interval : (low, high), optional
        Ends of a grid whose number of atoms is chosen, or given by `atoms`; instead of `grid`.

    Raises
    ------
    ValueError
        If an option is out of range. From `evaluate`: if the arrays do not fit in memory, `target_w1` cannot be met,
        the returns have no bounds and no grid is given, or the solver does not take the model's reward laws.
    TypeError
        If `grid` is no Grid, or `solver` neither a name nor a solver.

    Notes
    -----
    Time O(nnz * m) an application. Memory in arrays of S * m float64: iterate 2, krylov 9, auto 2 to 10; beyond
    20 million entries BiCGSTAB works in float32 inside float64 refinement and takes 5.5. direct: by fill-in.
    Guarantee: the certificate (claim `certificate-martingale-coupling`); with no clipping at most
    spacing / (2 sqrt(1 - discount^2)) plus the iteration error. Source: Rowland et al. 2024, "Near-Minimax-Optimal
    Distributional Reinforcement Learning with a Generative Model"; the certificate is this library's.
    """

    atoms: int | None = None
    grid: Grid | None = None
    solver: str | Solver = "auto"
    threads: int | None = None
    target_w1: float | None = None
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_atoms_and_grid(self, free=True)
        if self.interval is not None:
            if self.grid is not None:
                raise ValueError("grid says where the atoms are; leave interval out")
            ends = Grid(*self.interval, 2)
            object.__setattr__(self, "interval", (ends.low, ends.high))
        object.__setattr__(self, "threads", check_threads(self.threads))
        known = ", ".join(("auto", *SOLVERS))
        if isinstance(self.solver, str):
            if self.solver not in ("auto", *SOLVERS):
                raise ValueError(f"solver must be one of {known}; got {self.solver!r}")
        elif not isinstance(self.solver, Solver) or isinstance(self.solver, type):
            raise TypeError(f"solver must be one of {known}, or a Solver object; got {self.solver!r}")
        if self.target_w1 is not None:
            object.__setattr__(self, "target_w1", real_number(self.target_w1, "target_w1"))
            if not self.target_w1 > 0.0:
                raise ValueError(f"target_w1 must be positive, got {self.target_w1:g}")

    def on_interval(self, low: float, high: float) -> Self:
        """The same method on a grid from `low` to `high`, widened where that is one point."""
        if self.atoms is not None:
            return replace(self, grid=Grid.spanning(low, high, self.atoms))
        ends = Grid.spanning(low, high, MOST)
        return replace(self, interval=(ends.low, ends.high))

    def _ends(self, model: MRP, atoms: int) -> Grid:
        """The interval of the grid, with so many atoms."""
        if self.interval is not None:
            return Grid(*self.interval, atoms)
        return default_grid(model, atoms) if self.grid is None else Grid(self.grid.low, self.grid.high, atoms)

    def _undiscounted(self, model: MRP) -> Self:
        """The same method, its grid or its interval chosen for a model at discount 1."""
        if self.atoms is not None and self.target_w1 is None:
            return replace(self, grid=default_grid(model, self.atoms))
        own = on_own_lattice(model) if self.target_w1 is None else None
        if own is not None:
            return replace(self, grid=own)
        ends = default_grid(model, 2)
        return replace(self, interval=(ends.low, ends.high))

    def solve(self, model: MRP, call: Call) -> Solution[CategoricalReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        if model.uniform_discount == 1.0 and self.grid is None and self.interval is None:
            chosen = self._undiscounted(model)
            solution = chosen.solve(model, call)
            return replace(solution, method=self, reason=f"{solution.reason}; on {words_of(chosen.grid)}")
        if self.target_w1 is not None:
            reached = self._to_target(model, call, self.target_w1)
        elif self.grid is not None:
            reached = self._on(model, self.grid, call)
        elif self.atoms is not None:
            reached = self._on(model, self._ends(model, self.atoms), call)
        else:
            reached = self._to_spread(model, call)
        return solution_of(reached, model, self, call)

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[CategoricalReturns]:
        """The laws of H steps, by as many applications; `solver` has nothing to solve.

        `stages` and `call` are as `HorizonMethod` says.
        """
        search = GridSearch(self.atoms, self.grid, self.interval, self.target_w1, self.threads)
        return solution_of_steps(search.reached(stages, call), stages, self, call)

    def _on(self, model: MRP, grid: Grid, call: Call) -> Reached:
        return fixed_point(model, grid, call, self.solver, self.threads)

    def _to_spread(self, model: MRP, call: Call) -> Reached:
        """On as many atoms as the returns' standard deviations ask for: see `Resolution`."""
        arrays = arrays_needed(self.solver, model.n_states, MOST)
        resolution = Resolution(model, self._ends(model, MOST).width, arrays)
        atoms = resolution.enough
        if atoms > PILOT and call.max_iterations is None:
            grid = self._ends(model, PILOT)
            with call.asking(max(1e-6 * grid.width, call.tol or 0.0), given=False):
                pilot = self._on(model, grid, call)
            if pilot.status is Status.INTERRUPTED:
                return pilot
            atoms = max(resolution.after(PILOT, resolution.share(pilot.certificate)), PILOT)
        while True:
            reached = self._on(model, self._ends(model, atoms), call)
            share = resolution.share(reached.certificate)
            if share <= SHARE or atoms >= resolution.enough or reached.status is Status.INTERRUPTED:
                break
            atoms = min(max(resolution.after(atoms, share), atoms + atoms // 10), resolution.enough)
        return reached._replace(reason=f"{reached.reason}; {resolution.words(atoms, reached.certificate)}")

    def _to_target(self, model: MRP, call: Call, target: float) -> Reached:
        def solve(grid: Grid) -> Reached:
            tol = min(1e-3 * target, 1e-10 * grid.width) if call.tol is None else call.tol
            with call.asking(tol, call.given):
                return self._on(model, grid, call)

        def worst(reached: Reached) -> float:
            return float(reached.certificate.w1.max())

        goal = Goal(f"target_w1={target:g}", target, worst, order=1)
        interval = self._ends(model, 2 if self.grid is None else self.grid.atoms)
        first = interval.atoms
        if model.largest_discount < 1.0:  # enough where nothing is clipped
            first = enough_atoms(fixed_point_w1(1.0, model.largest_discount), target / interval.width, 1)
        reached, how = solve_to_goal(model, interval, first, goal, solve, partial(arrays_needed, self.solver))
        return reached._replace(reason=f"{reached.reason}; {how}")


def solution_of(reached: Reached, model: MRP, method: Method[Returns], call: Call) -> Solution[CategoricalReturns]:
    """The `Solution` that laws on a grid are, reached by a method."""
    return Solution.of(
        reached.returns,
        model,
        method,
        call,
        status=reached.status,
        certificate=reached.certificate,
        bounds=reached.certificate.residual,
        residual=reached.residual,
        clipped_mass=float(reached.certificate.clipped_mass.max()),
        tol=reached.tol,
        solver=reached.solver,
        reason=reached.reason,
        iterations=reached.iterations,
    )


def solution_of_steps(
    reached: ReachedBySteps, stages: Stages, method: Method[Returns], call: Call
) -> Solution[CategoricalReturns]:
    """The `Solution` that laws of H steps on a grid are."""
    return Solution.of(
        reached.returns,
        stages.process(0),
        method,
        call,
        status=reached.status,
        certificate=reached.certificate,
        bounds=reached.certificate.residual,
        clipped_mass=float(reached.certificate.clipped_mass.max()),
        tol=reached.tol,
        solver="steps",
        reason=reached.reason,
        later=reached.later,
    )
