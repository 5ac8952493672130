"""The model bootstrap: empirical models redrawn from an empirical model, solved from its solution on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from distrl._lazy import lapack
from distrl._threads import check_threads, side_by_side
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.generative.resampling import Resampler
from distrl.models.generative import EmpiricalMDP, EmpiricalMRP
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.linear import solve_contraction
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns

_DENSE = 1500  # unknowns up to which one factorisation, time O(unknowns^3), is cheaper than iterating every time
_TOL = 1e-7  # residual of a replicate relative to how far it is from the estimate: far below any sampling error


def replicates(
    empirical: EmpiricalMRP | EmpiricalMDP,
    policy: FloatArray | None,
    returns: Returns,
    method: Any,
    count: int,
    rng: np.random.Generator,
    threads: int | None,
    statistic: Callable[[Returns], Any],
    linear: bool,
) -> list[Any]:
    """`statistic` of the return laws of `count` redrawn models; `policy` (S, A), None for an MRP.

    Categorical estimates are solved from the estimate on: the deviation D = F* - F of a redrawn model with operator T*
    from the estimate F solves D = A* D + (T* F - F), A* the linear part of T* (`linear`: the estimate's own, which is
    the first-order bootstrap). Other methods run anew. Replicate k has child k of the generator's seeds: the result
    does not depend on the number of threads.
    """
    one = _deviating(empirical, policy, returns, linear) if isinstance(returns, CategoricalReturns) else None

    found: list[Any] = [None] * count

    def replicate(place: int, child: np.random.Generator) -> None:
        if one is not None:
            returns = one(child)
        else:
            returns = method.solve(_under(empirical.redrawn(child), policy), Call(rng=child)).returns
        found[place] = statistic(returns)

    tasks = [partial(replicate, place, child) for place, child in enumerate(rng.spawn(count))]
    side_by_side(tasks, check_threads(threads))
    return found


def _under(model: Any, policy: FloatArray | None) -> Any:
    return model if policy is None else model.under(policy)


def _deviating(
    empirical: Any, policy: FloatArray | None, returns: CategoricalReturns, linear: bool
) -> Callable[[np.random.Generator], CategoricalReturns]:
    """From a generator to the return laws of a redrawn model."""
    grid, samples = returns.grid, empirical.samples
    plain = (samples.laws < 0).all() and (samples.totals > 0).all()
    if plain:
        weights = np.ones(samples.n_sources) if policy is None else policy.ravel()
        resampler = Resampler(samples, weights, empirical.discount, grid)

    def operator(child: np.random.Generator | None) -> Any:
        """In CDF form, of a redrawn model or of the empirical one."""
        if plain:
            return resampler.weighted(samples.counts if child is None else samples.redrawn_counts(child)).apply
        model = empirical if child is None else empirical.redrawn(child)
        bellman = CategoricalBellman(_under(model, policy), grid)

        def apply(cdf: FloatArray, *, affine: bool = True) -> FloatArray:
            out = np.empty_like(cdf)
            bellman.apply_cdf(cdf, out, affine=affine)
            return out

        return apply

    cdf = np.ascontiguousarray(returns.cdf_values)

    def linear_part(drift: Any) -> Callable[[FloatArray], FloatArray]:
        def apply(given: FloatArray) -> FloatArray:
            image: FloatArray = drift(given, affine=False)
            image[:, -1] = 0.0  # exactly: with mass in the last column I - A is singular where nothing ends
            return image

        return apply

    own = linear_part(operator(None)) if linear else None
    solve = _solver(own, cdf.shape) if own is not None and cdf.size <= _DENSE else None

    def one(child: np.random.Generator) -> CategoricalReturns:
        redrawn = operator(child)
        moved = redrawn(cdf) - cdf
        moved[:, -1] = 0.0
        if solve is not None:
            deviation = solve(moved.ravel()).reshape(cdf.shape)
        else:
            deviation = solve_contraction(linear_part(redrawn) if own is None else own, moved, tol=_TOL)
        return CategoricalReturns._trusted(grid, np.diff(cdf + deviation, axis=1, prepend=0.0))

    return one


def _solver(apply: Callable[[FloatArray], FloatArray], shape: tuple[int, ...]) -> Callable[[FloatArray], FloatArray]:
    """x -> (I - A)^{-1} x by LU, from A's images of unit vectors."""
    size = int(np.prod(shape))
    units = np.eye(size)
    system = units - np.stack([apply(unit.reshape(shape)).ravel() for unit in units], axis=1)
    factors, pivots, _ = lapack.dgetrf(system)
    # SciPy's getrs shifts the pivots by one for the time of the call: threads must not share them
    return lambda rhs: np.asarray(lapack.dgetrs(factors, pivots.copy(), rhs)[0])
