"""Redrawn samples have the law of drawing with replacement; what is kept between calls changes nothing."""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl.models.samples import Samples
from distrl.operators.quantile import QuantileBellman

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


def mixed_model():
    """Rewards with densities, one that is also a number, a state of numbers alone, and ends."""
    laws = [stats.norm(0, 1), stats.expon(), distrl.FiniteLaw([0.0, 1.0]), 2.0]
    rows = [
        (0, 0.5, 1, laws[0], False), (0, 0.3, 2, laws[1], False), (0, 0.2, 0, laws[3], True),
        (1, 0.6, 0, laws[1], False), (1, 0.4, 2, laws[2], False),
        (2, 0.7, 0, laws[2], False), (2, 0.3, 1, laws[3], True),
    ]  # fmt: skip
    return distrl.MRP.from_outcomes(rows, 0.9)


def test_quantiles_of_redrawn_models_are_those_of_a_solve_from_the_start(monkeypatch):
    """To a thousandth or so of how far they are from the estimate; with a third of the applications or fewer."""
    method, source = distrl.QuantileDP(9), distrl.GenerativeModel(mixed_model(), "known")
    est = distrl.estimate(source, method, samples_per_state=60, rng=0)
    applied, apply = [0], QuantileBellman.apply

    def counted(*arguments):
        applied[0] += 1
        return apply(*arguments)

    monkeypatch.setattr(QuantileBellman, "apply", counted)
    quick = est.redrawn.read(lambda returns: returns.values, 5, 0)
    few, applied[0] = applied[0], 0
    children = np.random.default_rng(0).spawn(5)
    models = [est.empirical.redrawn(child) for child in children]
    slow = np.stack([distrl.evaluate(model, method).returns.values for model in models])
    far = np.abs(slow - est.returns.values).max(axis=(1, 2))
    assert (np.abs(quick - slow).max(axis=(1, 2)) <= 3e-3 * far).all() and far.min() > 0.01
    assert few < applied[0] / 3


def test_redrawn_quantiles_go_another_way_where_steps_do_not_apply():
    """At discount 1, and where rewards are numbers alone."""
    method = distrl.QuantileDP(15)
    numbers = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [1.0, distrl.FiniteLaw([0.0, 3.0])], 0.9)
    ending = distrl.MRP([[0.5, 0.5], [0, 1]], [stats.norm(0, 1), 0.0], 1.0, terminal=[False, True])
    for model in (numbers, ending):
        est = distrl.estimate(distrl.GenerativeModel(model, "known"), method, samples_per_state=40, rng=0)
        quick = est.redrawn.read(lambda returns: returns.values, 3, 0)
        children = np.random.default_rng(0).spawn(3)
        slow = [distrl.evaluate(est.empirical.redrawn(child), method, throw=False).returns.values for child in children]
        np.testing.assert_allclose(quick, slow, atol=1e-6)
