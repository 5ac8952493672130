"""What bounds entropic risk near 0, EVaR between betas, and nested CVaR from a residual."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

import distrl
from distrl import theory
from distrl._validation import FloatArray
from distrl.control.timed.bracket import highest_between
from proofs_check import exact as ex
from proofs_check import rounding
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.control import CONTROL
from proofs_check.claims.control.optimality import DECISIONS
from proofs_check.claims.control.static import LAYERS, SHIFT, examples
from proofs_check.exact.risk import Ending
from proofs_check.families import Family

PLACE = 5
HOEFFDING = "Hau, Petrik, Ghavamzadeh 2023, Theorem 3.4; the other side by Jensen's inequality"


@st.composite
def _laws(draw: st.DrawFn, count: int) -> Case:
    """Laws of up to four values, and numbers that claims read."""
    n = draw(st.integers(2, 4))
    values = np.array([draw(st.integers(-8, 8)) / 2.0 for _ in range(count * n)]).reshape(count, n)
    weights = np.array([draw(st.integers(1, 8)) for _ in range(count * n)], dtype=float).reshape(count, n)
    numbers = {
        "beta": draw(st.sampled_from([0.01, 0.1, 0.5, 2.0])),
        "ratio": draw(st.sampled_from([1.05, 1.5, 4.0])),
        "level": draw(st.sampled_from([0.05, 0.25, 0.75])),
    }
    return Case((), 0.0, None, (weights / weights.sum(axis=1, keepdims=True),), (values,), numbers)


def _coins(beta: float = 0.01, ratio: float = 1.05, level: float = 0.25) -> Case:
    """A fair coin of -1 and 1, and a sure -1/10."""
    values = np.array([[-1.0, 1.0], [-0.1, -0.1]])
    return Case((), 0.0, None, (np.full((2, 2), 0.5),), (values,), {"beta": beta, "ratio": ratio, "level": level})


def _coin_alone() -> Case:
    """The coin twice, between betas on both sides of the best one."""
    case = _coins(0.5, 8.0, 0.75)
    return Case((), 0.0, None, case.weights, (np.tile([-1.0, 1.0], (2, 1)),), case.numbers)


def risk_of(values: FloatArray, weights: FloatArray, beta: float) -> float:
    """(1 / beta) log E exp(beta G), about the mean."""
    mean = float(weights @ values)
    return mean + math.log1p(float(weights @ np.expm1(beta * (values - mean)))) / beta


@claim(
    "entropic-near-mean",
    statement="Entropic risk is on one side of the mean, and |beta| w^2 / 8 from it at most.",
    latex=r"0\le\mathrm{sgn}(\beta)\,\bigl(\tfrac1\beta\log E\,e^{\beta G}-E\,G\bigr)\le\tfrac18|\beta|w^2",
    source=HOEFFDING,
    evidence="read",
    measured="entropic risk less the mean for beta > 0, the mean less the risk for beta < 0; minus that",
    bound="|beta| w^2 / 8, w the width of the law; 0",
    family=Family(_laws(1), "laws of up to 4 values"),
    structured=lambda: [_coins(beta) for beta in (0.01, 0.1, 1.0)],
    attained=0.99,
    used_by="TimedDP, theory.entropic_mean_gap",
)
def entropic_near_mean(case: Case) -> Iterator[Reading]:
    """Hoeffding's lemma, and Jensen's inequality."""
    values, weights = case.values[0][0], case.weights[0][0]
    slack = 1e-13 * (1.0 + float(np.abs(values).max()))
    for beta in (case.numbers["beta"], -case.numbers["beta"]):
        above = math.copysign(1.0, beta) * (risk_of(values, weights, beta) - float(weights @ values))
        yield Reading(above, float(theory.entropic_mean_gap(beta, float(np.ptp(values)))), slack)
        yield Reading(-above, 0.0, slack)


def _entropic(model: Ending, x: int, beta: float, left: int, cut: int, tail: list[float]) -> float:
    """The recursion back over time, `cut` steps of it, then `tail`."""
    if left == 0:
        return 0.0
    if cut == 0:
        return tail[x]
    g, found = float(model.g), []
    for rows in model.choices(x):
        ends = [
            float(r) if end else float(r) + g * _entropic(model, y, beta * g, left - 1, cut - 1, tail)
            for _, y, r, end in rows
        ]
        found.append(risk_of(np.array(ends), np.array([float(row[0]) for row in rows]), beta))
    return max(found)


@claim(
    "entropic-cut",
    statement="Cut after T steps, where the best mean follows, the recursion for entropic risk is at most |beta| g^2T "
    "w^2 / 8 from the best risk, on a known side.",
    latex=r"h^{(T)}[V-\tfrac18|\beta|\gamma^Tw^2]\le h_\beta\le h^{(T)}[V],\ \beta<0",
    source=HOEFFDING,
    evidence="read",
    measured="the lower end less the best risk over all policies (floats), it less the upper end; the gap of both ends",
    bound="0; |beta| g^2T w^2 / 8, w the largest width of returns",
    family=LAYERS,
    searched="beta -1, 1, -.1, .1, cut after 1 and 2 steps",
    structured=examples,
    attained=0.9,
    cost=3,
    used_by="TimedDP",
)  # fmt: skip
def entropic_cut(case: Case) -> Iterator[Reading]:
    """A step moves a difference of what follows by g at most; after T steps beta is beta g^T."""
    model = Ending(case)
    g, n = float(model.g), model.states
    means = [float(model.best_mean(x)) for x in range(n)]
    policy = model.mean_optimal()
    own = [model.returns(x, policy=policy) for x in range(n)]
    every = [model.returns(x) for x in range(n)]
    for beta in (-1.0, 1.0, -0.1, 0.1):
        best = _entropic(model, 0, beta, model.steps, model.steps, means)
        widths = [float(max(each) - min(each)) for each in (own if beta < 0.0 else every)]
        for steps in (1, 2):
            room = theory.entropic_mean_gap(beta * g**steps, np.array(widths))
            lower = [mean - (lost if beta < 0.0 else 0.0) for mean, lost in zip(means, room.tolist(), strict=True)]
            upper = [mean + (lost if beta > 0.0 else 0.0) for mean, lost in zip(means, room.tolist(), strict=True)]
            low, high = (_entropic(model, 0, beta, model.steps, steps, tail) for tail in (lower, upper))
            slack = 1e-12 * float(SHIFT)
            yield Reading(max(low - best, best - high), 0.0, slack)
            yield Reading(high - low, g**steps * float(room.max()), slack)


def _between(case: Case) -> tuple[list[float], float, float, FloatArray]:
    """h - loss / b of the best law at betas from b1 to b2, and at these two their h; smallest values and widths."""
    values, weights = case.values[0], case.weights[0]
    b1, loss = case.numbers["beta"], -math.log(case.numbers["level"])
    b2 = b1 * case.numbers["ratio"]

    def h(b: float) -> float:
        return max(risk_of(v, w, -b) for v, w in zip(values, weights, strict=True))

    inner = [h(b) - loss / b for b in np.linspace(b1, b2, 41).tolist()]
    return inner, h(b1), h(b2), values


@claim(
    "evar-between-betas",
    statement="Between two betas the best EVaR is bounded by monotonicity, concavity and curvature of log E exp(-b G).",
    latex=r"\sup_{b_1\le b\le b_2}\{h(b)-s/b\}\le\min\{u_1-s/b_2,\ \ldots\}",
    source="own result: distrl.control.timed.bracket; Hau, Petrik, Ghavamzadeh 2023 for the first of three bounds",
    evidence="derived",
    measured="the largest of h(b) - s / b at 41 betas between, h the best of two laws, less the larger of both ends",
    bound="`highest_between` of h at both ends, less the same",
    family=Family(_laws(2), "two laws of up to 4 values, betas .01 to 2, ratios 1.05 to 4, levels .05 to .75"),
    structured=lambda: (
        [_coins(b, r, a) for b in (0.1, 1.0) for r in (1.05, 4.0) for a in (0.05, 0.75)] + [_coin_alone()]
    ),
    used_by="TimedDP",
)
def evar_between_betas(case: Case) -> Iterator[Reading]:
    """h falls; -log E exp(-b G) is concave with a slope of at least the smallest return, and a second derivative of at
    least minus a quarter of the squared width."""
    inner, first, second, values = _between(case)
    b1 = case.numbers["beta"]
    betas = (b1, b1 * case.numbers["ratio"])
    lowest, width = np.array([values.min()]), np.array([np.ptp(values)])
    ends = np.array([first]), np.array([second])
    found = float(highest_between(betas, ends, lowest, width, -math.log(case.numbers["level"]))[0])
    ends_best = max(inner[0], inner[-1])
    slack = float(rounding.close(20.0 / b1 + float(np.abs(values).max()))) / min(b1, 1.0)
    yield Reading(max(inner) - ends_best, found - ends_best, slack)


@claim(
    "evar-best-at-an-end",
    statement="No beta between two is better than both of them.",
    latex=r"\sup_{b_1\le b\le b_2}\{h(b)-s/b\}\le\max\{h(b_1)-s/b_1,h(b_2)-s/b_2\}",
    source="`evar-between-betas` without its allowance",
    evidence="derived",
    expected="refuted",
    measured="the largest of h(b) - s / b at 41 betas between, plus 20 / b1",
    bound="the larger of both ends, plus 20 / b1",
    family=Family(_laws(2), "two laws of up to 4 values"),
    structured=lambda: [_coin_alone()],
)
def evar_best_at_an_end(case: Case) -> Iterator[Reading]:
    """The supremum is inside as a rule: a ladder alone gives lower ends only."""
    inner, *_ = _between(case)
    shift = 20.0 / case.numbers["beta"]
    yield Reading(max(inner) + shift, max(inner[0], inner[-1]) + shift, 1e-12 * shift)


@claim(
    "risks-enclosed",
    statement="TimedDP's and NestedIteration's `lower` and `upper` hold the best entropic risk, EVaR and nested CVaR.",
    latex=r"\mathrm{lower}\le\max_\pi\rho(G^\pi)\le\mathrm{upper}",
    source=CONTROL,
    evidence="derived",
    measured="`lower`, and the best risk by a recursion (EVaR: at 40 betas; its `lower`, and the best CVaR), plus 20",
    bound="the best risk; `upper`; plus 20",
    family=LAYERS,
    searched="beta -1 and 1; the case's level",
    structured=examples,
    attained=0.999,
    cost=8,
    used_by="TimedDP, NestedIteration",
)
def risks_enclosed(case: Case) -> Iterator[Reading]:
    """`entropic-cut`, `evar-between-betas` and `nested-residual`."""
    model, mdp, level, shift = Ending(case), case.mdp, case.numbers["level"], float(SHIFT)
    slack, tail = 1e-12 * shift, [0.0] * model.states

    def best(beta: float) -> float:
        return _entropic(model, 0, beta, model.steps, model.steps, tail)

    def ends(objective: distrl.returns.Functional) -> tuple[float, float]:
        ctl = distrl.optimize(mdp, objective, throw=False)
        return float(ctl.lower[0]) + shift, float(ctl.upper[0]) + shift

    for beta in (-1.0, 1.0):
        low, high = ends(distrl.EntropicRisk(beta))
        yield Reading(np.array([low, best(beta) + shift]), np.array([best(beta) + shift, high]), slack)
    low, high = ends(distrl.EVaR(level))
    seen = max(best(-b) + math.log(level) / b for b in np.geomspace(0.02, 20.0, 40).tolist())
    yield Reading(seen + shift, high, slack)
    yield Reading(low, float(model.best_cvar(0, Fraction(level))) + shift, slack)
    low, high = ends(distrl.NestedCVaR(level))
    nested = float(model.nested_cvar(0, Fraction(level))) + shift
    yield Reading(np.array([low, nested]), np.array([nested, high]), slack)


class _Sweeps:
    """Nested CVaR of a process that goes on, by sweeps in floats."""

    def __init__(self, case: Case, level: Fraction) -> None:
        self.model, self.level = ex.Decisions(case), level

    def pairs(self, values: list[Fraction]) -> list[Fraction]:
        """CVaR of r + g V(y) of every pair."""
        g = self.model.g
        return [
            ex.cvar(ex.add_up((r if end else r + g * values[y], p) for p, y, r, end in rows), self.level)
            for rows in self.model.outcomes
        ]

    def step(self, values: list[Fraction], policy: list[int] | None = None) -> list[Fraction]:
        found, m = self.pairs(values), self.model.actions
        if policy is not None:
            return [found[s * m + policy[s]] for s in range(self.model.states)]
        return [max(found[s * m : (s + 1) * m]) for s in range(self.model.states)]

    def limit(self, policy: list[int] | None = None) -> list[Fraction]:
        """After so many sweeps that less than 10^-12 of the first error is left; digits beyond 60 bits are dropped."""
        values = [Fraction(0)] * self.model.states
        for _ in range(math.ceil(math.log(1e-14) / math.log(float(self.model.g)))):
            values = [Fraction(round(v * 2**60), 2**60) for v in self.step(values, policy)]
        return values


@claim(
    "nested-residual",
    statement="With d the residual of one backup of any values, g min(d, 0) / (1 - g) and g max(d, 0) / (1 - g) from "
    "it bound what the greedy policy reaches and what none exceeds in nested CVaR.",
    latex=r"TV+\tfrac{\gamma}{1-\gamma}\min(d,0)\le\rho_{\pi_V},\ \rho^*\le TV+\tfrac{\gamma}{1-\gamma}\max(d,0)",
    source=CONTROL,
    evidence="derived",
    measured="TV less nested CVaR of the greedy policy; the best one less TV",
    bound="-g min(d, 0) / (1 - g); g max(d, 0) / (1 - g)",
    family=DECISIONS,
    searched="level 1/2",
    structured=lambda: [
        Case(((0, 0, 1.0, 0, 1.0, False),), 0.5, None, (np.ones((1, 1)),), (np.full((1, 1), v),)) for v in (0.0, 4.0)
    ],
    attained=0.999,
    cost=4,
    used_by="NestedIteration",
)  # fmt: skip
def nested_residual(case: Case) -> Iterator[Reading]:
    """T is monotone, and T(V + c) <= TV + g c for c >= 0."""
    sweeps = _Sweeps(case, Fraction(1, 2))
    model, g = sweeps.model, sweeps.model.g
    laws = model.laws(case, 0)
    values = [max(laws[s * model.actions]) for s in range(model.states)]
    image, pairs = sweeps.step(values), sweeps.pairs(values)
    policy = [pairs[s * model.actions : (s + 1) * model.actions].index(image[s]) for s in range(model.states)]
    residual = [after - before for after, before in zip(image, values, strict=True)]
    below, above = -g * min(*residual, 0) / (1 - g), g * max(*residual, 0) / (1 - g)
    best, reached = sweeps.limit(), sweeps.limit(policy)
    slack = Fraction(1, 10**9)
    for s in range(model.states):
        yield Reading(image[s] - reached[s], below, slack)
        yield Reading(best[s] - image[s], above, slack)
