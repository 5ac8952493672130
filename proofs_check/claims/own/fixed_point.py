"""The error of the categorical fixed point; proofs in docs/certificate.md and docs/proofs.md."""

import math
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl import theory
from distrl.dp.certificate import Certifier
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.own._shared import BINS, HALF_WAY, MILD_CASES, MILD_GRIDS, distances, solved
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, Family, models, on_grid, structured_models, with_grids

PLACE = 2


@claim(
    "fixed-point-w1",
    statement="Without clipping the categorical fixed point is within s / (2 sqrt(1 - g^2)) of the truth in W1.",
    latex=r"W_1(\eta_C,\eta)\le\frac s{2\sqrt{1-\gamma^2}}",
    source="own result: docs/certificate.md",
    evidence="derived",
    assumes="a covering grid",
    measured="sup-W1 of the fixed point to reference laws",
    bound="theory.fixed_point_w1",
    family=MILD_GRIDS,
    structured=lambda: [*MILD_CASES, HALF_WAY],
    attained=0.999,
    cost=8,
    used_by="theory.fixed_point_w1, target_w1",
)
def fixed_point_w1(case: Case) -> Iterator[Reading]:
    """delta <= s^2 / 4 in the certificate."""
    if not Exact(case).clips():
        gaps, error = distances(case, np.asarray(solved(case).returns.probs))
        yield Reading(float(gaps.max()), theory.fixed_point_w1(case.on.spacing, case.discount), error)


@claim(
    "fixed-point-w2",
    statement="Without clipping W2 to the truth is at most the root of what the variance gained, state by state.",
    latex=r"W_2(\eta_C(x),\eta(x))\le\sqrt{\mathrm{Var}_C(x)-\mathrm{Var}(x)}",
    source="own result: docs/proofs.md",
    evidence="derived",
    assumes="a covering grid",
    measured="W2 of the fixed point to reference laws",
    bound="theory.fixed_point_w2",
    family=MILD_GRIDS,
    structured=lambda: MILD_CASES,
    attained=0.99,
    cost=8,
)
def fixed_point_w2(case: Case) -> Iterator[Reading]:
    """eta_C is above eta in convex order: Strassen's martingale coupling."""
    if Exact(case).clips():
        return
    returns = solved(case).returns
    values, weights, error = ex.true_laws(case, BINS)
    variance = np.asarray(distrl.evaluate(case.model, distrl.Moments(2)).returns.var())
    bound = theory.fixed_point_w2(variance, np.asarray(returns.var()))
    for x in range(case.states):
        reference = distrl.ParticleReturns(values[x], weights[x] / weights[x].sum())
        gap = float(distrl.wasserstein(returns[x], reference, p=2))
        # the reference's own error is a martingale's too, bounded by `error` in W2; variances by rounding
        yield Reading(gap, float(bound[x]), error + 1e-6 * math.sqrt(case.on.width) * (1.0 + case.on.width))


@claim(
    "variance-inflation",
    statement="Without clipping the fixed point's variance exceeds the true one by exactly [(I - g^2 P)^{-1} delta].",
    latex=r"\mathrm{Var}_C-\mathrm{Var}=(I-\gamma^2P)^{-1}\delta",
    source="own result: docs/certificate.md",
    evidence="derived",
    assumes="a covering grid",
    measured="variance of the fixed point over the rationals, less the true one",
    bound="the linear system over the rationals (equality); the certificate's rounding term is held against it",
    family=on_grid(0, atoms=4, states=2, covering=True, mild=True),
    structured=lambda: [case for case in with_grids(structured_models((0.5,)), (2, 4)) if case.states <= 2],
    cost=8,
    used_by="Certifier",
)
def variance_inflation(case: Case) -> Iterator[Reading]:
    """Projection adds delta to the variance at every step, and keeps means."""
    exact = Exact(case)
    if exact.clips() or 0.0 < case.discount < 1e-6:
        return
    fixed = ex.fixed_point(exact)
    # rounding can leave the covering grid by 1e-16: the identity is then off by as much, and floats compare it
    images = exact.bellman(fixed)
    delta = [ex.variance(exact.project(law)) - ex.variance(law) for law in images]
    gained = [float(v) for v in ex.resolvent(exact, 2, delta)]
    true = [float(v) for v in ex.variances(exact)]
    total = np.array([float(ex.variance(law)) for law in fixed])
    slack = 1e-9 * (1.0 + case.on.width**2 + case.on.high**2 + case.on.low**2)
    yield Reading(total, np.add(true, gained), slack, equal=True)
    operator = case.operator
    certificate, _ = Certifier(case.model, operator).certify(exact.pmf(fixed))
    yield same(certificate.rounding**2, gained, slack)


@claim(
    "fixed-point-cramer-sharp",
    statement="The fixed point's squared Cramer distance to the truth is at most s / (4 (1 - g)).",
    latex=r"\bar\ell_2^2(\eta_C,\eta)\le\frac s{4(1-\gamma)}",
    source="derived: docs/proofs.md; a quarter of Rowland et al. 2018, Proposition 3",
    evidence="derived",
    assumes="the true returns lie on the grid's range",
    measured="sup squared Cramer distance to reference laws",
    bound="theory.fixed_point_cramer_squared_sharp",
    family=MILD_GRIDS,
    structured=lambda: [*MILD_CASES, HALF_WAY],
    attained=0.9,
    cost=8,
)
def fixed_point_cramer_sharp(case: Case) -> Iterator[Reading]:
    """One projection costs s / 4, by Pythagoras the errors add up."""
    gaps, error = distances(case, np.asarray(solved(case).returns.probs), power=2)
    bound = float(theory.fixed_point_cramer_squared_sharp(case.on.spacing, case.discount))
    yield Reading(float(gaps.max()), bound, 2 * error)


@st.composite
def _tight_grids(draw: st.DrawFn) -> Case:
    case = draw(models(states=2, mild=True).strategy)
    grid = distrl.Grid.tight(case.model, draw(st.integers(2, 8)))
    return Case(case.rows, case.discount, (grid.low, grid.high, grid.atoms))


def _tight_cycles() -> list[Case]:
    cases = []
    for g in (0.5, 0.9, 0.95):
        first, second = 1.0 / (1.0 - g * g), g / (1.0 - g * g)
        rows = ((0, 1.0, 1, 1.0, False), (1, 1.0, 0, 0.0, False))
        cases += [Case(rows, g, (second, first, atoms)) for atoms in (2, 5, 20)]
    return cases


@claim(
    "fixed-point-w1-absolute",
    statement="The fixed point is within s / (2 (1 - g)) of the truth in W1 if the grid covers the true returns.",
    latex=r"W_1(\eta_C,\eta)\le\frac s{2(1-\gamma)}",
    source="derived: docs/proofs.md",
    evidence="derived",
    assumes="the true returns lie on the grid's range",
    measured="sup-W1 of the fixed point to reference laws",
    bound="theory.fixed_point_w1_absolute",
    family=Family(_tight_grids(), "processes of up to 2 states, tight grids of up to 8 atoms, discounts up to .8"),
    searched="deterministic cycles",
    structured=_tight_cycles,
    attained=0.9,
    cost=8,
)
def fixed_point_w1_absolute(case: Case) -> Iterator[Reading]:
    """W1(Pi eta, eta) <= s / 2, and the contraction."""
    gaps, error = distances(case, np.asarray(solved(case).returns.probs))
    yield Reading(float(gaps.max()), float(theory.fixed_point_w1_absolute(case.on.spacing, case.discount)), error)


@claim(
    "fixed-point-clipping-a-priori",
    statement="With clipping W1 is at most [(I - gP)^{-1} w], w half a spacing plus the true expected overshoot.",
    latex=r"W_1(x)\le[(I-\gamma P)^{-1}w](x),\ w=\tfrac s2+E\,\mathrm{dist}(G,[z_1,z_m])",
    source="derived: docs/proofs.md",
    evidence="derived",
    measured="W1 of the fixed point to reference laws",
    bound="the linear system",
    family=on_grid(0, atoms=8, mild=True, states=2),
    structured=lambda: [*_tight_cycles()[:3], *(Case(c.rows, c.discount, c.grid) for c in CLIPPED[:6])],
    cost=8,
)
def fixed_point_clipping_a_priori(case: Case) -> Iterator[Reading]:
    """The projection error of the true law at every step."""
    gaps, error = distances(case, np.asarray(solved(case).returns.probs))
    values, weights, _ = ex.true_laws(case, BINS)
    low, high = case.on.low, case.on.high
    w = [
        case.on.spacing / 2.0 + float(p @ (np.maximum(v - high, 0.0) + np.maximum(low - v, 0.0)))
        for v, p in zip(values, weights, strict=True)
    ]
    system = np.eye(case.states) - case.discount * case.model.continuation.toarray()
    yield Reading(gaps, np.linalg.solve(system, np.array(w)), error * (1.0 + 1.0 / (1.0 - case.discount)))


@claim(
    "atom-count",
    statement="m - 1 >= width / (2 e sqrt(1 - g^2)) atoms are enough for a W1 error of e.",
    latex=r"m-1\ge\frac{w}{2\varepsilon\sqrt{1-\gamma^2}}\Rightarrow W_1(\eta_C,\eta)\le\varepsilon",
    source="own result: docs/proofs.md",
    evidence="derived",
    assumes="a covering grid",
    measured="sup-W1 of the fixed point with theory.atoms_for_w1 atoms",
    bound="the target",
    searched="structured processes, targets 1/4 to 1/50 of the width",
    structured=lambda: [
        Case(case.rows, case.discount, numbers={"share": share})
        for case in structured_models((0.5, 0.8))
        for share in (0.25, 0.02)
    ],
    cost=2,
    used_by="theory.atoms_for_w1, CategoricalFixedPoint(target_w1=...)",
)
def atom_count(case: Case) -> Iterator[Reading]:
    """`fixed-point-w1` solved for the spacing."""
    width = distrl.Grid.covering(case.model, 2).width
    target = case.numbers["share"] * width
    grid = distrl.Grid.covering(case.model, theory.atoms_for_w1(target, width, case.discount))
    there = Case(case.rows, case.discount, (grid.low, grid.high, grid.atoms))
    gaps, error = distances(there, np.asarray(solved(there).returns.probs))
    yield Reading(float(gaps.max()), target, error)
    yield Reading(theory.fixed_point_w1(grid.spacing, case.discount), target, 1e-9 * target, counts=False)
