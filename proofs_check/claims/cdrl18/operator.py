"""The categorical operator: its definition, and the distances that it contracts."""

from collections.abc import Iterator

import numpy as np

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.cdrl18 import GRID, SOURCE
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, ON_GRIDS, lattice_off_grid, on_grid

PLACE = 1


@claim(
    "categorical-definition",
    statement="One application is: draw an outcome, move the atoms, clip, split between neighbours.",
    latex=r"p'(x;i)=\sum_{r,y}P(r,y|x)\sum_jh_i(r+\gamma z_j)\,p(y;j)",
    source=f"{SOURCE}, the definition",
    evidence="read",
    measured="PMF, CDF and matrix form of CategoricalBellman",
    bound="the double sum over the rationals (equality)",
    family=on_grid(1),
    structured=lambda: ON_GRIDS + CLIPPED,
    used_by="CategoricalBellman, all of evaluate",
)
def categorical_definition(case: Case) -> Iterator[Reading]:
    """By definition; the CDF form sums it by parts."""
    exact, operator = Exact(case), case.operator
    expected = exact.pmf(exact.image(exact.laws(0)))
    slack = rounding.slack_of(case)
    yield Reading(np.asarray(operator(case.weights[0])), expected, slack, equal=True)
    cdf = np.cumsum(case.weights[0], axis=1)
    cdf[:, -1] = 1.0
    summed = np.cumsum(expected, axis=1)
    yield same(operator.cdf(cdf), summed, 4 * slack)
    linear = (operator.matrix() @ cdf[:, :-1].ravel() + operator.offset()).reshape(case.states, -1)
    yield same(linear, summed[:, :-1], 4 * slack)
    stop_loss = np.array([[float(ex.stop_loss(law, z)) for z in exact.atoms] for law in exact.laws(0)])
    image = [[float(ex.stop_loss(law, z)) for z in exact.atoms] for law in exact.image(exact.laws(0))]
    yield same(operator.stop_loss(stop_loss), image, 4 * slack * case.on.width)
    law = distrl.CategoricalReturns(case.on, case.weights[0])
    yield same(operator.apply_to(law).probs, expected, 4 * slack)


@claim(
    "categorical-cramer-contraction",
    statement="The categorical operator contracts sup-Cramer with modulus sqrt(discount), clipped or not.",
    latex=r"\bar\ell_2(\Pi T\mu,\Pi T\nu)\le\sqrt\gamma\,\bar\ell_2(\mu,\nu)",
    source=f"{SOURCE}, Proposition 2",
    evidence="read",
    measured="sup squared Cramer distance of the images, exact; the library's as well",
    bound="discount * that of the laws",
    family=GRID,
    structured=lambda: ON_GRIDS + CLIPPED,
    attained=0.999,
    used_by="CategoricalFixedPoint",
)
def categorical_cramer_contraction(case: Case) -> Iterator[Reading]:
    """T contracts, and the projection is orthogonal."""
    exact, operator = Exact(case), case.operator
    mu, nu = exact.laws(0), exact.laws(1)
    before = ex.sup(ex.cramer_squared, mu, nu)
    yield Reading(ex.sup(ex.cramer_squared, exact.image(mu), exact.image(nu)), exact.g * before)
    images = (distrl.CategoricalReturns(case.on, operator(weights)) for weights in case.weights)
    measured = float(distrl.cramer(*images).max())
    bound = float(theory.cramer_modulus(case.discount) * np.sqrt(float(before)))
    yield Reading(measured, bound, np.sqrt(case.on.width) * 16 * rounding.slack_of(case))


@claim(
    "categorical-w1-contraction",
    statement="The categorical operator contracts sup-W1 with modulus the discount, clipped or not.",
    latex=r"\bar W_1(\Pi T\mu,\Pi T\nu)\le\gamma\bar W_1(\mu,\nu)",
    source="derived: docs/proofs.md, from the non-expansion of the projection",
    evidence="derived",
    measured="sup-W1 of the images, exact; the library's as well",
    bound="discount * sup-W1 of the laws",
    family=GRID,
    structured=lambda: ON_GRIDS + CLIPPED,
    attained=0.999,
    used_by="stopping rules, Certifier.gain",
)
def categorical_w1_contraction(case: Case) -> Iterator[Reading]:
    """T contracts, and averaging a CDF over cells does not expand its L1 norm."""
    exact, operator = Exact(case), case.operator
    mu, nu = exact.laws(0), exact.laws(1)
    before = ex.sup(ex.w1, mu, nu)
    yield Reading(ex.sup(ex.w1, exact.image(mu), exact.image(nu)), exact.g * before)
    images = (distrl.CategoricalReturns(case.on, operator(weights)) for weights in case.weights)
    bound = float(theory.wasserstein_modulus(case.discount) * float(before))
    yield Reading(float(distrl.wasserstein(*images).max()), bound, case.on.width * 16 * rounding.slack_of(case))


@claim(
    "categorical-w1-contraction-off-grid",
    statement="The categorical operator contracts sup-W1 on laws off the grid too.",
    latex=r"\bar W_1(\Pi T\mu,\Pi T\nu)\le\gamma\bar W_1(\mu,\nu),\ \mu,\nu\text{ any}",
    source="derived: docs/proofs.md",
    evidence="derived",
    measured="sup-W1 of the images of any laws, exact; `apply_to` against it",
    bound="discount * sup-W1 of the laws",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
    attained=0.999,
)
def categorical_w1_contraction_off_grid(case: Case) -> Iterator[Reading]:
    """As on the grid."""
    exact, operator = Exact(case), case.operator
    mu, nu = exact.laws(0), exact.laws(1)
    left, right = exact.image(mu), exact.image(nu)
    yield Reading(ex.sup(ex.w1, left, right), exact.g * ex.sup(ex.w1, mu, nu))
    far = 1.0 + max(float(np.abs(values).max()) for values in case.values) / case.on.spacing
    yield same(operator.apply_to(case.law(0)).probs, exact.pmf(left), far * 64 * rounding.slack_of(case))


@claim(
    "categorical-w2-contraction",
    statement="The categorical operator contracts sup-W2 on all laws, with any modulus below 1.",
    latex=r"\bar W_2(\Pi T\mu,\Pi T\nu)\le c\,\bar W_2(\mu,\nu),\ c<1",
    source=f"{SOURCE}, Lemma 2, where it is denied",
    evidence="read",
    expected="refuted",
    measured="sup-W2 squared of the images of any laws, exact",
    bound="sup-W2 squared of the laws",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
)
def categorical_w2_contraction(case: Case) -> Iterator[Reading]:
    """Diracs at 1/4 and 3/4 on {0, 1}: 1/4 becomes 1/2 in W2 squared."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    before = ex.sup(lambda a, b: ex.transport_cost(a, b, 2), mu, nu)
    after = ex.sup(lambda a, b: ex.transport_cost(a, b, 2), exact.image(mu), exact.image(nu))
    yield Reading(after, before)
    images = [case.operator.apply_to(case.law(k)) for k in range(2)]
    yield same(distrl.wasserstein(*images, p=2).max(), np.sqrt(float(after)), 1e-5 * case.on.width)
