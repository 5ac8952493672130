"""Mean less variance, probabilities to reach a target, quantiles: what is reached, and what no policy exceeds."""

from collections.abc import Iterator
from fractions import Fraction

import distrl
from distrl.control import ControlSolution
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.claim import Reading, claim
from proofs_check.claims.control import CONTROL
from proofs_check.claims.control.static import LAYERS, LEVELS, SHIFT, examples, with_memory
from proofs_check.exact import ExactLaw
from proofs_check.exact.risk import Ending

PLACE = 6
SLACK = Fraction(1, 10**12)  # rows of floats sum to 1 up to rounding
NEAR = Fraction(1, 10**9)  # targets, a step, and levels are one if they differ by less
TARGETS = (-1.5, 0.0, 1.0, 2.25)
CELLS = (4096, 6)  # with few cells targets are rounded


def _played(model: Ending, ctl: ControlSolution) -> ExactLaw:
    """The law of the return from state 0 under the policy, by its histories."""
    return model.law_of(0, ctl.policy.start(0), ctl.policy.act, ctl.policy.observe)


def _weighed(law: ExactLaw, weight: Fraction) -> Fraction:
    return ex.mean(law) - weight * ex.variance(law)


def _memories() -> list[Case]:
    return [*examples(), *(with_memory(0.5, level) for level in LEVELS), with_memory(1.0, 0.25)]


def _dense() -> list[Case]:
    """Also with more returns than few cells hold, below discount 1: chords then bound what falls short."""
    pays = (-2.0, 1.5, 0.5, -1.0, 2.0, -0.5, 1.0, -1.5)
    rows = []
    for s in range(4):
        for a in range(2):
            for k, y in enumerate((min(s + 1, 3), min(s + 2, 3))):
                rows.append((s, a, (0.25, 0.75)[k ^ a], y, pays[(3 * s + 2 * a + 5 * k) % 8], s == 3))
    return [*examples(), *(Case(tuple(rows), g, numbers={"level": level}) for g, level in ((0.75, 0.25), (0.5, 0.5)))]


@claim(
    "mean-variance-by-targets",
    statement="The best mean less w times variance is the largest c - 1 / (4 w) - w U(c) over targets c, with U the "
    "least mean squared distance from c.",
    latex=r"\max_\pi\{E\,G-w\,\mathrm{Var}\,G\}=\max_c\{c-\tfrac1{4w}-w\min_\pi E(c-G)^2\}",
    source=CONTROL,
    evidence="derived",
    measured="the right side at targets m + 1 / (2 w), m the means of policies, plus 20, exact",
    bound="the best mean less variance over all policies' means and mean squares, plus 20",
    family=LAYERS,
    searched="w the level",
    structured=_memories,
    attained=0.999,
    used_by="TargetDP",
)
def mean_variance_by_targets(case: Case) -> Iterator[Reading]:
    """Complete the square: for each policy the best c is E G + 1 / (2 w), and the two maxima swap."""
    model, weight = Ending(case), Fraction(case.numbers["level"])
    targets = [m + 1 / (2 * weight) for m, _ in model.moments(0)]
    heights = [c - 1 / (4 * weight) - weight * model.least(0, c, 2) for c in targets]
    yield Reading(max(heights) + SHIFT, model.best_mean_variance(0, weight) + SHIFT, equal=True)


@claim(
    "markov-enough-for-mean-variance",
    statement="A policy that looks at the state and the step alone has the best mean less variance.",
    latex=r"\max_\pi\{E\,G-w\,\mathrm{Var}\,G\}\le\max_{\pi\in M}\{E\,G-w\,\mathrm{Var}\,G\}",
    source=CONTROL,
    evidence="derived",
    expected="refuted",
    measured="the best mean less variance over all policies, plus 20, exact",
    bound="that over the policies that forget what was paid, plus 20",
    family=LAYERS,
    searched="w the level",
    structured=_memories,
    cost=3,
)
def markov_enough_for_mean_variance(case: Case) -> Iterator[Reading]:
    """After a bad start one takes a chance, after a good one does not: 39/16 against 2."""
    model, weight = Ending(case), Fraction(case.numbers["level"])
    markov = model.best_markov(0, lambda law: _weighed(law, weight))
    yield Reading(model.best_mean_variance(0, weight) + SHIFT, markov + SHIFT)


@claim(
    "mean-variance-enclosed",
    statement="TargetDP's policy has a mean less variance of at least `lower`, and no policy one above `upper`.",
    latex=r"\mathrm{lower}\le(E-w\mathrm{Var})(G^{\hat\pi})\le\max_\pi(E-w\mathrm{Var})(G^\pi)\le\mathrm{upper}",
    source=CONTROL,
    evidence="derived",
    measured="`lower`, plus 20; the best mean less variance over all policies, plus 20, exact; after 1 sweep too",
    bound="that of the policy, played on every history; `upper`; plus 20",
    family=LAYERS,
    searched="w the level",
    structured=_memories,
    attained=0.999,
    cost=6,
    used_by="TargetDP",
)
def mean_variance_enclosed(case: Case) -> Iterator[Reading]:
    """Chords of a concave function are below it; what the policy reaches is a matter of linear systems."""
    model, weight = Ending(case), Fraction(case.numbers["level"])
    best = model.best_mean_variance(0, weight)
    for sweeps in (1, None):
        objective = distrl.MeanVariance(case.numbers["level"])
        ctl = distrl.optimize(case.mdp, objective, tol=1e-6, max_iterations=sweeps, throw=False)
        reached = _weighed(_played(model, ctl), weight)
        yield Reading(Fraction(float(ctl.lower[0])) + SHIFT, reached + SHIFT, SLACK)
        yield Reading(best + SHIFT, Fraction(float(ctl.upper[0])) + SHIFT, SLACK)


@claim(
    "probability-enclosed",
    statement="TargetDP's policy reaches the target with a probability of at least `lower`, and no policy with one "
    "above `upper`.",
    latex=r"\mathrm{lower}\le P(G^{\hat\pi}\ge b)\le\max_\pi P(G^\pi\ge b)\le\mathrm{upper}",
    source=CONTROL,
    evidence="derived",
    measured="`lower`, plus 1; the largest probability over all policies, plus 1, exact",
    bound="that of the policy, played on every history; `upper`; plus 1",
    family=LAYERS,
    searched="targets -1.5, 0, 1, 2.25; all returns as knots, and 6 cells",
    structured=_dense,
    attained=0.999,
    cost=8,
    used_by="TargetDP",
)
def probability_enclosed(case: Case) -> Iterator[Reading]:
    """P(G < b) rises with b: a policy that aims higher falls short no less often, rounding down bounds all."""
    model = Ending(case)
    for cells in CELLS:
        for target in TARGETS:
            ctl = distrl.optimize(case.mdp, distrl.ProbabilityAbove(target), distrl.TargetDP(cells), throw=False)
            b = Fraction(target)
            reached = sum((mass for value, mass in _played(model, ctl).items() if value >= b - NEAR), Fraction(0))
            yield Reading(1 + Fraction(float(ctl.lower[0])), 1 + reached, SLACK)
            yield Reading(2 - model.least(0, b + NEAR, 0), 1 + Fraction(float(ctl.upper[0])), SLACK)


@claim(
    "quantile-enclosed",
    statement="TargetDP's policy has a lower quantile of at least `lower`, and no policy one above `upper`.",
    latex=r"\mathrm{lower}\le q_a(G^{\hat\pi})\le\max_\pi q_a(G^\pi)\le\mathrm{upper}",
    source=CONTROL,
    evidence="derived",
    measured="`lower`, plus 20; the largest lower quantile over all policies, plus 20, exact",
    bound="that of the policy, played on every history; `upper`; plus 20",
    family=LAYERS,
    searched="all returns as knots, and 6 cells",
    structured=_dense,
    attained=0.999,
    cost=6,
    used_by="TargetDP",
)
def quantile_enclosed(case: Case) -> Iterator[Reading]:
    """The largest quantile is the last b that a policy falls short of with a probability below the level."""
    level = min(case.numbers["level"], 0.9375)
    model = Ending(case)
    best = model.best_quantile(0, Fraction(level) - 2 * NEAR)
    for cells in CELLS:
        ctl = distrl.optimize(case.mdp, distrl.Quantile(level), distrl.TargetDP(cells), throw=False)
        reached = ex.quantile(_played(model, ctl), Fraction(level) + 2 * NEAR)
        yield Reading(Fraction(float(ctl.lower[0])) + SHIFT, reached + SHIFT, NEAR)
        yield Reading(best + SHIFT, Fraction(float(ctl.upper[0])) + SHIFT, NEAR)
