"""Claims on categorical TD: Rowland et al. 2018, Theorem 1, and Peng et al. 2025 (Linear-CTD) for its means."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, Family, on_grid, structured_models, with_grids, with_laws
from proofs_check.faults import longer_steps

TITLE = "Rowland et al. 2018 and Peng et al. 2025: categorical TD"
PLACE = 6
SOURCE = "Peng et al. 2025 (Linear-CTD)"


def _learning(covering: bool) -> Family:
    cases = on_grid(1, covering=covering)
    return Family(_with_steps(cases.strategy), f"{cases.words}, steps .1, .5, 1, any seed")


@st.composite
def _with_steps(draw: st.DrawFn, cases: st.SearchStrategy[Case]) -> Case:
    case = draw(cases)
    step = draw(st.sampled_from([0.1, 0.5, 1.0]))
    return Case(
        case.rows, case.discount, case.grid, case.weights, numbers={"step": step, "seed": draw(st.integers(0, 99))}
    )


def _with_numbers(cases: list[Case]) -> list[Case]:
    return [Case(c.rows, c.discount, c.grid, c.weights, numbers={"step": 0.5, "seed": 3}) for c in cases]


def _paths(case: Case) -> Iterator[Reading]:
    step, seed = case.numbers["step"], int(case.numbers["seed"])
    options: dict[str, Any] = {"step_size": step, "updates": 5, "rng": seed, "records": 5}
    categorical = distrl.CategoricalTD(grid=case.on, atoms=case.on.atoms)
    run = distrl.learn(case.model, categorical, start=case.weights[0], **options)
    plain = distrl.learn(case.model, distrl.TD(), start=case.weights[0] @ case.on.points, **options)
    size = abs(case.on.low) + abs(case.on.high) + max(abs(row[3]) for row in case.rows)
    shift = 10.0 * size  # so that a ratio means something
    yield Reading(
        run.values + shift, plain.values + shift, 16 * rounding.slack_of(case) * size + 1e-11 * size, equal=True
    )


@claim(
    "ctd-mean-is-td",
    statement="Where nothing is clipped categorical TD's means are TD's, update by update, on the same transitions.",
    latex=r"\langle z,p_k\rangle=V_k",
    source=f"{SOURCE}",
    evidence="read",
    assumes="a covering grid; the same steps, starts and transitions",
    measured="means of CategoricalTD after 1 to 5 updates",
    bound="values of TD (equality)",
    family=_learning(True),
    structured=lambda: _with_numbers(with_laws(structured_models(), pairs=((0, -1),))),
    cost=3,
    used_by="CategoricalTD",
)
def ctd_mean_is_td(case: Case) -> Iterator[Reading]:
    """Projection keeps the target's mean, and a mixture's mean is linear."""
    if not Exact(case).clips():
        yield from _paths(case)


@claim(
    "ctd-mean-is-td-clipped",
    statement="The means of categorical TD are TD's on every grid.",
    latex=r"\langle z,p_k\rangle=V_k",
    source="the premise of `ctd-mean-is-td` left out",
    evidence="derived",
    expected="refuted",
    measured="means of CategoricalTD after 1 to 5 updates",
    bound="values of TD (equality)",
    family=_learning(False),
    structured=lambda: _with_numbers(CLIPPED),
    cost=3,
)
def ctd_mean_is_td_clipped(case: Case) -> Iterator[Reading]:
    """Clipping moves the target's mean."""
    return _paths(case)


@claim(
    "ctd-expected-update",
    statement="The expected update of categorical TD is (1 - a) p + a Pi T p.",
    latex=r"E[p_1]=(1-\alpha)p_0+\alpha\,\Pi Tp_0",
    source="Rowland et al. 2018, the definition of categorical TD",
    evidence="read",
    measured="mean CDF of 600 replications (default: 6000) of one update",
    bound="the formula over the rationals, within a Hoeffding radius (equality)",
    searched="structured processes on covering grids of 5 atoms",
    structured=lambda: with_laws(structured_models((0.9,))[2:7:2], pairs=((1, 2),)),
    statistical=True,
    plants=(Plant("steps", "steps {} times as long", Sizes(0.5, 0.8, 0.9), longer_steps),),
    used_by="CategoricalTD",
)
def ctd_expected_update(case: Case, chance: Chance) -> Iterator[Reading]:
    """Linearity."""
    a, count, seed = 0.5, chance.of(600, 6000, 24_000), chance.seed()
    method = distrl.CategoricalTD(grid=case.on, atoms=case.on.atoms)
    run = distrl.learn(
        case.model, method, step_size=a, updates=1, replications=count, start=case.weights[0], records=1, rng=seed
    )
    exact = Exact(case)
    expected = (1 - a) * case.weights[0] + a * exact.pmf(exact.image(exact.laws(0)))
    found = np.cumsum(np.asarray(run.final.probs).mean(axis=0), axis=1)
    radius = a * math.sqrt(math.log(2.0 / share_of_alarm(expected.size)) / (2.0 * count))
    yield Reading(found, np.cumsum(expected, axis=1), radius + 1e-12, equal=True)


def _far(case: Case, step: Any) -> Iterator[Reading]:
    fixed = np.asarray(distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs)
    method = distrl.CategoricalTD(grid=case.on, atoms=case.on.atoms)
    run = distrl.learn(case.model, method, step_size=step, updates=30_000, replications=16, records=1, rng=42)
    gaps = np.cumsum(np.asarray(run.final.probs) - fixed, axis=2)
    squared = (gaps**2).sum(axis=2).max(axis=1) * case.on.spacing
    yield Reading(float(squared.mean()), 1e-3 * case.on.width)


@claim(
    "ctd-limit",
    statement="Categorical TD with Robbins-Monro steps approaches the categorical fixed point in Cramer distance.",
    latex=r"\bar\ell_2(p_k,\eta_C)\to0",
    source="Rowland et al. 2018, Theorem 1",
    evidence="read",
    measured="mean over 16 replications of sup squared Cramer distance after 30000 updates, steps k^-.8",
    bound=".001 of the grid's width (a stated band, the seed is fixed)",
    searched="structured processes at discount .5",
    structured=lambda: with_grids(structured_models((0.5,))[1:7:2], (6,)),
    used_by="CategoricalTD",
)
def ctd_limit(case: Case) -> Iterator[Reading]:
    """Stochastic approximation of a monotone contraction."""
    return _far(case, distrl.td.Polynomial(1.0, 0.8))


@claim(
    "ctd-limit-constant-steps",
    statement="Categorical TD with a constant step approaches the fixed point as well.",
    latex=r"\bar\ell_2(p_k,\eta_C)\to0\text{ for }\alpha_k=\tfrac12",
    source="Rowland et al. 2018, Theorem 1, whose condition sum a_k^2 < inf is left out",
    evidence="derived",
    expected="refuted",
    measured="mean over 16 replications of sup squared Cramer distance after 30000 updates, steps 1/2",
    bound=".001 of the grid's width",
    searched="structured processes at discount .5",
    structured=lambda: with_grids(structured_models((0.5,))[1:7:2], (6,)),
)
def ctd_limit_constant_steps(case: Case) -> Iterator[Reading]:
    """Each update replaces half of the law by one sample's."""
    return _far(case, 0.5)
