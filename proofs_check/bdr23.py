"""Claims of Bellemare, Dabney, Rowland 2023, *Distributional Reinforcement Learning*: the operator without projection.

Distances of small rational laws are exact; the library's metrics are held against them on the same instances.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim, same
from proofs_check.exact import Exact, ExactLaw
from proofs_check.families import models, particle_laws, structured_models, with_particles

SOURCE = "Bellemare, Dabney, Rowland 2023"
PAIRS = particle_laws(2, 3)
STRUCTURED = with_particles(structured_models())


def _structured() -> list[Case]:
    return STRUCTURED


def _close(size: Any) -> Any:
    """What float64 may cost a distance between a few particles of this size."""
    return 64 * ex.FLOAT * (1.0 + np.asarray(size, dtype=float))


def _sizes(laws: list[ExactLaw]) -> float:
    return max(float(abs(value)) for law in laws for value in law)


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
    size = max(_sizes(images[0]), _sizes(images[1]))
    yield same(metric(_pushed(images[0]), _pushed(images[1])), distances, _close(size))


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
    searched="processes of up to 3 states, laws of up to 3 values",
    family=PAIRS,
    structured=_structured,
    attained=0.999,
    used_by="ParticleCertifier, CategoricalFixedPoint",
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="processes of up to 3 states, laws of up to 3 values",
    family=PAIRS,
    structured=_structured,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="processes of up to 3 states, laws of up to 3 values",
    family=PAIRS,
    structured=_structured,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="processes of up to 3 states, laws of up to 3 values",
    family=PAIRS,
    structured=_structured,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
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
    searched="processes of up to 3 states, laws of up to 3 values",
    family=PAIRS,
    structured=_structured,
)
def _(case: Case) -> Iterator[Reading]:
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
        searched="processes of up to 3 states, laws of up to 3 values",
        family=PAIRS,
        structured=_structured,
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
        searched="processes of up to 3 states, laws of up to 3 values",
        family=PAIRS,
        structured=_structured,
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
def _(case: Case) -> Iterator[Reading]:
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
    searched="processes of up to 2 states, laws of up to 2 values",
    family=particle_laws(2, 2, states=2),
    structured=_structured,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """Banach's theorem."""
    exact = Exact(case)
    mu, nu = exact.laws(0), exact.laws(1)
    start = ex.sup(ex.w1, mu, nu)
    for k in range(1, 4):
        mu, nu = exact.bellman(mu), exact.bellman(nu)
        yield Reading(ex.sup(ex.w1, mu, nu), exact.g**k * start)


@claim(
    "moments-closed",
    statement="Moments are Bellman-closed: the image's first k moments follow from the successors' first k.",
    latex=r"E(T\mu)^k=\sum_j\binom kj\gamma^jE[R^{k-j}\mu^{(j)}(X')]",
    source=f"{SOURCE}, chapter 8",
    evidence="read",
    measured="raw moment of the image, exact",
    bound="the recursion through moments of the successors (equality)",
    searched="processes of up to 3 states, laws of up to 3 values, k up to 4",
    family=particle_laws(1, 3),
    structured=_structured,
    used_by="Moments",
)
def _(case: Case) -> Iterator[Reading]:
    """The binomial theorem."""
    exact = Exact(case)
    mu = exact.laws(0)
    images = exact.bellman(mu)
    for k in range(1, 5):
        moments = [[sum(m * v**j for v, m in law.items()) for j in range(k + 1)] for law in mu]
        for x, rows in enumerate(exact.outcomes):
            closed = Fraction(0)
            for probability, successor, reward, terminal in rows:
                terms = range(k + 1) if not terminal else range(1)
                closed += probability * sum(
                    math.comb(k, j) * reward ** (k - j) * exact.g**j * (moments[successor][j] if j else 1)
                    for j in terms
                )
            yield Reading(sum(m * v**k for v, m in images[x].items()), closed, equal=True)


def _quantile(law: ExactLaw, level: Fraction) -> Fraction:
    total = Fraction(0)
    for value, mass in sorted(law.items()):
        total += mass
        if total >= level:
            return value
    return max(law)


def cvar(law: ExactLaw, level: Fraction) -> Fraction:
    """Mean of the worst `level` of the mass."""
    left, total = level, Fraction(0)
    for value, mass in sorted(law.items()):
        taken = min(left, mass)
        total, left = total + taken * value, left - taken
    return total / level


@st.composite
def _agreeing(draw: Any) -> Case:
    """Two laws on four equal masses, (-s, 0, 0, s) and scaled: with equal medians; or (-c - d, -c + d, 9, 9): with
    equal CVaR of the worst half."""
    case = draw(models(states=2))
    n = case.states
    values = tuple(
        np.array([_four(draw(st.integers(0, 4)), bool(draw(st.booleans()))) for _ in range(n)]) for _ in range(2)
    )
    weights = np.full((n, 4), 0.25)
    return Case(case.rows, case.discount, None, (weights, weights), values)


def _four(d: int, centred: bool) -> list[float]:
    return [-float(d), 0.0, 0.0, float(d)] if centred else [-4.0 - d, -4.0 + d, 9.0, 9.0]


def _not_closed(name: str, words: str, functional: Callable[[ExactLaw], Fraction], centred: bool) -> None:
    def structured() -> list[Case]:
        weights = np.full((2, 4), 0.25)
        stay, reward = (0.5, 4.0) if centred else (0.75, -20.0)
        rows = ((0, stay, 0, 0.0, False), (0, 1.0 - stay, 1, reward, False), (1, 1.0, 1, 4.0, False))
        values = tuple(np.array([_four(d, centred), _four(0, centred)]) for d in (1, 4))
        return [Case(rows, 0.5, None, (weights, weights), values)]

    @claim(
        f"{name}-closed",
        statement=f"The {words} is Bellman-closed: laws that agree in it have images that do.",
        latex=r"s(\mu)=s(\nu)\Rightarrow s(T\mu)=s(T\nu)",
        source="Rowland et al. 2019 and Wenliang et al. 2024, who say that only moments (and what they give) are",
        evidence="summary",
        expected="refuted",
        assumes=f"laws with equal {words} in every state",
        measured=f"difference of the images' {words}, exact",
        bound="0",
        searched="processes of up to 2 states, laws on four equal masses",
        family=_agreeing(),
        structured=structured,
    )
    def _(case: Case) -> Iterator[Reading]:
        """Mixing with another state's law reads the successor's at other heights."""
        exact = Exact(case)
        mu, nu = exact.laws(0), exact.laws(1)
        if all(functional(a) == functional(b) for a, b in zip(mu, nu, strict=True)):
            pairs = zip(exact.bellman(mu), exact.bellman(nu), strict=True)
            yield Reading(max(abs(functional(a) - functional(b)) for a, b in pairs), Fraction(0))


_not_closed("median", "median", lambda law: _quantile(law, Fraction(1, 2)), True)
_not_closed("cvar", "CVaR of the worst half", lambda law: cvar(law, Fraction(1, 2)), False)


@claim(
    "variance-by-linear-system",
    statement="The variance of the return solves (I - g^2 P) u = variance of the one-step error.",
    latex=r"\mathrm{Var}\,G=(I-\gamma^2P)^{-1}\mathrm{Var}(R+\gamma V(X'))",
    source=f"{SOURCE}, chapter 4; Sobel 1982",
    evidence="read",
    measured="variance by `Moments`",
    bound="the linear system over the rationals (equality)",
    searched="processes of up to 3 states",
    family=models(),
    structured=structured_models,
    used_by="Moments, starts of the solvers",
)
def _(case: Case) -> Iterator[Reading]:
    """Law of total variance, one step."""
    exact = Exact(case)
    v = ex.values(exact)
    noise = [
        sum((p * (r + (0 if end else exact.g * v[y]) - v[x]) ** 2 for p, y, r, end in rows), Fraction(0))
        for x, rows in enumerate(exact.outcomes)
    ]
    expected = np.array(ex.resolvent(exact, 2, noise), dtype=float)
    found = distrl.evaluate(case.model, distrl.Moments(2)).returns
    size = 1.0 + np.abs(np.array(v, dtype=float)).max()
    room = 256 * ex.FLOAT / (1.0 - case.discount) ** 2
    yield Reading(np.asarray(found.var()), expected, room * size**2, equal=True)
    yield same(found.mean(), np.array(v, dtype=float), room * size)


@claim(
    "expectile-winf-lipschitz",
    statement="An expectile moves no further than the law does in W_inf.",
    latex=r"|e_\tau(\mu)-e_\tau(\nu)|\le W_\infty(\mu,\nu)",
    source="derived: docs/proofs.md, expectiles",
    evidence="derived",
    measured="difference of the expectiles",
    bound="W_inf, exact",
    searched="laws of up to 4 values, levels 1/10, 1/2, 4/5",
    family=particle_laws(2, 4, states=1),
    structured=_structured,
    attained=0.999,
)
def _(case: Case) -> Iterator[Reading]:
    """Expectiles are monotone, and move with a shift."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        for level in (0.1, 0.5, 0.8):
            gap = abs(_expectile(mu, level) - _expectile(nu, level))
            yield Reading(gap, float(ex.w_infinity(mu, nu)), _close(_sizes([mu, nu])))
            if len(mu) > 1:
                law = distrl.ParticleReturns([float(v) for v in mu], [float(m) for m in mu.values()])
                yield same(law.expectile(level), _expectile(mu, level), 16 * _close(_sizes([mu])))


def _expectile(law: ExactLaw, level: float) -> float:
    """The zero e of level E(Y - e)+ - (1 - level) E(e - Y)+, exact on the segment where it lies."""
    tau, points = Fraction(level), sorted(law)
    for low, high in itertools.pairwise(points):
        above = [(v, m * tau) for v, m in law.items() if v >= high]
        below = [(v, m * (1 - tau)) for v, m in law.items() if v <= low]
        zero = sum(v * m for v, m in above + below) / sum(m for _, m in above + below)
        if low <= zero <= high:
            return float(zero)
    return float(points[0])


def _expectile_claim(name: str, expected: str, factor: Callable[[float], float], words: str, latex: str) -> None:
    @claim(
        name,
        statement=f"An expectile moves no further than {words} the law does in W1.",
        latex=latex,
        source="derived: docs/proofs.md, expectiles",
        evidence="derived",
        expected=expected,
        measured="difference of the expectiles",
        bound=f"{words} W1, exact",
        searched="laws of up to 4 values, levels 1/10, 1/2, 4/5",
        family=particle_laws(2, 4, states=1),
        structured=_structured,
    )
    def _(case: Case) -> Iterator[Reading]:
        """The identifying function has slopes between min(tau, 1 - tau) and max(tau, 1 - tau)."""
        exact = Exact(case)
        for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
            for level in (0.1, 0.5, 0.8):
                gap = abs(_expectile(mu, level) - _expectile(nu, level))
                yield Reading(gap, factor(level) * float(ex.w1(mu, nu)), _close(_sizes([mu, nu])))


_expectile_claim(
    "expectile-w1-lipschitz",
    "holds",
    lambda level: float(theory.expectile_lipschitz(level)),
    "max(tau, 1 - tau) / min(tau, 1 - tau) times as far as",
    r"|e_\tau(\mu)-e_\tau(\nu)|\le\frac{\max(\tau,1-\tau)}{\min(\tau,1-\tau)}W_1(\mu,\nu)",
)
_expectile_claim(
    "expectile-w1-lipschitz-1", "refuted", lambda level: 1.0, "once", r"|e_\tau(\mu)-e_\tau(\nu)|\le W_1(\mu,\nu)"
)
