"""Claims on heavy tails: Gerstenberg, Neininger, Spiegel 2023/24 and what follows in a few lines."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import stats

import distrl
from distrl import theory
from distrl.models.laws import as_law
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.families import numbered, numbers
from proofs_check.faults import returned

TITLE = "Gerstenberg, Neininger, Spiegel 2023: heavy tails"
PLACE = 8
SOURCE = "Gerstenberg, Neininger, Spiegel 2023"
DERIVED = "derived: docs/proofs.md"


def _model(index: float, g: float) -> distrl.MRP:
    """One state, rewards with P(R > x) = x^-index for x >= 1."""
    return distrl.MRP([[1.0]], [stats.pareto(index)], discount=g)


def _larger(size: float) -> AbstractContextManager[Any]:
    """Monte Carlo returns are multiplied by `size`."""

    def change(solution: Any) -> Any:
        return replace(solution, returns=distrl.ParticleReturns(np.asarray(solution.returns.values) * size))

    return returned(distrl, "evaluate", change)()


@claim(
    "tail-index-kept",
    statement="Rewards of tail index a give a return of tail index a, with the constant 1 / (1 - g^a) for one state.",
    latex=r"\frac{P(G>x)}{P(R>x)}\to\frac1{1-\gamma^a}",
    source=f"{SOURCE}; constant derived: docs/proofs.md",
    evidence="recalled",
    measured="share of 100000 Monte Carlo returns (default: 600000) above x, over P(R > x)",
    bound="theory.power_tail_constant, within a binomial radius and 15% for x < inf (equality)",
    searched="Pareto rewards, a = 1.5 and 2.5, g = 1/2",
    structured=lambda: [Case(numbers={"a": 1.5, "g": 0.5, "x": 60.0}), Case(numbers={"a": 2.5, "g": 0.5, "x": 24.0})],
    statistical=True,
    plants=(Plant("larger", "returns {} times as large", Sizes(1.6, 1.3, 1.25), _larger),),
    used_by="theory.power_tail_constant",
)
def tail_index_kept(case: Case, chance: Chance) -> Iterator[Reading]:
    """One big reward makes a big return; it may come at any step."""
    a, g, x = (case.numbers[name] for name in ("a", "g", "x"))
    count = chance.of(100_000, 600_000, 3_000_000)
    returns = distrl.evaluate(_model(a, g), distrl.MonteCarlo(count), rng=chance.seed(int(10 * a))).returns
    share = float((np.asarray(returns.values) > x + a / (a - 1.0) * g / (1.0 - g)).mean())
    expected = float(theory.power_tail_constant(g, a)) * x**-a
    level = share_of_alarm(2)
    high = stats.binom.isf(level, count, expected) / count - expected
    low = expected - stats.binom.ppf(level, count, expected) / count
    yield Reading(share / x**-a, expected / x**-a, (max(high, low) + 0.15 * expected) / x**-a, equal=True)


@claim(
    "tail-one-big-reward",
    statement="For non-negative rewards P(G > x) is at least the probability that one discounted reward exceeds x.",
    latex=r"P(G>x)\ge1-\prod_k(1-P(R>x/\gamma^k))",
    source=DERIVED,
    evidence="derived",
    measured="the product",
    bound="upper end of the library's certified interval of P(G > x)",
    searched="Pareto rewards, a = 1.5 to 3, g = .3 and .5, x = 3 to 20",
    structured=lambda: numbered(a=[1.5, 3.0], g=[0.3, 0.5], x=[3.0, 8.0, 20.0]),
    cost=20,
)
def tail_one_big_reward(case: Case) -> Iterator[Reading]:
    """A sum of non-negative terms exceeds x if one of them does."""
    a, g, x = (case.numbers[name] for name in ("a", "g", "x"))
    tails = [min((x / g**k) ** -a, 1.0) for k in range(200)]
    lower = 1.0 - math.prod(1.0 - tail for tail in tails)
    solution = distrl.evaluate(_model(a, g), distrl.Brackets(grid=distrl.Grid(0.0, 60.0, 301)), throw=False)
    interval = solution.returns[0].interval("cdf", x)
    yield Reading(lower, 1.0 - float(interval[0]), 1e-9)


@claim(
    "certificate-infinite-variance",
    statement="The certificate holds for rewards of infinite variance: it bounds the error of the mean as well.",
    latex=r"|E F-E\,\eta|\le W_1(F,\eta)\le\text{certificate}",
    source="own result: docs/certificate.md",
    evidence="derived",
    measured="error of the fixed point's mean against E R / (1 - g)",
    bound="Solution.certificate.w1",
    family=numbers(
        "Pareto rewards of index 1.2 to 3, grids that clip",
        a=st.floats(1.2, 3.0),
        g=st.floats(0.0, 0.9),
        high=st.floats(5.0, 200.0),
    ),
    structured=lambda: numbered(a=[1.2, 2.0, 3.0], g=[0.0, 0.5, 0.9], high=[20.0, 200.0]),
    cost=4,
    attained=0.9,
    used_by="Solution.certificate",
)
def certificate_infinite_variance(case: Case) -> Iterator[Reading]:
    """Overshoot is an expectation, finite with the mean."""
    a, g, high = (case.numbers[name] for name in ("a", "g", "high"))
    method = distrl.CategoricalFixedPoint(grid=distrl.Grid(0.0, high, 41))
    solution = distrl.evaluate(_model(a, g), method, throw=False)
    truth = a / (a - 1.0) / (1.0 - g)
    assert solution.certificate is not None
    yield Reading(abs(float(solution.values[0]) - truth), float(solution.certificate.w1[0]), 1e-12 * truth)


@claim(
    "moment-existence",
    statement="Returns have a finite k-th moment only if k is below the rewards' tail index; others are refused.",
    latex=r"E|G|^k<\infty\iff E|R|^k<\infty\ (\gamma>0)",
    source=f"{SOURCE}; BDR23 for moments",
    evidence="derived",
    measured="1 if Moments(k) gives an answer",
    bound="1 if k is below the tail index (equality)",
    searched="Student-t and Pareto rewards of index 1.5 to 4.5, k = 2, 3, 4",
    structured=lambda: numbered(a=[1.5, 2.5, 3.5, 4.5], k=[2, 3, 4], pareto=[0, 1]),
    used_by="Moments, Law.tail_index",
)
def moment_existence(case: Case) -> Iterator[Reading]:
    """G contains R, and Minkowski's inequality."""
    a, k = case.numbers["a"], int(case.numbers["k"])
    law = stats.pareto(a) if case.numbers["pareto"] else stats.t(a)
    model = distrl.MRP([[1.0]], [law], discount=0.5)
    try:
        answered = float(np.isfinite(distrl.evaluate(model, distrl.Moments(k)).returns.central_moment(k)).all())
    except ValueError:
        answered = 0.0
    yield Reading(answered, float(k < a), equal=True)
    found = float(as_law(law, "law").tail_index)
    yield Reading(found, a, 1e-3 * a, equal=True, counts=False)


@claim(
    "return-exists-log-moment",
    statement="If E log+|R| is finite, finitely many discounted rewards exceed 1 on average: power tails, for one.",
    latex=r"\sum_kP(\gamma^kR>1)\le\frac{1}{1-\gamma^a}",
    source=f"{SOURCE}; derived by Borel and Cantelli",
    evidence="derived",
    measured="expected number of terms above 1 among the first 10000, for P(R > x) = x^-a",
    bound="theory.power_tail_constant",
    family=numbers("a from .1 to 3, g from .1 to .99", a=st.floats(0.1, 3.0), g=st.floats(0.1, 0.99)),
    structured=lambda: numbered(a=[0.1, 1.0], g=[0.5, 0.99]),
    attained=0.999,
)
def return_exists_log_moment(case: Case) -> Iterator[Reading]:
    """sum g^(k a). The return then converges surely; index at most 1 leaves it without a mean."""
    a, g = case.numbers["a"], case.numbers["g"]
    terms = float((g ** (a * np.arange(10_000))).sum())
    yield Reading(terms, float(theory.power_tail_constant(g, a)), 1e-9 / (1.0 - g**a))


@claim(
    "return-exists-always",
    statement="The return exists whatever the reward's law: discounting makes its terms summable.",
    latex=r"\sum_kP(\gamma^kR>1)<\infty",
    source=f"{SOURCE}, whose condition E log+|R| < inf is left out",
    evidence="derived",
    expected="refuted",
    measured="expected number of terms above 1 among the first 10^n, for P(R > x) = 1 / log x (x >= e)",
    bound="10, however many terms",
    searched="g = .5, n = 3 to 7",
    structured=lambda: numbered(n=[3, 5, 7]),
)
def return_exists_always(case: Case) -> Iterator[Reading]:
    """The sum of 1 / (k log(1/g)) diverges: infinitely many terms exceed 1."""
    k = np.arange(1.0, 10.0 ** case.numbers["n"])
    yield Reading(float(np.minimum(1.0 / (k * math.log(2.0)), 1.0).sum()), 10.0)
