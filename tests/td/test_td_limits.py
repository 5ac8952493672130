"""Where learning ends: the fixed points of dynamic programming, within what the noise of a run explains."""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl.td import Harmonic, Polynomial, VarianceReduced


def noisy_model() -> distrl.MRP:
    rng = np.random.default_rng(0)
    return distrl.MRP(rng.dirichlet(np.ones(4), size=4), rng.normal(size=(4, 4)), 0.7)


def deviates(run: distrl.LearningRun, values: np.ndarray, truth: np.ndarray) -> float:
    """Largest deviation of the mean over replications from the truth, in its standard errors."""
    error = values.std(axis=0, ddof=1) / np.sqrt(run.replications)
    return float((np.abs(values.mean(axis=0) - truth) / (error + 1e-12)).max())


@pytest.mark.parametrize("sampling", ["synchronous", "generative", "trajectory"])
@pytest.mark.parametrize("steps", [1, 3])
def test_categorical_td_ends_at_the_categorical_fixed_point(sampling, steps):
    # 3-step targets project every third step only: another fixed point, with the same means and close by
    model = noisy_model()
    grid = distrl.Grid.covering(model, 21)
    run = distrl.learn(
        model,
        distrl.CategoricalTD(grid=grid, steps=steps),
        step_size=Harmonic(scale=8, offset=20),
        updates=20_000,
        replications=16,
        sampling=sampling,
        records=[200, 20_000],
        rng=1,
    )
    truth = distrl.evaluate(model, distrl.CategoricalFixedPoint(grid=grid))
    errors = run.errors(truth, distrl.cramer).mean(axis=1)
    assert errors[1] < 0.35 * errors[0]  # 100 times the updates: a tenth, less what is not yet forgotten
    assert deviates(run, run.final.mean(), truth.values) < 4.5
    if steps == 1:
        assert deviates(run, run.final.cdf(grid.points[8:13]), truth.returns.cdf(grid.points[8:13])) < 4.5


def test_quantile_td_ends_at_the_fixed_point_of_quantile_dynamic_programming():
    # normal rewards: no flat parts, so the set of fixed points is one point, F(theta_i) = tau_i of the target mixture
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(3), size=3)
    mu = rng.normal(size=3)
    model = distrl.MRP(p, [stats.norm(m, 1) for m in mu], 0.7)
    run = distrl.learn(model, distrl.QuantileTD(8), step_size=Polynomial(2, 0.7), updates=40_000, replications=8, rng=3)
    theta = run.final.values.mean(axis=0)
    for state in range(3):
        targets = mu[state] + 0.7 * theta  # (successor, j): centres of normal laws
        cdf = [p[state] @ stats.norm.cdf(x - targets).mean(axis=1) for x in theta[state]]
        np.testing.assert_allclose(cdf, run.final.levels, atol=0.01)
    truth = distrl.evaluate(model, distrl.QuantileDP(8))
    errors = run.errors(truth, lambda a, b: distrl.wasserstein(a, b, p=np.inf))
    assert errors[-1].max() < 0.15


def test_td_averages_and_monte_carlo_end_at_the_values():
    model = distrl.MRP.from_outcomes(
        [(0, 0.5, 1, 1.0, False), (0, 0.5, 0, -1.0, True), (1, 0.4, 0, 2.0, False), (1, 0.6, 0, 0.0, True)], 0.9
    )
    truth = distrl.evaluate(model, distrl.Moments(order=1)).values
    for method, step_size in [
        (distrl.TD(average_from=1000), 0.05),
        (distrl.TD(steps=4), Harmonic(scale=2, offset=10)),
        (distrl.MonteCarloTD(), Harmonic()),
    ]:
        for sampling in ("synchronous", "generative", "trajectory"):
            run = distrl.learn(
                model, method, step_size=step_size, updates=20_000, replications=16, sampling=sampling, rng=6
            )
            values = run.final.values
            assert deviates(run, values, truth) < 4.5
            assert values.std(axis=0).max() < 0.1


def test_expectile_td_ends_at_the_fixed_point_of_expectile_dynamic_programming():
    model = noisy_model()
    run = distrl.learn(
        model, distrl.ExpectileTD(7), step_size=Harmonic(scale=6, offset=20), updates=20_000, replications=8, rng=2
    )
    truth = distrl.evaluate(model, distrl.ExpectileDP(7))
    expectiles = run.final.expectiles
    assert deviates(run, expectiles, truth.returns.expectile(run.method.taus)) < 5.5  # of 28 numbers, t with 7 degrees
    assert expectiles.std(axis=0).max() < 0.05


@pytest.mark.parametrize("variant", ["speedy", VarianceReduced(epoch=1000, gathering=500)])
def test_variants_end_at_the_categorical_fixed_point(variant):
    model = noisy_model()
    grid = distrl.Grid.covering(model, 21)
    step_size = Harmonic(offset=1) if variant == "speedy" else 0.05
    truth = distrl.evaluate(model, distrl.CategoricalFixedPoint(grid=grid))
    run = distrl.learn(
        model,
        distrl.CategoricalTD(grid=grid, variant=variant),
        step_size=step_size,
        updates=20_000,
        replications=8,
        rng=9,
        records=[200, 20_000],
    )
    errors = run.errors(truth, distrl.cramer).mean(axis=1)
    assert errors[1] < 0.35 * errors[0]
    assert deviates(run, run.final.mean(), truth.values) < 5.0
