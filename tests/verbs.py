"""What every verb gives, as bytes: to be compared between threads, processes, settings and files."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import scipy.stats as st

import distrl
from distrl import (
    MRP,
    TD,
    Brackets,
    CategoricalDP,
    CategoricalFixedPoint,
    CategoricalTD,
    ConvergenceError,
    ExpectileDP,
    ExpectileTD,
    FiniteLaw,
    Grid,
    Moments,
    MonteCarlo,
    ParticleDP,
    QuantileDP,
    QuantileTD,
    environments,
)

GRID = Grid(-60.0, 80.0, 57)
MDP = environments.garnet(12, 2, 3, discount=0.9, rng=5)
LAWS = MRP(
    [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]],
    [st.norm(0.0, 1.0), FiniteLaw([0.0, 1.0, 5.0], [0.2, 0.3, 0.5]), st.beta(2.0, 3.0)],
    0.9,
)
#: Methods of `evaluate`, and whether they take the model with continuous rewards.
METHODS = {
    "fixed point": CategoricalFixedPoint(grid=GRID),
    "direct": CategoricalFixedPoint(grid=GRID, solver="direct"),
    "krylov": CategoricalFixedPoint(grid=GRID, solver="krylov"),
    "iterate": CategoricalFixedPoint(grid=GRID, solver="iterate"),
    "categorical DP": CategoricalDP(grid=GRID, sweeps=20),
    "quantile DP": QuantileDP(11),
    "expectile DP": ExpectileDP(5),
    "particle DP": ParticleDP(20, grid=GRID),
    "moments": Moments(3),
    "Monte Carlo": MonteCarlo(30),
    "brackets": Brackets(grid=GRID),
}
LEARNERS = {
    "TD": TD(),
    "categorical TD": CategoricalTD(grid=GRID),
    "quantile TD": QuantileTD(7),
    "expectile TD": ExpectileTD(3),
}


def digest(*arrays: Any) -> str:
    """Of the bytes of arrays, and of everything that an object's `arrays()` names."""
    total = hashlib.sha256()
    for item in arrays:
        named = item.arrays().values() if hasattr(item, "arrays") else [item]
        for array in named:
            total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def of_solution(solution: Any) -> str:
    certificate = solution.certificate
    bounds = () if certificate is None else (certificate.w1, certificate.rounding, certificate.residual)
    return digest(solution.returns, solution.values, np.array(solution.residual), *bounds)


def with_threads(method: Any, threads: int | None) -> Any:
    fields = {field.name for field in dataclasses.fields(method)}
    return dataclasses.replace(method, threads=threads) if "threads" in fields else method


def evaluated(name: str, threads: int | None = None) -> str:
    method = with_threads(METHODS[name], threads)
    parts = [distrl.evaluate(MDP, method, policy="uniform", rng=0, throw=False)]
    parts.append(distrl.evaluate(LAWS, method, rng=0, throw=False))
    found = [of_solution(part) for part in parts]
    if name in ("fixed point", "quantile DP"):
        found.append(digest(parts[0].action_returns, parts[0].action_certificate.w1))
    return "".join(found)


def learnt(name: str, threads: int | None = None) -> str:
    run = distrl.learn(LAWS, LEARNERS[name], updates=60, replications=5, rng=1, threads=threads)
    return digest(run.values, run.visits)


def estimated(functional: str, method: str, threads: int | None = None) -> str:
    found = distrl.estimate(
        MDP, with_threads(METHODS["fixed point"], threads), policy="uniform", samples_per_state=40, rng=2
    )
    at = {"cvar": 0.1, "quantile": 0.4, "cdf": 3.0}.get(functional)
    return digest(found.interval(functional, at, method=method, resamples=12, rng=3, threads=threads))


def measured() -> str:
    returns = distrl.evaluate(LAWS, METHODS["fixed point"]).returns
    distances = (distrl.wasserstein, distrl.cramer, distrl.kolmogorov, distrl.energy)
    return digest(*(distance(returns, [st.norm(3.0, 2.0)] * 3) for distance in distances))


JOBS = {
    **{f"evaluate: {name}": (evaluated, name) for name in METHODS},
    **{f"learn: {name}": (learnt, name) for name in LEARNERS},
    **{f"interval: {name}": (estimated, name, "delta") for name in ("mean", "variance", "cvar", "cdf", "w1", "ks")},
    **{f"bootstrap: {name}": (estimated, name, "bootstrap") for name in ("mean", "ks")},
}


def job(name: str, threads: int | None = None) -> str:
    function, *arguments = JOBS[name]
    return function(*arguments, threads)


def all_jobs(threads: int | None = None) -> dict[str, str]:
    return {**{name: job(name, threads) for name in JOBS}, "metrics": measured()}


def failing() -> None:
    """Ends in a ConvergenceError, which carries a solution."""
    distrl.evaluate(MDP, CategoricalFixedPoint(grid=GRID, solver="iterate"), policy="uniform", max_iterations=3)


def wrong() -> None:
    """Ends in a ValueError."""
    distrl.evaluate(MDP, CategoricalFixedPoint(), policy=[0, 1])


def caught() -> str:
    try:
        failing()
    except ConvergenceError as error:
        return of_solution(error.solution)
    raise AssertionError("it converged")
