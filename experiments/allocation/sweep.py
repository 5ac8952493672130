"""The cells, and how one is solved."""

from typing import Any

import numpy as np
from scipy import special
from scipy.sparse import csgraph

import distrl
from experiments.allocation.family import ENVIRONMENTS
from experiments.policy_iteration import optimal_policy
from experiments.protocol import Arrays, Cell, columns

FUNCTIONAL, AT, LEVEL, BATCHES, DISCOUNT = "cvar", 0.25, 0.95, 5, 0.99
#: How samples are allocated, and the share of the budget they are given; the first is what others are compared with.
ARMS = (("uniform", 1.0), ("adaptive", 0.7), ("adaptive", 0.1))
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"environments": ("FrozenLake",), "samples": (300,), "atoms": 51, "blocks": 1, "replications": 2},
    "default": {
        "environments": tuple(ENVIRONMENTS),
        "samples": (1000,),
        "atoms": 121,
        "blocks": 10,
        "replications": 10,
    },
    "full": {
        "environments": tuple(ENVIRONMENTS),
        "samples": (100, 1000, 10_000),
        "atoms": 1201,
        "blocks": 50,
        "replications": 20,
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each environment, budget and block of replications."""
    chosen = _SIZES[size]
    shared = {key: chosen[key] for key in ("atoms", "replications")}
    return [
        Cell(
            f"{environment}-{samples:05d}-{block:02d}",
            {"environment": environment, "samples": samples, "block": block, **shared},
        )
        for environment in chosen["environments"]
        for samples in chosen["samples"]
        for block in range(chosen["blocks"])
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """For every replication and arm: the start state's interval, and whether it holds the true model's fixed point."""
    arguments = cell.arguments
    name, options, (low, high) = ENVIRONMENTS[arguments["environment"]]
    mdp = distrl.from_gymnasium(name, DISCOUNT, **options)
    policy = optimal_policy(mdp)
    source, pairs = distrl.GenerativeModel(mdp), mdp.outcomes.n_sources
    assert mdp.initial is not None
    start = int(np.flatnonzero(mdp.initial)[0])
    reached = len(csgraph.breadth_first_order(mdp.under(policy).continuation, start, return_predecessors=False))
    method = distrl.CategoricalFixedPoint(grid=distrl.Grid(low, high, arguments["atoms"]), threads=1)
    truth = distrl.evaluate(mdp, method, policy).returns.cvar(AT)[start]
    rows = []
    for replication, child in enumerate(seed.spawn(arguments["replications"])):
        for (allocation, share), own in zip(ARMS, child.spawn(len(ARMS)), strict=True):
            budget = round(share * arguments["samples"] * pairs)
            estimate = distrl.estimate(
                source,
                method,
                policy,
                rng=np.random.default_rng(own),
                budget=budget,
                allocate=allocation,
                functional=FUNCTIONAL,
                at=AT,
                state=start,
                batches=BATCHES,
            )
            (left, right), one_sided = _interval(estimate, start)
            totals = estimate.empirical.samples.totals
            rows.append(
                {
                    "environment": arguments["environment"],
                    "samples": arguments["samples"],
                    "block": arguments["block"],
                    "replication": replication,
                    "allocation": allocation,
                    "share": share,
                    "budget": budget,
                    "drawn": totals.sum(),
                    "least": totals.min(),  # samples of a (state, action)
                    "most": totals.max(),
                    "pairs": pairs,
                    "reached": reached,  # (state, action) pairs that matter: one of each state on the way
                    "truth": truth,
                    "low": left,
                    "high": right,
                    "width": right - left,
                    "covered": left <= truth <= right,
                    "one_sided": one_sided,
                }
            )
    return columns(rows)


def _interval(estimate: distrl.Estimate, state: int) -> tuple[np.ndarray, bool]:
    """The delta interval for the fixed point on the same grid, and whether it is from a one-sided derivative, for want
    of another."""
    try:
        return estimate.interval(FUNCTIONAL, AT, LEVEL, states=[state], numerical=False)[0], False
    except ValueError:  # at a level that is a value of the CDF
        variance = estimate.influence(FUNCTIONAL, AT, state).variance[0]
        half = special.ndtri(0.5 + LEVEL / 2.0) * np.sqrt((variance / estimate.empirical.samples.totals).sum())
        return estimate.returns.cvar(AT)[state] + half * np.array([-1.0, 1.0]), True
