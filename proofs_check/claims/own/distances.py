"""Contraction on a grid, distances between laws, and what a residual bounds."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from distrl import theory
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.own._shared import solved
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, ON_GRIDS, on_grid, particle_laws, structured_models, with_particles

PLACE = 4


@claim(
    "grid-w2-contraction",
    statement="Between laws on its own uniform grid the categorical operator contracts sup-W2 with modulus sqrt(g).",
    latex=r"\bar W_p(\Pi T\mu,\Pi T\nu)\le\gamma^{1/p}\bar W_p(\mu,\nu)\text{ on the grid}",
    source="own result: docs/proofs.md",
    evidence="derived",
    assumes="laws on the operator's own grid",
    measured="sup-W2 squared of the images, exact",
    bound="discount * that of the laws",
    family=on_grid(2),
    searched="clipped or not",
    structured=lambda: [*ON_GRIDS, *CLIPPED],
    attained=0.999,
    used_by="theory.grid_wasserstein_modulus",
)
def grid_w2_contraction(case: Case) -> Iterator[Reading]:
    """|z_i - z_j|^p >= s^(p-1) |z_i - z_j| on the grid, and for neighbours the images are as far as W1 says."""
    exact = Exact(case)

    def cost(a: ex.ExactLaw, b: ex.ExactLaw) -> Fraction:
        return ex.transport_cost(a, b, 2)

    mu, nu = exact.laws(0), exact.laws(1)
    square = Fraction(float(theory.grid_wasserstein_modulus(case.discount, 2.0)) ** 2)
    assert abs(square - exact.g) < 1e-12
    yield Reading(ex.sup(cost, exact.image(mu), exact.image(nu)), exact.g * ex.sup(cost, mu, nu))


@claim(
    "w1-below-cramer",
    statement="W1 is at most the root of the range times the Cramer distance.",
    latex=r"W_1\le\sqrt{z_m-z_1}\,\ell_2",
    source="Cauchy and Schwarz",
    evidence="derived",
    measured="W1 squared, exact",
    bound="range * squared Cramer distance, exact",
    family=on_grid(2),
    structured=lambda: ON_GRIDS,
    attained=0.999,
)
def w1_below_cramer(case: Case) -> Iterator[Reading]:
    """int |F - G| * 1."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(ex.w1(mu, nu) ** 2, (exact.atoms[-1] - exact.atoms[0]) * ex.cramer_squared(mu, nu))


@claim(
    "cramer-below-w1",
    statement="The squared Cramer distance is at most W1.",
    latex=r"\ell_2^2\le W_1",
    source="|F - G| <= 1",
    evidence="derived",
    measured="squared Cramer distance, exact",
    bound="W1, exact",
    family=particle_laws(2, 3),
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
    used_by="Certificate.cramer",
)
def cramer_below_w1(case: Case) -> Iterator[Reading]:
    """x^2 <= x on [0, 1]."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(ex.cramer_squared(mu, nu), ex.w1(mu, nu))


def _iteration(case: Case, power: int) -> tuple[float, float, float, float]:
    """(distance to the fixed point, residual, slack, spacing)."""
    solution = solved(case)
    target, probs = np.asarray(solution.returns.probs), case.weights[0]
    image = np.asarray(case.operator(probs))
    sums = []
    for other in (target, image):
        gaps = np.abs(np.cumsum(probs - other, axis=1)[:, :-1])
        sums.append(float((gaps**power).sum(axis=1).max() * case.on.spacing))
    slack = 4 * (solution.tol + case.on.width * 16 * rounding.slack_of(case)) / (1.0 - case.discount)
    return sums[0], sums[1], slack, case.on.spacing


@claim(
    "iteration-error-w1",
    statement="An iterate is within residual / (1 - g) of the categorical fixed point in sup-W1.",
    latex=r"\bar W_1(F,F^*)\le\frac{\bar W_1(F,\Pi TF)}{1-\gamma}",
    source="the contraction; derived",
    evidence="derived",
    measured="sup-W1 to the solver's answer",
    bound="theory.iteration_w1",
    family=on_grid(1),
    structured=lambda: ON_GRIDS[:24],
    attained=0.999,
    cost=5,
    used_by="stopping rules",
)
def iteration_error_w1(case: Case) -> Iterator[Reading]:
    """Triangle inequality."""
    distance, residual, slack, _ = _iteration(case, 1)
    yield Reading(distance, float(theory.iteration_w1(residual, case.discount)), slack)


@claim(
    "iteration-error-cramer",
    statement="An iterate is within residual / (1 - sqrt g) of the categorical fixed point in sup-Cramer.",
    latex=r"\bar\ell_2(F,F^*)\le\frac{\bar\ell_2(F,\Pi TF)}{1-\sqrt\gamma}",
    source="Rowland et al. 2018, Proposition 2; derived",
    evidence="derived",
    measured="sup-Cramer to the solver's answer",
    bound="theory.iteration_cramer",
    family=on_grid(1),
    structured=lambda: ON_GRIDS[:24],
    cost=5,
)
def iteration_error_cramer(case: Case) -> Iterator[Reading]:
    """Triangle inequality."""
    distance, residual, slack, _ = _iteration(case, 2)
    bound = float(theory.iteration_cramer(math.sqrt(residual), case.discount))
    yield Reading(math.sqrt(distance), bound, math.sqrt(slack) / (1.0 - math.sqrt(case.discount)))


@claim(
    "second-eigenvalue",
    statement="All eigenvalues of the CDF form but those of the mean's mode, g * eigenvalues of P, are at most g^2.",
    latex=r"|\lambda_2(\tilde T)|\le\gamma^2",
    source="true in the limit of small spacings only; derived",
    evidence="derived",
    expected="refuted",
    measured="second largest |eigenvalue|, one state",
    bound="g^2",
    family=on_grid(0, states=1),
    structured=lambda: [Case(((0, 1.0, 0, 0.5, False),), 0.5, (0.0, 2.0, 3))],
)
def second_eigenvalue(case: Case) -> Iterator[Reading]:
    """r = 1/2 on {0, 1, 2} at g = 1/2: both eigenvalues are 1/2. Residuals may not be divided by 1 - g^2."""
    matrix = case.operator.matrix().toarray()
    if len(matrix) > 1:
        eigenvalues = np.sort(np.abs(np.linalg.eigvals(matrix)))
        yield Reading(float(eigenvalues[-2]), case.discount**2, 1e-5)
