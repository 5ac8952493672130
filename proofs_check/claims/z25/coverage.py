"""Intervals of `estimate` cover."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

import distrl
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.claims.z25 import SOURCE
from proofs_check.families import structured_models, with_grids

PLACE = 3


def _library_coverage(method: str, room: float) -> Iterator[Reading]:
    """Share of 80 intervals of `estimate` that miss the truth in some state: mean, and CVaR of the worst fifth."""
    case = with_grids([structured_models((0.7,))[6]], (31,))[0]
    solver = distrl.CategoricalFixedPoint(grid=case.on)
    truth = distrl.evaluate(case.model, solver).returns
    targets = {"mean": np.asarray(truth.mean()), "cvar": np.asarray(truth.cvar(0.2))}
    rng, runs, missed = np.random.default_rng(91), 80, dict.fromkeys(targets, 0)
    for _ in range(runs):
        found = distrl.estimate(case.model, solver, samples_per_state=600, rng=rng)
        for name, target in targets.items():
            ends = found.interval(name, 0.2 if name == "cvar" else None, level=0.95, method=method)
            missed[name] += bool((target[0] < ends[0, 0]) or (target[0] > ends[0, 1]))
    radius = stats.binom.isf(share_of_alarm(len(targets)), runs, 0.05 + room) / runs - 0.05
    for count in missed.values():
        yield Reading(count / runs, 0.05, radius)


@claim(
    "estimate-delta-coverage",
    statement="Delta intervals of `estimate` at level .95 cover about that often.",
    latex=r"P(\psi\in\hat I_{.95})\to.95",
    source=f"{SOURCE} for asymptotic normality, in summary; the interval derived",
    evidence="derived",
    measured="share of 80 intervals that miss the mean, and the CVaR, of the first state",
    bound=".05, with a binomial radius and .03 for N = 600 < inf",
    searched="one process",
    structured=lambda: [Case(numbers={"N": 600})],
    statistical=True,
    used_by="Estimate.interval(method='delta')",
)
def estimate_delta_coverage(case: Case) -> Iterator[Reading]:
    """`plug-in-normal`, with an estimated deviation."""
    return _library_coverage("delta", 0.03)


@claim(
    "estimate-finite-sample-coverage",
    statement="Finite-sample intervals of `estimate` at level .95 miss with probability .05 at most, at every N.",
    latex=r"P(\psi\notin\hat I_{.95})\le.05",
    source="derived: docs/estimating.md",
    evidence="derived",
    measured="share of 80 intervals that miss the mean, and the CVaR, of the first state",
    bound=".05, with a binomial radius",
    searched="one process",
    structured=lambda: [Case(numbers={"N": 600})],
    statistical=True,
    used_by="Estimate.interval(method='finite-sample')",
)
def estimate_finite_sample_coverage(case: Case) -> Iterator[Reading]:
    """Concentration of the empirical operator."""
    return _library_coverage("finite-sample", 0.0)
