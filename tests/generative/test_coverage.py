"""Coverage of confidence intervals for sampling alone: against the fixed point of the true model on the same grid."""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP, CategoricalFixedPoint, GenerativeModel, Grid, environments, estimate, evaluate
from distrl.returns.functionals import parse


def random_mrp(seed, n=2, discount=0.7):
    rng = np.random.default_rng(seed)
    return MRP(rng.dirichlet(np.ones(n), n), rng.uniform(size=(n, n)), discount)


def enough(covered, level):
    """Fewer hits than `level` promises happen by chance once in 1e4."""
    covered = np.asarray(covered)
    return stats.binom.cdf(covered.sum(), covered.size, level) > 1e-4


@pytest.mark.parametrize("discount", [0.7, pytest.param(0.9, marks=pytest.mark.nightly)])
def test_delta_intervals_cover_on_the_published_design(discount):
    rng = np.random.default_rng(0)
    model = environments.truncated_normal(discount=discount, rng=rng)
    source, method = GenerativeModel(model), CategoricalFixedPoint(51)
    truth = evaluate(model, CategoricalFixedPoint(grid=Grid(*source.return_range, 51)), "uniform").returns
    hits = {name: [] for name in ("variance", "cvar")}
    for _ in range(50):
        est = estimate(source, method, "uniform", 150, rng)
        for name, at in (("variance", None), ("cvar", 0.25)):
            functional = parse(name, at)
            low, high = est.interval(name, at, states=0, numerical=False)[0]
            hits[name].append(low <= functional.value(truth)[0] <= high)
    assert enough(hits["variance"], 0.95) and enough(hits["cvar"], 0.95)
    assert np.mean(hits["variance"]) < 1.0  # not by being infinitely wide


def test_bootstrap_intervals_cover():
    model, rng = random_mrp(5), np.random.default_rng(1)
    grid = Grid(*GenerativeModel(model).return_range, 21)
    truth = evaluate(model, CategoricalFixedPoint(grid=grid)).returns
    method, hits = CategoricalFixedPoint(grid=grid), {"variance": [], "cvar": [], "w1": [], "linear": []}
    for _ in range(25):
        est = estimate(model, method, samples_per_state=100, rng=rng)
        for name, at in (("variance", None), ("cvar", 0.25)):
            functional = parse(name, at)
            ends = est.interval(name, at, method="bootstrap", rng=rng, resamples=50, numerical=False)
            hits[name].append((ends[:, 0] <= functional.value(truth)) & (functional.value(truth) <= ends[:, 1]))
        distance = distrl.wasserstein(est.returns, truth)
        for name, how in (("w1", "bootstrap"), ("linear", "delta")):
            radius = est.interval("w1", method=how, rng=rng, resamples=50, numerical=False)[:, 1]
            hits[name].append(distance <= radius)
    for found in hits.values():  # 50 resamples: the ends are the extreme ones
        assert enough(np.array(found)[:, 0], 0.92)


def test_adaptive_samples_leave_intervals_that_cover():
    """First batches of 8 a state: where variances of 8 samples are taken at face value about 85% cover."""
    rng, hits = np.random.default_rng(3), []
    for seed in range(80):
        model = np.random.default_rng(seed)
        mrp = MRP(model.dirichlet(np.full(6, 0.3), 6), model.uniform(size=(6, 6)), 0.8)
        method = CategoricalFixedPoint(grid=Grid(0, 5, 21), solver="direct")
        truth = evaluate(mrp, method).values[0]
        est = estimate(mrp, method, rng=rng, budget=240, allocate="adaptive", state=0)
        hits.append(abs(est.values[0] - truth) <= 1.96 * est.standard_error("mean", states=0)[0])
    assert enough(hits, 0.95)
