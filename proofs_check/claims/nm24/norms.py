"""Norms of the stop-loss form and of the CDF form."""

from collections.abc import Iterator

import numpy as np

from distrl._validation import FloatArray
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.nm24 import ANY, COVERING, DERIVED, GRIDS
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, on_grid

PLACE = 2


def _stop_loss_rows(case: Case) -> FloatArray:
    """Absolute row sums of the linear part of the stop-loss form."""
    operator = case.operator
    n, m = case.states, case.on.atoms
    zero = operator.stop_loss(np.zeros((n, m)))
    total = np.zeros((n, m))
    for x in range(n):
        for j in range(m - 1):
            unit = np.zeros((n, m))
            unit[x, j] = 1.0
            total += np.abs(operator.stop_loss(unit) - zero)
    return total[:, :-1]


@claim(
    "stop-loss-rows",
    statement="Without clipping, absolute rows of the stop-loss form sum to at most the discount.",
    latex=r"\|\text{linear part of }C\mapsto C'\|_\infty\le\gamma",
    source=DERIVED,
    evidence="derived",
    assumes="a covering grid",
    measured="absolute row sums",
    bound="the discount",
    family=COVERING,
    structured=lambda: GRIDS,
    attained=0.999,
)
def stop_loss_rows(case: Case) -> Iterator[Reading]:
    """C' reads g C at a point by interpolation."""
    if case.discount > 1e-6 and not Exact(case).clips():
        yield Reading(_stop_loss_rows(case), case.discount, 64 * rounding.slack_of(case) * case.on.atoms)


@claim(
    "stop-loss-rows-clipped",
    statement="Absolute rows of the stop-loss form sum to at most the discount on every grid.",
    latex=r"\|\text{linear part of }C\mapsto C'\|_\infty\le\gamma",
    source="the premise of `stop-loss-rows` left out",
    evidence="derived",
    expected="refuted",
    measured="absolute row sums",
    bound="the discount",
    family=ANY,
    structured=lambda: CLIPPED,
)
def stop_loss_rows_clipped(case: Case) -> Iterator[Reading]:
    """With mass landing above z_m the value there is subtracted: up to 2 g."""
    if case.discount > 1e-6:
        yield Reading(_stop_loss_rows(case), case.discount, 64 * rounding.slack_of(case) * case.on.atoms)


@claim(
    "stop-loss-interpolation",
    statement="The projection keeps the stop-loss transform at every grid point, on the grid's range.",
    latex=r"C_{\Pi\mu}(z_i)=C_\mu(z_i)",
    source=DERIVED,
    evidence="derived",
    measured="stop-loss of the projected law at the atoms, exact",
    bound="that of the law (equality)",
    family=on_grid(1, particles=3),
    searched="clipped to the range",
    used_by="StopLoss form, Brackets",
)
def stop_loss_interpolation(case: Case) -> Iterator[Reading]:
    """Interpolating a convex function at the knots is projecting the law."""
    exact = Exact(case)
    for law in exact.laws(0):
        clipped = exact.inside(law)
        for z in exact.atoms:
            yield Reading(ex.stop_loss(exact.project(clipped), z), ex.stop_loss(clipped, z), equal=True)


@claim(
    "spectral-radius",
    statement="The spectral radius of the CDF form is at most the discount.",
    latex=r"\rho(\tilde T)\le\gamma",
    source=DERIVED,
    evidence="derived",
    measured="largest |eigenvalue| of A",
    bound="the discount",
    family=ANY,
    searched="clipped or not",
    structured=lambda: GRIDS,
    attained=0.999,
)
def spectral_radius(case: Case) -> Iterator[Reading]:
    """It is a contraction in some norm. Defective eigenvalues move by the root of rounding."""
    if case.discount > 1e-3:
        matrix = case.operator.matrix().toarray()
        # a Jordan block of size k answers a perturbation e with e^(1/k): the norm of a power is stable instead
        power = 64
        size = np.abs(np.linalg.matrix_power(matrix, power)).sum(axis=0).max() if matrix.size else 0.0
        reach = case.states * case.on.atoms
        yield Reading(float(np.max(np.abs(np.linalg.eigvals(matrix)))), case.discount, 1e-13 ** (1.0 / reach))
        yield Reading(size, reach * case.discount**power, 1e-12, counts=False)


@claim(
    "euclidean-norm",
    statement="The CDF form does not expand the Euclidean norm over all states together.",
    latex=r"\|\tilde T\|_2\le1",
    source="docs/proofs.md; the sup over states in `categorical-cramer-contraction` left out",
    evidence="numerical",
    expected="refuted",
    measured="largest singular value of A",
    bound="1",
    family=ANY,
    structured=lambda: [Case(tuple((x, 1.0, 0, 0.0, False) for x in range(n)), 0.9, (-1.0, 1.0, 3)) for n in (2, 4)],
)
def euclidean_norm(case: Case) -> Iterator[Reading]:
    """Many states that all lead to one copy its error."""
    matrix = case.operator.matrix().toarray()
    yield Reading(float(np.linalg.norm(matrix, 2)), 1.0, 1e-9)
