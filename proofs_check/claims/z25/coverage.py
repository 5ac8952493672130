"""Intervals of `estimate` cover, of every kind."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from scipy import stats

import distrl
from distrl._validation import FloatArray
from distrl.generative.influence import FirstOrder
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.claims.z25 import SOURCE
from proofs_check.claims.z25._designs import FUNCTIONALS, MEDIAN, Design, Family
from proofs_check.claims.z25.errors import missed, misses, narrower
from proofs_check.evidence import Evidence, rate
from proofs_check.faults import returned

PLACE = 4
LEVEL = 0.9
#: What N of some thousands adds to the share of intervals that miss, where ends are rare and costly.
ROOM = 0.03
SAMPLES = 2000
_SOME = [Case(numbers={"samples": float(SAMPLES)})]
_PARTS = "processes of independent parts, rare ends and chains of near certainty among them, under a policy"
_STEP = 0.3  # of a deviation, what a step of the CDF adds to an interval of the median below
_GROUP = 5  # states that are covered at once
_BOUND = "1 / the share of the false alarm, as logarithms; misses of .1 + {} for N < inf"


def _narrower_cdf(size: float) -> AbstractContextManager[Any]:
    """Woodruff's margins times `size`; the interval is where the law passes them."""
    return returned(FirstOrder, "spreads", lambda spread: spread._replace(error=spread.error * size))()


@claim(
    "estimate-delta-coverage",
    statement="Delta intervals of `estimate` cover about as often as they say, at some thousand samples a pair.",
    latex=r"P(\psi\in\hat I_{.9})\approx.9",
    source=f"{SOURCE} for asymptotic normality, in summary; the interval derived",
    evidence="derived",
    measured="evidence that intervals of level .9 miss more often",
    bound=_BOUND.format(".03"),
    searched=f"{_PARTS}, five functionals",
    structured=lambda: _SOME,
    statistical=True,
    plants=(Plant("narrow", "intervals {} times as wide", Sizes(0.65, 0.8, 0.85), narrower),),
    used_by="Estimate.interval(method='delta')",
)
def estimate_delta_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """`plug-in-normal`, with an estimated deviation."""

    def interval(found: Any, functional: Any, design: Design) -> FloatArray:
        exact = isinstance(functional, distrl.Mean)  # the solver's own error is then next to nothing
        return np.asarray(found.interval(functional, level=LEVEL, states=design.first, numerical=exact))

    violation = misses(LEVEL, chance.size("narrow"))
    yield missed(chance, interval, 0.1 + ROOM, violation, chance.of(120, 800, 3000), Family(SAMPLES))


@claim(
    "estimate-bootstrap-coverage",
    statement="Bootstrap intervals of `estimate` cover about as often as they say.",
    latex=r"P(\psi\in\hat I^*_{.9})\approx.9",
    source=f"{SOURCE} for asymptotic normality, in summary; the bootstrap of smooth functionals, Efron 1979",
    evidence="derived",
    measured="evidence that intervals of level .9 from 40 resamples miss more often",
    bound=_BOUND.format(".03"),
    searched=f"{_PARTS}, five functionals",
    structured=lambda: _SOME,
    statistical=True,
    plants=(Plant("narrow", "intervals {} times as wide", Sizes(0.5, 0.7, 0.75), narrower),),
    used_by="Estimate.interval(method='bootstrap')",
)
def estimate_bootstrap_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """Errors of redrawn models have in the limit the law of the estimate's; of 40 two are outside at either end."""

    def interval(found: Any, functional: Any, design: Design) -> FloatArray:
        options: dict[str, Any] = {"method": "bootstrap", "numerical": False, "resamples": 40}
        return np.asarray(found.interval(functional, level=LEVEL, states=design.first, rng=chance.root, **options))

    violation = misses(LEVEL, chance.size("narrow"))
    yield missed(chance, interval, 0.1 + ROOM, violation, chance.of(80, 400, 1500), Family(SAMPLES))


@claim(
    "estimate-simultaneous-coverage",
    statement="Simultaneous intervals of `estimate` miss some state about as seldom as they say, or more seldom.",
    latex=r"P(\exists x:\psi(x)\notin\hat I_{.9}(x))\lesssim.1",
    source="derived: Bonferroni; the largest studentised deviation, Efron and Tibshirani 1993",
    evidence="derived",
    measured="evidence that of five independent states' intervals of level .9 one misses more often",
    bound=_BOUND.format(".03"),
    searched=f"{_PARTS}, means, entropic risks and deviations; delta, and bootstrap of 39 resamples",
    structured=lambda: [Case(numbers={"bootstrap": 0.0}), Case(numbers={"bootstrap": 1.0})],
    statistical=True,
    plants=(Plant("narrow", "intervals {} times as wide", Sizes(0.7, 0.8, 0.85), narrower),),
    used_by="Estimate.interval(simultaneous=True)",
)
def estimate_simultaneous_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """Independent states: Bonferroni's bound is nearly attained."""
    options: dict[str, Any] = {"method": "delta"}
    if case.numbers["bootstrap"]:
        options = {"method": "bootstrap", "resamples": 39, "rng": chance.root}
    each, test = misses(1.0 - 0.1 / _GROUP, chance.size("narrow")), Evidence()
    rng = chance.rng(int(case.numbers["bootstrap"]))
    for design, found, number in Family(SAMPLES).estimates(rng, chance.of(120, 500, 1500)):
        functional, oracle = FUNCTIONALS[number % 3]
        truth = oracle(design.points, design.laws)
        for group in np.arange(len(truth)).reshape(-1, _GROUP):
            states = design.first[group]
            ends = found.interval(functional, level=LEVEL, states=states, simultaneous=True, numerical=False, **options)
            out = (truth[group] < ends[:, 0]) | (truth[group] > ends[:, 1])
            test.add(rate(np.array([out.any()]), 0.1 + ROOM, 1.0 - (1.0 - each) ** _GROUP))
        if not test.open:
            break
    yield test.reading


@claim(
    "estimate-woodruff-coverage",
    statement="Intervals of a quantile miss at most about as often as they say.",
    latex=r"P(q\notin[\hat F^{-1}(\tau-z\hat\sigma),\hat F^{-1}(\tau+z\hat\sigma)])\lesssim.1",
    source="Woodruff 1952, recalled; the standard error derived",
    evidence="recalled",
    measured="evidence that intervals of the median, level .9, miss more often",
    bound="1 / the share of the false alarm, as logarithms; misses of .1: a step function on a grid misses less",
    searched="processes of five independent parts of two states, discount .9, 80 samples a pair or more, 161 atoms",
    structured=lambda: [Case(numbers={"samples": 80.0})],
    statistical=True,
    plants=(Plant("narrow", "standard errors of CDF values times {}", Sizes(0.4, 0.5, 0.55), _narrower_cdf),),
    used_by="Estimate.interval('quantile')",
)
def estimate_woodruff_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """The CDF at the quantile is normal in the limit, and monotone."""

    def interval(found: Any, functional: Any, design: Design) -> FloatArray:
        return np.asarray(found.interval(functional, level=LEVEL, states=design.first, numerical=False))

    # the step function widens an interval by about an atom's mass: it misses as one would that is so much wider
    violation = misses(LEVEL, chance.size("narrow") + _STEP)
    family = Family(80, parts=5, kinds=(0,), discounts=(0.9,), atoms=161)
    yield missed(chance, interval, 0.1, violation, chance.of(60, 200, 600), family, (MEDIAN,))


@claim(
    "estimate-ball-coverage",
    statement="W1 and Kolmogorov balls around the estimated law leave the true one out about as often as they say.",
    latex=r"P(d(\hat\eta,\eta)>\hat r_{.9})\approx.1",
    source=f"{SOURCE} for asymptotic normality of the CDF values, in summary",
    evidence="derived",
    measured="evidence that the fixed point's law is more often outside of a ball of level .9 from 39 resamples",
    bound=_BOUND.format(".03"),
    searched=f"{_PARTS}; resamples linearised (delta) or not",
    structured=lambda: [Case(numbers={"bootstrap": 0.0}), Case(numbers={"bootstrap": 1.0})],
    statistical=True,
    plants=(Plant("narrow", "radii times {}", Sizes(0.6, 0.7, 0.75), narrower),),
    used_by="Estimate.interval('w1'), Estimate.interval('ks')",
)
def estimate_ball_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """Redrawn models are about as far from the estimate as it is from the truth."""
    bootstrap, test = bool(case.numbers["bootstrap"]), Evidence()
    options: dict[str, Any] = {"method": "bootstrap" if bootstrap else "delta", "resamples": 39, "rng": chance.root}
    violation = chance.of(0.38, 0.25, 0.21)  # what is planted misses as often, or more
    for design, found, number in Family(SAMPLES).estimates(chance.rng(int(bootstrap)), chance.of(60, 250, 900)):
        gaps = np.abs(np.cumsum(np.asarray(found.returns.probs)[design.first] - design.laws, axis=1))
        name = ("w1", "ks")[number % 2]
        far = gaps.max(axis=1) if number % 2 else gaps.sum(axis=1) * (design.points[1] - design.points[0])
        ends = found.interval(name, level=LEVEL, states=design.first, numerical=False, **options)
        test.add(rate((far > ends[:, 1])[design.random], 0.1 + ROOM, violation))
        if not test.open:
            break
    yield test.reading


@claim(
    "estimate-unbounded-coverage",
    statement="Delta intervals of means cover about as often as they say for rewards without bounds.",
    latex=r"P(V\in\hat I_{.9})\approx.9",
    source="derived: the delta method asks for a variance alone",
    evidence="derived",
    measured="evidence that intervals of level .9 miss the mean more often",
    bound=_BOUND.format(".03"),
    searched="ten states that stay with a normal reward or end with a Student one of five degrees, 150 samples each",
    structured=lambda: [Case(numbers={"samples": 150.0})],
    statistical=True,
    plants=(Plant("narrow", "intervals {} times as wide", Sizes(0.65, 0.8, 0.85), narrower),),
    used_by="Estimate.interval(method='delta')",
)
def estimate_unbounded_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """The grid is so wide that the mean is the process's own."""
    laws, stay, g, states = (stats.norm(1.0), stats.t(5)), 0.7, 0.8, 10
    rows = [
        (s, p, s, law, end) for s in range(states) for p, law, end in zip((stay, 1 - stay), laws, (0, 1), strict=True)
    ]
    source = distrl.GenerativeModel(distrl.MRP.from_outcomes(rows, g))
    method, truth = distrl.CategoricalFixedPoint(grid=distrl.Grid(-60.0, 60.0, 61)), stay / (1.0 - g * stay)
    rng, test, violation = chance.rng(), Evidence(), misses(LEVEL, chance.size("narrow"))
    for _ in range(chance.of(60, 400, 1500)):
        ends = distrl.estimate(source.sample(150, rng), method).interval("mean", level=LEVEL, numerical=False)
        test.add(rate((truth < ends[:, 0]) | (truth > ends[:, 1]), 0.1 + ROOM, violation))
        if not test.open:
            break
    yield test.reading
