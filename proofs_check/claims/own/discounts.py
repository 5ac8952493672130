"""Discounts that differ by outcome; proofs in docs/discounts.md.

An instance's discount g becomes a factor for each of its rows: g, g / 3, 0, 2 g / 3, and again from the first.
"""

from collections.abc import Iterator

import numpy as np

import distrl
from distrl._validation import FloatArray
from distrl.dp.certificate import Certifier, ParticleCertifier
from distrl.operators.particle_targets import ParticleTargets
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.own._shared import BINS
from proofs_check.families import CLIPPED, ON_GRIDS, on_grid

PLACE = 8
_SHARES = (1.0, 1.0 / 3.0, 0.0, 2.0 / 3.0)
_LAWS = on_grid(2, atoms=6, states=2, mild=True)


def factors(case: Case) -> list[float]:
    """The discount of each row."""
    return [case.discount * _SHARES[k % len(_SHARES)] for k in range(len(case.rows))]


def model_of(case: Case) -> distrl.MRP:
    """The model of the rows with their factors."""
    return distrl.MRP.from_outcomes([(*row, g) for row, g in zip(case.rows, factors(case), strict=True)], None)


def one_way() -> list[Case]:
    """Two states, each with one outcome: all that happens is one factor, the first is g."""
    rows = ((0, 1.0, 1, 0.0, False), (1, 1.0, 0, 0.0, False))
    laws = (np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))
    return [Case(rows, g, (0.0, 1.0, 3), laws) for g in (0.25, 0.5, 0.75)]


def _images(case: Case) -> tuple[distrl.MRP, FloatArray, FloatArray]:
    """The model, and W1 of the two laws and of their images, state by state."""
    model = model_of(case)
    operator = distrl.operators.CategoricalBellman(model, case.on)
    laws = [distrl.CategoricalReturns(case.on, weights) for weights in case.weights]
    images = [distrl.CategoricalReturns(case.on, operator(weights)) for weights in case.weights]
    return model, np.asarray(distrl.wasserstein(*laws)), np.asarray(distrl.wasserstein(*images))


@claim(
    "discounts-by-outcome-contraction",
    statement="With a discount for each outcome the categorical operator contracts W1 state by state, by sums of p g.",
    latex=r"W_1((\Pi T\mu)(x),(\Pi T\nu)(x))\le\sum p\,g\,W_1(\mu(y),\nu(y))\le\max g\,\bar W_1(\mu,\nu)",
    source="own result: docs/discounts.md",
    evidence="derived",
    measured="W1 of the library's images, state by state",
    bound="the sum over outcomes of p g W1 at the next state",
    family=_LAWS,
    structured=lambda: [*one_way(), *ON_GRIDS[:12], *CLIPPED[:12]],
    attained=0.999,
    used_by="stopping rules, Certifier.gain",
)
def contraction(case: Case) -> Iterator[Reading]:
    """Couple the outcomes; what they carry on is g times as far apart, and projection expands nothing."""
    model, before, after = _images(case)
    bound = np.zeros(case.states)
    for (state, probability, successor, _, terminal), g in zip(case.rows, factors(case), strict=True):
        bound[state] += 0.0 if terminal else probability * g * before[successor]
    yield Reading(after, bound, case.on.width * 16 * rounding.slack_of(case))
    yield Reading(
        float(after.max()),
        model.largest_discount * float(before.max()),
        case.on.width * 16 * rounding.slack_of(case),
    )


@claim(
    "discounts-by-outcome-mean-contraction",
    statement="With a discount for each outcome the categorical operator contracts sup-W1 by their mean over outcomes.",
    latex=r"\bar W_1(\Pi T\mu,\Pi T\nu)\le\bar g\,\bar W_1(\mu,\nu)",
    source="`discounts-by-outcome-contraction` with the mean in place of the largest",
    evidence="derived",
    expected="refuted",
    measured="sup-W1 of the library's images",
    bound="mean discount * sup-W1 of the laws",
    family=_LAWS,
    structured=one_way,
)
def mean_contraction(case: Case) -> Iterator[Reading]:
    """A state may have the outcomes with the largest factors to itself."""
    _, before, after = _images(case)
    yield Reading(float(after.max()), float(np.mean(factors(case))) * float(before.max()))


@claim(
    "discounts-by-outcome-certificate",
    statement="With a discount for each outcome any law is within the certificate of the truth in W1, particles too.",
    latex=r"W_1(F(x),\eta(x))\le\sqrt{[(I-P\Gamma^2)^{-1}\delta](x)}+[(I-P\Gamma)^{-1}(o+\rho)](x)",
    source="own result: docs/discounts.md",
    evidence="derived",
    assumes="finite means",
    measured="W1 to reference laws",
    bound="Certifier.certify(F).w1, ParticleCertifier.certify(F).w1",
    family=on_grid(1, atoms=6, states=2, mild=True),
    searched="the fixed point too",
    structured=lambda: [*ON_GRIDS[::4], *CLIPPED[:9]],
    attained=0.9,
    cost=6,
    used_by="Solution.certificate",
)
def certificate(case: Case) -> Iterator[Reading]:
    """The coupling of `certificate-martingale-coupling`; an error made t steps ahead counts with the factors before."""
    if case.discount >= 1.0:
        return
    model, grid = model_of(case), case.on
    values, weights, error = ex.true_laws(case, BINS, factors(case))
    operator = distrl.operators.CategoricalBellman(model, grid)
    fixed = distrl.evaluate(model, distrl.CategoricalFixedPoint(grid=grid), throw=False)
    for probs in (np.asarray(case.weights[0]), np.asarray(fixed.returns.probs)):
        laws = distrl.CategoricalReturns(grid, probs)
        bounds = [Certifier(model, operator).certify(probs)[0].w1]
        bounds.append(
            ParticleCertifier(model, ParticleTargets(model.outcomes, model.uniform_discount)).certify(laws).w1
        )
        for x in range(case.states):
            gap = ex.w1_floats((grid.points, probs[x]), (values[x], weights[x]))
            yield from (Reading(gap, float(bound[x]), error) for bound in bounds)
