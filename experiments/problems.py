"""The problems that studies share, all with rewards in [0, 1], and their return laws, certified.

In the style of Rowland et al. 2024 (Chain, Low random, High random, Two-state: names theirs, parameters ours), and a
family of near-absorbing states on which estimating is hardest in 1 / (1 - discount).
"""

import math
from typing import Any

import numpy as np
from scipy import stats

import distrl

#: What each name stands for, for reports.
PROBLEMS = {
    "chain": "10 states in a row, slipping with probability 0.3, reward 1 at the end",
    "low-random": "10 states, Dirichlet(0.1) rows: nearly deterministic",
    "high-random": "10 states, Dirichlet(10) rows: nearly uniform",
    "two-state": "2 states, rewards 1 and 0, switching with probability 1/2",
    "hard": "5 copies of a near-absorbing state, ending with probability (1 - g)/(3 g)",
}
_STATES, _SLIP = 10, 0.3


def problem(name: str, discount: float, rng: Any = None) -> distrl.MRP:
    """The MRP of that name; `rng` draws the random ones."""
    if name == "chain":
        return distrl.environments.chain(_STATES, _SLIP, discount)
    if name == "two-state":
        return distrl.environments.two_state(discount=discount)
    if name == "hard":
        return distrl.environments.hard(5, discount)
    concentration = {"low-random": 0.1, "high-random": 10.0}[name]
    return distrl.environments.dirichlet(_STATES, concentration, discount, rng=rng)


def grid_of(model: distrl.MRP, atoms: int, kind: str) -> distrl.Grid:
    """global: [0, 1/(1 - discount)], known beforehand; tight: the range of the attainable returns."""
    if kind == "tight":
        return distrl.Grid.tight(model, atoms)
    return distrl.Grid(0.0, 1.0 / (1.0 - model.discount), atoms)


def truth(name: str, model: distrl.MRP, relative: float = 1e-4, most: int = 40_000) -> tuple[distrl.Returns, float]:
    """Return laws of `problem(name, ...)` and a certified bound on their W1 error at every state.

    chain and hard: closed forms, the tail cut where it cannot be seen. Otherwise a fixed point on a grid so fine that
    its own certificate is about `relative` of 1 / (1 - discount): errors that are measured against it are known to
    twice that, surely, which Monte Carlo would not give.
    """
    g = model.discount
    if name in ("chain", "hard"):
        # the tail's mass and its width 1/(1 - g) are far below float64's resolution of the sums
        return _closed_form(name, model), 1e-12 / (1.0 - g)
    # certificate: at most spacing / (2 sqrt(1 - g^2))
    atoms = min(most, math.ceil(1.0 / (2.0 * relative * math.sqrt(1.0 - g * g))) + 1)
    solution = distrl.evaluate(model, distrl.CategoricalFixedPoint(grid=grid_of(model, atoms, "global"), threads=1))
    assert solution.certificate is not None
    return solution.returns, float(solution.certificate.w1.max())


def _closed_form(name: str, model: distrl.MRP) -> distrl.ParticleReturns:
    """The chain pays g^(T-1), T a sum of geometric times; a near-absorbing state (1 - g^T)/(1 - g), T geometric."""
    g, n = model.discount, model.n_states
    go = 1.0 - _SLIP if name == "chain" else (1.0 - g) / (3.0 * g)
    successes = n - np.arange(n) if name == "chain" else np.ones(n)
    last = int(stats.nbinom.isf(1e-15, successes.max(), go))
    failures = np.arange(last + 1)
    weights = stats.nbinom.pmf(failures, successes[:, None], go)
    times = failures + successes[:, None]
    values = g ** (times - 1.0) if name == "chain" else (1.0 - g**times) / (1.0 - g)
    return distrl.ParticleReturns(values, weights / weights.sum(axis=1, keepdims=True))
