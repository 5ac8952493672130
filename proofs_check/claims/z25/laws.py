"""How far apart the return laws of two models are, and what a generative model gives."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl import theory
from distrl.models.generative import GenerativeModel
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.claims.z25 import DERIVED
from proofs_check.exact import Exact
from proofs_check.families import (
    Family,
    models,
    numbered,
    numbers,
    particle_laws,
    structured_models,
    tilted,
    with_particles,
)
from proofs_check.faults import returned

PLACE = 1


@claim(
    "mean-below-w1",
    statement="Means differ by at most W1: a lower bound for means is one for laws.",
    latex=r"|E\mu-E\nu|\le W_1(\mu,\nu)",
    source="Kantorovich and Rubinstein",
    evidence="derived",
    measured="|difference of means|, exact",
    bound="W1, exact",
    family=particle_laws(2, 3),
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
)
def mean_below_w1(case: Case) -> Iterator[Reading]:
    """The identity is 1-Lipschitz."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(abs(ex.mean(mu) - ex.mean(nu)), ex.w1(mu, nu))


def _variation(case: Case, other: Case) -> float:
    """Largest total variation between the outcome laws of a state."""
    gaps = np.zeros(case.states)
    for row, moved in zip(case.rows, other.rows, strict=True):
        gaps[row[0]] += abs(row[1] - moved[1]) / 2.0
    return float(gaps.max())


@st.composite
def _tilts(draw: st.DrawFn) -> Case:
    case = draw(models(states=2, mild=True).strategy)
    return Case(case.rows, case.discount, numbers={"shift": draw(st.sampled_from([0.01, 0.1, 0.5]))})


@claim(
    "simulation-w1",
    statement="Models whose outcome laws differ by d in total variation have returns within d * width / (1 - g) in W1.",
    latex=r"\bar W_1(\eta_P,\eta_{P'})\le\frac{\sup_xTV(P,P')\,w}{1-\gamma}",
    source=DERIVED,
    evidence="derived",
    measured="sup-W1 between the reference laws of the two models",
    bound="theory.simulation_w1 with the covering interval's width",
    family=Family(_tilts(), "processes of up to 2 states, outcomes tilted by .01, .1, .5, discounts up to .8"),
    structured=lambda: [
        Case(case.rows, case.discount, numbers={"shift": shift})
        for case in [*structured_models((0.5,)), Case(((0, 0.5, 0, 0.0, True), (0, 0.5, 0, 1.0, True)), 0.0)]
        for shift in (0.01, 0.1)
    ],
    cost=8,
    used_by="theory.simulation_w1",
)
def simulation_w1(case: Case) -> Iterator[Reading]:
    """The operators differ by d * width on laws of that width, and one of them contracts."""
    other = tilted(case)
    grid = distrl.Grid.covering(case.model, 2)
    first, second = ex.true_laws(case, 1500), ex.true_laws(other, 1500)
    bound = float(theory.simulation_w1(grid.width, case.discount, _variation(case, other)))
    for x in range(case.states):
        gap = ex.w1_floats((first[0][x], first[1][x]), (second[0][x], second[1][x]))
        yield Reading(gap, bound, first[2] + second[2])


@claim(
    "near-absorbing-difference",
    statement="Values of the near-absorbing pair differ by g shift / ((1 - g q)(1 - g q')), of order (1 - g)^-2.",
    latex=r"|V-V'|=\frac{\gamma|q-q'|}{(1-\gamma q)(1-\gamma q')}",
    source="Azar et al. 2013, the family in its smallest form; derived",
    evidence="derived",
    measured="difference of the values by Moments, and W1 of the fixed points above it",
    bound="theory.mean_difference_near_absorbing (equality)",
    structured=lambda: numbered(g=[0.5, 0.9, 0.99], q=[0.0, 0.5, 0.9, 0.95], shift=[0.001, 0.04]),
    family=numbers(
        "discounts .1 to .99, q from 0 to .95",
        g=st.floats(0.1, 0.99),
        q=st.floats(0.0, 0.9),
        shift=st.floats(0.001, 0.09),
    ),
    used_by="theory.mean_difference_near_absorbing",
)
def near_absorbing_difference(case: Case) -> Iterator[Reading]:
    """V = 1 / (1 - g q)."""
    g, q, shift = case.numbers["g"], case.numbers["q"], case.numbers["shift"]
    values = []
    for stay in (q, q + shift):
        model = distrl.MRP.from_outcomes([(0, stay, 0, 1.0, False), (0, 1.0 - stay, 0, 1.0, True)], g)
        values.append(float(distrl.evaluate(model, distrl.Moments(1)).values[0]))
    expected = float(theory.mean_difference_near_absorbing(g, q, shift))
    yield Reading(abs(values[1] - values[0]), expected, 1e-12 * max(values), equal=True)


def _first(size: float) -> AbstractContextManager[Any]:
    """A share of each state's draws is moved to the first of its outcomes that was drawn."""

    def change(model: distrl.EmpiricalMRP) -> distrl.EmpiricalMRP:
        samples = model.samples
        moved = (samples.counts * size).astype(np.int64)
        counts = samples.counts - moved
        first = np.searchsorted(samples.sources, np.arange(samples.n_sources))
        np.add.at(counts, first, np.bincount(samples.sources, moved, samples.n_sources).astype(np.int64))
        return distrl.EmpiricalMRP(replace(samples, counts=counts), model.discount)

    return returned(GenerativeModel, "sample", change)()


@claim(
    "generative-frequencies",
    statement="The empirical model's probabilities are unbiased: outcome frequencies of independent draws.",
    latex=r"E\hat P=P",
    source="the definition of a generative model; Azar et al. 2013",
    evidence="derived",
    measured="continuation matrix and mean rewards of a model of 10^6 samples a state (default: 10^8)",
    bound="the true ones, within a Hoeffding radius (equality)",
    searched="structured processes, all states together",
    structured=lambda: structured_models((0.9,))[:7],
    statistical=True,
    plants=(
        Plant("first", "a share {} of the draws moved to a state's first outcome", Sizes(0.02, 2e-3, 6e-4), _first),
    ),
    used_by="GenerativeModel, estimate",
)
def generative_frequencies(case: Case, chance: Chance) -> Iterator[Reading]:
    """A multinomial draw for every state."""
    count = chance.of(10**6, 10**8, 10**9)
    empirical = GenerativeModel(case.model).sample(count, chance.seed(len(case.rows), case.states))
    size = case.states**2
    radius = math.sqrt(math.log(2.0 / share_of_alarm(size + case.states)) / (2.0 * count))
    yield Reading(empirical.continuation.toarray(), case.model.continuation.toarray(), radius, equal=True)
    rewards = [row[3] for row in case.rows]
    spread = radius * (max(rewards) - min(rewards)) + 1e-12
    yield Reading(empirical.expected_rewards, case.model.expected_rewards, spread, equal=True, counts=False)
