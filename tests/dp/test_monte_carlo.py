"""Sampled returns against exact laws, each with its own error bar."""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP, CategoricalFixedPoint, FiniteLaw, MonteCarlo, Status, evaluate


def test_samples_of_coin_flips_pass_a_kolmogorov_smirnov_test_against_the_uniform_law():
    sol = evaluate(MRP([[1.0]], [FiniteLaw([0, 1])], 0.5), MonteCarlo(5000), rng=1)
    assert stats.kstest(sol.returns.values[0], stats.uniform(0, 2).cdf).pvalue > 1e-4
    assert sol.status is Status.SAMPLED and sol.converged


def test_normal_rewards_give_normal_samples():
    sol = evaluate(MRP([[1.0]], [stats.norm(1, 1)], 0.8), MonteCarlo(4000), rng=2)
    law = stats.norm(5, (1 / (1 - 0.64)) ** 0.5)
    assert stats.kstest(sol.returns.values[0], law.cdf).pvalue > 1e-4
    assert np.isinf(sol.certificate.w1[0])  # unbounded returns: no certain range, so no bound


def test_the_certificate_and_the_band_hold_against_the_fixed_point():
    rng = np.random.default_rng(0)
    p, rewards = rng.dirichlet(np.ones(4), 4), rng.normal(size=(4, 4)) * [[1], [1], [1], [0]]
    model = MRP(p, rewards, 0.9, terminal=[False, False, False, True])
    exact = evaluate(model, CategoricalFixedPoint(2001))
    sol = evaluate(model, MonteCarlo(2000, confidence=0.9999), rng=3)
    distance = distrl.wasserstein(sol.returns, exact.returns)
    assert (distance <= sol.certificate.w1 + exact.certificate.w1).all()
    x = np.linspace(-10, 10, 7)
    band = distrl.cdf_band(sol.returns, x, 0.9999, simultaneous=True)
    spacing = exact.returns.grid.spacing
    lower, upper = exact.returns.cdf(x - 2 * spacing), exact.returns.cdf(x + 2 * spacing)
    assert (band[..., 0] <= upper + 1e-3).all() and (band[..., 1] >= lower - 1e-3).all()


@pytest.mark.fast
def test_the_same_rng_gives_the_same_returns():
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, stats.expon()], 0.5)
    first, second, other = (evaluate(model, MonteCarlo(50), rng=seed).returns.values for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.fast
def test_deterministic_returns_are_exact_up_to_the_stated_truncation():
    sol = evaluate(MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.5), MonteCarlo(3), tol=1e-9, rng=0)
    np.testing.assert_allclose(sol.returns.values, [[4 / 3] * 3, [2 / 3] * 3], atol=1e-9)
    assert (sol.certificate.overshoot <= 1e-9).all() and (sol.certificate.overshoot > 0).all()


@pytest.mark.fast
def test_undiscounted_episodes_run_to_their_end_or_say_that_they_did_not():
    model = MRP.from_outcomes([(0, 0.5, 0, -1.0, False), (0, 0.5, 0, -1.0, True)], 1.0)
    sol = evaluate(model, MonteCarlo(2000), rng=0)
    assert (sol.certificate.overshoot == 0).all()
    # mean -2, variance 2: four standard errors
    assert sol.values[0] == pytest.approx(-2.0, abs=4 * (2 / 2000) ** 0.5)
    with pytest.raises(distrl.ConvergenceError):
        evaluate(model, MonteCarlo(2000), rng=0, max_iterations=2)


@pytest.mark.fast
def test_rows_are_drawn_with_their_probabilities():
    model = MRP.from_outcomes([(0, 0.1, 0, 1.0, True), (0, 0.6, 0, 2.0, True), (0, 0.3, 0, 3.0, True)], 0.5)
    values = evaluate(model, MonteCarlo(20_000), rng=5).returns.values[0]
    counts = [(values == v).sum() for v in (1.0, 2.0, 3.0)]
    assert stats.chisquare(counts, 20_000 * np.array([0.1, 0.6, 0.3])).pvalue > 1e-4


@pytest.mark.fast
def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="episodes must be at least 1"):
        MonteCarlo(0)
    with pytest.raises(ValueError, match="confidence"):
        MonteCarlo(10, confidence=1.0)
