"""Standard errors and delta intervals of `estimate`, where samples are so many that first order is all."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from scipy import stats

from distrl._validation import FloatArray
from distrl.generative.result import Estimate
from proofs_check.case import Case
from proofs_check.chance import Chance, Plant, Sizes
from proofs_check.claim import Reading, claim
from proofs_check.claims.z25 import SOURCE
from proofs_check.claims.z25._designs import FUNCTIONALS, SMOOTH, Family
from proofs_check.evidence import Evidence, dependent, rate, scale
from proofs_check.faults import returned

PLACE = 3
SAMPLES = 100_000
#: What N < inf can do to a standard deviation; 1 / N times a small number, for the rare events counted 20 times.
ROOM = 0.01
LEVEL = 0.9
BINS = 8
_MANY = [Case(numbers={"samples": float(SAMPLES)})]
_SEARCHED = (
    "processes of ten parts, a policy, five functionals, discounts .3, .7 and .9, 10^5 samples of each pair or more"
)


def _scores(chance: Chance, most: int) -> Iterator[FloatArray]:
    """Errors of ten parts' functionals, each divided by the standard error that `estimate` states."""
    for design, found, number in Family(SAMPLES).estimates(chance.rng(), most):
        functional, oracle = FUNCTIONALS[number % len(SMOOTH)]
        value = np.asarray(functional.value(found.returns))[design.first]
        error = found.standard_error(functional, states=design.first)
        yield ((value - oracle(design.points, design.laws)) / error)[design.random]


def standard_errors_times(size: float) -> AbstractContextManager[Any]:
    """Every standard error that is stated is multiplied by `size`."""
    return returned(Estimate, "standard_error", lambda errors: errors * size)()


def narrower(size: float) -> AbstractContextManager[Any]:
    """Every interval that is stated shrinks to the share `size` of itself: about its middle, a ball about 0."""

    def shrink(ends: FloatArray) -> FloatArray:
        middle = np.where(ends[..., :1] == 0.0, 0.0, ends.mean(axis=-1, keepdims=True))
        return middle + size * (ends - middle)

    return returned(Estimate, "interval", shrink)()


@claim(
    "plug-in-variance",
    statement="A plug-in's error has the standard deviation that `estimate` states.",
    latex=r"N\,\mathrm{Var}\,\hat\psi\to\sum_x\mathrm{Var}_oh_x(o)",
    source=f"{SOURCE} for asymptotic normality, in summary; the formula derived",
    evidence="derived",
    measured="evidence that errors, divided by `Estimate.standard_error`, are spread more than that, or less",
    bound="1 / the share of the false alarm, as logarithms; 1% for N < inf",
    searched=_SEARCHED,
    structured=lambda: _MANY,
    statistical=True,
    plants=(
        Plant("small", "standard errors times {}", Sizes(0.7, 0.9, 0.95), standard_errors_times),
        Plant(
            "large",
            "standard errors divided by {}",
            Sizes(0.7, 0.9, 0.95),
            lambda size: standard_errors_times(1 / size),
        ),
    ),
    used_by="Estimate.standard_error, Estimate.interval(method='delta')",
)
def plug_in_variance(case: Case, chance: Chance) -> Iterator[Reading]:
    """The delta method; the truth is solved for by dense matrices, the errors of ten parts are independent."""
    tests = [Evidence(2), Evidence(2)]
    small, large = 1.0 / chance.size("small"), chance.size("large")
    for z in _scores(chance, chance.of(120, 600, 2500)):
        tests[0].add(scale(z, 1.0 + ROOM, small))
        tests[1].add(scale(z, 1.0 - ROOM, large))
        if not any(test.open for test in tests):
            break
    yield from (test.reading for test in tests)


def _skewed(size: float) -> AbstractContextManager[Any]:
    """Standard errors of which a share `size` is twice too small, the others a little too large for it to show."""
    rng = np.random.default_rng(3)
    rest = np.sqrt((1.0 - size) / (1.0 - 4.0 * size))

    def change(errors: FloatArray) -> FloatArray:
        return errors * np.where(rng.random(errors.shape) < size, 0.5, rest)

    return returned(Estimate, "standard_error", change)()


@claim(
    "plug-in-normal",
    statement="A plug-in's error, divided by the standard error that `estimate` states, is normal in the limit.",
    latex=r"\sqrt N(\hat\psi-\psi)/\sigma\Rightarrow N(0,1)",
    source=f"{SOURCE}, in summary",
    evidence="summary",
    measured="evidence that eight classes of such errors, as likely under the normal law, have other probabilities",
    bound="1 / the share of the false alarm, as logarithms",
    searched=_SEARCHED,
    structured=lambda: _MANY,
    statistical=True,
    plants=(
        Plant("mixed", "a share {} of the standard errors halved, the others larger", Sizes(0.2, 0.14, 0.1), _skewed),
    ),
)
def plug_in_normal(case: Case, chance: Chance) -> Iterator[Reading]:
    """The central limit theorem and the delta method."""
    test = Evidence(simple=False)
    scores = np.concatenate(list(_scores(chance, chance.of(60, 300, 1000))))
    bins = np.minimum((stats.norm.cdf(scores) * BINS).astype(np.int64), BINS - 1)
    test.add(dependent(np.zeros_like(bins), bins, np.full(BINS, 1.0 / BINS)))
    yield test.reading


def missed(
    chance: Chance,
    interval: Callable[[Any, Any, Any], FloatArray],
    claimed: float,
    violation: float,
    most: int,
    family: Family,
    functionals: tuple[int, ...] = SMOOTH,
) -> Reading:
    """Evidence that intervals of independent parts miss more often than claimed.

    `interval(estimate, functional, design)` gives (parts, 2).
    """
    test = Evidence()
    for design, found, number in family.estimates(chance.rng(), most):
        functional, oracle = FUNCTIONALS[functionals[number % len(functionals)]]
        truth = oracle(design.points, design.laws)
        ends = interval(found, functional, design)
        test.add(rate(((truth < ends[:, 0]) | (truth > ends[:, 1]))[design.random], claimed, violation))
        if not test.open:
            break
    return test.reading


def misses(level: float, size: float) -> float:
    """How often a normal interval misses that is as wide as `size` times the one of a level."""
    return float(2.0 * stats.norm.sf(size * stats.norm.isf((1.0 - level) / 2.0)))


@claim(
    "plug-in-coverage",
    statement="Delta intervals cover about as often as they say, where samples are many.",
    latex=r"P(|\hat\psi-\psi|\le z\,\hat\sigma/\sqrt N)\to\text{level}",
    source=f"{SOURCE}, in summary",
    evidence="summary",
    measured="evidence that intervals of level .9 miss more often",
    bound="1 / the share of the false alarm, as logarithms; misses of .1 and what 1% of a deviation add",
    searched=_SEARCHED,
    structured=lambda: _MANY,
    statistical=True,
    plants=(Plant("narrow", "intervals {} times as wide", Sizes(0.7, 0.9, 0.95), narrower),),
    used_by="Estimate.interval(method='delta')",
)
def plug_in_coverage(case: Case, chance: Chance) -> Iterator[Reading]:
    """From `plug-in-normal`."""

    def interval(found: Any, functional: Any, design: Any) -> FloatArray:
        return np.asarray(found.interval(functional, level=LEVEL, states=design.first, numerical=False))

    claimed, violation = misses(LEVEL, 1.0 - ROOM), misses(LEVEL, chance.size("narrow"))
    yield missed(chance, interval, claimed, violation, chance.of(120, 800, 4000), Family(SAMPLES))
