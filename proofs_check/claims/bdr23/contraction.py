"""Distances that the operator contracts, does not expand, or neither."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

import distrl
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.claims.bdr23 import PAIRS, SOURCE
from proofs_check.exact import Exact, ExactLaw
from proofs_check.families import PARTICLES, particle_laws, structured_models

PLACE = 1


def _pushed(laws: list[ExactLaw]) -> list[distrl.FiniteLaw]:
    return [distrl.FiniteLaw([float(v) for v in law], [float(m) for m in law.values()]) for law in laws]


def _pair(case: Case) -> tuple[Exact, list[ExactLaw], list[ExactLaw], list[ExactLaw], list[ExactLaw]]:
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    return exact, mu, nu, exact.bellman(mu), exact.bellman(nu)


def _metric_guards(
    case: Case, metric: Callable[[Any, Any], Any], images: Any, distances: list[float]
) -> Iterator[Reading]:
    """The library's metric between the images, against the exact distances."""
    size = max(ex.size_of(images[0]), ex.size_of(images[1]))
    yield same(metric(_pushed(images[0]), _pushed(images[1])), distances, rounding.close(size))


def _p_contraction(case: Case, p: int) -> Iterator[Reading]:
    exact, mu, nu, left, right = _pair(case)

    def cost(a: ExactLaw, b: ExactLaw) -> Fraction:
        return ex.transport_cost(a, b, p)

    yield Reading(ex.sup(cost, left, right), exact.g**p * ex.sup(cost, mu, nu))
    if p == 1:
        found = [float(ex.w1(a, b)) for a, b in zip(left, right, strict=True)]
        yield from _metric_guards(case, distrl.wasserstein, (left, right), found)


@claim(
    "bellman-w1-contraction",
    statement="The Bellman operator contracts sup-W1 with modulus the discount.",
    latex=r"\sup_x W_1((T\mu)(x),(T\nu)(x))\le\gamma\sup_x W_1(\mu(x),\nu(x))",
    source=f"{SOURCE}, chapter 4",
    evidence="read",
    measured="sup-W1 of the images, exact",
    bound="discount * sup-W1 of the laws",
    family=PAIRS,
    structured=lambda: PARTICLES,
    attained=0.999,
    used_by="ParticleCertifier, CategoricalFixedPoint",
)
def bellman_w1_contraction(case: Case) -> Iterator[Reading]:
    """Couple successors optimally, the outcome shared; W1 is convex in pairs of laws."""
    return _p_contraction(case, 1)


@claim(
    "bellman-w2-contraction",
    statement="The Bellman operator contracts sup-W2 with modulus the discount.",
    latex=r"\bar W_2(T\mu,T\nu)\le\gamma\bar W_2(\mu,\nu)",
    source=f"{SOURCE}, chapter 4",
    evidence="read",
    measured="sup-W2 squared of the images, exact",
    bound="discount^2 * sup-W2 squared of the laws",
    family=PAIRS,
    structured=lambda: PARTICLES,
    attained=0.999,
)
def bellman_w2_contraction(case: Case) -> Iterator[Reading]:
    """As for W1: W_p^p is convex in pairs of laws for every p."""
    return _p_contraction(case, 2)


@claim(
    "bellman-winf-contraction",
    statement="The Bellman operator contracts sup-W_inf with modulus the discount.",
    latex=r"\bar W_\infty(T\mu,T\nu)\le\gamma\bar W_\infty(\mu,\nu)",
    source=f"{SOURCE}, chapter 4",
    evidence="read",
    measured="sup-W_inf of the images, exact",
    bound="discount * sup-W_inf of the laws",
    family=PAIRS,
    structured=lambda: PARTICLES,
    attained=0.999,
)
def bellman_winf_contraction(case: Case) -> Iterator[Reading]:
    """A coupling that never moves further than d moves its mixture no further than g d."""
    exact, mu, nu, left, right = _pair(case)
    yield Reading(ex.sup(ex.w_infinity, left, right), exact.g * ex.sup(ex.w_infinity, mu, nu))


@claim(
    "bellman-cramer-contraction",
    statement="The Bellman operator contracts sup-Cramer with modulus sqrt(discount).",
    latex=r"\bar\ell_2(T\mu,T\nu)\le\sqrt{\gamma}\,\bar\ell_2(\mu,\nu)",
    source="Rowland et al. 2018, Proposition 2 (its first half)",
    evidence="read",
    measured="sup squared Cramer distance of the images, exact",
    bound="discount * that of the laws",
    family=PAIRS,
    structured=lambda: PARTICLES,
    attained=0.999,
)
def bellman_cramer_contraction(case: Case) -> Iterator[Reading]:
    """l2^2 is convex and scales with the values."""
    exact, mu, nu, left, right = _pair(case)
    yield Reading(ex.sup(ex.cramer_squared, left, right), exact.g * ex.sup(ex.cramer_squared, mu, nu))
    found = [math.sqrt(ex.cramer_squared(a, b)) for a, b in zip(left, right, strict=True)]
    yield from _metric_guards(case, distrl.cramer, (left, right), found) if max(found) > 1e-3 else ()


@claim(
    "bellman-cramer-contraction-by-discount",
    statement="The Bellman operator contracts sup-Cramer with modulus the discount itself.",
    latex=r"\bar\ell_2(T\mu,T\nu)\le\gamma\,\bar\ell_2(\mu,\nu)",
    source="Rowland et al. 2018, Proposition 2, with the modulus of W1 in place of its own",
    evidence="derived",
    expected="refuted",
    measured="sup squared Cramer distance of the images, exact",
    bound="discount^2 * that of the laws",
    family=PAIRS,
    structured=lambda: PARTICLES,
)
def bellman_cramer_contraction_by_discount(case: Case) -> Iterator[Reading]:
    """Diracs at 0 and 1: the squared distance is 1, that of the images g, not g^2."""
    exact, mu, nu, left, right = _pair(case)
    yield Reading(ex.sup(ex.cramer_squared, left, right), exact.g**2 * ex.sup(ex.cramer_squared, mu, nu))


def _non_metric(name: str, distance: Callable[[ExactLaw, ExactLaw], Fraction], words: str, symbol: str) -> None:
    @claim(
        f"bellman-{name}-nonexpansion",
        statement=f"The Bellman operator does not expand the {words} distance.",
        latex=rf"\bar {symbol}(T\mu,T\nu)\le\bar {symbol}(\mu,\nu)",
        source=f"{SOURCE}, chapter 4",
        evidence="read",
        measured=f"sup-{words} of the images, exact",
        bound=f"sup-{words} of the laws",
        family=PAIRS,
        structured=lambda: PARTICLES,
        attained=0.999,
    )
    def holds(case: Case) -> Iterator[Reading]:
        """The distance ignores a scale, and is convex in pairs of laws."""
        exact, mu, nu, left, right = _pair(case)
        if exact.g:
            yield Reading(ex.sup(distance, left, right), ex.sup(distance, mu, nu))

    @claim(
        f"bellman-{name}-contraction",
        statement=f"The Bellman operator contracts the {words} distance, with any modulus below 1.",
        latex=rf"\bar {symbol}(T\mu,T\nu)\le c\,\bar {symbol}(\mu,\nu),\ c<1",
        source=f"{SOURCE}, chapter 4, where it is denied",
        evidence="read",
        expected="refuted",
        measured=f"sup-{words} of the images, exact",
        bound=f".999 * sup-{words} of the laws",
        family=PAIRS,
        structured=lambda: PARTICLES,
    )
    def fails(case: Case) -> Iterator[Reading]:
        """A deterministic step shifts and scales, and the distance ignores both."""
        _exact, mu, nu, left, right = _pair(case)
        yield Reading(ex.sup(distance, left, right), Fraction(999, 1000) * ex.sup(distance, mu, nu))


_non_metric("kolmogorov", ex.kolmogorov, "Kolmogorov", "d_K")
_non_metric("tv", ex.total_variation, "total variation", "d_{TV}")


def _kl(first: ExactLaw, second: ExactLaw) -> float:
    if any(value not in second for value in first):
        return math.inf
    return sum(float(mass) * math.log(mass / second[value]) for value, mass in first.items())


@claim(
    "bellman-kl-contraction",
    statement="The Bellman operator contracts the Kullback-Leibler divergence.",
    latex=r"\sup_x KL(T\mu(x)\|T\nu(x))\le c\,\sup_x KL(\mu(x)\|\nu(x)),\ c<1",
    source=f"{SOURCE}, where it is denied",
    evidence="read",
    expected="refuted",
    measured="sup-KL of the images",
    bound=".999 * sup-KL of the laws",
    searched="processes of up to 3 states, laws on the same two values",
    structured=lambda: [
        Case(
            c.rows,
            c.discount,
            None,
            (np.tile([0.5, 0.5], (c.states, 1)), np.tile([0.25, 0.75], (c.states, 1))),
            (np.tile([0.0, 1.0], (c.states, 1)),) * 2,
        )
        for c in structured_models()
    ],
)
def bellman_kl_contraction(case: Case) -> Iterator[Reading]:
    """A deterministic step keeps every likelihood ratio."""
    _, mu, nu, left, right = _pair(case)
    before = max(_kl(a, b) for a, b in zip(mu, nu, strict=True))
    yield Reading(max(_kl(a, b) for a, b in zip(left, right, strict=True)), 0.999 * before, slack=1e-12)


@claim(
    "bellman-unique-fixed-point",
    statement="The Bellman operator has one fixed point with a finite mean: from any start its iterates meet.",
    latex=r"W_1(T^k\mu,T^k\nu)\le\gamma^k\bar W_1(\mu,\nu)",
    source=f"{SOURCE}, chapter 4",
    evidence="read",
    measured="sup-W1 after three applications, exact",
    bound="discount^3 * sup-W1 of the starts",
    family=particle_laws(2, 2, states=2),
    structured=lambda: PARTICLES,
    attained=0.999,
)
def bellman_unique_fixed_point(case: Case) -> Iterator[Reading]:
    """Banach's theorem."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    start = ex.sup(ex.w1, mu, nu)
    for k in range(1, 4):
        mu, nu = exact.bellman(mu), exact.bellman(nu)
        yield Reading(ex.sup(ex.w1, mu, nu), exact.g**k * start)
