"""The rule of `solver="auto"`, and what it does with it."""

import numpy as np

from distrl._kernels.categorical import solve_states
from distrl._validation import FloatArray
from distrl.dp.coarse import COARSE_UNKNOWNS, Coarse, clusters_of, long_run_weights, mixing
from distrl.dp.components import rounds
from distrl.dp.problem import Problem, moment_start
from distrl.dp.solution import Status
from distrl.dp.solvers import Outcome, Stop, direct, krylov, sweep, two_grid
from distrl.operators.system import System

#: `auto`: systems up to this many unknowns go to the sparse direct solver ...
DIRECT_UNKNOWNS = 2_000
#: ... and models whose effective horizon max (I - g P)^{-1} 1 is at most this many steps to sweeps.
SWEEP_HORIZON = 12.0


def solve_by_rule(problem: Problem, system: System, stop: Stop) -> tuple[Outcome, str, str]:
    cdf = moment_start(problem, system.workers)
    work = [] if problem.operator.law_blocks else rounds(problem.operator.plan)
    if len(work) <= 1 and (not work or len(work[0].block) == system.n):
        return solve_block(problem, system, cdf, stop)
    names = []
    for part in work:
        if len(part.exact):
            solve_states(cdf, problem.operator.plan, part.exact)
            stop.run.iterations += 1
        if len(part.block):
            block = system.restricted(part.block, cdf, None)
            outcome, name, _ = solve_block(problem, block, cdf[part.block], stop)
            cdf[part.block] = outcome.cdf
            names.append(f"{len(part.block)} states by {name}")
    image = np.empty_like(cdf)
    residual = system.apply(cdf, image)
    stop.run.iterations += 1
    outcome = Outcome(cdf, Status.CONVERGED)
    if not residual <= stop.goal:
        outcome = sweep(system, cdf, stop)
    exact = sum(len(part.exact) for part in work)
    return outcome, "components", f"{exact} states exactly; " + ", ".join(names)


def solve_block(problem: Problem, system: System, cdf: FloatArray, stop: Stop) -> tuple[Outcome, str, str]:
    if system.unknowns <= DIRECT_UNKNOWNS:
        return direct(system, cdf, stop), "direct", f"{system.unknowns} unknowns, at most {DIRECT_UNKNOWNS}"
    return krylov(system, cdf, stop), "krylov", ""
