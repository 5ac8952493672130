"""The model bootstrap: empirical models redrawn from an empirical model, solved from its solution on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from distrl._threads import check_threads, default_threads
from distrl._validation import FloatArray
from distrl.dp.problem import Problem
from distrl.dp.run import Run
from distrl.dp.solvers import krylov
from distrl.models.generative import EmpiricalMDP, EmpiricalMRP
from distrl.models.mrp import MRP
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.linear import solve_contraction
from distrl.operators.system import System
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns

#: Iteration error of a replicate in sup-W1, as a share of the grid's width: far below any sampling error.
REPLICATE_TOL = 1e-7


def replicates(
    empirical: EmpiricalMRP | EmpiricalMDP,
    policy: Any,
    returns: Returns,
    method: Any,
    count: int,
    rng: np.random.Generator,
    threads: int | None,
    statistic: Callable[[Returns], FloatArray],
    linear: bool,
) -> FloatArray:
    """(count, S) `statistic` of the return laws of redrawn models.

    Categorical estimates are solved from the estimate on, a few applications each (`linear`: one application of the
    redrawn operator, and a solve with the estimate's own: the first-order bootstrap). Other methods run anew. Replicate
    k has child k of the generator's seeds: the result does not depend on the number of threads.
    """
    children = rng.spawn(count)
    warm = isinstance(returns, CategoricalReturns)

    def one(child: np.random.Generator) -> FloatArray:
        drawn: Any = empirical.redrawn(child)
        model: MRP = drawn if policy is None else drawn.under(policy)
        if not warm:
            return statistic(method._solve(model, Run(None, None, child, None)).returns)
        assert isinstance(returns, CategoricalReturns)
        solved = _linearised(model, centre, returns) if linear else _warm(model, returns)
        return statistic(solved)

    centre = None
    if linear:
        assert isinstance(returns, CategoricalReturns)
        plain: Any = empirical
        centre = CategoricalBellman(plain if policy is None else plain.under(policy), returns.grid)
    workers = check_threads(threads) or default_threads()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        results: Iterator[FloatArray] = pool.map(one, children)
        return np.stack(list(results))


def _warm(model: MRP, returns: CategoricalReturns) -> CategoricalReturns:
    grid = returns.grid
    run = Run(REPLICATE_TOL * grid.width, None, np.random.default_rng(0), None)
    problem = Problem.of(model, grid, grid.atoms, run)
    cdf = np.cumsum(returns.probs, axis=1)
    cdf[:, -1] = 1.0
    solved = krylov(System.whole(problem.operator, 1), cdf, problem.stop(run)).cdf
    return CategoricalReturns._trusted(grid, np.diff(solved, axis=1, prepend=0.0))


def _linearised(model: MRP, centre: CategoricalBellman | None, returns: CategoricalReturns) -> CategoricalReturns:
    assert centre is not None
    cdf = np.ascontiguousarray(returns.cdf_values)
    moved = np.empty_like(cdf)
    CategoricalBellman(model, returns.grid).apply_cdf(cdf, moved)
    moved -= cdf
    moved[:, -1] = 0.0

    def apply(given: FloatArray) -> FloatArray:
        out = np.empty_like(given)
        centre.apply_cdf(given, out, affine=False)
        out[:, -1] = 0.0
        return out

    step = solve_contraction(apply, moved, tol=1e-8)
    return CategoricalReturns._trusted(returns.grid, np.diff(cdf + step, axis=1, prepend=0.0))
