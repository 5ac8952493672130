"""The categorical fixed point, and the metrics that it is measured in."""

from collections.abc import Iterator

import numpy as np

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.cdrl18 import SOURCE
from proofs_check.exact import Exact
from proofs_check.families import ON_GRIDS, on_grid, structured_models, with_grids, with_particles

PLACE = 4


@claim(
    "categorical-fixed-point-cramer",
    statement="The fixed point's squared Cramer distance to the truth is at most spacing / (1 - discount).",
    latex=r"\bar\ell_2^2(\eta_C,\eta)\le\frac{s}{1-\gamma}",
    source=f"{SOURCE}, Proposition 3",
    evidence="read",
    assumes="the true returns lie on the grid's range",
    measured="squared Cramer distance of the library's fixed point to a reference law",
    bound="spacing / (1 - discount)",
    family=on_grid(0, atoms=8, covering=True, mild=True, states=2),
    structured=lambda: with_grids(structured_models((0.5,))),
    cost=8,
    used_by="theory.fixed_point_cramer_squared",
)
def categorical_fixed_point_cramer(case: Case) -> Iterator[Reading]:
    """Pythagoras at the fixed point, and the contraction."""
    if Exact(case).clips():
        return
    fixed = np.asarray(distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on)).returns.probs)
    values, weights, error = ex.true_laws(case, 2000)
    spacing = case.on.spacing
    for x in range(case.states):
        squared = ex.w1_floats((case.on.points, fixed[x]), (values[x], weights[x]), power=2)
        # |l2^2(F, eta) - l2^2(F, eta')| <= 2 W1(eta, eta'), since |F - G| <= 1
        yield Reading(squared, theory.fixed_point_cramer_squared(spacing, case.discount), 2 * error)
        sharp = theory.fixed_point_cramer_squared_sharp(spacing, case.discount)
        yield Reading(squared, float(sharp), 2 * error, counts=False)


@claim(
    "categorical-unique-fixed-point",
    statement="Sweeps from any start approach one fixed point at the rate of the discount, in W1.",
    latex=r"\bar W_1((\Pi T)^kF,\eta_C)\le\gamma^k\bar W_1(F,\eta_C)",
    source=f"{SOURCE}, Proposition 2, and the contraction in W1",
    evidence="derived",
    measured="sup-W1 to the solver's answer after k sweeps",
    bound="discount^k * the first",
    family=on_grid(1),
    structured=lambda: ON_GRIDS[:12],
    attained=0.999,
    cost=5,
    used_by="CategoricalDP, CategoricalFixedPoint",
)
def categorical_unique_fixed_point(case: Case) -> Iterator[Reading]:
    """Banach's theorem, for a solver that uses another way there."""
    fixed = distrl.evaluate(case.model, distrl.CategoricalFixedPoint(grid=case.on), throw=False)
    if not fixed.converged:  # a tolerance below what float64 resolves
        return
    target, operator, probs = np.asarray(fixed.returns.probs), case.operator, case.weights[0]
    spacing = case.on.spacing
    first = None
    for k in range(4):
        gap = float((np.abs(np.cumsum(probs - target, axis=1)[:, :-1]).sum(axis=1) * spacing).max())
        first = gap if first is None else first
        slack = 2 * (fixed.tol + case.on.width * 8 * rounding.slack_of(case))
        yield Reading(gap, case.discount**k * first, slack, counts=k > 0)
        probs = np.asarray(operator(probs))


@claim(
    "wasserstein-of-particles",
    statement="W1 and Cramer distances of the library are the integrals of |F - G| and (F - G)^2.",
    latex=r"W_1=\int|F-G|,\ \ell_2^2=\int(F-G)^2",
    source="Vallender 1974 for W1; the definition for Cramer",
    evidence="derived",
    measured="distrl.wasserstein and distrl.cramer",
    bound="the integrals over the rationals (equality)",
    family=on_grid(2, particles=3),
    structured=lambda: with_particles(structured_models()),
    used_by="all metrics",
)
def wasserstein_of_particles(case: Case) -> Iterator[Reading]:
    """Area between two CDFs, horizontally or vertically."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    expected = [float(ex.w1(a, b)) for a, b in zip(mu, nu, strict=True)]
    first, second = case.law(0), case.law(1)
    size = 1.0 + max(float(np.abs(values).max()) for values in case.values)
    yield Reading(distrl.wasserstein(first, second), expected, 64 * rounding.FLOAT * size, equal=True)
    squared = [float(ex.cramer_squared(a, b)) for a, b in zip(mu, nu, strict=True)]
    yield same(distrl.cramer(first, second) ** 2, squared, 1e-11 * size)
    highest = [float(ex.kolmogorov(a, b)) for a, b in zip(mu, nu, strict=True)]
    if all(abs(a - b) > 1e-9 for a in set().union(*mu, *nu) for b in set().union(*mu, *nu) if a != b):
        yield same(distrl.kolmogorov(first, second), highest, 64 * rounding.FLOAT)
    for power in (2, 3):
        costs = [float(ex.transport_cost(a, b, power)) for a, b in zip(mu, nu, strict=True)]
        yield same(distrl.wasserstein(first, second, p=power) ** power, costs, 1e-12 * size**power)
