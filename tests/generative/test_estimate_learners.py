"""Learners in `estimate`: fed the samples that the model-based methods see, once each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distrl
from distrl import (
    MDP,
    MRP,
    TD,
    CategoricalFixedPoint,
    CategoricalTD,
    EmpiricalMRP,
    ExpectileTD,
    FiniteLaw,
    GenerativeModel,
    Grid,
    QuantileTD,
    estimate,
    evaluate,
)
from distrl.generative.learners import stream
from distrl.td import Harmonic
from distrl.testing import strategies

pytestmark = pytest.mark.fast


def random_mdp(discount, seed=0):
    rng = np.random.default_rng(seed)
    rewards = [[FiniteLaw([-1, 2]), 0.5], [-0.3, FiniteLaw([0, 1, -2])], [1.0, 0.0]]
    return MDP(rng.dirichlet(np.ones(3), (2, 3)), rewards, discount)


def test_all_methods_are_given_the_same_samples():
    model, methods = random_mdp(0.7), [CategoricalFixedPoint(31), CategoricalTD(31), QuantileTD(20), TD()]
    estimates = [estimate(model, method, "uniform", 200, rng=3) for method in methods]
    for est in estimates:
        np.testing.assert_array_equal(est.empirical.samples.counts, estimates[0].empirical.samples.counts)
    assert [est.iterations for est in estimates[1:]] == [1200] * 3
    assert estimates[1].returns.grid == estimates[0].returns.grid
    assert "1200 of 1200 samples" in estimates[1].summary() and not estimates[1].converged


@given(st.integers(0, 10**6))
def test_without_a_future_averages_of_the_samples_are_the_fixed_point_of_their_model(seed):
    """Discount 0, steps 1/k: whatever the order, the average of the projected rewards."""
    model = random_mdp(0.0)
    fixed = estimate(model, CategoricalFixedPoint(16), "uniform", 40, rng=seed)
    categorical = estimate(model, CategoricalTD(16), "uniform", 40, rng=seed, step_size=Harmonic())
    means = estimate(model, TD(), "uniform", 40, rng=seed, step_size=Harmonic())
    np.testing.assert_allclose(categorical.returns.probs, fixed.returns.probs, atol=1e-12)
    np.testing.assert_allclose(means.values, fixed.values, atol=1e-12)


@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.9]))
def test_categorical_means_are_those_of_td_on_the_same_samples(seed, discount):
    model, grid = random_mdp(discount), Grid(-20, 20, 21)  # its uniform start has mean 0, that of TD
    runs = [estimate(model, method, [0, 1, 1], 50, rng=seed) for method in (TD(), CategoricalTD(grid=grid))]
    np.testing.assert_allclose(runs[0].values, runs[1].values, atol=1e-10)


@given(st.data())
def test_a_stream_has_the_policys_proportions_and_no_sample_twice(data):
    model = data.draw(strategies.mdps(max_states=3))
    shape, count = (model.n_states, model.n_actions), model.n_states * model.n_actions
    sizes = np.array(data.draw(st.lists(st.integers(1, 30), min_size=count, max_size=count)))
    samples = GenerativeModel(model).sample(sizes.reshape(shape), rng=0).samples
    policy = np.random.default_rng(data.draw(st.integers(0, 99))).dirichlet(np.full(shape[1], 0.5), shape[0])
    policy[0] = np.eye(shape[1])[0]
    rows = stream(samples, policy.ravel(), np.random.default_rng(1))
    assert (np.bincount(rows, minlength=len(samples.counts)) <= samples.counts).all()
    used = np.bincount(samples.sources[rows], minlength=len(sizes)).reshape(shape)
    possible = (sizes.reshape(shape) / np.maximum(policy, 1e-300)).min(axis=1, keepdims=True)
    assert (np.abs(used - policy * possible) <= 1 + 1e-9).all()
    assert used[0, 0] == sizes[0] and (used[0, 1:] == 0).all()


def test_a_stream_is_in_random_order():
    samples = GenerativeModel(MRP([[0.5, 0.5]] * 2, [0.0, 1.0], 0.5)).sample(2000, rng=0).samples
    rows = stream(samples, np.ones(2), np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(rows), samples.counts)
    first = np.bincount(rows[:1000], minlength=4)  # hypergeometric, sd at most 12
    assert (np.abs(first - samples.counts / 4) <= 5 * 12).all()


@pytest.mark.slow_without_jit
@pytest.mark.parametrize("method", [CategoricalTD(41), QuantileTD(30), ExpectileTD(5)])
def test_what_was_not_learnt_is_certified(method):
    model = random_mdp(0.8)
    for n in (3, 300):
        est = estimate(model, method, "uniform", n, rng=1)
        fine = evaluate(est.empirical, CategoricalFixedPoint(2001), "uniform")
        distance = distrl.wasserstein(est.returns, fine.returns)
        assert (distance <= est.certificate.w1 + fine.certificate.w1).all()
        ends = est.interval("w1", method="finite-sample")
        assert (ends[:, 1] >= np.minimum(est.certificate.w1, 15.0)).all()
    for how in ("delta", "bootstrap"):
        with pytest.raises(ValueError, match="on the same samples"):
            est.interval("mean", method=how)
    with pytest.raises(ValueError, match="fixed point"):
        est.standard_error("mean")


def test_learnt_means_have_no_certificate():
    est = estimate(random_mdp(0.8), TD(), "uniform", 10, rng=1)
    assert est.certificate is None and est.values.shape == (3,) and "mean" in est.summary()
    with pytest.raises(ValueError, match="no bound"):
        est.interval("mean", method="finite-sample")


def test_logs_are_learnt_from_too():
    log = EmpiricalMRP([(0, 1.0, 1, False), (1, 2.0, 1, True), (0, 3.0, 1, True)], 0.0, states=3, unvisited="unknown")
    est = estimate(log, TD(), rng=0, step_size=Harmonic())
    assert est.values.tolist() == [2.0, 2.0, 0.0] and est.iterations == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: estimate(m, TD(), "uniform", 5, rewards="known"), "rewards='sampled'"),
        (lambda m: estimate(m, TD(steps=2), "uniform", 5), "steps=1"),
        (lambda m: estimate(m, CategoricalTD(variant="speedy"), "uniform", 5), "all states at once"),
        (lambda m: estimate(m, TD(), "uniform", 5, step_size=2.0), "step_size"),
        (lambda m: estimate(m, TD(), None, 5), "needs a policy"),
        (lambda m: estimate(m, TD, "uniform", 5), "method must be"),
    ],
)
def test_what_a_learner_cannot_use_is_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(random_mdp(0.5))
