"""Where learning ends: the fixed points of dynamic programming, within what the noise of a run explains.

Replications are independent, so a mean over them is tested by Student's t: all numbers of one statement together are
refused with probability `ALPHA` if it is true.
"""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl.td import Harmonic, Polynomial, VarianceReduced


def noisy_model() -> distrl.MRP:
    rng = np.random.default_rng(0)
    return distrl.MRP(rng.dirichlet(np.ones(4), size=4), rng.normal(size=(4, 4)), 0.7)


ALPHA = 1e-3


def margin(values: np.ndarray) -> np.ndarray:
    """How far the means over replications (the first axis) may be from the truth: t intervals after Bonferroni."""
    count = values[0].size
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return stats.t.isf(ALPHA / (2 * count), len(values) - 1) * error + 1e-12


def agrees(values: np.ndarray, truth: np.ndarray, bias: float = 0.0) -> bool:
    """Whether the mean over replications is the truth, up to `bias`, as far as their spread can tell."""
    return bool((np.abs(values.mean(axis=0) - truth) <= margin(values) + bias).all())


def falls_as_noise_does(errors: np.ndarray, updates: tuple[int, int], offset: float) -> bool:
    """Whether errors (2, R) fall as n^(-1/2) or faster, n updates plus the step size's offset, as far as R can tell."""
    logs = np.log(errors.mean(axis=1))
    spread = 3.0 * np.sqrt(((errors.std(axis=1, ddof=1) / errors.mean(axis=1)) ** 2 / errors.shape[1]).sum())
    return bool(logs[1] - logs[0] <= -0.5 * np.log((updates[1] + offset) / (updates[0] + offset)) + spread)


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
    assert agrees(run.final.mean(), truth.values)
    if steps == 1:
        assert falls_as_noise_does(run.errors(truth, distrl.cramer), (200, 20_000), 20)
        assert agrees(run.final.cdf(grid.points[8:13]), truth.returns.cdf(grid.points[8:13]))


def test_quantile_td_ends_at_the_fixed_point_of_quantile_dynamic_programming():
    # normal rewards: no flat parts, so the set of fixed points is one point, F(theta_i) = tau_i of the target mixture
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(3), size=3)
    mu = rng.normal(size=3)
    model = distrl.MRP(p, [stats.norm(m, 1) for m in mu], 0.7)
    run = distrl.learn(model, distrl.QuantileTD(8), step_size=Polynomial(2, 0.7), updates=40_000, replications=8, rng=3)
    theta = run.final.values  # (replication, state, i)
    targets = mu[:, None, None] + 0.7 * theta[:, None]  # (replication, state, successor, j): centres of normal laws
    below = stats.norm.cdf(theta[:, :, :, None, None] - targets[:, :, None]).mean(axis=-1)
    cdf = np.einsum("sy,rsiy->rsi", p, below)
    bias = 2.0 * 40_000**-0.7  # of the order of the last step
    assert agrees(cdf, np.broadcast_to(run.final.levels, cdf[0].shape), bias)
    truth = distrl.evaluate(model, distrl.QuantileDP(8))
    assert agrees(theta, truth.returns.values, bias)
    errors = run.errors(truth, lambda a, b: distrl.wasserstein(a, b, p=np.inf))
    assert errors[-1].max() <= np.sqrt(run.replications) * margin(theta).max() + bias  # of one replication
    assert theta.std(axis=0).max() < 0.1 * truth.returns.std().min()


def test_td_averages_and_monte_carlo_end_at_the_values():
    model = distrl.MRP.from_outcomes(
        [(0, 0.5, 1, 1.0, False), (0, 0.5, 0, -1.0, True), (1, 0.4, 0, 2.0, False), (1, 0.6, 0, 0.0, True)], 0.9
    )
    truth = distrl.evaluate(model, distrl.Moments(order=2))
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
            assert agrees(values, truth.values)
            # and that says something: what one replication is off is small beside the returns' own spread
            assert values.std(axis=0).max() < 0.1 * truth.returns.std().min()


def test_expectile_td_ends_at_the_fixed_point_of_expectile_dynamic_programming():
    model = noisy_model()
    run = distrl.learn(
        model, distrl.ExpectileTD(7), step_size=Harmonic(scale=6, offset=20), updates=20_000, replications=8, rng=2
    )
    truth = distrl.evaluate(model, distrl.ExpectileDP(7))
    expectiles = run.final.expectiles
    assert agrees(expectiles, truth.returns.expectile(run.method.taus))
    assert expectiles.std(axis=0).max() < 0.1 * truth.returns.std().min()


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
    assert falls_as_noise_does(run.errors(truth, distrl.cramer), (200, 20_000), 1)
    assert agrees(run.final.mean(), truth.values)
