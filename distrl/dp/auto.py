"""`solver="auto"`: components of a model in topological order, each by the solver that its traits call for.

Strongly connected components are solved last ones first, since a component's equations read the laws of those it leads
to and none that lead to it. A state on no cycle but a loop of its own is solved exactly in one pass. The whole is
checked by one application at the end, whose residual decides; where rounding is left, BiCGSTAB goes on with all states.
"""

from __future__ import annotations

import numpy as np

from distrl._kernels.categorical import solve_states
from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray
from distrl.dp.problem import Problem, moment_start
from distrl.dp.solvers.base import Solved, Stop, run
from distrl.dp.solvers.components import rounds
from distrl.dp.solvers.krylov import Krylov
from distrl.dp.solvers.select import select_solver
from distrl.dp.solvers.traits import Traits
from distrl.dp.status import Status
from distrl.operators.system import System

_AT_A_TIME = 2_000_000  # entries that are solved exactly between two looks at progress


def solve_by_rule(problem: Problem, system: System, stop: Stop) -> Solved:
    """Components in topological order, each by the rule; checked as a whole at the end, swept where that fails."""
    if system.has_law_blocks:
        return _solve_block(problem, system, moment_start(problem, system.workers), stop)
    work = rounds(system.plan)
    if any(len(part.block) for part in work):
        cdf = moment_start(problem, system.workers)
    else:  # each state's law is replaced by an exact one; an interruption leaves Diracs at the lowest atom for the rest
        cdf = np.ones((system.n, problem.grid.atoms))
    if len(work) == 1 and len(work[0].block) == system.n:
        return _solve_at_once(problem, system, cdf, stop)
    parts: list[str] = []
    exact = sum(len(part.exact) for part in work)
    if exact:
        parts.append(f"{exact} states one after the other, last ones first")
    for part in work:
        if len(part.exact):
            _pass_exactly(system, cdf, part.exact, stop)
            if stop.call.interrupted:
                return _by_parts(Solved(cdf, Status.INTERRUPTED), len(work), exact, parts)
        if len(part.block):
            block = system.restricted(part.block, cdf)
            solved = _solve_block(problem, block, cdf[part.block], stop)
            cdf[part.block] = solved.cdf
            parts.append(f"{len(part.block)} states by {solved.solver} ({solved.reason})")
            if solved.status is Status.INTERRUPTED:
                return _by_parts(Solved(cdf, solved.status), len(work), exact, parts)
    image, residual = np.empty_like(cdf), 0.0
    with stop.call.interruptible():
        residual = system.apply(cdf, image)
        stop.call.count()
    if stop.call.interrupted:
        return _by_parts(Solved(cdf, Status.INTERRUPTED), len(work), exact, parts)
    if not residual <= stop.goal:
        parts.append("all at once by krylov, since rounding was left")
        return Krylov().solve(system, image, stop).named("components", "; ".join(parts))
    return _by_parts(Solved(cdf, Status.CONVERGED), len(work), exact, parts)


def _by_parts(solved: Solved, rounds_of_work: int, exact: int, parts: list[str]) -> Solved:
    name = "components" if rounds_of_work > 1 or not exact else "exact"
    return solved.named(name, "; ".join(parts[:8]))


def _solve_at_once(problem: Problem, system: System, cdf: FloatArray, stop: Stop) -> Solved:
    """All states as one system, in an order that puts successors near where that is much better."""
    order = system.near_order()
    if order is None:
        return _solve_block(problem, system, cdf, stop)
    solved = _solve_block(problem, system.reordered(order), cdf[order], stop)
    cdf[order] = solved.cdf
    return solved._replace(cdf=cdf)


def _pass_exactly(system: System, cdf: FloatArray, states: IntArray, stop: Stop) -> None:
    """Solve `states` one after the other, some at a time, so that it can be followed and interrupted."""
    call, some = stop.call, max(_AT_A_TIME // system.grid.atoms, 1)
    call.enter(f"solving {len(states)} states one after the other")
    with call.interruptible():
        for first in range(0, len(states), some):
            solve_states(cdf, system.plan, states[first : first + some])
            call.advance(min(first + some, len(states)) / len(states))
        call.count()


def _solve_block(problem: Problem, system: System, cdf: FloatArray, stop: Stop) -> Solved:
    """One system of states that lead to each other, by the solver that the rule selects."""
    gain = problem.certifier.linear.gains
    mean = problem.moments[0]
    matrix, largest = problem.model.continuation, problem.model.largest_discount
    if system.states is not None:
        gain, mean = gain[system.states], mean[system.states]
        matrix = sparse.csr_array(matrix[system.states][:, system.states])
    traits = Traits(matrix, largest, problem.grid.atoms, float(gain.max()), system.has_law_blocks, mean)
    solver, reason = select_solver(traits)
    stop.call.enter(f"solving {system.n} states by {solver.name}")
    return run(solver, system, cdf, stop).named(solver.name, reason)
