"""The quantile fixed point and its errors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.qtd24 import DERIVED, SOURCE
from proofs_check.exact import Exact
from proofs_check.families import PARTICLES, Family, models, particle_laws, structured_models

PLACE = 2


@claim(
    "quantile-unique-fixed-point",
    statement="Quantile sweeps from any start approach one fixed point at the rate of the discount, in W_inf.",
    latex=r"\bar W_\infty((\Pi T)^k\mu,\theta^*)\le\gamma^k\bar W_\infty(\mu,\theta^*)",
    source=f"{SOURCE}, Propositions 5 to 7",
    evidence="read",
    measured="sup-W_inf to QuantileDP's answer after k sweeps of the library's operator",
    bound="discount^k * the first",
    family=particle_laws(1, 3, equal=True, mild=True),
    searched="flat 0, 1/2, 1",
    structured=lambda: PARTICLES[:14],
    attained=0.999,
    cost=6,
    used_by="QuantileDP",
)
def quantile_unique_fixed_point(case: Case) -> Iterator[Reading]:
    """Banach's theorem."""
    count = case.values[0].shape[1]
    for flat in (0.0, 0.5, 1.0):
        solution = distrl.evaluate(case.model, distrl.QuantileDP(count, flat), throw=False)
        if not solution.converged:
            continue
        target, values = np.sort(np.asarray(solution.returns.values), axis=1), np.sort(case.values[0], axis=1)
        operator = distrl.operators.QuantileBellman(case.model, count, flat)
        size = 1.0 + float(np.abs(values).max() + np.abs(target).max())
        first = float(np.abs(values - target).max())
        for k in range(1, 4):
            values = operator(values)
            gap = float(np.abs(values - target).max())
            yield Reading(gap, case.discount**k * first, 4 * solution.tol + 256 * rounding.FLOAT * size)


def _error(case: Case, count: int, flat: float) -> tuple[np.ndarray, np.ndarray, float]:
    """(W1 of QuantileDP's laws to reference laws, |mean error|, slack)."""
    solution = distrl.evaluate(case.model, distrl.QuantileDP(count, flat), throw=False)
    theta = np.sort(np.asarray(solution.returns.values), axis=1)
    values, weights, error = ex.true_laws(case, 3000)
    equal = np.full(count, 1.0 / count)
    w1 = np.array([ex.w1_floats((theta[x], equal), (values[x], weights[x])) for x in range(case.states)])
    exact_means = np.array(ex.values(Exact(case)), dtype=float)
    slack = error + solution.tol / (1.0 - case.discount) + 1e-9
    return w1, np.abs(theta.mean(axis=1) - exact_means), slack


def _width(case: Case) -> float:
    grid = distrl.Grid.tight(case.model, 2)
    return grid.width


def _quantile_cases() -> list[Case]:
    coin = Case(((0, 0.5, 0, 0.0, True), (0, 0.5, 0, 1.0, True)), 0.0)  # attains the bound with one quantile
    return [
        Case(c.rows, c.discount, numbers={"m": m, "flat": flat})
        for c in [coin, *structured_models((0.5, 0.8))]
        for m, flat in ((1, 0.0), (2, 1.0), (5, 0.0))
    ]


@st.composite
def _with_quantiles(draw: Any) -> Case:
    case = draw(models(states=2, mild=True).strategy)
    m, flat = draw(st.integers(1, 6)), draw(st.sampled_from([0.0, 0.5, 1.0]))
    return Case(case.rows, case.discount, numbers={"m": m, "flat": flat})


QUANTILES = Family(
    _with_quantiles(), "processes of up to 2 states, 1 to 6 quantiles, flat 0, 1/2, 1, discounts up to .8"
)


@claim(
    "quantile-fixed-point-w1",
    statement="The quantile fixed point is within width / (2 m (1 - discount)) of the truth in W1, and so is its mean.",
    latex=r"W_1(\eta_\ell(x),\eta(x))\le\frac{V_{\max}-V_{\min}}{2m(1-\gamma)}",
    source=f"{DERIVED}; the paper has results of this kind (Propositions 19 and 21) whose constants were not read",
    evidence="derived",
    measured="W1 of QuantileDP's laws to reference laws, and the error of their means",
    bound="theory.quantile_w1 with the width of the attainable range",
    family=QUANTILES,
    structured=_quantile_cases,
    cost=8,
    used_by="theory.quantile_w1",
)
def quantile_fixed_point_w1(case: Case) -> Iterator[Reading]:
    """One step costs width / (2 m), and steps add up."""
    m, flat = int(case.numbers["m"]), case.numbers["flat"]
    w1, mean_error, slack = _error(case, m, flat)
    bound = theory.quantile_w1(_width(case), m, case.discount)
    yield Reading(w1, bound, slack)
    yield Reading(mean_error, bound, slack)


def _prefix_case(g: float, steps: int, first: bool, m: int) -> Case:
    """A coin with rewards 0 and 1 in a state, before or after `steps` deterministic ones."""
    rows: list[tuple[int, float, int, float, bool]] = []
    if first:  # states 0 .. steps - 1 walk to a state that tosses for ever
        rows += [(x, 1.0, x + 1, 0.0, False) for x in range(steps)]
        rows += [(steps, 0.5, steps, 0.0, False), (steps, 0.5, steps, 1.0, False)]
    else:  # states 0 .. steps - 1 toss, then nothing happens any more
        rows += [row for x in range(steps) for row in ((x, 0.5, x + 1, 0.0, False), (x, 0.5, x + 1, 1.0, False))]
        rows += [(steps, 1.0, steps, 0.0, False)]
    return Case(tuple(rows), g, numbers={"k": steps, "first": float(first), "m": m, "flat": 0.0})


def _prefix_cases() -> list[Case]:
    return [_prefix_case(g, k, first, m) for g in (0.5, 0.8) for k in (1, 3) for first in (True, False) for m in (1, 3)]


def _prefix_reading(case: Case, swapped: bool) -> Iterator[Reading]:
    k, m = case.numbers["k"], int(case.numbers["m"])
    first = bool(case.numbers["first"]) != swapped
    w1, mean_error, slack = _error(case, m, case.numbers["flat"])
    span = (k, np.inf) if first else (0, k)
    bound = theory.quantile_w1_between(_width(case), m, case.discount, *span)
    yield Reading(w1[0], bound, slack)
    yield Reading(mean_error[0], bound, slack)


@claim(
    "quantile-deterministic-steps",
    statement="The error bound gains g^k if the first k steps are deterministic, 1 - g^k if all after k steps are.",
    latex=r"\frac{(\gamma^{k_1}-\gamma^{k_2})(V_{\max}-V_{\min})}{2m(1-\gamma)}",
    source=DERIVED,
    evidence="derived",
    measured="W1 and mean error of QuantileDP in the first state",
    bound="theory.quantile_w1_between",
    searched="coins before and after deterministic steps",
    structured=_prefix_cases,
)
def quantile_deterministic_steps(case: Case) -> Iterator[Reading]:
    """A deterministic step moves m particles to m particles."""
    return _prefix_reading(case, swapped=False)


@claim(
    "quantile-wrong-prefix",
    statement="The factor is g^k if all steps after the k-th are deterministic, 1 - g^k if the first k are.",
    latex=r"\text{the two factors of `quantile-deterministic-steps' exchanged}",
    source="the premises of `quantile-deterministic-steps` exchanged",
    evidence="derived",
    expected="refuted",
    measured="W1 and mean error of QuantileDP in the first state",
    bound="theory.quantile_w1_between with the other factor",
    searched="coins before and after deterministic steps",
    structured=_prefix_cases,
)
def quantile_wrong_prefix(case: Case) -> Iterator[Reading]:
    """A single random step at once, with g^k small."""
    return _prefix_reading(case, swapped=True)


@claim(
    "quantile-mean-exact",
    statement="The quantile fixed point has the exact means, as the categorical one has.",
    latex=r"\frac1m\sum_i\theta(x,i)=V(x)",
    source=f"{SOURCE}, where it is denied",
    evidence="numerical",
    expected="refuted",
    measured="error of the means",
    bound="0",
    family=QUANTILES,
    structured=lambda: [
        Case(structured_models((0.9,))[6].rows, 0.9, numbers={"m": m, "flat": 0.0}) for m in (2, 5, 10)
    ],
)
def quantile_mean_exact(case: Case) -> Iterator[Reading]:
    """Quantiles of a mixture are no mixture of quantiles."""
    _, mean_error, slack = _error(case, int(case.numbers["m"]), case.numbers["flat"])
    yield Reading(mean_error, np.zeros(case.states), slack)


@claim(
    "quantile-regression-values",
    statement="P = 1/2, r = (2, -1), g = .9: means of the quantile fixed point at state 0 for m = 2, 5, 10, 100.",
    latex=r"\ell=0:\ -5.65,\,-2.11354,\,1.17317,\,5.87581;\quad\ell=1:\ 18.65,\,15.11354,\,11.82683,\,7.12419;"
    r"\quad\ell=\tfrac12:\ 6.5",
    source="computed here before, by other code",
    evidence="numerical",
    measured="mean of QuantileDP's law of state 0",
    bound="the value kept, to its five digits (equality)",
    searched="twelve values",
    structured=lambda: [
        Case(structured_models((0.9,))[6].rows, 0.9, numbers={"m": m, "flat": flat, "mean": mean})
        for flat, means in (
            (0.0, (-5.65, -2.11354, 1.17317, 5.87581)),
            (1.0, (18.65, 15.11354, 11.82683, 7.12419)),
            (0.5, (6.5, 6.5, 6.5, 6.5)),
        )
        for m, mean in zip((2, 5, 10, 100), means, strict=True)
    ],
)
def quantile_regression_values(case: Case) -> Iterator[Reading]:
    """A regression test; for flat = 1/2 symmetry makes the mean exact."""
    method = distrl.QuantileDP(int(case.numbers["m"]), case.numbers["flat"])
    found = float(distrl.evaluate(case.model, method).values[0])
    expected = case.numbers["mean"]
    yield Reading(found + 100.0, expected + 100.0, 6e-6, equal=True)
