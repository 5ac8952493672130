"""Intervals where outcomes are rare: coverage summed over the number of rare outcomes seen, without Monte Carlo."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import CategoricalFixedPoint, EmpiricalMRP, Grid, estimate
from distrl.generative import Bootstrap
from distrl.generative.influence import Spread
from distrl.generative.intervals.bootstrap import from_outside
from distrl.generative.intervals.skewed import studentised
from distrl.returns.functionals import parse

N = 400
METHOD = CategoricalFixedPoint(grid=Grid(0.0, 2.0, 41), solver="direct")


def spread(skewness, freedom=np.inf):
    one = np.ones(1)
    return Spread(one, skewness * one, freedom * one, 0.0 * one)


@pytest.mark.fast
@pytest.mark.parametrize("skewness", [-0.9, -0.3, -1e-6, 1e-9, 1e-3, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("freedom", [4.0, np.inf])
def test_the_ends_are_where_halls_transformation_is_students_t(skewness, freedom):
    """The polynomial of the paper at both ends, without its inverse; and mirrored errors have mirrored ends."""
    low, high = studentised(spread(skewness, freedom), 0.05)
    for end, share in ((low[0], 0.025), (high[0], 0.975)):
        transformed = end + skewness * end**2 / 3 + skewness**2 * end**3 / 27 + skewness / 6
        wanted = stats.norm.ppf(share) if freedom == np.inf else stats.t.ppf(share, freedom)
        assert transformed == pytest.approx(wanted, rel=1e-6)
    mirrored = studentised(spread(-skewness, freedom), 0.05)
    np.testing.assert_allclose([mirrored[0], mirrored[1]], [-high, -low], rtol=1e-7)


@pytest.mark.fast
def test_the_spread_of_a_mean_is_that_of_the_textbook():
    """One state that ends at once: error, skewness and degrees of freedom of a mean of numbers."""
    rewards = np.random.default_rng(0).choice([0.0, 0.25, 1.0, 2.0], 30, p=[0.5, 0.3, 0.15, 0.05])
    log = [(0, r, 0, True) for r in rewards]
    first = estimate(EmpiricalMRP(log, 0.9), METHOD).linearised()
    found = first.spreads(distrl.Mean().gradient(first.returns, np.array([0])), np.array([0]))
    assert found.error[0] == pytest.approx(stats.sem(rewards), rel=1e-9)
    assert found.skewness[0] == pytest.approx(stats.skew(rewards, bias=False) / np.sqrt(30), rel=1e-9)
    assert found.freedom[0] == pytest.approx(29.0)


@pytest.mark.fast
def test_degrees_of_freedom_are_those_of_welch():
    """Two means, one state after the other without discount: the errors of both, for SciPy's test of two means."""
    rng = np.random.default_rng(1)
    a, b = rng.choice([0.0, 0.5], 6), rng.choice([0.0, 0.25, 1.0], 25)
    log = [*((0, r, 1, False) for r in a), *((1, r, 1, True) for r in b)]
    first = estimate(EmpiricalMRP(log, 1.0), METHOD).linearised()
    found = first.spreads(distrl.Mean().gradient(first.returns, np.array([0])), np.array([0]))
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert found.freedom[0] == pytest.approx(welch.df, rel=1e-6)
    assert found.error[0] == pytest.approx(np.hypot(stats.sem(a), stats.sem(b)), rel=1e-6)


def losses(k):
    """k rewards of 2 among N of one state that ends at once."""
    return EmpiricalMRP([(0, 2.0, 0, True)] * k + [(0, 0.0, 0, True)] * (N - k), 0.5)


def ends(k):
    """k ends among N steps that pay .05 and go on at discount .95."""
    return EmpiricalMRP([(0, 0.05, 0, True)] * k + [(0, 0.05, 0, False)] * (N - k), 0.95)


SEEN = np.arange(45)  # numbers of rare outcomes; more have less than 1e-5 at the means below
RARE = {
    "losses": (losses, {"mean": lambda p: 2 * p, "variance": lambda p: 4 * p * (1 - p)}),
    "ends": (ends, {"mean": lambda p: 0.05 / (1 - 0.95 * (1 - p))}),
}


@pytest.mark.parametrize("what", RARE)
def test_intervals_cover_where_rare_outcomes_were_seen_some_times(what):
    """Exact coverage: each number of rare outcomes, with its binomial probability. Value -/+ 1.96 standard errors
    covers less than .925 somewhere; the corrected ends .94 or more everywhere, and no end is infinite."""
    make, functionals = RARE[what]
    solved = [estimate(make(k), METHOD) for k in SEEN]
    means = np.array([6.0, 8.0, 10.0, 13.0, 16.0, 20.0])
    weights = stats.binom.pmf(SEEN[None], N, means[:, None] / N)
    for name, value in functionals.items():
        truth = value(means / N)[:, None]
        errors = np.array([est.standard_error(name)[0] for est in solved])
        values = np.array([parse(name).value(est.returns)[0] for est in solved])
        symmetric = values[:, None] + 1.96 * errors[:, None] * [-1.0, 1.0]
        found = {"delta": np.array([est.interval(name, numerical=False)[0] for est in solved]), "symmetric": symmetric}
        if what == "losses":  # redrawn in no time
            redrawn = Bootstrap(numerical=False, resamples=100, rng=3)
            found["bootstrap"] = np.array([est.interval(name, method=redrawn)[0] for est in solved])
        least = {}
        for how, both in found.items():
            assert np.isfinite(both).all()
            least[how] = (weights * ((both[:, 0] <= truth) & (truth <= both[:, 1]))).sum(axis=1).min()
        assert least.pop("symmetric") <= 0.925 and min(least.values()) >= 0.94, (name, least)


def test_few_ends_are_warned_of_and_many_are_not():
    """Where 2 ends are seen on average the warning comes on 95% of the data sets, where 20 are on less than 2%."""
    warned = np.array([estimate(ends(k), METHOD).few_samples_decide("mean")[0] for k in SEEN])
    share = [float(stats.binom.pmf(SEEN, N, mean / N) @ warned) for mean in (2.0, 20.0)]
    assert share[0] >= 0.95 and share[1] <= 0.02
    few, many = (estimate(ends(k), METHOD).summary() for k in (2, 30))
    line = "few samples decide, so that intervals can be too short: "
    assert line + "mean" in few and line + "mean" not in many


def test_warnings_of_a_kink_and_of_few_samples_under_a_large_weight():
    """CVaR at the level of a gap, and five samples of what is done nearly always."""
    gap = EmpiricalMRP([(0, 0.0, 0, True)] * 26 + [(0, 0.05, 0, True)] * 2 + [(0, 2.0, 0, True)] * 72, 0.5)
    assert estimate(gap, METHOD).few_samples_decide("cvar", 0.27)[0]
    assert not estimate(gap, METHOD).few_samples_decide("cvar", 0.8)[0]
    coins = [(0, a, r, 0, True) for a, half in ((0, 40), (1, 2)) for r in [0.0] * half + [1.0] * half]
    logged = distrl.EmpiricalMDP(coins, 0.5)
    assert not estimate(logged, METHOD, [[1.0, 0.0]]).few_samples_decide("mean")[0]
    assert estimate(logged, METHOD, [[0.1, 0.9]]).few_samples_decide("mean")[0]


def test_the_end_of_a_bootstrap_interval_is_the_draw_that_the_level_says():
    for draws in (1, 39, 40, 60, 99, 199, 999, 1999, 9999):
        for percent in range(1, 100):
            exact = Fraction(draws + 1) * (1 - Fraction(percent, 100)) / 2
            assert from_outside(draws, percent / 100) == max(math.floor(exact), 1), (draws, percent)
