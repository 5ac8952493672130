"""The stochastic categorical CDF Bellman equation."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import Any

import numpy as np

import distrl
from distrl import theory
from distrl.operators import StochasticCDFBellman
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim, share_of_alarm
from proofs_check.claims.nm24 import DERIVED, GRIDS, SOURCE
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, on_grid, structured_models, with_grids
from proofs_check.faults import returned

PLACE = 4


def _lower(name: str) -> Callable[[float], AbstractContextManager[Any]]:
    """A share of the draws is all at the lowest atom."""

    def plant(size: float) -> AbstractContextManager[Any]:
        rng = np.random.default_rng(2)

        def change(draws: Any) -> Any:
            return np.where(rng.random((len(draws), 1, 1)) < size, 1.0, draws)

        return returned(StochasticCDFBellman, name, change)()

    return plant


@claim(
    "stochastic-cdf-mean",
    statement="The random CDF's mean is the categorical fixed point.",
    latex=r"E[\Phi(x)]=F^*(x)",
    source=f"{SOURCE}; mean in summary, short proof in docs/proofs.md",
    evidence="derived",
    measured="mean of 4000 independent draws (default: 40000)",
    bound="F*, within a Hoeffding radius (equality)",
    searched="three processes, all states and atoms together",
    structured=lambda: with_grids([structured_models((0.9,))[k] for k in (1, 4, 6)], (6,)),
    statistical=True,
    plants=(Plant("lower", "a share {} of the draws at the lowest atom", Sizes(0.2, 0.06, 0.03), _lower("sample")),),
    used_by="StochasticCDFBellman.sample",
)
def stochastic_cdf_mean(case: Case, chance: Chance) -> Iterator[Reading]:
    """Take expectations on both sides: F* solves the same equation."""
    draws = StochasticCDFBellman(case.model, case.on).sample(
        chance.of(4000, 40_000, 160_000), rng=chance.seed(len(case.rows))
    )
    fixed = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs
    target = np.cumsum(np.asarray(fixed), axis=1)
    radius = math.sqrt(math.log(2.0 / share_of_alarm(target.size)) / (2.0 * len(draws)))
    yield Reading(draws.mean(axis=0), target, radius, equal=True)


@claim(
    "stochastic-cdf-one-step-mean",
    statement="One random application has the categorical operator as its mean.",
    latex=r"E[B^RF(X')+b^R]=(\Pi TF)(x)",
    source=f"{SOURCE}, in summary",
    evidence="derived",
    measured="mean of 4000 draws of one application (default: 40000)",
    bound="the categorical operator, within a Hoeffding radius (equality)",
    searched="three processes, all states and atoms together",
    structured=lambda: with_grids([structured_models((0.9,))[k] for k in (1, 4, 6)], (6,)),
    statistical=True,
    plants=(Plant("lower", "a share {} of the draws at the lowest atom", Sizes(0.2, 0.06, 0.03), _lower("__call__")),),
)
def stochastic_cdf_one_step_mean(case: Case, chance: Chance) -> Iterator[Reading]:
    """Linearity."""
    n, m = case.states, case.on.atoms
    start = np.tile(np.linspace(1.0 / m, 1.0, m), (n, 1))
    copies = np.broadcast_to(start, (chance.of(4000, 40_000, 160_000), n, m))
    draws = StochasticCDFBellman(case.model, case.on)(copies, rng=chance.seed(len(case.rows)))
    target = case.operator.cdf(start)
    radius = math.sqrt(math.log(2.0 / share_of_alarm(target.size)) / (2.0 * len(draws)))
    yield Reading(draws.mean(axis=0), target, radius, equal=True)


@claim(
    "stochastic-cdf-coupling",
    statement="Two starts of the random equation, driven by the same outcomes, meet at the rate of the discount.",
    latex=r"E\,W_1(\Phi_k(x),\Phi'_k(x))\le\gamma^k\sup W_1(\Phi_0,\Phi'_0)",
    source=f"{SOURCE}, uniqueness in summary; coupling derived",
    evidence="derived",
    measured="sup over states and draws of W1 after one shared draw",
    bound="discount * sup-W1 before",
    family=on_grid(2),
    structured=lambda: CLIPPED[:12],
    attained=0.999,
)
def stochastic_cdf_coupling(case: Case) -> Iterator[Reading]:
    """Each draw applies one outcome's categorical operator, a contraction whatever the outcome."""
    cdfs = [np.cumsum(weights, axis=1) for weights in case.weights]
    for cdf in cdfs:
        cdf[:, -1] = 1.0
    random = StochasticCDFBellman(case.model, case.on)
    copies = [np.broadcast_to(cdf, (8, *cdf.shape)) for cdf in cdfs]
    first, second = (random(copy, rng=3) for copy in copies)
    spacing = case.on.spacing
    before = np.abs(cdfs[0] - cdfs[1]).sum(axis=1).max() * spacing
    after = np.abs(first - second).sum(axis=2).max() * spacing
    yield Reading(after, case.discount * before, case.on.width * 16 * rounding.slack_of(case))


def _corollary(case: Case) -> Iterator[Reading]:
    corollary = StochasticCDFBellman(case.model, case.on).variance_corollary()
    slack = 1e-10 * case.on.width
    yield Reading(corollary.accumulated, corollary.bound, slack)
    yield Reading(corollary.global_variation, corollary.accumulated, slack, counts=False)


@claim(
    "variance-corollary",
    statement="Local variation accumulated along a trajectory is at most int F*(1 - F*), which is at most a quarter of "
    "the grid's width.",
    latex=r"\Sigma\le(I-\gamma P)^{-1}\sigma\le\int F^*(1-F^*)\le\frac{z_m-z_1}4",
    source="own result: docs/proofs.md; Rowland et al. 2024 have one of this kind whose constant is not used",
    evidence="derived",
    assumes="a covering grid",
    measured="(I - g P)^{-1} sigma, and Sigma, by StochasticCDFBellman",
    bound="int F*(1 - F*), and width / 4",
    family=on_grid(0, covering=True, states=3),
    structured=lambda: [*GRIDS[:12], _branching(0.9, 2), _branching(0.999, 2)],
    attained=0.99,
    cost=5,
    used_by="StochasticCDFBellman.variance_corollary",
)
def variance_corollary(case: Case) -> Iterator[Reading]:
    """Columns of B^r sum to g (nothing is clipped) and its rows to at most 1, so int F* (1 - F*) loses at least
    sigma at each step."""
    if Exact(case).clips():
        return
    yield from _corollary(case)
    quarter = float(theory.stochastic_variation(case.on.width))
    bound = StochasticCDFBellman(case.model, case.on).variance_corollary().bound
    yield Reading(bound, quarter, 1e-10 * case.on.width, counts=False)


def _branching(g: float, atoms: int) -> Case:
    """Branching to absorbing rewards 0 and 1."""
    rows = ((0, 0.5, 1, 0.0, False), (0, 0.5, 2, 1.0, False), (1, 1.0, 1, 0.0, False), (2, 1.0, 2, 1.0, False))
    return Case(rows, g, (0.0, 1.0 / (1.0 - g), atoms))


@claim(
    "variance-corollary-supremum",
    statement="Branching to absorbing rewards 0 and 1 attains a share g of the corollary's constant.",
    latex=r"\Sigma(x)=\frac{\gamma}{4(1-\gamma)}",
    source="own result: docs/proofs.md",
    evidence="derived",
    measured="global variation of the first state",
    bound="g / (4 (1 - g)) (equality)",
    searched="discounts .5 to .999, 2 to 9 atoms, rewards on the grid",
    structured=lambda: [
        Case(
            ((0, 0.5, 1, 0.0, False), (0, 0.5, 2, 0.0, False), (1, 1.0, 1, 0.0, False), (2, 1.0, 2, 1.0, False)),
            g,
            (0.0, 1.0 / (1.0 - g), 1 + round(1.0 / (1.0 - g))),
        )
        for g in (0.5, 0.75, 0.9)
    ],
)
def variance_corollary_supremum(case: Case) -> Iterator[Reading]:
    """One coin decides between the returns 0 and g / (1 - g), both on the grid: a coin's variance over that length."""
    g = case.discount
    found = StochasticCDFBellman(case.model, case.on).global_variation()[0]
    yield Reading(found, g / (4.0 * (1.0 - g)), 1e-9, equal=True)


@claim(
    "variance-corollary-clipped",
    statement="The variance corollary holds on every grid.",
    latex=r"(I-\gamma P)^{-1}\sigma\le\int F^*(1-F^*)",
    source="the premise of `variance-corollary` left out",
    evidence="numerical",
    expected="refuted",
    measured="(I - g P)^{-1} sigma",
    bound="int F*(1 - F*)",
    family=on_grid(0, mild=True),
    structured=lambda: [Case(c.rows, c.discount, c.grid) for c in CLIPPED],
    cost=2,
)
def variance_corollary_clipped(case: Case) -> Iterator[Reading]:
    """Columns of B^r that are clipped sum to less than g: the recursion forgets less than it should."""
    return _corollary(case)


@claim(
    "second-moment-contraction",
    statement="The covariance equation contracts the sup-trace with modulus the discount.",
    latex=r"\mathrm{tr}\,E[BKB^\top]\le\gamma\sup_y\mathrm{tr}K(y)",
    source=DERIVED,
    evidence="derived",
    measured="trace of B K B^T for K = v v^T, one outcome's B at a time",
    bound="discount * trace of K",
    family=on_grid(1, states=1, random_rewards=False),
    searched="one-outcome processes",
    structured=lambda: CLIPPED[:1],
    attained=0.999,
    used_by="StochasticCDFBellman.covariance",
)
def second_moment_contraction(case: Case) -> Iterator[Reading]:
    """|B|_2^2 <= |B|_1 |B|_inf <= g: columns sum to at most g, rows to at most 1."""
    if len(case.rows) == 1 and not case.rows[0][4]:
        matrix = case.operator.matrix().toarray()
        yield Reading(float(np.linalg.norm(matrix, 2)) ** 2, case.discount, 64 * rounding.slack_of(case))


@claim(
    "local-variation",
    statement="Local variation is the expected squared Cramer distance of one outcome's image from the mean image.",
    latex=r"\sigma(x)=E\|B^RF^*(X')+b^R-F^*(x)\|^2",
    source=f"{SOURCE}, in summary",
    evidence="derived",
    measured="StochasticCDFBellman.local_variation",
    bound="the sum over outcomes at the exact fixed point (equality)",
    family=on_grid(0, atoms=4, states=2, mild=True),
    structured=lambda: [case for case in with_grids(structured_models((0.5,)), (3,)) if case.states <= 2],
    cost=5,
)
def local_variation(case: Case) -> Iterator[Reading]:
    """By definition."""
    if 0.0 < case.discount < 1e-6:
        return
    exact = Exact(case)
    fixed = ex.fixed_point(exact)
    expected = []
    for x, rows in enumerate(exact.outcomes):
        total = Fraction(0)
        for p, y, r, terminal in rows:
            moved = {r: Fraction(1)} if terminal else {r + exact.g * v: mass for v, mass in fixed[y].items()}
            moved = moved if exact.g or terminal else {r: Fraction(1)}
            total += p * ex.cramer_squared(exact.project(moved), fixed[x])
        expected.append(float(total))
    found = StochasticCDFBellman(case.model, case.on).local_variation()
    yield Reading(found, expected, 1e-9 * case.on.width, equal=True)
