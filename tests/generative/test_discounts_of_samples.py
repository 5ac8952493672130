"""Samples with discounts of their own: frequencies, intervals against dense formulas, resamples, logs."""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MDP, MRP, CategoricalFixedPoint, EmpiricalMDP, EmpiricalMRP, FiniteLaw, Grid, Moments, estimate
from distrl.generative.resampling import Resampler
from distrl.operators import CategoricalBellman

pytestmark = pytest.mark.fast

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(3), 3)
R = RNG.normal(size=(3, 3))
G = RNG.choice([0.25, 0.5, 0.75], (3, 3))
MODEL = MRP(P, R, G)


@pytest.mark.slow_without_jit
@pytest.mark.parametrize("interval", ["delta", "bootstrap", "finite-sample"])
def test_arrays_of_one_number_give_the_bits_of_the_number(interval):
    rewards = [1.0, FiniteLaw([-1.0, 0.5, 2.0]), stats.norm(0, 1)] if interval != "finite-sample" else [1.0, 0.0, -1.0]
    method = CategoricalFixedPoint(grid=Grid(-8.0, 8.0, 41))
    models = (MRP(P, rewards, g) for g in (0.5, np.full((3, 3), 0.5)))
    one, other = (estimate(model, method, samples_per_state=50, rng=1) for model in models)
    for at in ("mean", "variance"):
        np.testing.assert_array_equal(
            one.interval(at, method=interval, rng=0), other.interval(at, method=interval, rng=0)
        )


def test_the_estimate_is_the_dense_solution_of_the_frequencies_and_their_factors():
    est = estimate(MODEL, Moments(2), samples_per_state=300, rng=2)
    samples = est.empirical.samples
    matrix, right = np.eye(3), np.zeros(3)
    for x, y, r, g, count in zip(
        samples.sources, samples.next_states, samples.rewards, samples.discounts, samples.counts, strict=True
    ):
        assert g == G[x, y]
        matrix[x, y] -= count / 300 * g
        right[x] += count / 300 * r
    np.testing.assert_allclose(est.values, np.linalg.solve(matrix, right), rtol=1e-12)


def test_the_delta_interval_of_the_mean_has_the_textbook_width():
    """Var V_hat = sum_x lambda(x)^2 Var(r + g V(y)) / N, lambda a row of (I - P g)^{-1}, with divisor N - 1."""
    count = 200
    est = estimate(MODEL, CategoricalFixedPoint(grid=Grid.covering(MODEL, 401)), samples_per_state=count, rng=3)
    samples, v = est.empirical.samples, est.values
    inverse = np.linalg.inv(np.eye(3) - est.model.discounted().toarray())
    targets = samples.rewards + samples.discounts * v[samples.next_states]
    variance = np.zeros(3)
    for x in range(3):
        mine = samples.sources == x
        values, weights = targets[mine], samples.counts[mine]
        variance[x] = weights @ (values - weights @ values / count) ** 2 / (count - 1)
    error = np.sqrt(inverse**2 @ variance / count)
    np.testing.assert_allclose(est.standard_error("mean"), error, rtol=1e-3)
    low, high = est.interval("mean", method="delta", level=0.95).T  # Student's t of some 200 degrees of freedom
    np.testing.assert_allclose((high - low) / 2, stats.norm.ppf(0.975) * error, rtol=0.02)


@pytest.mark.parametrize("model", [MODEL, MRP(P, [stats.norm(0, 1)] * 3, G)], ids=["numbers", "normal"])
def test_a_resample_is_the_operator_of_its_model(model):
    """Bands of many rewards on one transition and single ones, each with its own factor."""
    grid = Grid(-6.0, 6.0, 61)
    empirical = distrl.GenerativeModel(model).sample(120, rng=4)
    resampler = Resampler(empirical.samples, np.ones(3), None, grid)
    cdf = np.cumsum(np.random.default_rng(5).dirichlet(np.ones(61), 3), axis=1)
    for seed in range(3):
        counts = empirical.samples.redrawn_counts(np.random.default_rng(seed))
        redrawn = empirical.redrawn(np.random.default_rng(seed))
        np.testing.assert_allclose(
            resampler.weighted(counts).apply(cdf), CategoricalBellman(redrawn, grid).cdf(cdf), atol=1e-12
        )


def test_intervals_hold_the_truth_and_resamples_spread_as_the_delta_method_says():
    truth = np.linalg.solve(np.eye(3) - P * G, (P * R).sum(axis=1))
    est = estimate(MODEL, CategoricalFixedPoint(51), samples_per_state=400, rng=6)
    for how in ("delta", "finite-sample"):
        ends = est.interval("mean", level=0.9999, method=how)
        assert (ends[:, 0] <= truth).all() and (truth <= ends[:, 1]).all()
    delta, bootstrap = (
        est.interval("mean", level=0.8, method=how, resamples=400, rng=0) for how in ("delta", "bootstrap")
    )
    # a tenth quantile of 400 draws has a standard deviation of .085 sigma, the width of 2.56 sigma two of them: 4.7%
    np.testing.assert_allclose(np.diff(bootstrap), np.diff(delta), rtol=5 * 0.047)


def test_decision_processes_are_sampled_with_the_factors_of_their_actions():
    g = np.stack([G, G[::-1]])
    mdp = MDP(np.stack([P, P]), R[0], g)
    est = estimate(mdp, Moments(1), policy="uniform", samples_per_state=100, rng=7)
    samples = est.empirical.samples
    assert (samples.discounts == g[samples.sources % 2, samples.sources // 2, samples.next_states]).all()
    more = distrl.GenerativeModel(mdp)
    first = more.sample(10, rng=0)
    assert more.sample(5, rng=1, to=first).samples.counts.sum() == 15 * 6


def test_logs_bring_a_column_of_discounts():
    log = [
        (0, 0, 1.0, 1, False, 0.5),
        (0, 0, 1.0, 1, False, 0.25),
        (1, 0, 2.0, 0, False, 0.0),
        (1, 0, 1.0, 1, True, 0.9),
    ]
    mdp = EmpiricalMDP(log, None)
    assert mdp.discounts.tolist() == [0.25, 0.5, 0.0, 0.0] and mdp.outcomes.terminals.tolist() == [
        False,
        False,
        True,
        True,
    ]
    mrp = EmpiricalMRP([(x, r, y, end, g) for x, _, r, y, end, g in log], None)
    v1 = 1.5
    assert distrl.evaluate(mrp, Moments(1)).values.tolist() == [1.0 + 0.375 * v1, v1]
    names = ("state", "reward", "next_state", "terminal", "discount")
    columns = dict(zip(names, zip(*[(x, r, y, end, g) for x, _, r, y, end, g in log], strict=True), strict=True))
    named = EmpiricalMRP({name: list(column) for name, column in columns.items()}, None)
    np.testing.assert_array_equal(named.discounts, mrp.discounts)
    one = mrp.with_discount(0.5)
    assert one.discount == 0.5 and one.redrawn(np.random.default_rng(0)).discount == 0.5
    with pytest.raises(ValueError, match="give discount=None to take each row's own"):
        EmpiricalMRP({name: list(column) for name, column in columns.items()}, 0.9)


def test_estimates_are_saved_with_their_discounts(tmp_path):
    est = estimate(MODEL, CategoricalFixedPoint(31), samples_per_state=50, rng=8)
    distrl.save(est, tmp_path / "e.npz")
    again = distrl.load(tmp_path / "e.npz")
    np.testing.assert_array_equal(again.empirical.samples.discounts, est.empirical.samples.discounts)
    np.testing.assert_array_equal(again.interval("mean"), est.interval("mean"))


def test_unvisited_states_have_discounts_where_the_samples_have():
    log = [(0, 1.0, 1, False, 0.5), (0, 1.0, 0, False, 0.25)]
    with pytest.raises(ValueError, match="must agree"):
        EmpiricalMRP(log, None, states=3, unvisited=MRP(P, R[0], 0.5))
    filled = EmpiricalMRP(log, None, states=3, unvisited=MODEL)
    assert filled.discounts.tolist() == [0.25, 0.5, *MODEL.discounts[3:]]
    unknown = EmpiricalMRP(log, None, states=3, unvisited="unknown")
    assert unknown.unknown.tolist() == [False, True, True]
