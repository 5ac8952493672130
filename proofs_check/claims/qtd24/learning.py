"""Quantile TD."""

from collections.abc import Iterator

import numpy as np

import distrl
from distrl import theory
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.qtd24 import DERIVED, SOURCE
from proofs_check.families import particle_laws, structured_models

PLACE = 3


@claim(
    "qtd-step-bounded",
    statement="A step of quantile TD is at most a (1 - 1/(2m)) whatever the rewards, and at least a / (2m).",
    latex=r"\frac a{2m}\le|\theta'-\theta|\le a\Bigl(1-\frac1{2m}\Bigr)",
    source=DERIVED,
    evidence="derived",
    measured="longest step of one update; the shortest is a guard",
    bound="theory.quantile_step",
    family=particle_laws(1, 3, equal=True),
    searched="rewards up to 10^6, up to 6 quantiles",
    structured=lambda: [
        Case(((0, 1.0, 0, size, False),), 0.9, None, (np.full((1, m), 1 / m),), (np.arange(m, dtype=float)[None],))
        for m in (1, 2, 6)
        for size in (-1e6, 0.0, 1e6)
    ],
    attained=0.999,
    used_by="QuantileTD",
)
def qtd_step_bounded(case: Case) -> Iterator[Reading]:
    """tau_i - rank / m is an odd multiple of 1 / (2 m) between -(1 - 1/(2m)) and 1 - 1/(2m)."""
    start, count = case.values[0], case.values[0].shape[1]
    run = distrl.learn(case.model, distrl.QuantileTD(count), step_size=0.25, updates=1, start=start, rng=5, records=1)
    step = np.abs(np.asarray(run.final.values)[0] - start)
    slack = 16 * rounding.FLOAT * (1.0 + float(np.abs(start).max()))
    yield Reading(step, float(theory.quantile_step(0.25, count)), slack)
    yield Reading(float(theory.quantile_shortest_step(0.25, count)), step, slack, counts=False)


@claim(
    "qtd-keeps-order",
    statement="Quantile TD keeps its values sorted by their level.",
    latex=r"\theta(x,1)\le\dots\le\theta(x,m)",
    source=DERIVED,
    evidence="numerical",
    expected="refuted",
    measured="value at a level",
    bound="value at the next one",
    searched="two quantiles .01 apart, step .1, targets between them",
    structured=lambda: [
        Case(((0, 1.0, 0, r, True),), 0.0, None, (np.full((1, 2), 0.5),), (np.array([[0.0, 0.01]]),))
        for r in (0.005, 1.0)
    ],
)
def qtd_keeps_order(case: Case) -> Iterator[Reading]:
    """The lower one moves up, the upper one down, and both past the target."""
    run = distrl.learn(case.model, distrl.QuantileTD(2), step_size=0.1, updates=1, start=case.values[0], rng=5)
    after = np.asarray(run.final.values)[0]
    yield Reading(after[:, :-1], after[:, 1:])


@claim(
    "qtd-constant-steps",
    statement="Quantile TD with constant steps settles: its steps vanish.",
    latex=r"|\theta_{k+1}-\theta_k|\to0\text{ for }\alpha_k=\alpha",
    source=f"{SOURCE}, Theorem 8, whose condition on the steps is left out",
    evidence="derived",
    expected="refuted",
    measured="shortest step of the 3000th update, and of the one after",
    bound="10^-6",
    searched="structured processes",
    structured=lambda: structured_models((0.5,))[:4],
)
def qtd_constant_steps(case: Case) -> Iterator[Reading]:
    """No step is shorter than a / (2 m)."""
    run = distrl.learn(case.model, distrl.QuantileTD(3), updates=3001, records=[3000, 3001], rng=7)
    step = np.abs(np.asarray(run.at(3001).values) - np.asarray(run.at(3000).values))
    yield Reading(float(step.min()), 1e-6)


@claim(
    "qtd-summable-steps",
    statement="Quantile TD reaches its limit with summable steps too.",
    latex=r"\sum\alpha_k<\infty\Rightarrow\theta_k\to\theta^*",
    source=f"{SOURCE}, Theorem 8, whose condition sum a_k = inf is left out",
    evidence="derived",
    expected="refuted",
    measured="distance to the limit after 2000 updates with steps 2^-k",
    bound=".01",
    searched="Diracs at 10 and 1000, started at 0",
    structured=lambda: [Case(((0, 1.0, 0, r, True),), 0.0) for r in (10.0, 1000.0)],
)
def qtd_summable_steps(case: Case) -> Iterator[Reading]:
    """All steps together are shorter than their sum."""
    steps = 0.5 ** np.minimum(np.arange(1, 2001), 1000)
    run = distrl.learn(case.model, distrl.QuantileTD(2), step_size=steps, updates=2000, rng=7)
    yield Reading(float(np.abs(np.asarray(run.final.values) - case.rows[0][3]).max()), 0.01)


@claim(
    "qtd-limit",
    statement="Quantile TD with decreasing steps approaches the quantile fixed point.",
    latex=r"\theta_k\to\theta^*",
    source=f"{SOURCE}, Theorem 8",
    evidence="read",
    measured="sup distance of the average of 24 replications after 20000 updates to QuantileDP's values",
    bound="0, within a stated band of .2 (no test: the seed is fixed)",
    searched="Gaussian rewards would need a limit; here rewards on three values, m odd, so that levels are no ties",
    structured=lambda: [
        Case(((0, 0.3, 0, 0.0, False), (0, 0.4, 0, 1.0, False), (0, 0.3, 0, 3.0, False)), 0.5),
        Case(
            ((0, 0.55, 1, 2.0, False), (0, 0.45, 0, 2.0, False), (1, 0.6, 0, -1.0, False), (1, 0.4, 1, -1.0, False)),
            0.5,
        ),
    ],
    used_by="QuantileTD",
)
def qtd_limit(case: Case) -> Iterator[Reading]:
    """Differential inclusions."""
    limit = np.asarray(distrl.evaluate(case.model, distrl.QuantileDP(3)).returns.values)
    step = distrl.td.Polynomial(1.0, 0.7)
    run = distrl.learn(case.model, distrl.QuantileTD(3), step_size=step, updates=20_000, replications=24, rng=1)
    found = np.sort(np.asarray(run.final.values), axis=2).mean(axis=0)
    yield Reading(np.abs(found - limit), np.zeros_like(limit), 0.2)
