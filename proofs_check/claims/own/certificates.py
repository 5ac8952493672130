"""The certificates of the solvers; proofs in docs/certificate.md and docs/quantiles.md."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

import distrl
from distrl._validation import FloatArray
from distrl.dp.certificate import Certifier, ParticleCertifier
from distrl.operators.particle_targets import ParticleTargets
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.own._shared import BINS, MILD_CASES, distances, solved
from proofs_check.exact import Exact
from proofs_check.families import CLIPPED, ON_GRIDS, on_grid, particle_laws, structured_models, with_particles

PLACE = 1


ANY_LAW = on_grid(1, atoms=8, mild=True, states=2)


def _half_cells() -> list[Case]:
    """Rewards half-way between two atoms, ending: one step's rounding and nothing else. And laws far from theirs."""
    halfway = [Case(((0, 1.0, 0, 0.5, True),), g, (0.0, 1.0, 2), (np.array([[0.5, 0.5]]),)) for g in (0.0, 0.5)]
    far = [Case(((0, 1.0, 0, 0.0, False),), g, (0.0, 4.0, 5), (np.array([[0, 0, 0, 0, 1.0]]),)) for g in (0.5, 0.75)]
    return [*halfway, *far]


def _parts(case: Case) -> tuple[FloatArray, Any, float]:
    operator = case.operator
    certificate, _ = Certifier(case.model, operator).certify(case.weights[0])
    gaps, error = distances(case, case.weights[0])
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
    family=ANY_LAW,
    structured=lambda: [*_half_cells(), *with_laws_mild(), *CLIPPED[:9]],
    attained=0.999,
    cost=5,
    used_by="Solution.certificate",
)
def certificate_martingale_coupling(case: Case) -> Iterator[Reading]:
    """Couple along one trajectory: rounding errors are martingale differences and add in squares."""
    gaps, certificate, error = _parts(case)
    yield Reading(gaps, certificate.w1, error)
    solution = solved(case)
    if solution.certificate is not None:
        found, error = distances(case, np.asarray(solution.returns.probs))
        yield Reading(found, solution.certificate.w1, error)


def with_laws_mild() -> list[Case]:
    return [case for case in ON_GRIDS if case.discount <= 0.5][::3]


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
        family=ANY_LAW,
        structured=structured,
        cost=3,
    )
    def measure(case: Case) -> Iterator[Reading]:
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
    family=particle_laws(1, 3, states=2, mild=True),
    searched="QuantileDP and ExpectileDP too",
    structured=lambda: with_particles(structured_models((0.5,))),
    attained=0.999,
    cost=10,
    used_by="QuantileDP, ExpectileDP",
)
def certificate_one_step_transport(case: Case) -> Iterator[Reading]:
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
    family=on_grid(0, atoms=8, mild=True, states=2),
    searched="1 to 6 sweeps and all",
    structured=lambda: [*MILD_CASES[::2], *(Case(c.rows, c.discount, c.grid) for c in CLIPPED[:6]), *_far_branches()],
    attained=0.9,
    cost=8,
    used_by="ParticleDP",
)
def particles_martingale(case: Case) -> Iterator[Reading]:
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
    for x, true in enumerate(ex.variances(exact)):
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
