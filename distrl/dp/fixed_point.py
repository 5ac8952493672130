"""Solving for the categorical fixed point on a grid, with more solvers than one where the first stalls."""

import numpy as np

from distrl._display import at_most
from distrl._memory import check_memory
from distrl.dp.auto import solve_by_rule
from distrl.dp.call import Call
from distrl.dp.problem import Problem, Reached, dirac_start, moment_start
from distrl.dp.solvers.base import Solved, Solver, Stop, run
from distrl.dp.solvers.direct import Direct, affords_direct
from distrl.dp.solvers.krylov import SINGLE_ENTRIES, Krylov
from distrl.dp.solvers.sweeps import Sweeps
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.operators.system import System
from distrl.returns.grid import Grid

#: The short names of solvers; "auto" is a rule that chooses one.
SOLVERS: dict[str, Solver] = {"direct": Direct(), "iterate": Sweeps(), "krylov": Krylov()}
_MOST_SWEEPS = 100_000  # before a solver that takes seconds at most is tried


def arrays_needed(solver: str | Solver, states: int, atoms: int) -> float:
    """Arrays of (states, atoms) float64 that a solve needs."""
    if solver == "iterate":
        return 2.0
    return 5.5 if states * atoms > SINGLE_ENTRIES else 9.0


def fixed_point(
    model: MRP, grid: Grid, call: Call, solver: str | Solver = "auto", threads: int | None = None
) -> Reached:
    """The fixed point on a grid by a solver, or by the rule of "auto".

    A result that misses a tolerance within reach of float64 is tried to be bettered by other solvers, unless plain
    sweeps were asked for: the best of them all is given back.

    Raises
    ------
    ValueError
        If the arrays do not fit in memory, or the solver does not take the model's reward laws.
    """
    other = "" if solver == "iterate" else ", or solver='iterate', which needs 2"
    arrays = arrays_needed(solver, model.n_states, grid.atoms)
    check_memory(model.n_states, grid.atoms, arrays, f"use fewer atoms{other}")
    problem = Problem.of(model, grid, call)
    system = System.whole(problem.operator, threads)
    stop = problem.stop(call)
    if solver != "iterate" and affords_direct(system):  # then sweeps without end are no last resort
        stop = stop._replace(enough=min(stop.enough, _MOST_SWEEPS))
    call.enter(f"solving by {solver if isinstance(solver, str) else solver.name}")
    reached = problem.reached(_solved(problem, system, stop, solver), call, threads)
    return reached if solver == "iterate" else _others(problem, system, stop, reached, threads)


def _solved(problem: Problem, system: System, stop: Stop, solver: str | Solver) -> Solved:
    if solver == "auto":
        return solve_by_rule(problem, system, stop)
    if isinstance(solver, str):
        name, chosen = solver, SOLVERS[solver]
    else:
        name, chosen = solver.name, solver
    if solver == "iterate":
        start = dirac_start(problem)
    elif solver == "direct":  # which uses none
        start = np.empty((system.n, problem.grid.atoms))
    else:
        start = moment_start(problem, system.workers)
    return run(chosen, system, start, stop).named(name, "asked for")


def _others(problem: Problem, system: System, stop: Stop, reached: Reached, threads: int | None) -> Reached:
    """What other solvers make of a result that misses a tolerance within reach of float64: the best of them all.

    Sparse LU where its factors are sure to fit, then BiCGSTAB from where the best so far stands.
    """
    call = stop.call
    for solver in (Direct(), Krylov()):
        if reached.status is not Status.STALLED or problem.out_of_reach():
            break
        if solver.name == reached.solver or (solver.name == Direct.name and not affords_direct(system)):
            continue
        cdf = np.cumsum(reached.returns.arrays()["probs"], axis=1)
        cdf[:, -1] = 1.0
        call.enter(f"trying {solver.name}, since {reached.solver} stalled")
        told = f"{reached.reason}; it stalled at an error bound of {at_most(reached.bound)}, so {solver.name} was tried"
        other = problem.reached(solver.solve(system, cdf, stop).named(solver.name, told), call, threads)
        better = other.bound < reached.bound or other.status is Status.INTERRUPTED
        reached = other if better else reached._replace(reason=told, iterations=call.iterations)
    return reached
