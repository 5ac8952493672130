"""Convex order; proofs in docs/brackets.md."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.own._shared import BINS, MILD_CASES, MILD_GRIDS, half_way, solved
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, ON_GRIDS, on_grid

PLACE = 5


@claim(
    "projection-convex-order",
    statement="A law on the grid's range is below its projection in convex order.",
    latex=r"\mu\le_{cx}\Pi\mu",
    source="own result: docs/brackets.md",
    evidence="derived",
    assumes="the law lies on the grid's range",
    measured="stop-loss of the law at all values and atoms, exact",
    bound="stop-loss of the projection",
    family=on_grid(1, particles=3),
    searched="clipped to the range",
    structured=half_way,
    attained=0.999,
)
def projection_convex_order(case: Case) -> Iterator[Reading]:
    """Splitting a mass without moving its mean."""
    exact = Exact(case)
    for law in exact.laws(0):
        inside = exact.inside(law)
        image = exact.project(inside)
        for k in {*inside, *exact.atoms}:
            yield Reading(ex.stop_loss(inside, k), ex.stop_loss(image, k))


@claim(
    "categorical-convex-monotone",
    statement="Without clipping the categorical operator keeps convex order.",
    latex=r"\mu\le_{cx}\nu\Rightarrow\Pi T\mu\le_{cx}\Pi T\nu",
    source="own result: docs/brackets.md",
    evidence="derived",
    assumes="a covering grid; the second law is the first with masses spread to the ends of the grid",
    measured="stop-loss of the image of the smaller law, exact",
    bound="that of the larger one's",
    family=on_grid(1, covering=True),
    searched="spread by halves",
    structured=lambda: ON_GRIDS,
    attained=0.999,
    used_by="Brackets",
)
def categorical_convex_monotone(case: Case) -> Iterator[Reading]:
    """Mixing, scaling and interpolation keep it."""
    exact = Exact(case)
    if exact.clips():
        return
    smaller = exact.laws(0)
    low, high = exact.atoms[0], exact.atoms[-1]
    spread = []
    for law in smaller:
        ends = ((high, mass * (v - low) / (high - low) / 2) for v, mass in law.items())
        others = ((low, mass * (high - v) / (high - low) / 2) for v, mass in law.items())
        spread.append(ex.add_up([*((v, mass / 2) for v, mass in law.items()), *ends, *others]))
    room = Fraction(rounding.ROUNDED) * (high - low)  # the grid covers up to rounding
    for first, second in zip(exact.image(smaller), exact.image(spread), strict=True):
        for k in exact.atoms:
            yield Reading(ex.stop_loss(first, k), ex.stop_loss(second, k), room)


def _above(case: Case) -> Iterator[Reading]:
    values, weights, error = ex.true_laws(case, BINS)
    fixed = np.asarray(solved(case).returns.probs)
    for x in range(case.states):
        for k in case.on.points:
            truth = float(weights[x] @ np.maximum(values[x] - k, 0.0))
            yield Reading(truth, float(fixed[x] @ np.maximum(case.on.points - k, 0.0)), error + 1e-9 * case.on.width)


@claim(
    "fixed-point-convex-order",
    statement="Without clipping the categorical fixed point is above the truth in convex order.",
    latex=r"\eta\le_{cx}\eta_C",
    source="own result: docs/brackets.md",
    evidence="derived",
    assumes="a covering grid",
    measured="stop-loss of reference laws at the atoms",
    bound="that of the fixed point",
    family=MILD_GRIDS,
    structured=lambda: MILD_CASES,
    attained=0.999,
    cost=8,
)
def fixed_point_convex_order(case: Case) -> Iterator[Reading]:
    """eta_C = Pi T eta_C >= T eta_C >= T T eta_C ..."""
    if not Exact(case).clips():
        yield from _above(case)


@claim(
    "fixed-point-convex-order-clipped",
    statement="The categorical fixed point is above the truth in convex order on every grid.",
    latex=r"\eta\le_{cx}\eta_C",
    source="the premise of `fixed-point-convex-order` left out",
    evidence="derived",
    expected="refuted",
    measured="stop-loss of reference laws at the atoms",
    bound="that of the fixed point",
    searched="grids that clip",
    structured=lambda: [Case(c.rows, c.discount, c.grid) for c in CLIPPED if c.discount < 0.6],
)
def fixed_point_convex_order_clipped(case: Case) -> Iterator[Reading]:
    """Clipping takes from the stop-loss."""
    return _above(case)
