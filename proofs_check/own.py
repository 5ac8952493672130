"""This library's own results; proofs in docs/certificate.md, docs/brackets.md, docs/quantiles.md and docs/proofs.md."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy import stats

import distrl
from distrl import theory
from distrl._validation import FloatArray
from distrl.dp.certificate import Certifier, ParticleCertifier
from distrl.dp.resolvent import Resolvent
from distrl.operators.particle_targets import ParticleTargets
from proofs_check import exact as ex
from proofs_check.bdr23 import cvar
from proofs_check.case import Case
from proofs_check.cdrl18 import CLIPPED, STRUCTURED, lattice_off_grid, slack_of
from proofs_check.claim import Reading, claim, same, share_of_alarm
from proofs_check.exact import Exact
from proofs_check.families import MILD, models, on_grid, particle_laws, structured_models, with_grids, with_particles

BINS = 2000
MILD_GRIDS = on_grid(0, atoms=8, covering=True, discounts=MILD, states=2)
MILD_CASES = with_grids(structured_models((0.5, 0.8)), (2, 6))
HALF_WAY = Case(
    ((0, 1.0, 0, 0.5, True), (1, 1.0, 1, 1.0, True), (2, 1.0, 2, 0.0, True)), 0.0, (0.0, 1.0, 2)
)  # attains the bounds of one projection
COIN = Case(((0, 0.5, 0, 0.0, True), (0, 0.5, 0, 1.0, True)), 0.0)


def _solved(case: Case) -> distrl.Solution:
    return distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on), throw=False)


def _distances(case: Case, probs: FloatArray, power: int = 1) -> tuple[FloatArray, float]:
    """int |F - eta|^power per state to reference laws, and the reference's W1 error."""
    values, weights, error = ex.true_laws(case, BINS)
    gaps = [ex.w1_floats((case.on.points, probs[x]), (values[x], weights[x]), power) for x in range(case.states)]
    return np.array(gaps), error


# -- the certificate -------------------------------------------------------------------------------------------------

ANY_LAW = on_grid(1, atoms=8, discounts=MILD, states=2)


def _half_cells() -> list[Case]:
    """Rewards half-way between two atoms, ending: one step's rounding and nothing else. And laws far from theirs."""
    halfway = [Case(((0, 1.0, 0, 0.5, True),), g, (0.0, 1.0, 2), (np.array([[0.5, 0.5]]),)) for g in (0.0, 0.5)]
    far = [Case(((0, 1.0, 0, 0.0, False),), g, (0.0, 4.0, 5), (np.array([[0, 0, 0, 0, 1.0]]),)) for g in (0.5, 0.75)]
    return [*halfway, *far]


def _parts(case: Case) -> tuple[FloatArray, Any, float]:
    operator = distrl.operators.CategoricalBellman(case.model, case.on)
    certificate, _ = Certifier(case.model, operator).certify(case.weights[0])
    gaps, error = _distances(case, case.weights[0])
    return gaps, certificate, error


@claim(
    "certificate-martingale-coupling",
    statement="Any law on the grid is within the certificate of the truth in W1, converged or not, clipped or not.",
    latex=r"W_1(F(x),\eta(x))\le\sqrt{[(I-\gamma^2P)^{-1}\delta](x)}+[(I-\gamma P)^{-1}(o+\rho)](x)",
    source="own result: docs/certificate.md",
    evidence="derived",
    assumes="finite means",
    measured="W1 to reference laws",
    bound="Certifier.certify(F).w1",
    searched="any law on any grid of up to 8 atoms, processes of up to 2 states, discounts up to .8",
    family=ANY_LAW,
    structured=lambda: [*_half_cells(), *with_laws_mild(), *CLIPPED[:9]],
    attained=0.999,
    cost=5,
    used_by="Solution.certificate",
)
def _(case: Case) -> Iterator[Reading]:
    """Couple along one trajectory: rounding errors are martingale differences and add in squares."""
    gaps, certificate, error = _parts(case)
    yield Reading(gaps, certificate.w1, error)
    solution = _solved(case)
    if solution.certificate is not None:
        found, error = _distances(case, np.asarray(solution.returns.probs))
        yield Reading(found, solution.certificate.w1, error)


def with_laws_mild() -> list[Case]:
    return [case for case in STRUCTURED if case.discount <= 0.5][::3]


def _without(name: str, dropped: str, words: str, structured: Callable[[], list[Case]]) -> None:
    @claim(
        f"certificate-without-{dropped}",
        statement=f"The certificate may leave out {words}.",
        latex=name,
        source="a term of `certificate-martingale-coupling` left out",
        evidence="derived",
        expected="refuted",
        measured="W1 to reference laws",
        bound=f"the certificate less its part for {words}",
        searched="any law on any grid of up to 8 atoms",
        family=ANY_LAW,
        structured=structured,
        cost=3,
    )
    def _(case: Case) -> Iterator[Reading]:
        """Each of the three errors occurs alone."""
        gaps, certificate, error = _parts(case)
        yield Reading(gaps, certificate.w1 - getattr(certificate, dropped), error)


_without(r"o=0", "overshoot", "the expected overshoot", lambda: CLIPPED)
_without(r"\rho=0", "residual", "the residual", _half_cells)
_without(r"\delta=0", "rounding", "rounding", _half_cells)


@claim(
    "certificate-one-step-transport",
    statement="Any particles are within [(I - gP)^{-1} r] of the truth in W1, r their distance to their own target.",
    latex=r"W_1(\theta(x),\eta(x))\le[(I-\gamma P)^{-1}r](x),\ r=W_1(\theta,T\theta)",
    source="own result: docs/quantiles.md",
    evidence="derived",
    measured="W1 to reference laws",
    bound="ParticleCertifier.certify(theta).w1",
    searched="laws of up to 3 values, processes of up to 2 states, discounts up to .8; QuantileDP and ExpectileDP too",
    family=particle_laws(1, 3, states=2, discounts=MILD),
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
    cost=10,
    used_by="QuantileDP, ExpectileDP",
)
def _(case: Case) -> Iterator[Reading]:
    """T contracts state by state; the triangle inequality."""
    values, weights, error = ex.true_laws(case, BINS)
    targets = ParticleTargets(case.model.outcomes, case.discount, 1)
    methods = (distrl.QuantileDP(3), distrl.ExpectileDP(3))
    solved = [distrl.evaluate(case.model, method, throw=False) for method in methods]
    for law in [case.law(0), *(solution.returns for solution in solved)]:
        bound = ParticleCertifier(case.model, targets).certify(law).w1
        own_values, own_weights = law.support_weights()
        own_weights = np.broadcast_to(own_weights, own_values.shape)
        for x in range(case.states):
            gap = ex.w1_floats((own_values[x], own_weights[x]), (values[x], weights[x]))
            yield Reading(gap, float(bound[x]), error)


@claim(
    "particles-martingale",
    statement="Merged particles are within the root of the variance that merging took from the truth, in W2 and W1.",
    latex=r"W_1(x)\le W_2(x)\le\sqrt{\mathrm{Var}(x)-\mathrm{Var}_{particles}(x)}",
    source="own result: docs/proofs.md",
    evidence="derived",
    measured="W1 of ParticleDP's laws to reference laws",
    bound="Solution.certificate.w1",
    searched="any grid of up to 8 atoms, processes of up to 2 states, discounts up to .8, 1 to 6 sweeps and all",
    family=on_grid(0, atoms=8, discounts=MILD, states=2),
    structured=lambda: [*MILD_CASES[::2], *(Case(c.rows, c.discount, c.grid) for c in CLIPPED[:6]), *_far_branches()],
    attained=0.9,
    cost=8,
    used_by="ParticleDP",
)
def _(case: Case) -> Iterator[Reading]:
    """Merging is a conditional expectation: the true return is a particle's value plus an error of mean 0 given it."""
    if case.discount > 0.99:  # no reference law: the difference of the variances, exactly
        yield from _exact_difference(case)
        return
    values, weights, error = ex.true_laws(case, BINS)
    for sweeps in (1, 2, 6, None):
        solution = distrl.evaluate(case.model, distrl.ParticleDP(grid=case.on, sweeps=sweeps), throw=False)
        assert solution.certificate is not None
        own_values, own_weights = solution.returns.support_weights()
        for x in range(case.states):
            gap = ex.w1_floats((own_values[x], own_weights[x]), (values[x], weights[x]))
            yield Reading(gap, float(solution.certificate.w1[x]), error)


def _far_branches() -> list[Case]:
    """Small noise in one of two branches 10^5 apart, at .999999: variances near 10^10 that differ by 1 or so."""
    cases = []
    for p, first, second, drift, noise in ((0.29, 0.04, 0.52, 0.08, 6e-4), (0.3, 0.7, 1.0, 0.24, 8e-4)):
        start = ((0, p, 1, 0.0, False), (0, 1.0 - p, 2, 0.0, False))
        branches = ((1, 1.0, 3, first, False), (3, 1.0, 1, second, False))
        noisy = ((2, 0.5, 2, drift + noise, False), (2, 0.5, 2, drift - noise, False))
        grid = distrl.Grid.covering(distrl.MRP.from_outcomes((*start, *branches, *noisy), 0.999999), 25)
        cases.append(Case((*start, *branches, *noisy), 0.999999, (grid.low, grid.high, 25)))
    return cases


def _exact_difference(case: Case) -> Iterator[Reading]:
    """E (G - Z)^2 of the martingale coupling is Var - Var of the particles, in rational arithmetic."""
    exact = Exact(case)
    solution = distrl.evaluate(case.model, distrl.ParticleDP(grid=case.on), throw=False)
    assert solution.certificate is not None
    means = ex.values(exact)
    noise = [
        sum((p * (r + (0 if end else exact.g * means[y]) - means[x]) ** 2 for p, y, r, end in rows), Fraction(0))
        for x, rows in enumerate(exact.outcomes)
    ]
    for x, true in enumerate(ex.resolvent(exact, 2, noise)):
        law = solution.returns[x]
        kept = [
            (Fraction(float(v)) - means[x], Fraction(float(w))) for v, w in zip(law.values, law.weights, strict=True)
        ]
        total = sum((w for _, w in kept), Fraction(0))
        mean = sum((w * v for v, w in kept), Fraction(0)) / total
        spread = sum((w * (v - mean) ** 2 for v, w in kept), Fraction(0)) / total
        # W2 is at least that by which standard deviations differ, and floats may have moved the particles' variance up
        missing = max(float(true - spread), 0.0)
        yield Reading(math.sqrt(missing), float(solution.certificate.w1[x]))


# -- the fixed point's error -----------------------------------------------------------------------------------------


@claim(
    "fixed-point-w1",
    statement="Without clipping the categorical fixed point is within s / (2 sqrt(1 - g^2)) of the truth in W1.",
    latex=r"W_1(\eta_C,\eta)\le\frac s{2\sqrt{1-\gamma^2}}",
    source="own result: docs/certificate.md",
    evidence="derived",
    assumes="a covering grid",
    measured="sup-W1 of the fixed point to reference laws",
    bound="theory.fixed_point_w1",
    searched="covering grids of up to 8 atoms, discounts up to .8",
    family=MILD_GRIDS,
    structured=lambda: [*MILD_CASES, HALF_WAY],
    attained=0.999,
    cost=8,
    used_by="theory.fixed_point_w1, target_w1",
)
def _(case: Case) -> Iterator[Reading]:
    """delta <= s^2 / 4 in the certificate."""
    if not Exact(case).clips():
        gaps, error = _distances(case, np.asarray(_solved(case).returns.probs))
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
    searched="covering grids of up to 8 atoms, discounts up to .8",
    family=MILD_GRIDS,
    structured=lambda: MILD_CASES,
    attained=0.99,
    cost=8,
)
def _(case: Case) -> Iterator[Reading]:
    """eta_C is above eta in convex order: Strassen's martingale coupling."""
    if Exact(case).clips():
        return
    returns = _solved(case).returns
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
    searched="processes of up to 2 states, covering grids of up to 4 atoms",
    family=on_grid(0, atoms=4, states=2, covering=True, discounts=MILD),
    structured=lambda: [case for case in with_grids(structured_models((0.5,)), (2, 4)) if case.states <= 2],
    cost=8,
    used_by="Certifier",
)
def _(case: Case) -> Iterator[Reading]:
    """Projection adds delta to the variance at every step, and keeps means."""
    exact = Exact(case)
    if exact.clips() or 0.0 < case.discount < 1e-6:
        return
    fixed = ex.fixed_point(exact)
    # rounding can leave the covering grid by 1e-16: the identity is then off by as much, and floats compare it
    images = exact.bellman(fixed)
    delta = [ex.variance(exact.project(law)) - ex.variance(law) for law in images]
    gained = [float(v) for v in ex.resolvent(exact, 2, delta)]
    means = ex.values(exact)
    noise = [
        sum((p * (r + (0 if end else exact.g * means[y]) - means[x]) ** 2 for p, y, r, end in rows), Fraction(0))
        for x, rows in enumerate(exact.outcomes)
    ]
    true = [float(v) for v in ex.resolvent(exact, 2, noise)]
    total = np.array([float(ex.variance(law)) for law in fixed])
    slack = 1e-9 * (1.0 + case.on.width**2 + case.on.high**2 + case.on.low**2)
    yield Reading(total, np.add(true, gained), slack, equal=True)
    operator = distrl.operators.CategoricalBellman(case.model, case.on)
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
    searched="covering grids of up to 8 atoms, discounts up to .8",
    family=MILD_GRIDS,
    structured=lambda: [*MILD_CASES, HALF_WAY],
    attained=0.9,
    cost=8,
)
def _(case: Case) -> Iterator[Reading]:
    """One projection costs s / 4, by Pythagoras the errors add up."""
    gaps, error = _distances(case, np.asarray(_solved(case).returns.probs), power=2)
    bound = float(theory.fixed_point_cramer_squared_sharp(case.on.spacing, case.discount))
    yield Reading(float(gaps.max()), bound, 2 * error)


@st.composite
def _tight_grids(draw: st.DrawFn) -> Case:
    case = draw(models(states=2, discounts=MILD))
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
    searched="tight grids of up to 8 atoms, discounts up to .8; deterministic cycles",
    family=_tight_grids(),
    structured=_tight_cycles,
    attained=0.9,
    cost=8,
)
def _(case: Case) -> Iterator[Reading]:
    """W1(Pi eta, eta) <= s / 2, and the contraction."""
    gaps, error = _distances(case, np.asarray(_solved(case).returns.probs))
    yield Reading(float(gaps.max()), float(theory.fixed_point_w1_absolute(case.on.spacing, case.discount)), error)


@claim(
    "fixed-point-clipping-a-priori",
    statement="With clipping W1 is at most [(I - gP)^{-1} w], w half a spacing plus the true expected overshoot.",
    latex=r"W_1(x)\le[(I-\gamma P)^{-1}w](x),\ w=\tfrac s2+E\,\mathrm{dist}(G,[z_1,z_m])",
    source="derived: docs/proofs.md",
    evidence="derived",
    measured="W1 of the fixed point to reference laws",
    bound="the linear system",
    searched="any grid of up to 8 atoms, discounts up to .8",
    family=on_grid(0, atoms=8, discounts=MILD, states=2),
    structured=lambda: [*_tight_cycles()[:3], *(Case(c.rows, c.discount, c.grid) for c in CLIPPED[:6])],
    cost=8,
)
def _(case: Case) -> Iterator[Reading]:
    """The projection error of the true law at every step."""
    gaps, error = _distances(case, np.asarray(_solved(case).returns.probs))
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
def _(case: Case) -> Iterator[Reading]:
    """`fixed-point-w1` solved for the spacing."""
    width = distrl.Grid.covering(case.model, 2).width
    target = case.numbers["share"] * width
    grid = distrl.Grid.covering(case.model, theory.atoms_for_w1(target, width, case.discount))
    there = Case(case.rows, case.discount, (grid.low, grid.high, grid.atoms))
    gaps, error = _distances(there, np.asarray(_solved(there).returns.probs))
    yield Reading(float(gaps.max()), target, error)
    yield Reading(theory.fixed_point_w1(grid.spacing, case.discount), target, 1e-9 * target, counts=False)


# -- one projection --------------------------------------------------------------------------------------------------


def _half_way() -> list[Case]:
    one = np.ones((1, 1))
    rows = ((0, 1.0, 0, 0.0, False),)
    middle = [Case(rows, 0.5, (0.0, 4.0, m), (one,), (np.full((1, 1), 2.0 / (m - 1)),)) for m in (2, 3, 5)]
    return [*middle, *(Case(c.rows, c.discount, c.grid, c.weights[:1], c.values[:1]) for c in lattice_off_grid())]


def _projection(
    name: str, words: str, latex: str, reading: Callable[[Exact, ex.ExactLaw, ex.ExactLaw], Reading]
) -> None:
    @claim(
        f"projection-{name}-error",
        statement=f"One projection of a law on the grid's range costs at most {words}.",
        latex=latex,
        source="derived: docs/proofs.md",
        evidence="derived",
        assumes="the law lies on the grid's range",
        measured="the law against its projection, exact",
        bound=words,
        searched="laws of up to 3 values, clipped to the range",
        family=on_grid(1, particles=3),
        structured=_half_way,
        attained=0.999,
        used_by=f"theory.projection_{name}",
    )
    def _(case: Case) -> Iterator[Reading]:
        """A Dirac half-way between two atoms is the worst."""
        exact = Exact(case)
        for law in exact.laws(0):
            inside = ex.add_up((min(max(v, exact.atoms[0]), exact.atoms[-1]), mass) for v, mass in law.items())
            yield reading(exact, inside, exact.project(inside))


_projection(
    "w1",
    "half a spacing in W1",
    r"W_1(\mu,\Pi\mu)\le s/2",
    lambda exact, law, image: Reading(ex.w1(law, image), Fraction(float(theory.projection_w1(1.0))) * exact.spacing),
)
_projection(
    "cramer_squared",
    "a quarter of the spacing in squared Cramer distance",
    r"\ell_2^2(\mu,\Pi\mu)\le s/4",
    lambda exact, law, image: Reading(
        ex.cramer_squared(law, image), Fraction(float(theory.projection_cramer_squared(1.0))) * exact.spacing
    ),
)
_projection(
    "variance",
    "a quarter of the spacing squared in variance",
    r"\mathrm{Var}\,\Pi\mu-\mathrm{Var}\,\mu\le s^2/4",
    lambda exact, law, image: Reading(
        ex.variance(image) - ex.variance(law), Fraction(float(theory.projection_variance(1.0))) * exact.spacing**2
    ),
)


# -- contraction and distances ---------------------------------------------------------------------------------------


@claim(
    "grid-w2-contraction",
    statement="Between laws on its own uniform grid the categorical operator contracts sup-W2 with modulus sqrt(g).",
    latex=r"\bar W_p(\Pi T\mu,\Pi T\nu)\le\gamma^{1/p}\bar W_p(\mu,\nu)\text{ on the grid}",
    source="own result: docs/proofs.md",
    evidence="derived",
    assumes="laws on the operator's own grid",
    measured="sup-W2 squared of the images, exact",
    bound="discount * that of the laws",
    searched="any grid of up to 6 atoms, clipped or not",
    family=on_grid(2),
    structured=lambda: [*STRUCTURED, *CLIPPED],
    attained=0.999,
    used_by="theory.grid_wasserstein_modulus",
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="laws on any grid of up to 6 atoms",
    family=on_grid(2),
    structured=lambda: STRUCTURED,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="laws of up to 3 values",
    family=particle_laws(2, 3),
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
    used_by="Certificate.cramer",
)
def _(case: Case) -> Iterator[Reading]:
    """x^2 <= x on [0, 1]."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        yield Reading(ex.cramer_squared(mu, nu), ex.w1(mu, nu))


def _iteration(case: Case, power: int) -> tuple[float, float, float, float]:
    """(distance to the fixed point, residual, slack, spacing)."""
    solution = _solved(case)
    target, probs = np.asarray(solution.returns.probs), case.weights[0]
    image = np.asarray(distrl.operators.CategoricalBellman(case.model, case.on)(probs))
    sums = []
    for other in (target, image):
        gaps = np.abs(np.cumsum(probs - other, axis=1)[:, :-1])
        sums.append(float((gaps**power).sum(axis=1).max() * case.on.spacing))
    slack = 4 * (solution.tol + case.on.width * 16 * slack_of(case)) / (1.0 - case.discount)
    return sums[0], sums[1], slack, case.on.spacing


@claim(
    "iteration-error-w1",
    statement="An iterate is within residual / (1 - g) of the categorical fixed point in sup-W1.",
    latex=r"\bar W_1(F,F^*)\le\frac{\bar W_1(F,\Pi TF)}{1-\gamma}",
    source="the contraction; derived",
    evidence="derived",
    measured="sup-W1 to the solver's answer",
    bound="theory.iteration_w1",
    searched="any law on any grid of up to 6 atoms",
    family=on_grid(1),
    structured=lambda: STRUCTURED[:24],
    attained=0.999,
    cost=5,
    used_by="stopping rules",
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="any law on any grid of up to 6 atoms",
    family=on_grid(1),
    structured=lambda: STRUCTURED[:24],
    cost=5,
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="one-state processes, any grid of up to 6 atoms",
    family=on_grid(0, states=1),
    structured=lambda: [Case(((0, 1.0, 0, 0.5, False),), 0.5, (0.0, 2.0, 3))],
)
def _(case: Case) -> Iterator[Reading]:
    """r = 1/2 on {0, 1, 2} at g = 1/2: both eigenvalues are 1/2. Residuals may not be divided by 1 - g^2."""
    matrix = distrl.operators.CategoricalBellman(case.model, case.on).matrix().toarray()
    if len(matrix) > 1:
        eigenvalues = np.sort(np.abs(np.linalg.eigvals(matrix)))
        yield Reading(float(eigenvalues[-2]), case.discount**2, 1e-5)


# -- convex and stochastic order -------------------------------------------------------------------------------------


@claim(
    "projection-convex-order",
    statement="A law on the grid's range is below its projection in convex order.",
    latex=r"\mu\le_{cx}\Pi\mu",
    source="own result: docs/brackets.md",
    evidence="derived",
    assumes="the law lies on the grid's range",
    measured="stop-loss of the law at all values and atoms, exact",
    bound="stop-loss of the projection",
    searched="laws of up to 3 values, clipped to the range",
    family=on_grid(1, particles=3),
    structured=_half_way,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """Splitting a mass without moving its mean."""
    exact = Exact(case)
    for law in exact.laws(0):
        inside = ex.add_up((min(max(v, exact.atoms[0]), exact.atoms[-1]), mass) for v, mass in law.items())
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
    searched="covering grids of up to 6 atoms, spread by halves",
    family=on_grid(1, covering=True),
    structured=lambda: STRUCTURED,
    attained=0.999,
    used_by="Brackets",
)
def _(case: Case) -> Iterator[Reading]:
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
    room = Fraction(ex.ROUNDED) * (high - low)  # the grid covers up to rounding
    for first, second in zip(exact.image(smaller), exact.image(spread), strict=True):
        for k in exact.atoms:
            yield Reading(ex.stop_loss(first, k), ex.stop_loss(second, k), room)


def _above(case: Case) -> Iterator[Reading]:
    values, weights, error = ex.true_laws(case, BINS)
    fixed = np.asarray(_solved(case).returns.probs)
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
    searched="covering grids of up to 8 atoms, discounts up to .8",
    family=MILD_GRIDS,
    structured=lambda: MILD_CASES,
    attained=0.999,
    cost=8,
)
def _(case: Case) -> Iterator[Reading]:
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
def _(case: Case) -> Iterator[Reading]:
    """Clipping takes from the stop-loss."""
    return _above(case)


@claim(
    "brackets-convex",
    statement="Convex-order brackets hold the true stop-loss, CVaR and variance, clipped or not.",
    latex=r"C_L-c_L\le C_\eta\le C_U+c_U;\ CVaR(U)\le CVaR(\eta)\le CVaR(L)",
    source="own result: docs/brackets.md",
    evidence="derived",
    measured="stop-loss of reference laws against both ends; CVaR and variance as guards",
    bound="intervals of evaluate(Brackets(order='convex'))",
    searched="any grid of up to 8 atoms, discounts up to .8",
    family=on_grid(0, atoms=8, discounts=MILD, states=2),
    structured=lambda: [*MILD_CASES[::3], *_later_clips()],
    attained=0.999,
    cost=10,
    used_by="Brackets",
)
def _(case: Case) -> Iterator[Reading]:
    """Monotone operators, started above and below."""
    solution = distrl.evaluate(case.model, distrl.Brackets(grid=case.on, order="convex"), throw=False)
    values, weights, error = ex.true_laws(case, BINS)
    points = np.concatenate([case.on.points, case.on.points[:-1] + case.on.spacing / 3])
    stop_loss = solution.returns.interval("stop_loss", points)
    tail = solution.returns.interval("cvar", [0.1, 0.5])
    variance = solution.returns.interval("variance")
    ends, far = solution.returns.interval("quantile", [0.0, 1.0]), solution.returns.interval("cdf", [-1e17, 1e17])
    size = 1.0 + float(max(np.abs(v).max() for v in values))
    for x in range(case.states):
        truth = np.maximum(values[x][None, :] - points[:, None], 0.0) @ weights[x]
        floats = (len(values[x]) + 8) * float(np.finfo(np.float64).eps) * (size + np.abs(points))  # of this very sum
        yield Reading(truth, stop_loss[x, :, 1], error + floats)
        yield Reading(stop_loss[x, :, 0], truth, error + floats)
        for k, level in enumerate((Fraction(1, 10), Fraction(1, 2))):
            found = _tail_mean(values[x], weights[x], float(level))
            yield Reading(found, tail[x, k, 1], error / float(level) + 1e-9 * size, counts=False)
            yield Reading(tail[x, k, 0], found, error / float(level) + 1e-9 * size, counts=False)
        spread = float(weights[x] @ values[x] ** 2 - (weights[x] @ values[x]) ** 2)
        room = 4 * size * error + 1e-9 * size**2
        yield Reading(variance[x, 0], spread, room, counts=False)
        yield Reading(spread, variance[x, 1], room, counts=False)
        yield Reading(ends[x, 0, 0], float(values[x].min()), error, counts=False)
        yield Reading(float(values[x].max()), ends[x, 1, 1], error, counts=False)
        yield Reading(far[x, 0, 0], 0.0, counts=False)
        yield Reading(far[x, 0, 1], 0.0, counts=False)
        yield Reading(1.0, far[x, 1, 0], counts=False)


def _later_clips() -> list[Case]:
    """Nothing leaves the grid at first, and a prize far beyond it some steps later."""
    cases = []
    for steps, g in ((1, 0.5), (3, 0.8), (2, 0.95)):
        quiet = tuple((x, 1.0, x + 1, 0.0, False) for x in range(steps))
        draw = ((steps, 0.99, steps, 0.0, True), (steps, 0.01, steps, 1000.0, True))
        cases.append(Case((*quiet, *draw), g, (0.0, 1.0, 11)))
    return cases


def _tail_mean(values: FloatArray, weights: FloatArray, level: float) -> float:
    """Mean of the worst `level` of the mass."""
    before = np.cumsum(weights) - weights
    taken = np.clip(level - before, 0.0, weights)
    return float(taken @ values / taken.sum())


def _far_tails() -> list[Case]:
    """Ends with little mass far beyond the grid: how far counts."""
    return [
        Case(((0, 1.0 - p, 0, 0.25, True), (0, p, 0, far, True)), 0.0, (0.0, 1.0, 11))
        for p, far in ((1e-13, 1e15), (1e-13, -1e15), (5e-13, 1e13), (1e-12, 3.0))
    ]


def _laws_of_ends(case: Case) -> tuple[list[FloatArray], list[FloatArray], float]:
    """(values, weights) where every outcome ends: the outcomes themselves."""
    rows = [[row for row in case.rows if row[0] == x] for x in range(case.states)]
    return [np.array([r[3] for r in own]) for own in rows], [np.array([r[1] for r in own]) for own in rows], 0.0


@claim(
    "brackets-stochastic",
    statement="Stochastic-order brackets hold the integral of the true survival function over every cell.",
    latex=r"F_U\le F_\eta\le F_L",
    source="own result: docs/brackets.md",
    evidence="derived",
    assumes="a covering grid",
    measured="survival of reference laws integrated over cells, against both laws",
    bound="those of evaluate(Brackets(order='stochastic'))",
    searched="covering grids of up to 8 atoms, discounts up to .8",
    family=MILD_GRIDS,
    structured=lambda: [*MILD_CASES[::3], *_far_tails()],
    attained=0.999,
    cost=10,
    used_by="Brackets",
)
def _(case: Case) -> Iterator[Reading]:
    """Rounding down stays below, rounding up above, at every sweep; what little leaves the grid is counted."""
    ending = all(row[4] for row in case.rows)
    if Exact(case).clips() and not ending:
        return
    try:
        solution = distrl.evaluate(case.model, distrl.Brackets(grid=case.on, order="stochastic"), throw=False)
    except ValueError:  # the grid clips more than a far tail
        return
    returns = solution.returns
    values, weights, error = _laws_of_ends(case) if ending else ex.true_laws(case, BINS)
    room = float(np.max(returns.slack_lower + returns.slack_upper + returns.slack_far))
    sides = [np.asarray(law.probs) for law in (returns.lower, returns.upper)]
    points = case.on.points

    def cells(at: FloatArray, mass: FloatArray) -> FloatArray:
        """int of the survival function over each cell: differences of stop-loss transforms."""
        stop_loss = np.maximum(at[None, :] - points[:, None], 0.0) @ mass
        return np.asarray(stop_loss[:-1] - stop_loss[1:])

    for x in range(case.states):
        assert solution.certificate is not None
        for side in sides:  # W1 is at least the difference of the means
            gap = abs(float(values[x] @ weights[x]) - float(points @ side[x]))
            yield Reading(gap, float(solution.certificate.w1[x]), error + 1e-12 * case.on.width, counts=False)
        truth = cells(values[x], weights[x])
        yield Reading(truth, cells(points, sides[1][x]), 2 * error + room)
        yield Reading(cells(points, sides[0][x]), truth, 2 * error + room)


@claim(
    "cdf-from-stop-loss",
    statement="Difference quotients of the stop-loss transform enclose the CDF, for every width h.",
    latex=r"1+\frac{C(k)-C(k-h)}h\le F(k^-)\le F(k)\le1+\frac{C(k+h)-C(k)}h",
    source="own result: docs/brackets.md",
    evidence="derived",
    measured="the CDF and the lower quotient, exact",
    bound="the upper quotient, and the CDF",
    searched="laws of up to 3 values, h from 1/8 to 2",
    family=particle_laws(1, 3),
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
    used_by="ConvexBrackets.interval('cdf')",
)
def _(case: Case) -> Iterator[Reading]:
    """C is convex with slopes F - 1."""
    for law in Exact(case).laws(0):
        for k in law:
            below = sum((mass for v, mass in law.items() if v < k), Fraction(0))
            at = below + law[k]
            for h in (Fraction(1, 8), Fraction(2)):
                here = ex.stop_loss(law, k)
                yield Reading(at, 1 + (ex.stop_loss(law, k + h) - here) / h)
                yield Reading(1 + (here - ex.stop_loss(law, k - h)) / h, below)


@claim(
    "cvar-by-stop-loss",
    statement="Lower-tail CVaR is max_k k - E(k - G)+ / a, so it reverses the convex order.",
    latex=r"CVaR_a=\max_k\{k-E(k-G)^+/a\}",
    source="Rockafellar and Uryasev 2000",
    evidence="recalled",
    measured="mean of the worst mass a, exact; the library's `cvar`",
    bound="the maximum over the law's values (equality)",
    searched="laws of up to 3 values, levels 1/10, 1/2, 1",
    family=particle_laws(1, 3),
    structured=lambda: with_particles(structured_models((0.5,))),
    used_by="Returns.cvar, ConvexBrackets",
)
def _(case: Case) -> Iterator[Reading]:
    """The maximum is at the quantile."""
    shift = Fraction(1000)  # so that a ratio means something
    for x, law in enumerate(Exact(case).laws(0)):
        for level in (Fraction(1, 10), Fraction(1, 2), Fraction(1)):
            put = [k - (ex.stop_loss(law, k) - ex.mean(law) + k) / level for k in law]
            yield Reading(cvar(law, level) + shift, max(put) + shift, equal=True)
            found = float(case.law(0)[x].cvar(float(level)))
            yield same(found, float(cvar(law, level)), 1e-8 * (1.0 + max(abs(float(v)) for v in law)))


# -- sampling --------------------------------------------------------------------------------------------------------


@claim(
    "monte-carlo-dkw",
    statement="The Monte Carlo certificate fails with at most the probability it states.",
    latex=r"P\bigl(\sup|F_n-F|>\sqrt{\ln(2/\alpha)/2n}\bigr)\le\alpha",
    source="Dvoretzky, Kiefer, Wolfowitz 1956; Massart 1990",
    evidence="recalled",
    measured="share of 400 empirical laws of 50 returns farther than theory.dkw_halfwidth(50, .8) from the exact law",
    bound=".2, with a binomial radius",
    searched="the uniform return of a coin at discount 1/2; a reward that ends",
    structured=lambda: [Case(numbers={"uniform": 1.0}), Case(numbers={"uniform": 0.0})],
    statistical=True,
    used_by="MonteCarlo, cdf_band",
)
def _(case: Case) -> Iterator[Reading]:
    """Massart's inequality."""
    n, trials, alpha = 50, 400, 0.2
    uniform = bool(case.numbers["uniform"])
    model = distrl.environments.bernoulli() if uniform else COIN.model
    returns = distrl.evaluate(model, distrl.MonteCarlo(n * trials), rng=21).returns
    values = np.random.default_rng(5).permutation(np.asarray(returns.values).reshape(-1)).reshape(trials, n)
    half, missed = theory.dkw_halfwidth(n, 1.0 - alpha), 0
    for row in np.sort(values, axis=1):
        if uniform:
            cdf = np.clip(row / 2.0, 0.0, 1.0)
            distance = max((np.arange(1, n + 1) / n - cdf).max(), (cdf - np.arange(n) / n).max())
        else:
            distance = abs(float((row == 0.0).mean()) - 0.5)
        missed += distance > half
    radius = stats.binom.isf(share_of_alarm(1), trials, alpha) / trials - alpha
    yield Reading(missed / trials, alpha, radius)


# -- linear systems over states ----------------------------------------------------------------------------------------


@st.composite
def _stiff(draw: st.DrawFn) -> Case:
    """A chain whose rates are powers of ten down to 1e-12; a state's loop is 1 less everything else."""
    n = draw(st.integers(2, 5))
    rows = []
    for x in range(n):
        rates = draw(st.lists(st.integers(1, 12), min_size=n, max_size=n))
        reward = draw(st.floats(-1.0, 1.0))
        leaves = [(x, 0.9 * 10.0 ** -rates[y], y, reward, False) for y in range(n) if y != x and rates[y] < 12]
        if x == 0 or not leaves or all(row[2] > x for row in leaves):  # so that every state can end
            leaves.append((x, 10.0 ** -(rates[x] + 1), x, reward, True))
        total = sum(row[1] for row in leaves)
        scale = 0.9 / total if total > 0.9 else 1.0
        leaves = [(a, p * scale, y, r, end) for a, p, y, r, end in leaves]
        rows += [*leaves, (x, 1.0 - math.fsum(row[1] for row in leaves), x, reward, False)]
    return Case(tuple(rows), draw(st.sampled_from([1.0, 0.9, 1.0 - 1e-9])))


def _stiff_cases() -> list[Case]:
    """Walks that fall back to their start with probability .999, and end behind their last state."""
    cases = []
    for steps in (2, 4, 6):
        rows = [(x, 0.999, 0, 1.0, False) for x in range(steps)]
        rows += [(x, 0.001, min(x + 1, steps - 1), 1.0, x == steps - 1) for x in range(steps)]
        cases += [Case(tuple(rows), g) for g in (1.0, 1.0 - 1e-12)]
    return cases


def _solved_exactly(case: Case) -> tuple[list[Fraction], list[Fraction], FloatArray]:
    """(I - g P)^{-1} r and (I - g P)^{-1} |r|, a state's loop being 1 less everything else, and r itself."""
    n, g = case.states, Fraction(case.discount)
    rewards = [Fraction(next(row[3] for row in case.rows if row[0] == x)) for x in range(n)]
    matrix = [[Fraction(0)] * n for _ in range(n)]
    for x in range(n):
        matrix[x][x] = 1 - g
    for x, probability, y, _, terminal in case.rows:
        if terminal or x != y:
            matrix[x][x] += g * Fraction(probability)
        if not terminal and x != y:
            matrix[x][y] -= g * Fraction(probability)
    sizes = ex.solve(matrix, [abs(reward) for reward in rewards])
    return ex.solve(matrix, rewards), sizes, np.array([float(reward) for reward in rewards])


@claim(
    "elimination-relative-accuracy",
    statement="Elimination without subtraction errs by its stated share of (I - g P)^{-1} |r| at most, however stiff.",
    latex=r"|\hat u-u|\le\varepsilon\,(I-\gamma P)^{-1}|r|",
    source="derived: docs/proofs.md; the algorithm is Grassmann, Taksar, Heyman 1985",
    evidence="derived",
    assumes="a state's loop is 1 less everything else; no number of the elimination is below 2^-960",
    measured="error of the computed solution, against the rationals",
    bound="theory.elimination_relative_error times (I - g P)^{-1} |r|, over the rationals",
    searched="chains of up to 5 states with rates 1e-12 to 1, discounts .9 to 1",
    family=_stiff(),
    structured=_stiff_cases,
    cost=2,
    used_by="Resolvent, Moments, certificates",
)
def _(case: Case) -> Iterator[Reading]:
    """Entries of the inverse are quotients of sums of products of data, one of each row (matrix-tree theorem)."""
    values, sizes, rhs = _solved_exactly(case)
    linear = Resolvent.of(case.model)
    found = linear.solve(rhs)
    gaps = [float(abs(Fraction(float(v)) - e)) for v, e in zip(found, values, strict=True)]
    yield Reading(np.array(gaps), np.array([linear.relative_error * float(size) for size in sizes]))
    upper = linear.upper(np.abs(rhs))
    yield Reading(sizes, [Fraction(float(u)) for u in upper], counts=False)


@claim(
    "lu-relative-accuracy",
    statement="Elimination in I - g P as it is, with its differences, keeps the same accuracy.",
    latex=r"|\hat u_{LU}-u|\le\varepsilon\,(I-\gamma P)^{-1}|r|",
    source="own counterexample: docs/proofs.md",
    evidence="numerical",
    expected="refuted",
    measured="error of numpy.linalg.solve, against the rationals",
    bound="theory.elimination_relative_error of dense factors times (I - g P)^{-1} |r|",
    searched="chains of up to 5 states with rates 1e-12 to 1, discounts .9 to 1",
    family=_stiff(),
    structured=_stiff_cases,
)
def _(case: Case) -> Iterator[Reading]:
    """1 - p cancels where p is nearly 1, and what is left is multiplied by the number of steps."""
    values, sizes, rhs = _solved_exactly(case)
    n = case.states
    matrix = np.eye(n) - case.discount * case.model.continuation.toarray()
    found = np.linalg.solve(matrix, rhs)
    bound = theory.elimination_relative_error(n, n * (n - 1) // 2, n * (n - 1) // 2, 20.0 * n)
    gaps = [float(abs(Fraction(float(v)) - e)) for v, e in zip(found, values, strict=True)]
    yield Reading(np.array(gaps), np.array([bound * float(size) for size in sizes]))
