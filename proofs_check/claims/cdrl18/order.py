"""What the categorical operator keeps: means and stochastic order."""

from collections.abc import Iterator

import numpy as np

from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.cdrl18 import GRID, SOURCE
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, ON_GRIDS, on_grid

PLACE = 3


@claim(
    "mean-preservation",
    statement="The categorical operator keeps means where no target is clipped.",
    latex=r"E(\Pi T\mu)(x)=E[R+\gamma\,E\mu(X')]",
    source=f"{SOURCE}; BDR23, chapter 5",
    evidence="read",
    assumes="all targets on the grid's range",
    measured="means of the image",
    bound="the means' own Bellman equation, exact (equality)",
    family=on_grid(1, covering=True),
    structured=lambda: ON_GRIDS,
    used_by="values of every categorical method",
)
def mean_preservation(case: Case) -> Iterator[Reading]:
    """Splitting in proportion to nearness keeps the mean."""
    return iter(()) if Exact(case).clips() else _means(case)


def _means(case: Case) -> Iterator[Reading]:
    exact = Exact(case)
    mu = exact.laws(0)
    image = np.asarray(case.operator(case.weights[0]))
    slack = rounding.slack_of(case) * (abs(case.on.low) + abs(case.on.high)) + rounding.ROUNDED * case.on.width
    yield Reading(image @ case.on.points, [float(ex.mean(law)) for law in exact.bellman(mu)], slack, equal=True)


@claim(
    "mean-preservation-clipped",
    statement="The categorical operator keeps means on every grid.",
    latex=r"E(\Pi T\mu)(x)=E[R+\gamma\,E\mu(X')]",
    source="the premise of `mean-preservation` left out",
    evidence="derived",
    expected="refuted",
    measured="means of the image",
    bound="the means' own Bellman equation, exact (equality)",
    family=on_grid(1),
    structured=lambda: CLIPPED,
)
def mean_preservation_clipped(case: Case) -> Iterator[Reading]:
    """Clipping moves mass."""
    return _means(case)


@claim(
    "categorical-monotone",
    statement="The categorical operator keeps stochastic order.",
    latex=r"F_\mu\ge F_\nu\Rightarrow F_{\Pi T\mu}\ge F_{\Pi T\nu}",
    source=f"{SOURCE}, Proposition 5",
    evidence="read",
    assumes="the second law is the first with mass moved up",
    measured="CDF of the image of the larger law",
    bound="CDF of the image of the smaller law",
    family=GRID,
    structured=lambda: ON_GRIDS,
    attained=0.999,
    used_by="Brackets(order='stochastic')",
)
def categorical_monotone(case: Case) -> Iterator[Reading]:
    """Cell averages of ordered functions are ordered."""
    cdfs = [np.cumsum(weights, axis=1) for weights in case.weights]
    larger, smaller = np.minimum(*cdfs), np.maximum(*cdfs)
    operator = case.operator
    images = [np.asarray(operator(np.diff(cdf, axis=1, prepend=0.0))) for cdf in (larger, smaller)]
    above, below = (np.cumsum(image, axis=1) for image in images)
    yield Reading(above, below, 4 * rounding.slack_of(case))
