"""Redrawn samples have the law of drawing with replacement; what is kept between calls changes nothing."""

import numpy as np
import pytest

import distrl
from distrl.models.samples import Samples

MODEL = distrl.MRP([[0.5, 0.5], [0.2, 0.8]], [1.0, 0.0], discount=0.8)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_redrawn_counts_are_multinomial(noise):
    """Few rows of many samples, and rows seen once: two ways of drawing; means and covariances of one source."""
    rng = np.random.default_rng(0)
    rewards = rng.choice(4, size=80) if noise == 0.0 else rng.normal(size=80)
    nowhere = np.zeros(80, np.int64)
    columns = nowhere, nowhere, rewards.astype(float), np.zeros(80, np.bool_), nowhere - 1, nowhere + 1
    samples = Samples(1, 1, *columns).collected()
    drawn = np.stack([samples.redrawn_counts(rng) for _ in range(20_000)]).astype(float)
    assert (drawn.sum(axis=1) == 80).all()
    p = samples.counts / 80.0
    covariance = 80.0 * (np.diag(p) - np.outer(p, p))
    # five and six standard errors; a covariance's is sqrt((var var + cov^2 + fourth cumulant) / n), and the fourth
    # cumulant of counts is at most the smaller variance
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - 80.0 * p), 5.0 * np.sqrt(np.diag(covariance) / 20_000))
    variances = np.diag(covariance)
    error = np.sqrt((np.outer(variances, variances) + covariance**2 + np.minimum.outer(variances, variances)) / 20_000)
    np.testing.assert_array_less(np.abs(np.cov(drawn.T, bias=True) - covariance), 6.0 * error)


@pytest.mark.parametrize("functional", ["mean", "w1"])
def test_laws_kept_from_the_functional_before_change_nothing(functional):
    method = distrl.CategoricalFixedPoint(grid=distrl.Grid(0.0, 5.0, 21))
    ask = {"resamples": 30, "threads": 1}
    first, second = (distrl.estimate(MODEL, method, None, 200, rng=3) for _ in range(2))
    for kind in ("bootstrap", "delta"):
        first.interval("ks", method=kind, rng=1, **ask)
        kept = first.interval(functional, method=kind, rng=1, **ask)
        fresh = second.interval(functional, method=kind, rng=np.random.default_rng(1), **ask)
        np.testing.assert_array_equal(kept, fresh)
        if kind == "bootstrap":
            assert (kept != first.interval(functional, method=kind, rng=2, **ask)).any()
