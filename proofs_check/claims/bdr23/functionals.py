"""Functionals that the operator knows: moments, the variance; and expectiles, which move with the law."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl import theory
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Expected, Reading, claim, same
from proofs_check.claims.bdr23 import SOURCE
from proofs_check.exact import Exact, ExactLaw
from proofs_check.families import PARTICLES, Family, models, particle_laws, structured_models

PLACE = 2


@claim(
    "moments-closed",
    statement="Moments are Bellman-closed: the image's first k moments follow from the successors' first k.",
    latex=r"E(T\mu)^k=\sum_j\binom kj\gamma^jE[R^{k-j}\mu^{(j)}(X')]",
    source=f"{SOURCE}, chapter 8",
    evidence="read",
    measured="raw moment of the image, exact",
    bound="the recursion through moments of the successors (equality)",
    family=particle_laws(1, 3),
    searched="k up to 4",
    structured=lambda: PARTICLES,
    used_by="Moments",
)
def moments_closed(case: Case) -> Iterator[Reading]:
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


@st.composite
def _agreeing(draw: Any) -> Case:
    """Two laws on four equal masses, (-s, 0, 0, s) and scaled: with equal medians; or (-c - d, -c + d, 9, 9): with
    equal CVaR of the worst half."""
    case = draw(models(states=2).strategy)
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
        family=Family(_agreeing(), "processes of up to 2 states, laws on four equal masses"),
        structured=structured,
    )
    def measure(case: Case) -> Iterator[Reading]:
        """Mixing with another state's law reads the successor's at other heights."""
        exact = Exact(case)
        mu, nu = exact.laws(0), exact.laws(1)
        if all(functional(a) == functional(b) for a, b in zip(mu, nu, strict=True)):
            pairs = zip(exact.bellman(mu), exact.bellman(nu), strict=True)
            yield Reading(max(abs(functional(a) - functional(b)) for a, b in pairs), Fraction(0))


_not_closed("median", "median", lambda law: ex.quantile(law, Fraction(1, 2)), True)
_not_closed("cvar", "CVaR of the worst half", lambda law: ex.cvar(law, Fraction(1, 2)), False)


@claim(
    "variance-by-linear-system",
    statement="The variance of the return solves (I - g^2 P) u = variance of the one-step error.",
    latex=r"\mathrm{Var}\,G=(I-\gamma^2P)^{-1}\mathrm{Var}(R+\gamma V(X'))",
    source=f"{SOURCE}, chapter 4; Sobel 1982",
    evidence="read",
    measured="variance by `Moments`",
    bound="the linear system over the rationals (equality)",
    family=models(),
    structured=structured_models,
    used_by="Moments, starts of the solvers",
)
def variance_by_linear_system(case: Case) -> Iterator[Reading]:
    """Law of total variance, one step."""
    exact = Exact(case)
    v = ex.values(exact)
    expected = np.array(ex.variances(exact), dtype=float)
    found = distrl.evaluate(case.model, distrl.Moments(2)).returns
    size = 1.0 + np.abs(np.array(v, dtype=float)).max()
    room = 256 * rounding.FLOAT / (1.0 - case.discount) ** 2
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
    family=particle_laws(2, 4, states=1),
    searched="levels 1/10, 1/2, 4/5",
    structured=lambda: PARTICLES,
    attained=0.999,
)
def expectile_winf_lipschitz(case: Case) -> Iterator[Reading]:
    """Expectiles are monotone, and move with a shift."""
    exact = Exact(case)
    for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
        for level in (0.1, 0.5, 0.8):
            gap = abs(ex.expectile(mu, level) - ex.expectile(nu, level))
            yield Reading(gap, float(ex.w_infinity(mu, nu)), rounding.close(ex.size_of([mu, nu])))
            if len(mu) > 1:
                law = distrl.ParticleReturns([float(v) for v in mu], [float(m) for m in mu.values()])
                yield same(law.expectile(level), ex.expectile(mu, level), 16 * rounding.close(ex.size_of([mu])))


def _expectile_claim(name: str, expected: Expected, factor: Callable[[float], float], words: str, latex: str) -> None:
    @claim(
        name,
        statement=f"An expectile moves no further than {words} the law does in W1.",
        latex=latex,
        source="derived: docs/proofs.md, expectiles",
        evidence="derived",
        expected=expected,
        measured="difference of the expectiles",
        bound=f"{words} W1, exact",
        family=particle_laws(2, 4, states=1),
        searched="levels 1/10, 1/2, 4/5",
        structured=lambda: PARTICLES,
    )
    def measure(case: Case) -> Iterator[Reading]:
        """The identifying function has slopes between min(tau, 1 - tau) and max(tau, 1 - tau)."""
        exact = Exact(case)
        for mu, nu in zip(exact.laws(0), exact.laws(1), strict=True):
            for level in (0.1, 0.5, 0.8):
                gap = abs(ex.expectile(mu, level) - ex.expectile(nu, level))
                yield Reading(gap, factor(level) * float(ex.w1(mu, nu)), rounding.close(ex.size_of([mu, nu])))


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
