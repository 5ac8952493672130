"""Claims around Rowland et al. 2023, *The Statistical Benefits of Quantile TD Learning for Value Estimation*."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
from scipy import stats

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.evidence import Evidence, scale
from proofs_check.exact import Exact
from proofs_check.families import models, structured_models
from proofs_check.faults import longer_steps, recorded

TITLE = "Rowland et al. 2023: quantile TD against TD"
PLACE = 5
SOURCE = "Rowland et al. 2023 (2305.18388)"
DERIVED = "derived: docs/proofs.md"


@claim(
    "td-deterministic-rate",
    statement="On a deterministic process synchronous TD loses at least a share a (1 - g) of its error an update.",
    latex=r"\|V_n-V\|_\infty\le(1-\alpha(1-\gamma))^n\|V_0-V\|_\infty",
    source=f"{DERIVED}; that TD is exact on deterministic processes: {SOURCE}, in summary",
    evidence="derived",
    assumes="every state has one outcome",
    measured="sup error of TD after 1, 5 and 40 updates",
    bound="theory.td_deterministic_error times the first error",
    searched="deterministic processes among the structured ones, steps .1 and 1",
    structured=lambda: [
        Case(case.rows, case.discount, numbers={"step": step})
        for case in [
            *structured_models((0.5, 0.9)),
            Case(((0, 1.0, 1, 1.0, False), (1, 1.0, 2, -2.0, False), (2, 1.0, 0, 4.0, False)), 0.9),
            Case(((0, 1.0, 0, 1.0, False),), 0.99),
        ]
        if len(case.rows) == case.states
        for step in (0.1, 1.0)
    ],
    attained=0.999,
    used_by="TD",
)
def td_deterministic_rate(case: Case) -> Iterator[Reading]:
    """Each update is a contraction with modulus 1 - a + a g towards V."""
    target, step = np.array(ex.values(Exact(case)), dtype=float), case.numbers["step"]
    start = np.zeros(case.states)
    run = distrl.learn(case.model, distrl.TD(), step_size=step, updates=40, start=start, records=[1, 5, 40], rng=0)
    first = float(np.abs(target).max())
    for row, n in zip(run.values, (1, 5, 40), strict=True):
        share = float(theory.td_deterministic_error(step, case.discount, n))
        yield Reading(float(np.abs(row[0] - target).max()), share * first, 1e-12 * (1.0 + first))


@claim(
    "td-expected-update",
    statement="TD's expected update moves a share a of the way to the Bellman image.",
    latex=r"E[V_1]=(1-\alpha)V_0+\alpha(r+\gamma PV_0)",
    source="Sutton 1988; the definition",
    evidence="derived",
    measured="mean of 600 replications (default: 6000) of one update",
    bound="the formula, within a Hoeffding radius (equality)",
    searched="structured processes, all states together",
    structured=lambda: structured_models((0.9,))[2:7:2],
    statistical=True,
    plants=(Plant("steps", "steps {} times as long", Sizes(0.7, 0.9, 0.95), longer_steps),),
)
def td_expected_update(case: Case, chance: Chance) -> Iterator[Reading]:
    """Linearity."""
    start, a, count = np.arange(1.0, case.states + 1.0), 0.5, chance.of(600, 6000, 24_000)
    run = distrl.learn(
        case.model, distrl.TD(), step_size=a, updates=1, replications=count, start=start, records=1, rng=chance.seed()
    )
    exact = Exact(case)
    target = np.zeros(case.states)
    reach = 0.0
    for x, rows in enumerate(exact.outcomes):
        ends = [float(r) + (0.0 if end else case.discount * start[y]) for _, y, r, end in rows]
        target[x] = sum(float(row[0]) * end for row, end in zip(rows, ends, strict=True))
        reach = max(reach, max(ends) - min(ends))
    radius = a * reach * math.sqrt(math.log(2.0 / share_of_alarm(case.states)) / (2.0 * count))
    yield Reading(run.values[-1].mean(axis=0), (1 - a) * start + a * target, radius + 1e-12, equal=True)


@claim(
    "td-stationary-variance",
    statement="TD with a constant step a on one state ends with variance a v / ((1 - g)(2 - a (1 - g))).",
    latex=r"\mathrm{Var}\,V_\infty=\frac{\alpha v}{(1-\gamma)(2-\alpha(1-\gamma))}",
    source=DERIVED,
    evidence="derived",
    measured="evidence that 500 such states (default: 3000) after 250 updates are spread less, or more",
    bound="1 / the share of the false alarm, as logarithms; a normal law with theory.td_stationary_variance",
    searched="Gaussian rewards, discounts 0, .5 (step .1) and .9 (step 1)",
    structured=lambda: [Case(numbers={"g": g, "a": a}) for g, a in ((0.0, 0.1), (0.5, 0.1), (0.9, 1.0))],
    statistical=True,
    plants=(
        Plant("small", "estimates {} times as large", Sizes(0.75, 0.9, 0.95), recorded),
        Plant("large", "estimates divided by {}", Sizes(0.75, 0.9, 0.95), lambda size: recorded(1.0 / size)),
    ),
    used_by="theory.td_stationary_variance",
)
def td_stationary_variance(case: Case, chance: Chance) -> Iterator[Reading]:
    """An autoregression of order one; with Gaussian rewards its law is Gaussian."""
    g, a, count = case.numbers["g"], case.numbers["a"], chance.of(500, 3000, 12_000)
    noise = stats.norm(0.0, 2.0)
    model = distrl.MRP.from_outcomes([(s, 1.0, s, noise, False) for s in range(count)], g)
    run = distrl.learn(model, distrl.TD(), step_size=a, updates=250, records=1, rng=chance.seed(int(10 * g)))
    z = run.values[-1, 0] / math.sqrt(float(theory.td_stationary_variance(a, g, 4.0)))
    for violation in (chance.size("small"), 1.0 / chance.size("large")):
        test = Evidence(2)
        test.add(scale(z, 1.0, violation))
        yield test.reading


@claim(
    "qtd-mean-unbiased",
    statement="Quantile TD's mean converges to the value, as TD's does.",
    latex=r"\frac1m\sum_i\theta^*(x,i)=V(x)",
    source=f"{SOURCE}, where its bias is the price of less variance (in summary)",
    evidence="summary",
    expected="refuted",
    measured="bias of the limit with m = 8, QuantileDP",
    bound="0, within the iteration error",
    family=models(states=2),
    structured=lambda: structured_models((0.9,))[6:7],
)
def qtd_mean_unbiased(case: Case) -> Iterator[Reading]:
    """`quantile-mean-exact`, seen from the learner."""
    solution = distrl.evaluate(case.model, distrl.QuantileDP(8), throw=False)
    bias = np.abs(solution.values - np.array(ex.values(Exact(case)), dtype=float))
    yield Reading(bias, np.zeros(case.states), 1e-6 + solution.tol / (1.0 - case.discount))


def _worse(size: float) -> AbstractContextManager[Any]:
    """Errors of quantile TD are multiplied by `size`."""
    learn = distrl.learn

    def altered(model: Any, method: Any, **options: Any) -> Any:
        run = learn(model, method, **options)
        if not isinstance(method, distrl.QuantileTD):
            return run
        truth = distrl.evaluate(model, distrl.Moments(1)).values[:, None]
        return replace(run, estimates=tuple(truth + size * (row - truth) for row in run.estimates))

    return mock.patch.object(distrl, "learn", altered)


def _errors(heavy: bool, chance: Chance) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared errors over states, a replication each, of quantile TD and TD at their best of three rates."""
    rng = chance.rng(8)
    p = rng.dirichlet(np.ones(6), size=6)
    laws = [stats.t(2, loc=k / 5) if heavy else stats.norm(k / 5, 1e-6) for k in range(6)]
    model = distrl.MRP(p, laws, discount=0.9)
    truth = distrl.evaluate(model, distrl.Moments(1)).values
    best = []
    for method, rates in ((distrl.QuantileTD(32), (0.05, 0.2, 0.8)), (distrl.TD(), (0.01, 0.03, 0.1))):
        runs = []
        for rate in rates:
            run = distrl.learn(
                model,
                method,
                step_size=rate,
                updates=1000,
                replications=chance.of(200, 400, 1000),
                records=1,
                rng=chance.seed(9),
            )
            runs.append(((run.values[-1] - truth) ** 2).mean(axis=1))
        best.append(min(runs, key=np.mean))
    return best[0], best[1]


@claim(
    "qtd-beats-td-heavy-tails",
    statement="Under Student-t rewards with two degrees of freedom quantile TD can estimate means better than TD.",
    latex=r"E\,\mathrm{MSE}_{QTD}<E\,\mathrm{MSE}_{TD}",
    source=f"{SOURCE}, in summary; in the style of",
    evidence="summary",
    measured="mean over replications of log MSE of quantile TD",
    bound="that of TD, with a t interval",
    searched="one dense process of 6 states, g = .9, 1000 updates, best of three rates each",
    structured=lambda: [Case(numbers={"degrees": 2.0})],
    statistical=True,
    plants=(Plant("worse", "errors of quantile TD {} times as large", Sizes(2.0, 1.8, 1.7), _worse),),
)
def qtd_beats_td_heavy_tails(case: Case, chance: Chance) -> Iterator[Reading]:
    """TD's noise has infinite variance; a quantile's step is bounded."""
    quantile, plain = (np.log(errors) for errors in _errors(heavy=True, chance=chance))
    gap = plain - quantile
    radius = stats.t.isf(share_of_alarm(1), len(gap) - 1) * gap.std(ddof=1) / math.sqrt(len(gap))
    yield Reading(float(quantile.mean()), float(plain.mean()), float(radius))


@claim(
    "qtd-beats-td-always",
    statement="Quantile TD estimates means better than TD on every process.",
    latex=r"E\,\mathrm{MSE}_{QTD}\le E\,\mathrm{MSE}_{TD}",
    source=f"{SOURCE}, in summary, whose condition (noise) is left out",
    evidence="summary",
    expected="refuted",
    measured="mean squared error of quantile TD with 4 quantiles after 300 updates, step .1",
    bound="that of TD, step 1",
    searched="a deterministic cycle",
    structured=lambda: [Case(((0, 1.0, 1, 1.0, False), (1, 1.0, 0, 0.0, False)), 0.9)],
)
def qtd_beats_td_always(case: Case) -> Iterator[Reading]:
    """TD with step 1 is value iteration there; quantile TD with constant steps never settles."""
    truth = np.array(ex.values(Exact(case)), dtype=float)
    mse = []
    for method, step in ((distrl.QuantileTD(4), 0.1), (distrl.TD(), 1.0)):
        run = distrl.learn(case.model, method, step_size=step, updates=300, records=1, rng=3)
        mse.append(float(((run.values[-1] - truth) ** 2).mean()))
    yield Reading(mse[0], mse[1], 1e-12)
