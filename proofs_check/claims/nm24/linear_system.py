"""The linear system in CDF form that the categorical fixed point solves."""

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import distrl
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.nm24 import ANY, DERIVED, GRIDS, SOURCE
from proofs_check.exact import Exact
from proofs_check.families import on_grid, structured_models, with_grids

PLACE = 1


def _exact_columns(case: Case) -> list[tuple[int, int, Fraction, Fraction]]:
    """(state, successor, probability, reward) of what goes on."""
    rows = enumerate(Exact(case).outcomes)
    return [(x, y, p, r) for x, outcomes in rows for p, y, r, terminal in outcomes if not terminal]


@claim(
    "dcfp-linear-system",
    statement="The categorical fixed point is the unique solution of a linear system in (m - 1) S unknowns.",
    latex=r"(I-\tilde T)\tilde F=b",
    source=f"{SOURCE}; method in summary, system derived",
    evidence="derived",
    measured="CategoricalFixedPoint, every solver",
    bound="Gauss elimination of F = Pi T F over the rationals (equality)",
    family=on_grid(0, atoms=4, states=2),
    structured=lambda: [case for case in with_grids(structured_models(), (2, 3)) if case.states <= 2],
    cost=6,
    used_by="CategoricalFixedPoint",
)
def dcfp_linear_system(case: Case) -> Iterator[Reading]:
    """The last atom's CDF is 1; what is left contracts."""
    if case.discount < 1e-6:  # numbers whose exact solution has millions of digits
        return
    exact = Exact(case)
    expected = exact.pmf(ex.fixed_point(exact))
    for solver in ("auto", "direct", "iterate"):
        solution = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on, solver=solver), throw=False)
        slack = 4 * solution.tol / case.on.spacing + 64 * rounding.slack_of(case) / (1.0 - case.discount)
        if solution.converged:
            yield Reading(np.asarray(solution.returns.probs), expected, slack, equal=True, counts=solver == "auto")


@claim(
    "dcfp-without-mass-constraint",
    statement="F = T F alone, linear and with the last atom left in, determines the fixed point.",
    latex=r"F=TF\Rightarrow F=F^*",
    source=f"{SOURCE}, in summary; the constraint F(z_m) = 1 left out",
    evidence="derived",
    expected="refuted",
    measured="total mass of a solution of F = T F",
    bound="1 (equality)",
    searched="structured processes without termination",
    structured=lambda: [case for case in GRIDS if not any(row[4] for row in case.rows)],
)
def dcfp_without_mass_constraint(case: Case) -> Iterator[Reading]:
    """F = 0 solves it too."""
    operator = case.operator
    zero, image = np.zeros((case.states, case.on.atoms)), np.empty((case.states, case.on.atoms))
    operator.apply_cdf(zero, image, affine=True)
    if np.array_equal(image, zero):
        yield Reading(image[:, -1], np.ones(case.states), 1e-12, equal=True)


@claim(
    "cdf-nonnegative",
    statement="The CDF form's matrix is non-negative with row sums at most 1.",
    latex=r"B\ge0,\ B\mathbf 1\le\mathbf 1",
    source=DERIVED,
    evidence="derived",
    measured="row sums of |A|",
    bound="1",
    family=ANY,
    searched="clipped or not",
    structured=lambda: GRIDS,
    attained=0.999,
    used_by="CategoricalBellman.matrix",
)
def cdf_nonnegative(case: Case) -> Iterator[Reading]:
    """Each row averages the successor's CDF over a window."""
    matrix = case.operator.matrix().toarray()
    yield Reading(np.abs(matrix).sum(axis=1), np.ones(len(matrix)), 4 * rounding.slack_of(case))
    yield Reading(-matrix, np.zeros_like(matrix), 4 * rounding.slack_of(case), counts=False)


@claim(
    "cdf-column-sums",
    statement="Column j of the CDF form sums to (clip(r + g z_{j+1}) - clip(r + g z_j)) / s: g if both are in range.",
    latex=r"\sum_iB^r_{ij}=(\mathrm{clip}(r+\gamma z_{j+1})-\mathrm{clip}(r+\gamma z_j))/s\le\gamma",
    source=f"{DERIVED}; for all grids of few atoms in `formal-column-sums`",
    evidence="derived",
    measured="column sums of A, a state at a time",
    bound="the formula over the rationals, at most the discount",
    family=ANY,
    searched="clipped or not",
    structured=lambda: GRIDS,
    attained=0.999,
    used_by="contraction in W1",
)
def cdf_column_sums(case: Case) -> Iterator[Reading]:
    """The mean of a projected Dirac is the clipped target."""
    matrix = case.operator.matrix().toarray()
    exact, m = Exact(case), case.on.atoms
    low, high = exact.atoms[0], exact.atoms[-1]
    sums = matrix.reshape(case.states, m - 1, case.states, m - 1).sum(axis=1)
    expected = np.zeros_like(sums)
    mass = np.zeros((case.states, case.states))
    for x, y, p, r in _exact_columns(case):
        targets = [min(max(r + exact.g * z, low), high) for z in exact.atoms]
        expected[x, y] += [float(p * (b - a) / exact.spacing) for a, b in itertools.pairwise(targets)]
        mass[x, y] += float(p)
    slack = 4 * rounding.slack_of(case) * m
    yield same(sums, expected, slack)
    if case.discount > 1e-6:
        yield Reading(sums, case.discount * mass[:, :, None] * np.ones(m - 1), slack)


@claim(
    "cdf-two-nonzeros",
    statement="On a uniform grid a column of B^r has at most two non-zeros for discounts of at most 1.",
    latex=r"\#\{i:B^r_{ij}\ne0\}\le2",
    source=DERIVED,
    evidence="derived",
    measured="non-zeros in a column, one reward and successor at a time",
    bound="2",
    family=on_grid(0, states=1, random_rewards=False),
    structured=lambda: [case for case in GRIDS if case.states == 1 and len(case.rows) == 1],
    attained=0.999,
    used_by="memory of CategoricalBellman.matrix",
)
def cdf_two_nonzeros(case: Case) -> Iterator[Reading]:
    """B_ij = H_i(r + g z_j) - H_i(r + g z_{j+1}): the targets are less than a cell apart."""
    if len(case.rows) == 1 and not case.rows[0][4]:
        matrix = case.operator.matrix().toarray()
        yield Reading((np.abs(matrix) > 1e-12).sum(axis=0), np.full(len(matrix), 2))
