"""Quantile dynamic programming: known fixed points, its bounds, and a certificate against exact laws."""

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import enumerated_law, merge_distance
from scipy import stats

from distrl import (
    MRP,
    ConvergenceError,
    EvaluationInterrupted,
    FiniteLaw,
    Grid,
    Moments,
    ParticleReturns,
    QuantileDP,
    Status,
    environments,
    evaluate,
    from_gymnasium,
    wasserstein,
)
from distrl.dp.certificate import ParticleCertifier
from distrl.operators import QuantileBellman
from distrl.operators.particle_targets import ParticleTargets
from distrl.testing import mdps, mrps, policies
from distrl.theory import quantile_projection_w1, quantile_w1
from experiments.quickstart.exact import frozen_lake_law

COINS = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9)
SHORT = st.sampled_from([0.0, 0.25, 0.5])
FLATS = st.sampled_from([0.0, 0.5, 1.0])
LOWER = {2: -5.65, 5: -2.11354, 10: 1.17317, 100: 5.87581}
UPPER = {2: 18.65, 5: 15.11354, 10: 11.82683, 100: 7.12419}


@pytest.mark.parametrize(("flat", "means"), [(0.0, LOWER), (1.0, UPPER), (0.5, dict.fromkeys(LOWER, 6.5))])
def test_the_coin_models_means_are_the_known_ones(flat, means):
    for m, mean in means.items():
        sol = evaluate(COINS, QuantileDP(m, flat))
        assert sol.values[0] == pytest.approx(mean, abs=6e-6)
        assert sol.values[0] - sol.values[1] == pytest.approx(3.0, abs=1e-8)


@given(mrps(discounts=st.sampled_from([0.0, 0.5, 0.9, 0.99])), st.integers(1, 12), FLATS)
@settings(max_examples=30)
def test_is_the_limit_of_plain_sweeps_within_the_tolerance(model, m, flat):
    sol = evaluate(model, QuantileDP(m, flat), tol=1e-8)
    operator = QuantileBellman(model, m, flat)
    values, g = np.zeros((model.n_states, m)), model.discount
    for _ in range(100):
        values = operator(values)
    # the 100th sweep from 0 is within g^100 of the largest return, more than reach / (1 - g)
    reach = np.abs(model.outcomes.reward_ranges()).max() / (1 - g)
    assert np.abs(sol.returns.values - values).max() <= 1e-8 + g**100 * 2 * reach + 1e-10
    assert np.abs(operator(sol.returns.values) - sol.returns.values).max() <= sol.residual + 1e-12


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0, 0.3])
def test_short_cuts_lead_to_the_same_fixed_point_as_sweeps(flat):
    model = environments.garnet(30, 1, 3, discount=0.95, rng=1).under("uniform")
    sol = evaluate(model, QuantileDP(20, flat), tol=1e-9)
    values, operator = np.zeros((30, 20)), QuantileBellman(model, 20, flat)
    for _ in range(700):
        values = operator(values)
    np.testing.assert_allclose(sol.returns.values, values, atol=2e-9)
    assert sol.iterations < 300


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("ties", [False, True])
def test_a_high_discount_takes_far_fewer_applications_than_sweeps(flat, ties):
    """With three equal probabilities and 20 levels nearly all levels tie, with random ones none do."""
    model = environments.garnet(30, 1, 3, discount=0.99, rng=1).under("uniform")
    if ties:
        rows = zip(model.outcomes.sources, model.outcomes.next_states, model.outcomes.rewards, strict=True)
        model = MRP.from_outcomes([(x, 1 / 3, y, r, False) for x, y, r in rows], 0.99)
    sol = evaluate(model, QuantileDP(20, flat), tol=1e-6)
    values, image = np.zeros((30, 20)), np.empty((30, 20))
    operator = QuantileBellman(model, 20, flat)
    choices = operator.empty_choices()
    for _ in range(2200):  # 0.99^2200 = 2.5e-10
        operator.apply(values, choices, image)
        values, image = image, values
    np.testing.assert_allclose(sol.returns.values, values, atol=1.1e-6)
    assert sol.iterations < 300


@pytest.mark.parametrize("law", [stats.norm(1.0, 2.0), stats.t(3), stats.poisson(2.0), stats.uniform(0, 1)])
@pytest.mark.parametrize("other", [0.0, stats.expon(), FiniteLaw([0.0, 5.0])])
def test_continuous_rewards_end_where_sweeps_end(law, other):
    """Alone, mixed with other laws in one target, and beside states with particles only."""
    model = MRP([[0.5, 0.5], [0.25, 0.75]], [law, other], 0.8)
    sol = evaluate(model, QuantileDP(6, 0.5), tol=1e-7)
    values, operator = np.zeros((2, 6)), QuantileBellman(model, 6, 0.5)
    for _ in range(90):  # 0.8^90 = 1.9e-9, of returns around 50
        values = operator(values)
    np.testing.assert_allclose(sol.returns.values, values, atol=3e-7)
    assert sol.iterations < 90


def test_one_quantile_of_a_continuous_target_is_certified():
    sol = evaluate(MRP([[1.0]], [stats.norm(1.0, 1.0)], 0.5), QuantileDP(1))
    assert sol.returns.values[0, 0] == pytest.approx(2.0)
    assert wasserstein(sol.returns, stats.norm(2.0, (1 / 0.75) ** 0.5))[0] <= sol.certificate.w1[0]


@given(mrps(max_states=3, discounts=SHORT), st.integers(1, 6), FLATS, st.data())
def test_the_certificate_bounds_the_true_distance_of_any_particles(model, m, flat, data):
    """Of the fixed point, and of particles that have nothing to do with the model."""
    anything = data.draw(arrays(np.float64, (model.n_states, m), elements=st.floats(-9, 9)))
    weights = data.draw(arrays(np.float64, (model.n_states, m), elements=st.integers(1, 4).map(float)))
    guess = ParticleReturns(anything, weights / weights.sum(axis=1, keepdims=True))
    certifier = ParticleCertifier(model, ParticleTargets(model.outcomes, model.discount))
    sol = evaluate(model, QuantileDP(m, flat))
    reach = 2 * np.abs(model.outcomes.reward_ranges()).max() / (1 - model.discount)
    for returns, certificate in ((sol.returns, sol.certificate), (guess, certifier.certify(guess))):
        values, masses = returns.support_weights()
        masses = np.broadcast_to(masses, values.shape)
        for state in range(model.n_states):
            exact, probs, left = enumerated_law(model, state, 6)
            true = merge_distance((values[state], masses[state]), (exact, probs))
            assert true <= certificate.w1[state] + left * model.discount**6 * reach + 1e-12


@given(mrps(discounts=st.sampled_from([0.3, 0.9, 0.99])), st.integers(1, 20), FLATS)
def test_is_never_above_the_bound_known_beforehand(model, m, flat):
    sol = evaluate(model, QuantileDP(m, flat))
    width = Grid.covering(model, 2).width
    bound = quantile_w1(width, m, model.discount)
    assert sol.certificate.w1.max() <= bound * (1 + 1e-9) + 2 * sol.tol / (1 - model.discount) + 1e-9 * width
    exact = evaluate(model, Moments(1)).values
    assert (np.abs(sol.values - exact) <= sol.certificate.w1 + 1e-9).all()


def test_the_certificate_is_attained():
    """At l = 0 both quantiles of the coin model ignore the better half: the law is shifted down."""
    sol = evaluate(COINS, QuantileDP(2))
    exact = evaluate(COINS, Moments(1)).values
    np.testing.assert_allclose(exact - sol.values, sol.certificate.w1, rtol=1e-9)


@pytest.mark.parametrize("m", [1, 5, 50])
def test_frozen_lake_true_error_is_below_the_certificate(m):
    mdp = from_gymnasium("FrozenLake-v1", discount=0.99, map_name="8x8", is_slippery=True)
    sol = evaluate(mdp, QuantileDP(m), policy="uniform")
    table = gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=True).unwrapped.P
    values, weights = frozen_lake_law(table, np.full((64, 4), 0.25), 0.99)
    particles = sol.returns.values
    true = [merge_distance((particles[s], np.full(m, 1 / m)), (values, weights[s])) for s in range(64)]
    assert (np.array(true) <= sol.certificate.w1 + 1e-12).all()
    assert max(true) > 1e-3


@pytest.mark.parametrize("flat", [0.0, 0.5])
def test_a_bernoulli_reward_at_discount_half_is_uniform(flat):
    m = 32
    sol = evaluate(MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.5), QuantileDP(m, flat))
    assert wasserstein(sol.returns, stats.uniform(0, 2))[0] <= sol.certificate.w1[0] <= 2 / (2 * m * 0.5)


@pytest.mark.parametrize("m", [3, 40])
def test_normal_rewards_have_a_certificate_too(m):
    sol = evaluate(MRP([[1.0]], [stats.norm(1.0, 1.0)], 0.5), QuantileDP(m))
    true = wasserstein(sol.returns, stats.norm(2.0, (1 / 0.75) ** 0.5))[0]
    assert 0 < true <= sol.certificate.w1[0] < 1.5


def test_heavy_tails_have_a_certificate_too():
    model = MRP([[0.5, 0.5], [0.0, 1.0]], [stats.t(2), stats.t(2)], 0.5)
    few, many = (evaluate(model, QuantileDP(m), tol=1e-6) for m in (8, 40))
    assert np.isfinite(few.certificate.w1).all()
    assert (wasserstein(few.returns, many.returns) <= few.certificate.w1 + many.certificate.w1).all()


def test_a_deterministic_cycle_is_exact():
    model = MRP([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [1.0, -2.0, 5.0], 0.99)
    sol = evaluate(model, QuantileDP(7, 0.5))
    exact = np.linalg.solve(np.eye(3) - 0.99 * np.roll(np.eye(3), 1, axis=1), [1.0, -2.0, 5.0])
    np.testing.assert_allclose(sol.returns.values, np.repeat(exact[:, None], 7, axis=1), rtol=1e-12)
    assert sol.certificate.w1.max() < 1e-9


def test_discount_1_ends_steady_and_certified():
    """A walk that ends: r = -1 a step, ends with probability 3/5: the return is -T, T geometric."""
    model = MRP.from_outcomes([(0, 0.4, 0, -1.0, False), (0, 0.6, 0, -1.0, True)], 1.0)
    m = 50
    sol = evaluate(model, QuantileDP(m))
    assert sol.status is Status.STEADY and sol.converged
    steps = np.arange(1, 80)
    true = merge_distance((sol.returns.values[0], np.full(m, 1 / m)), (-steps.astype(float), 0.6 * 0.4 ** (steps - 1)))
    assert true <= sol.certificate.w1[0] < 0.2


def test_at_discount_1_there_may_be_no_fixed_point_and_it_is_said():
    """Going on with probability 1/2, the least particle has mass 1/(2m), the first level: theta_1 = theta_1 - 1."""
    model = MRP.from_outcomes([(0, 0.5, 0, -1.0, False), (0, 0.5, 0, -1.0, True)], 1.0)
    sol = evaluate(model, QuantileDP(50), throw=False)
    assert sol.status is Status.DRIFTING and sol.residual >= 1.0 and sol.iterations < 1000
    steps = np.arange(1, 80)
    true = merge_distance((sol.returns.values[0], np.full(50, 0.02)), (-steps.astype(float), 0.5**steps))
    assert true <= sol.certificate.w1[0]
    assert evaluate(model, QuantileDP(50, 0.5)).status is Status.STEADY


@settings(max_examples=20)
@given(mdps(max_states=3, discounts=SHORT), st.data())
def test_action_returns_are_one_application_away_and_certified(mdp, data):
    sol = evaluate(mdp, QuantileDP(5, 0.5), policy=data.draw(policies(mdp)))
    laws, certificate = sol.action_returns, sol.action_certificate
    assert laws.batch_shape == (mdp.n_states, mdp.n_actions)
    for action in range(mdp.n_actions):
        first = mdp.under(np.full(mdp.n_states, action))
        expected = QuantileBellman(first, 5, 0.5)(sol.returns.values)
        np.testing.assert_allclose(laws.values[:, action], expected, atol=1e-12)
        exact = evaluate(sol.model, Moments(1)).values  # one step of the action, then the policy
        mean = first.expected_rewards + mdp.discount * first.continuation @ exact
        assert (np.abs(laws.mean()[:, action] - mean) <= certificate.w1[action :: mdp.n_actions] + 1e-9).all()


def test_results_do_not_depend_on_the_threads():
    model = environments.garnet(120, 1, 5, discount=0.8, rng=0).under("uniform")
    results = [evaluate(model, QuantileDP(128, 0.5, threads), tol=1e-6) for threads in (1, 2, 3)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].returns.values, other.returns.values)
        np.testing.assert_array_equal(results[0].certificate.w1, other.certificate.w1)


@pytest.mark.fast
def test_running_out_of_iterations_is_said_and_certified():
    model = environments.garnet(20, 1, 3, discount=0.99, rng=0).under("uniform")
    with pytest.raises(ConvergenceError, match="limit on iterations") as caught:
        evaluate(model, QuantileDP(10), max_iterations=3)
    sol = caught.value.solution
    assert sol.iterations == 3 and not sol.converged
    best = evaluate(model, QuantileDP(10))
    assert (wasserstein(sol.returns, best.returns) <= sol.certificate.w1 + best.certificate.w1).all()


@pytest.mark.fast
def test_an_unreachable_tolerance_is_said():
    model = environments.garnet(20, 1, 3, discount=0.9, rng=0).under("uniform")
    sol = evaluate(model, QuantileDP(30, 0.3), tol=1e-300, throw=False)
    assert sol.status in (Status.STALLED, Status.CONVERGED)  # converged where the sweeps end in themselves, bit for bit
    assert sol.residual <= 1e-13


@pytest.mark.fast
def test_interruption_keeps_the_last_iterate():
    calls = []

    def interrupt(share, applications, bound):
        calls.append((share, bound))
        if applications == 4:
            raise KeyboardInterrupt

    model = environments.garnet(20, 1, 3, discount=0.99, rng=0).under("uniform")
    with pytest.raises(EvaluationInterrupted) as caught:
        evaluate(model, QuantileDP(10), progress=interrupt)
    sol = caught.value.solution
    assert sol.status is Status.INTERRUPTED and len(calls) == 4
    found = np.abs(QuantileBellman(sol.model, 10)(sol.returns.values) - sol.returns.values).max()
    assert found == pytest.approx(sol.residual)


@pytest.mark.fast
def test_interruption_before_the_first_image_gives_the_start(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(QuantileBellman, "apply", interrupted)
    sol = evaluate(COINS, QuantileDP(3), throw=False)
    assert sol.status is Status.INTERRUPTED
    np.testing.assert_allclose(sol.values, [6.5, 3.5])  # normal quantiles with the exact mean
    assert np.isfinite(sol.certificate.w1).all()


@pytest.mark.fast
def test_saved_and_mixed_at_the_start(tmp_path):
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], 0.9, initial=[0.25, 0.75])
    sol = evaluate(model, QuantileDP(4))
    sol.save(tmp_path / "solution.npz")
    with np.load(tmp_path / "solution.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["quantiles"], sol.returns.values)
        np.testing.assert_array_equal(archive["levels"], sol.returns.levels)
        np.testing.assert_array_equal(archive["w1_bound"], sol.certificate.w1)
    assert float(sol.start.mean()) == pytest.approx(0.25 * sol.values[0] + 0.75 * sol.values[1])
    assert "certificate-one-step-transport" in sol.summary()


@pytest.mark.fast
@given(st.integers(1, 12), st.data(), FLATS)
def test_the_projection_bound_holds_and_is_attained(m, data, flat):
    values = data.draw(arrays(np.float64, 6, elements=st.floats(-5, 5)))
    weights = data.draw(arrays(np.float64, 6, elements=st.integers(1, 5).map(float)))
    law = FiniteLaw(values, weights / weights.sum())
    rows = [(0, p, 0, v, True) for v, p in zip(law.values, law.probs, strict=True)]
    image = QuantileBellman(MRP.from_outcomes(rows, 0.5), m, flat)(np.zeros((1, 1)))
    distance = merge_distance((image[0], np.full(m, 1 / m)), (law.values, law.probs))
    assert distance <= quantile_projection_w1(np.ptp(law.values), m) + 1e-9
    coin = QuantileBellman(MRP([[1.0]], [FiniteLaw([0.0, 1.0])], 0.0), 1, flat)(np.zeros((1, 1)))
    assert merge_distance((coin[0], np.ones(1)), (np.array([0.0, 1.0]), np.full(2, 0.5))) == quantile_projection_w1(
        1, 1
    )


@pytest.mark.fast
def test_bad_options_are_refused():
    for options in ({"quantiles": 0}, {"flat": -0.1}, {"threads": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            QuantileDP(**options)
    with pytest.raises(ValueError, match="use fewer quantiles"):
        evaluate(COINS, QuantileDP(10**12))
