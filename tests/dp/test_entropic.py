"""Entropic risk by its own recursion: certified at every discount, beta and kind of reward."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st_h
from scipy import stats

import distrl
from distrl import MRP, FiniteLaw, Moments, evaluate
from tests.exact_laws import random_tree, tree_laws
from tests.test_printed_numbers import model_of

pytestmark = pytest.mark.fast
BETAS = [-30.0, -1.0, -1e-3, -1e-9, 0.0, 1e-12, 0.01, 1.0, 20.0]


def ends_of(model, betas):
    return evaluate(model, Moments(), throw=False).interval("entropic_risk", betas)[0]


def log_uniform(beta, width):
    """log E exp(beta U) for U uniform on [0, width]: log((exp(x) - 1) / x), x = beta width, without cancellation."""
    x = beta * width
    if abs(x) < 1e-4:
        return x / 2 + x * x / 24
    return math.log(abs(math.expm1(x) / x)) if x < 500 else x - math.log(x)


@pytest.mark.parametrize("beta", [b for b in BETAS if b])
def test_a_coin_at_discount_one_half_has_the_risk_of_a_uniform_law(beta):
    low, high = ends_of(MRP([[1.0]], [FiniteLaw([0, 1])], 0.5), beta)
    exact = log_uniform(beta, 2.0) / beta
    assert low - 4e-15 <= exact <= high + 4e-15
    assert high - low < 1e-12


@pytest.mark.parametrize("beta", [-2.0, -0.1, 0.1, 2.0])
def test_normal_rewards_have_theirs_though_they_are_unbounded(beta):
    low, high = ends_of(MRP([[1.0]], [stats.norm(1, 2)], 0.9), beta)
    exact = 10.0 + beta * 4.0 / (1 - 0.81) / 2
    assert low <= exact <= high and high - low < 1e-10


@pytest.mark.parametrize("beta", [-5.0, -0.5, 0.5, 5.0])
def test_continuous_bounded_rewards_are_enclosed_between_finite_laws(beta):
    low, high = ends_of(MRP([[1.0]], [stats.uniform(0, 1)], 0.5), beta)
    exact = sum(log_uniform(beta, 0.5**k) for k in range(60)) / beta
    assert low <= exact <= high and high - low < 1e-5


def test_rewards_without_an_exponential_moment_have_an_infinite_end_and_no_wrong_one():
    """Exponential rewards: what their right tail does at beta > 0 is not claimed; at beta < 0 it does not matter."""
    model = MRP([[1.0]], [stats.expon()], 0.5)
    for beta in (-4.0, -0.3, 0.3, 3.0):
        low, high = ends_of(model, beta)
        exact = sum(-math.log1p(-beta * 0.5**k) for k in range(60)) / beta if beta < 1 else math.inf
        assert low <= exact <= high
        assert math.isfinite(high) == (beta < 0) and math.isfinite(low)
    heavy = ends_of(MRP([[1.0]], [stats.t(3)], 0.5), [-1.0, 1.0])
    assert heavy[0, 0] == -np.inf and heavy[1, 1] == np.inf and np.isfinite(heavy[0, 1]) and np.isfinite(heavy[1, 0])


@pytest.mark.parametrize("beta", [-3.0, -0.5, 0.1, 0.6, 0.69, 0.7, 2.0])
def test_undiscounted_steps_have_a_finite_risk_exactly_where_their_tail_is_light_enough(beta):
    """Going on with probability 1/2 at a reward of 1: finite iff exp(beta) / 2 < 1."""
    model = MRP([[0.5, 0.5], [0.0, 1.0]], [1.0, 0.0], 1.0, terminal=[False, True])
    low, high = ends_of(model, beta)
    grown = 0.5 * math.exp(beta)
    exact = (beta + math.log(0.5 / (1 - grown))) / beta if grown < 1 else math.inf
    assert low <= exact <= high
    assert math.isfinite(high) == (grown < 1)
    if math.isfinite(high):
        assert high - low < 1e-12 / (1 - grown)


@given(seed=st_h.integers(0, 10**6), beta=st_h.sampled_from(BETAS), half=st_h.booleans(), rare=st_h.booleans())
def test_trees_have_the_risk_of_their_exact_laws(seed, beta, half, rare):
    from fractions import Fraction

    rows = random_tree(seed, 5, rare=rare)
    laws = tree_laws(rows, Fraction(1, 2) if half else Fraction(1))
    ends = evaluate(model_of(rows, 0.5 if half else 1.0), Moments()).interval("entropic_risk", beta)
    for (low, high), law in zip(ends, laws, strict=True):
        exact = law.entropic_risk(beta) if abs(beta) > 1e-6 else float(law.mean() + Fraction(beta) * law.variance() / 2)
        room = 1e-13 * (1.0 + abs(exact)) / min(abs(beta) or 1.0, 1.0) if abs(beta) > 1e-6 else 1e-14
        assert low - room <= exact <= high + room
        assert high - low < 1e-9


def test_a_w1_certificate_says_nothing_of_it():
    """A rare reward on a coarse grid: the law is within .01 of the true one, its risk is five times too large."""
    model = MRP([[1.0]], [FiniteLaw([0, 1], [0.9999, 0.0001])], 0.7)
    solution = evaluate(model, distrl.CategoricalFixedPoint(6))
    low, high = solution.interval("entropic_risk", 8.0)[0]
    exact = sum(math.log1p(0.0001 * math.expm1(8.0 * 0.7**k)) for k in range(150)) / 8.0
    assert low - 1e-15 <= exact <= high + 1e-15 and high - low < 1e-12
    assert solution.certificate.w1[0] < 0.011 and solution.returns[0].entropic_risk(8.0) > 5.0 * high


def test_the_discounts_cut_is_counted_where_it_cannot_be_made_small(monkeypatch):
    from distrl.dp import entropic

    monkeypatch.setattr(entropic, "_WORK", 30_000.0)  # a dozen steps
    low, high = ends_of(MRP([[1.0]], [FiniteLaw([0, 1])], 0.999), 0.01)
    exact = sum(math.log((1 + math.exp(0.01 * 0.999**k)) / 2) for k in range(40_000)) / 0.01
    assert low <= exact <= high and 0.01 < high - low < 200.0


def test_the_mean_is_the_limit_at_beta_zero():
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9)
    solution = evaluate(model, Moments())
    np.testing.assert_array_equal(solution.interval("entropic_risk", 0.0), solution.interval("mean"))
    near = solution.interval("entropic_risk", [-1e-200, 1e-200])
    assert (np.abs(near - solution.values[:, None, None]) < 1e-12).all()


def test_undiscounted_loops_with_returns_far_apart_do_not_overflow():
    """Rewards of +-40 on a loop, at beta -20 and 20: exp(beta G) is beyond float64, its logarithm is not."""
    model = MRP([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]], [-40.0, 40.0, 0.0], 1.0, terminal=[0, 0, 1])
    for beta in (-0.01, -20.0, 0.01, 20.0):
        low, high = ends_of(model, beta)
        grown = math.log(0.5) - 40.0 * beta
        ends = math.log(0.25) - 40.0 * beta + float(np.logaddexp(40.0 * beta, 0.0))
        exact = (ends - math.log(-math.expm1(grown))) / beta if grown < 0 else -math.inf
        assert low <= exact + 1e-13 and exact - 1e-13 <= high
        assert not math.isfinite(exact) or high - low < 1e-10 / min(abs(beta), 1.0)  # of returns of some hundred


@pytest.mark.parametrize("size", [5e-324, 1e-310, 2.2e-308, 1e-200])
@pytest.mark.parametrize("signs", [(1.0, 0.0), (1.0, -1.0), (1.0, 2.0)])
def test_rewards_that_are_no_normal_floats_have_ends_that_do_not_cross(size, signs):
    """Of every source of an interval: the exact value is between the least and the largest return."""
    rewards = np.array(signs) * size
    model = MRP([[0.5, 0.5], [0.5, 0.5]], rewards, 0.5)
    for method in (distrl.MonteCarlo(100), distrl.CategoricalFixedPoint(51), distrl.Moments(2)):
        solution = evaluate(model, method, rng=0, throw=False)
        for beta in (-1.0, 1.0, 1e200):
            low, high = solution.interval("entropic_risk", beta).T
            assert (low <= high).all()
            assert (low <= 2.0 * rewards.max()).all() and (2.0 * rewards.min() <= high).all()


@pytest.mark.parametrize("beta", [-30.0, -1.0, 1.0, 30.0])
@pytest.mark.parametrize("defect", [9e-10, -9e-10])
def test_mass_that_rows_lack_may_lead_anywhere(beta, defect):
    """Rows that sum to 1 within 1e-9 are accepted: every model that they may have been meant for is inside."""
    rows, rewards, g = [[0.75 - defect, 0.25], [0.0, 1.0]], [1.0, 0.0], 0.5
    functional = distrl.EntropicRisk(beta)
    interval = evaluate(MRP(rows, rewards, g), distrl.CategoricalFixedPoint(51)).interval(functional)
    for to in (0, 1):
        meant = np.array(rows)
        meant[0, to] += defect
        known = evaluate(MRP(meant, rewards, g), distrl.CategoricalFixedPoint(51)).interval(functional)[0]
        assert known[1] - known[0] < 1e-12
        assert interval[0, 0] <= known.mean() <= interval[0, 1]
    assert interval[0, 1] - interval[0, 0] > 1e-11


def test_at_discount_one_nothing_is_known_of_mass_that_may_loop():
    lacking = MRP([[0.5 - 9e-10, 0.5], [0.0, 1.0]], [1.0, 0.0], 1.0, terminal=[False, True])
    interval = evaluate(lacking, Moments()).interval(distrl.EntropicRisk(0.1))
    assert interval[0, 1] == np.inf
