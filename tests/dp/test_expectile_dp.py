"""Expectile dynamic programming: imputed laws have the expectiles they are made from, and are certified."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import enumerated_law, merge_distance, rows_of
from scipy import optimize, stats

from distrl import MRP, CategoricalFixedPoint, ExpectileDP, Moments, ParticleReturns, Status, environments, evaluate
from distrl import wasserstein as w1
from distrl._kernels.expectile import impute
from distrl.dp.expectile_reading import read_expectiles
from distrl.operators.particle_targets import ParticleTargets
from distrl.returns.quantile import midpoint_levels
from distrl.testing import mrps

SHORT = st.sampled_from([0.0, 0.25, 0.5])
COINS = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9)


def imputed(expectiles, mean, taus):
    values = np.full((len(mean), max(len(taus), 2)), np.nan)
    weights = values.copy()
    impute(expectiles, mean, taus, values, weights)
    return ParticleReturns(values, weights), values


@pytest.mark.fast
@given(st.integers(1, 15), st.data())
def test_imputed_laws_have_the_expectiles_and_mean_they_are_made_from(m, data):
    values = data.draw(arrays(np.float64, (2, 6), elements=st.floats(-10, 10).map(lambda x: round(x, 2))))
    weights = data.draw(arrays(np.float64, (2, 6), elements=st.integers(1, 5).map(float)))
    law = ParticleReturns(values, weights / weights.sum(axis=1, keepdims=True))
    taus = midpoint_levels(m)
    found, raw = imputed(law.expectile(taus), law.mean(), taus)
    assert (np.diff(raw, axis=1) >= 0).all()
    np.testing.assert_allclose(found.mean(), law.mean(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.expectile(taus), law.expectile(taus), rtol=0, atol=1e-11)
    # inside the range of the law, and in convex order between the outermost expectiles (the mean alone has no such say)
    assert (raw.min(axis=1) >= values.min(axis=1) - 1e-9).all() and (raw.max(axis=1) <= values.max(axis=1) + 1e-9).all()
    if m > 1:
        between = law.expectile(np.linspace(taus[0], taus[-1], 9))
        for state in range(2):
            assert (found.stop_loss(between[state])[state] >= law.stop_loss(between[state])[state] - 1e-9).all()


@pytest.mark.fast
@given(st.integers(1, 12), st.data())
def test_any_numbers_give_a_law_with_the_mean(m, data):
    numbers = data.draw(arrays(np.float64, (3, m), elements=st.floats(-10, 10)))
    mean = data.draw(arrays(np.float64, 3, elements=st.floats(-10, 10)))
    found, raw = imputed(numbers, mean, midpoint_levels(m))
    assert np.isfinite(raw).all() and (np.diff(raw, axis=1) >= 0).all()
    np.testing.assert_allclose(found.mean(), mean, rtol=0, atol=1e-9)


@pytest.mark.fast
def test_known_laws():
    fair, raw = imputed(np.array([[0.25, 0.75]]), np.array([0.5]), midpoint_levels(2))
    np.testing.assert_allclose(raw, [[0.0, 1.0]], atol=1e-15)  # the fair coin's expectile at tau is tau
    assert float(fair.weights[0, 0]) == pytest.approx(0.5)
    _, raw = imputed(np.array([[3.0, 3.0, 3.0]]), np.array([3.0]), midpoint_levels(3))
    np.testing.assert_array_equal(raw, [[3.0, 3.0, 3.0]])


@pytest.mark.fast
@given(mrps(), st.integers(1, 6), st.integers(1, 9), st.data())
def test_reading_agrees_with_a_root_search_on_the_concatenated_target(model, n, m, data):
    values = np.sort(data.draw(arrays(np.float64, (model.n_states, n), elements=st.floats(-9, 9))), axis=1)
    weights = data.draw(arrays(np.float64, (model.n_states, n), elements=st.integers(1, 4).map(float)))
    weights /= weights.sum(axis=1, keepdims=True)
    taus, out = midpoint_levels(m), np.empty((model.n_states, m))
    read_expectiles(ParticleTargets(model.outcomes, model.discount), values, weights, out, taus, out)
    for state in range(model.n_states):
        z, w = [], []
        for source, probability, successor, reward, terminal in rows_of(model):
            if source == state:
                z.append(np.array([reward]) if terminal else reward + model.discount * values[successor])
                w.append(np.array([probability]) if terminal else probability * weights[successor])
        z, w = np.concatenate(z), np.concatenate(w)
        for i, tau in enumerate(taus):

            def balance(e, z=z, w=w, tau=tau):
                return w @ (tau * np.maximum(z - e, 0) - (1 - tau) * np.maximum(e - z, 0))

            root = optimize.brentq(balance, z.min() - 1.0, z.max() + 1.0, xtol=1e-14, rtol=1e-14)
            assert out[state, i] == pytest.approx(root, abs=1e-11)


@pytest.mark.parametrize("law", [stats.norm(1, 2), stats.expon(), stats.t(2)])
def test_reading_a_continuous_target_solves_the_equation(law):
    model = MRP([[0.5, 0.5], [1.0, 0.0]], [law, 0.0], 0.5)
    values, weights = np.array([[-1.0, 0.5], [0.0, 4.0]]), np.array([[0.5, 0.5], [0.25, 0.75]])
    taus, out = midpoint_levels(9), np.zeros((2, 9))
    read_expectiles(ParticleTargets(model.outcomes, 0.5), values, weights, np.zeros((2, 9)), taus, out)
    shifts, masses = 0.5 * values.ravel(), 0.5 * weights.ravel()
    for tau, e in zip(taus, out[0], strict=True):
        puts = [
            law.expect(lambda z, k=k: k - z, lb=law.support()[0], ub=k) if k > law.support()[0] else 0.0
            for k in e - shifts
        ]
        below = masses @ puts
        above = below - e + masses @ (shifts + law.mean())
        assert tau * above == pytest.approx((1 - tau) * below, abs=1e-6)


@given(mrps(max_states=3, discounts=SHORT), st.integers(1, 9))
@settings(max_examples=30)
def test_ends_steady_with_exact_means_and_a_certificate_that_holds(model, n):
    sol = evaluate(model, ExpectileDP(n))
    assert sol.status is Status.STEADY and sol.converged
    np.testing.assert_allclose(sol.values, evaluate(model, Moments(1)).values, atol=1e-9)
    reach = 2 * np.abs(model.outcomes.reward_ranges()).max() / (1 - model.discount)
    for state in range(model.n_states):
        exact, probs, left = enumerated_law(model, state, 6)
        true = merge_distance((sol.returns.values[state], sol.returns.weights[state]), (exact, probs))
        assert true <= sol.certificate.w1[state] + left * model.discount**6 * reach + 1e-12


def test_expectiles_of_the_image_are_the_expectiles():
    sol = evaluate(COINS, ExpectileDP(11), tol=1e-10)
    values, weights = sol.returns.values, sol.returns.weights
    z = np.concatenate([0.9 * values[0], 0.9 * values[1]])
    image = ParticleReturns([2.0 + z, -1.0 + z], np.tile(np.concatenate([weights[0], weights[1]]) / 2, (2, 1)))
    taus = midpoint_levels(11)
    np.testing.assert_allclose(image.expectile(taus), sol.returns.expectile(taus), atol=2e-10)


def test_more_expectiles_come_closer_to_the_truth():
    model = environments.garnet(20, 1, 4, discount=0.9, rng=0).under("uniform")
    truth = evaluate(model, CategoricalFixedPoint(2001))
    last = np.inf
    for n in (3, 9, 27, 81):
        distance = w1(evaluate(model, ExpectileDP(n)).returns, truth.returns).max()
        assert distance < last
        last = distance


def test_normal_rewards_are_certified():
    sol = evaluate(MRP([[1.0]], [stats.norm(1.0, 1.0)], 0.5), ExpectileDP(15))
    true = w1(sol.returns, stats.norm(2.0, (1 / 0.75) ** 0.5))[0]
    assert 0 < true <= sol.certificate.w1[0] < 1.0


def test_results_do_not_depend_on_the_threads():
    model = environments.garnet(200, 1, 5, discount=0.8, rng=0).under("uniform")
    results = [evaluate(model, ExpectileDP(64, threads), tol=1e-6).returns for threads in (1, 2, 3)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].values, other.values)


@pytest.mark.fast
def test_bad_options_are_refused():
    for options in ({"expectiles": 0}, {"threads": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            ExpectileDP(**options)
