"""The projection on a grid."""

from collections.abc import Iterator

import numpy as np

from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.cdrl18 import SOURCE
from proofs_check.exact import Exact
from proofs_check.families import ON_GRIDS, lattice_off_grid, on_grid

PLACE = 2


@claim(
    "projection-w2-nonexpansion",
    statement="The projection does not expand W2.",
    latex=r"W_2(\Pi\mu,\Pi\nu)\le W_2(\mu,\nu)",
    source=f"{SOURCE}, Lemma 2, where it is denied",
    evidence="read",
    expected="refuted",
    measured="W2 squared of the projections, exact",
    bound="W2 squared of the laws",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
)
def projection_w2_nonexpansion(case: Case) -> Iterator[Reading]:
    """W_p^p counts the mass that moves: half of it, a whole cell."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    projected = [[exact.project(law) for law in laws] for laws in (mu, nu)]
    for a, b, c, d in zip(*projected, mu, nu, strict=True):
        yield Reading(ex.transport_cost(a, b, 2), ex.transport_cost(c, d, 2))


@claim(
    "projection-w1-nonexpansion",
    statement="The projection does not expand W1.",
    latex=r"W_1(\Pi\mu,\Pi\nu)\le W_1(\mu,\nu)",
    source="derived: docs/proofs.md; for all grids of few atoms in `formal-w1-nonexpansion`",
    evidence="derived",
    measured="W1 of the projections, exact",
    bound="W1 of the laws",
    family=on_grid(2, particles=3),
    searched="inside and outside of the grid",
    structured=lattice_off_grid,
    attained=0.999,
)
def projection_w1_nonexpansion(case: Case) -> Iterator[Reading]:
    """The projected CDF is a cell average."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(ex.w1(exact.project(mu), exact.project(nu)), ex.w1(mu, nu))


@claim(
    "projection-cramer-nonexpansion",
    statement="The projection does not expand the Cramer distance.",
    latex=r"\ell_2(\Pi\mu,\Pi\nu)\le\ell_2(\mu,\nu)",
    source=f"{SOURCE}, Lemma 3",
    evidence="read",
    measured="squared Cramer distance of the projections, exact",
    bound="that of the laws",
    family=on_grid(2, particles=3),
    searched="inside and outside of the grid",
    structured=lambda: [*lattice_off_grid(), *(_with_values(case) for case in ON_GRIDS[:3])],
    attained=0.999,
)
def projection_cramer_nonexpansion(case: Case) -> Iterator[Reading]:
    """An orthogonal projection."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(ex.cramer_squared(exact.project(mu), exact.project(nu)), ex.cramer_squared(mu, nu))


def _with_values(case: Case) -> Case:
    """Laws on the grid as particles."""
    values = np.tile(case.on.points, (case.states, 1))
    return Case(case.rows, case.discount, case.grid, case.weights, (values, values))


@claim(
    "pythagoras",
    statement="The projection is Cramer-orthogonal: errors to laws on the grid add in squares.",
    latex=r"\ell_2^2(\mu,\nu)=\ell_2^2(\mu,\Pi\mu)+\ell_2^2(\Pi\mu,\nu)",
    source=f"{SOURCE}, Lemma 3",
    evidence="read",
    assumes="mu on the grid's range, nu on the grid",
    measured="squared Cramer distance, exact",
    bound="the sum of the two (equality)",
    family=on_grid(2, particles=3),
    structured=lattice_off_grid,
)
def pythagoras(case: Case) -> Iterator[Reading]:
    """F_mu less its cell averages is orthogonal to what is constant on cells."""
    exact = Exact(case)
    for mu, other in zip(exact.laws(0), exact.laws(1), strict=True):
        nu, inside = exact.project(other), exact.inside(mu)
        image = exact.project(inside)
        parts = ex.cramer_squared(inside, image) + ex.cramer_squared(image, nu)
        yield Reading(ex.cramer_squared(inside, nu), parts, equal=True)
