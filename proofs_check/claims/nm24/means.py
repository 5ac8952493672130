"""Means of the categorical fixed point."""

from collections.abc import Iterator

import numpy as np

import distrl
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.nm24 import COVERING, DERIVED, GRIDS
from proofs_check.exact import Exact

PLACE = 3


def _fixed_means(case: Case) -> Iterator[Reading]:
    solution = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on), throw=False)
    if solution.converged and case.discount < 0.999:
        expected = np.array(ex.values(Exact(case)), dtype=float)
        size = abs(case.on.low) + abs(case.on.high)
        slack = 4 * solution.tol + (64 * rounding.slack_of(case) + rounding.ROUNDED) * size / (1.0 - case.discount)
        yield Reading(np.asarray(solution.returns.mean()), expected, slack, equal=True)


@claim(
    "dcfp-mean",
    statement="Where nothing is clipped the fixed point's means are exact.",
    latex=r"E\,\eta_C=(I-\gamma P)^{-1}r",
    source=DERIVED,
    evidence="derived",
    assumes="a covering grid",
    measured="means of the fixed point",
    bound="(I - g P)^{-1} r over the rationals (equality)",
    family=COVERING,
    structured=lambda: GRIDS[:12],
    cost=5,
    used_by="Solution.values",
)
def dcfp_mean(case: Case) -> Iterator[Reading]:
    """`mean-preservation` at the fixed point."""
    if not Exact(case).clips():
        yield from _fixed_means(case)


@claim(
    "dcfp-mean-covering-returns-only",
    statement="A grid that covers the true returns is enough for exact means.",
    latex=r"\mathrm{supp}\,\eta\subset[z_1,z_m]\Rightarrow E\,\eta_C=(I-\gamma P)^{-1}r",
    source="the premise of `dcfp-mean` weakened",
    evidence="numerical",
    expected="refuted",
    assumes="the true returns lie on the grid's range",
    measured="means of the fixed point",
    bound="(I - g P)^{-1} r over the rationals (equality)",
    searched="the deterministic cycle with rewards 1 and 0 on the range of its two returns",
    structured=lambda: [
        Case(((0, 1.0, 1, 1.0, False), (1, 1.0, 0, 0.0, False)), 0.5, (0.0, 4 / 3, atoms)) for atoms in (2, 3, 5)
    ],
)
def dcfp_mean_covering_returns_only(case: Case) -> Iterator[Reading]:
    """Rounding puts mass on atoms that no return takes, and from there targets leave the range."""
    return _fixed_means(case)
