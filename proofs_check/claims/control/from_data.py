"""Decisions from samples: what lower bounds of a mean, and of a policy's value, miss."""

import itertools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import strategies as st
from scipy import special, stats

import distrl
from distrl import theory
from distrl._validation import FloatArray
from distrl.control.data.likely import least_means
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.evidence import Evidence, rate
from proofs_check.families import Family

PLACE = 3
DELTA = 0.2


def _law(probs: tuple[float, ...], rewards: tuple[float, ...], n: int) -> Case:
    rows = tuple((0, p, 0, r, True) for p, r in zip(probs, rewards, strict=True))
    return Case(rows, 0.0, numbers={"samples": float(n)})


@st.composite
def _laws(draw: st.DrawFn) -> Case:
    """Two or three rewards in [0, 1], up to 6 samples."""
    k = draw(st.integers(2, 3))
    weights = [draw(st.integers(1, 20)) for _ in range(k)]
    rewards = tuple(draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])) for _ in range(k))
    return _law(tuple(weight / sum(weights) for weight in weights), rewards, draw(st.integers(1, 6)))


LAWS = Family(_laws(), "laws on two or three points of [0, 1], one to six samples")
RARE = [_law((0.08, 0.92), (1.0, 0.0), 1), _law((0.05, 0.95), (0.0, 1.0), 6), _law((0.3, 0.3, 0.4), (0.0, 0.5, 1.0), 6)]


def _missed(case: Case, seen: bool) -> float:
    """The probability that the lower bound of the mean is above it, by the multinomial law of the counts."""
    rows, n = case.rows, int(case.numbers["samples"])
    probs, values = np.array([row[1] for row in rows]), np.array([row[3] for row in rows])
    counts = np.array([c for c in itertools.product(range(n + 1), repeat=len(rows)) if sum(c) == n])
    radius = theory.likelihood_radius(n, DELTA)
    missed, mean = 0.0, float(probs @ values)
    for row in counts:
        drawn = row > 0
        low = float(values[drawn].min()) if seen else 0.0
        shares: FloatArray = row[drawn] / n
        found = least_means(np.array([0]), values[drawn] - low, shares, np.array([radius]))
        if low + found.means[0] - found.errors[0] > mean + 1e-12:
            missed += math.exp(float(stats.multinomial.logpmf(row, n, probs)))
    return missed


@claim(
    "empirical-likelihood-coverage",
    statement="The least mean of laws that samples do not contradict is above the mean with probability delta at most.",
    latex=r"P\Bigl(\min\{E_QX:\mathrm{KL}(\hat P_n\|Q)\le\frac1n\ln\frac{\sqrt{\pi(n+1/2)}}\delta\}>EX\Bigr)\le\delta",
    source="derived: theory.likelihood_radius; Cover and Ordentlich 1996",
    evidence="derived",
    measured="the probability that the bound is above the mean, summed over all counts of the values",
    bound="delta = .2",
    family=LAWS,
    structured=lambda: RARE,
    used_by="optimize(pessimism=), ControlSolution.confirmed for policies with a memory",
)
def empirical_likelihood_coverage(case: Case) -> Iterator[Reading]:
    """A mixture of bets against the mean, and Markov's inequality."""
    if min(row[3] for row in case.rows) < 0.0:
        return  # moved below the known low end
    yield Reading(_missed(case, seen=False), DELTA, 1e-9)


@claim(
    "empirical-likelihood-of-seen-values",
    statement="The same with laws on the values that were seen, and no known low end.",
    latex=r"P\bigl(\min\{E_QX:\mathrm{KL}(\hat P_n\|Q)\le c,\ Q\ll\hat P_n\}>EX\bigr)\le\delta",
    source="a premise of `empirical-likelihood-coverage` left out",
    evidence="derived",
    expected="refuted",
    measured="the probability that the bound is above the mean, summed over all counts of the values",
    bound="delta = .2",
    family=LAWS,
    structured=lambda: RARE,
    why="Samples that happen to be alike leave one law alone, and a rare loss is none of them.",
)
def empirical_likelihood_of_seen_values(case: Case) -> Iterator[Reading]:
    """Nobody knows what was not seen."""
    yield Reading(_missed(case, seen=True), DELTA, 1e-9)


def _choices() -> Case:
    """A state with six actions that are alike, and a second one."""
    rows = [(0, a, 0.5, y, float(r), False) for a in range(6) for y, r in ((0, 1), (1, 0))]
    rows += [(1, a, p, 0, float(r), end) for a in range(6) for p, r, end in ((0.5, 0, True), (0.5, 1, False))]
    return Case(tuple(rows), 0.8, numbers={"samples": 12.0})


def _higher(size: float) -> AbstractContextManager[Any]:
    """Lower bounds are moved the share `size` of the way to the policy's value on the samples."""
    optimize = distrl.optimize

    def altered(samples: Any, *arguments: Any, **options: Any) -> Any:
        found = optimize(samples, *arguments, **options)
        worth = distrl.evaluate(samples, distrl.Moments(1), policy=found.policy).values
        return replace(found, lower=found.lower + size * (worth - found.lower))

    return mock.patch.object(distrl, "optimize", altered)


def _share_missed(case: Case, pessimism: float | None, chance: Chance) -> Iterator[Reading]:
    """Evidence that a lower bound is above what the policy is worth, in some state, more often than it says."""
    source, test = distrl.GenerativeModel(case.mdp), Evidence()
    violation = chance.of(0.55, 0.42, 0.36)  # what is planted misses as often, or more
    for number in range(chance.of(150, 400, 1200)):
        samples: Any = source.sample(int(case.numbers["samples"]), rng=chance.seed(number))
        found = distrl.optimize(samples, distrl.Mean(), pessimism=pessimism)
        worth = distrl.evaluate(case.mdp, distrl.Moments(1), policy=found.policy).values
        test.add(rate(np.array([(found.lower > worth + 1e-9).any()]), DELTA, violation))
        if not test.open:
            break
    yield test.reading


@claim(
    "pessimistic-lower-bound",
    statement="The true value of the policy is below the bound of optimize(pessimism=.8) with probability .2 at most.",
    latex=r"P(\exists x:\ \underline V(x)>V^{\hat\pi}(x))\le.2",
    source="derived: distrl.control.data.pessimism; the idea of leaving a state out, Agarwal, Kakade and Yang 2020",
    evidence="derived",
    measured="evidence that the bound is more often above the true value in some state",
    bound="1 / the share of the false alarm, as logarithms; .2",
    searched="one process",
    structured=lambda: [_choices()],
    statistical=True,
    plants=(
        Plant("high", "bounds moved the share {} of the way to the samples' value", Sizes(0.8, 0.7, 0.65), _higher),
    ),
    used_by="optimize(pessimism=)",
)
def pessimistic_lower_bound(case: Case, chance: Chance) -> Iterator[Reading]:
    """One number of a state is all that its samples tell the rest, and a net of it is enough."""
    return _share_missed(case, 1.0 - DELTA, chance)


@claim(
    "best-on-samples-lower-bound",
    statement="The certified lower bound of the best policy on samples bounds its true value that often.",
    latex=r"P(\exists x:\ V^{\hat\pi}_{\hat P}(x)>V^{\hat\pi}(x))\le.2",
    source="`pessimistic-lower-bound` without pessimism",
    evidence="derived",
    expected="refuted",
    measured="evidence that the bound is more often above the true value in some state",
    bound="1 / the share of the false alarm, as logarithms; .2",
    searched="one process",
    structured=lambda: [_choices()],
    statistical=True,
    why="The best of many noisy values is one that the noise has raised.",
)
def best_on_samples_lower_bound(case: Case, chance: Chance) -> Iterator[Reading]:
    """It is certain, but of the samples' own process."""
    return _share_missed(case, None, chance)


def _missed_outcomes(case: Case, cut: bool) -> float:
    """On average over all samples, how many outcomes are less probable than their bounds, by the binomial law."""
    n, copies = int(case.numbers["samples"]), int(case.numbers.get("copies", 1.0))
    counts = np.arange(n + 1)
    if cut:
        floors = theory.least_probability(counts, n, DELTA)
    else:
        floors = np.nan_to_num(special.betaincinv(counts, n - counts + 1.0, DELTA / (2.0 * n)))
    missed = 0.0
    for row in case.rows:
        p = row[1] / copies
        missed += copies * float(stats.binom.pmf(counts, n, p)[floors > p].sum())
    return missed


def _many(samples: float, copies: float) -> Case:
    rows = ((0, 1.0, 0, 1.0, True),)
    return Case(rows, 0.0, numbers={"samples": samples, "copies": copies})


MANY = [_many(40.0, 30.0), _many(300.0, 1e3), _many(20.0, 1e6), _many(300.0, 2.0)]


@claim(
    "probabilities-of-all-outcomes",
    statement="Of a law's outcomes, however many, one is below its bound with probability delta at most.",
    latex=r"E\,\#\{o: \underline p(k_o,n)>p_o\}\le\delta,\quad \underline p=0\text{ for }k!<2n/\delta",
    source="derived: theory.least_probability",
    evidence="derived",
    measured="the mean number of outcomes below their bounds, by the binomial law",
    bound="delta = .2",
    family=LAWS,
    structured=lambda: [*RARE, *MANY],
    used_by="optimize(pessimism=) for risk and horizons",
)
def probabilities_of_all_outcomes(case: Case) -> Iterator[Reading]:
    """At most n outcomes have 1/n each, and the others are seldom seen so often."""
    yield Reading(_missed_outcomes(case, cut=True), DELTA, 1e-9)


@claim(
    "probabilities-of-outcomes-seen-once",
    statement="The same with the bound of Clopper and Pearson for every outcome, however seldom it was seen.",
    latex=r"E\,\#\{o: \underline p(k_o,n)>p_o\}\le\delta",
    source="a premise of `probabilities-of-all-outcomes` left out",
    evidence="derived",
    expected="refuted",
    measured="the mean number of outcomes below their bounds, by the binomial law",
    bound="delta = .2",
    family=LAWS,
    structured=lambda: MANY,
    why="Of a million outcomes alike every one that is seen at all is below its bound.",
)
def probabilities_of_outcomes_seen_once(case: Case) -> Iterator[Reading]:
    """Who looks only at what was seen has chosen it by chance."""
    yield Reading(_missed_outcomes(case, cut=False), DELTA, 1e-9)


def _dominated(case: Case) -> Case:
    """The pessimistic process: what the rows of each pair keep, and the rest with the worst return."""
    keep, low = case.numbers["keep"], case.numbers["low"]
    pairs = {(row[0], row[1]) for row in case.rows}
    rows = tuple((x, a, p * keep, y, r, end) for x, a, p, y, r, end in case.rows)
    return Case((*rows, *((x, a, 1.0 - keep, x, low, True) for x, a in sorted(pairs))), case.discount)


def _kept(seed: int, objective: int) -> Case:
    rng = np.random.default_rng(seed)
    rows = []
    for x in range(2):
        for a in range(2):
            weights = rng.dirichlet(np.ones(2))
            rows += [
                (x, a, float(p), y, float(rng.integers(-2, 4)), bool(rng.random() < 0.3)) for y, p in enumerate(weights)
            ]
    return Case(tuple(rows), 0.5, numbers={"keep": 0.9, "low": -4.0, "objective": float(objective)})


#: Each grows with the return, but for the last.
OBJECTIVES = (
    distrl.CVaR(0.3),
    distrl.EntropicRisk(-1.0),
    distrl.EVaR(0.4),
    distrl.MeanCVaR(0.2, 0.5),
    distrl.ProbabilityAbove(1.0),
    distrl.Quantile(0.3),
    distrl.NestedCVaR(0.4),
    distrl.MeanVariance(2.0),
)


def _excess(case: Case) -> Iterator[Reading]:
    """How far the best value of the process with less mass is above that of the process itself."""
    objective = OBJECTIVES[int(case.numbers["objective"])]
    worse, true = (distrl.optimize(each.mdp, objective, horizon=3, throw=False) for each in (_dominated(case), case))
    yield Reading(worse.lower, true.upper, 1e-9)


@claim(
    "dominated-process",
    statement="What is best where a part of each row ends with the worst return is no more than what is best.",
    latex=r"\max_\pi\rho(G^\pi_{q})\le\max_\pi\rho(G^\pi_p),\quad q\le p,\ 1-\sum q\text{ ends with }\underline G",
    source="derived: distrl.control.data.dominated",
    evidence="derived",
    measured="certified lower bounds of the best values where a tenth of each row ends with the worst return",
    bound="certified upper bounds of the best values",
    structured=lambda: [_kept(seed, k) for seed in range(3) for k in range(len(OBJECTIVES) - 1)],
    searched="three processes, seven objectives",
    used_by="optimize(pessimism=) for risk and horizons",
)
def dominated_process(case: Case) -> Iterator[Reading]:
    """Both processes are drawn side by side, and one is the worse for sure."""
    return _excess(case)


@claim(
    "dominated-process-of-any-objective",
    statement="The same for the mean less twice the variance, which may fall where every return rises.",
    latex=r"\max_\pi\rho(G^\pi_{q})\le\max_\pi\rho(G^\pi_p)",
    source="a premise of `dominated-process` left out",
    evidence="derived",
    expected="refuted",
    measured="certified lower bounds of the best values where a tenth of each row ends with the worst return",
    bound="certified upper bounds of the best values",
    structured=lambda: [_steady_or_not()],
    searched="one process",
    why="Where the worst return is what is paid anyway as a rule, more of it is less of a spread.",
)
def dominated_process_of_any_objective(case: Case) -> Iterator[Reading]:
    """The variance likes what is worse."""
    return _excess(case)


def _steady_or_not() -> Case:
    rows = ((0, 0, 0.9, 0, 0.0, True), (0, 0, 0.1, 0, 4.0, True))
    return Case(rows, 0.5, numbers={"keep": 0.5, "low": 0.0, "objective": float(len(OBJECTIVES) - 1)})
