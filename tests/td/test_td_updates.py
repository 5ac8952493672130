"""One update of each method against its formula, written densely."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import dense_bellman, dense_hat, rows_of

import distrl
from distrl.td import Harmonic, Listed, VarianceReduced
from distrl.testing.strategies import categorical_probs, mrps

pytestmark = pytest.mark.fast

_LATTICE = st.integers(-3, 3).map(lambda k: k / 4)
_ANY = st.floats(-1e6, 1e6, allow_subnormal=False)


def dense_quantile_step(
    theta: np.ndarray, state: int, reward: float, successor: int, weight: float, step: float
) -> np.ndarray:
    """theta_i + a (tau_i - mean_j 1{target_j < theta_i}), in label order, by the m x m table of comparisons."""
    m = theta.shape[1]
    tau = (2 * np.arange(1, m + 1) - 1) / (2 * m)
    targets = reward + weight * theta[successor] if weight else np.full(m, reward)
    return theta[state] + step * (tau - (targets[None, :] < theta[state][:, None]).mean(axis=1))


@st.composite
def quantile_problems(draw):
    n, m = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 5, 8, 17, 40, 65]))
    value = draw(st.sampled_from([_LATTICE, _ANY]))
    start = np.array(draw(st.lists(value, min_size=n * m, max_size=n * m))).reshape(n, m)
    length = draw(st.integers(1, 12))
    steps = [draw(st.sampled_from([0.1, 0.25, 1.0, 1e4, 1e-9, 1e150])) for _ in range(length)]
    transitions = [
        (draw(st.integers(0, n - 1)), draw(value), draw(st.integers(0, n - 1)), draw(st.booleans()))
        for _ in range(length)
    ]
    return start, steps, transitions, draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))


@given(quantile_problems())
def test_quantile_updates_are_bitwise_the_defining_formula(problem):
    start, steps, transitions, discount = problem
    learner = distrl.QuantileTD(start.shape[1]).learner(
        len(start), discount, step_size=Listed(steps, clock="updates"), start=start
    )
    theta = start.copy()
    for step, (state, reward, successor, terminal) in zip(steps, transitions, strict=True):
        learner.update(state, reward, successor, terminal)
        theta[state] = dense_quantile_step(theta, state, reward, successor, 0.0 if terminal else discount, step)
        np.testing.assert_array_equal(learner.returns.values, theta)


@pytest.mark.parametrize("rewards", ["constant", "normal", "t2"])
@pytest.mark.parametrize("step", [0.03, 0.7])
@pytest.mark.parametrize("m", [64, 80])  # all pairs compared, and two sorted lists merged
def test_long_quantile_runs_are_bitwise_the_formula_whichever_way_ranks_are_found(rewards, step, m):
    # constant rewards on a cycle scramble the values at every update, the others leave them nearly in order
    n, updates = 3, 150
    rng = np.random.default_rng(7)
    draw = {"constant": lambda s: float(s), "normal": lambda s: rng.normal(), "t2": lambda s: 30 * rng.standard_t(2)}
    learner = distrl.QuantileTD(m).learner(n, 0.9, step_size=step)
    theta = np.zeros((n, m))
    for _ in range(updates):
        for state in range(n):
            reward, successor = draw[rewards](state), (state + 1) % n
            learner.update(state, reward, successor, False)
            theta[state] = dense_quantile_step(theta, state, reward, successor, 0.9, step)
    np.testing.assert_array_equal(learner.returns.values, theta)


def test_values_too_uneven_for_buckets_are_sorted_too():
    m = 80
    start = np.concatenate([np.tile([1e-9, 0.0], m // 2 - 1), [1e9, -1e9]])[None, :]
    learner = distrl.QuantileTD(m).learner(1, 0.5, step_size=2e-9, start=start)
    theta = start.copy()
    for reward in (0.0, 1e-9, -1e-9, 0.5):
        learner.update(0, reward, 0, False)
        theta[0] = dense_quantile_step(theta, 0, reward, 0, 0.5, 2e-9)
    np.testing.assert_array_equal(learner.returns.values, theta)


@given(st.integers(0, 2**32), st.floats(0.01, 10.0))
def test_no_quantile_moves_by_more_than_the_step_under_heavy_tails(seed, step):
    m = 16
    rng = np.random.default_rng(seed)
    learner = distrl.QuantileTD(m).learner(2, 0.9, step_size=step)
    for reward in 100 * rng.standard_t(2, size=50):
        before = learner.returns.values
        learner.update(0, reward, 0, False)
        moved = np.abs(learner.returns.values - before)
        assert moved.max() <= step * (1 - 1 / (2 * m)) * (1 + 1e-12) + 1e-12 * np.abs(before).max()


@given(st.data(), mrps(max_states=4, random_rewards=True), st.floats(0.0, 1.0), st.integers(2, 9))
def test_a_categorical_step_is_unbiased_for_the_bellman_operator(data, mrp, step, atoms):
    # the mean over all outcomes of one update is (1 - a) p + a Pi T p, clipped or not
    grid = distrl.Grid(-6.0, 6.0, atoms)
    probs = data.draw(categorical_probs(mrp.n_states, atoms))
    expected = (1 - step) * probs + step * dense_bellman(mrp, grid.points, probs)
    mean = np.zeros_like(probs)
    for source, probability, successor, reward, terminal in rows_of(mrp):
        learner = distrl.CategoricalTD(grid=grid).learner(mrp, step_size=[step], start=probs)
        learner.update(source, reward, successor, terminal)
        mean[source] += probability * learner.returns.probs[source]
    np.testing.assert_allclose(mean, expected, atol=1e-13)


@given(st.data(), mrps(max_states=3), st.integers(2, 9))
def test_other_states_keep_their_estimates(data, mrp, atoms):
    probs = data.draw(categorical_probs(mrp.n_states, atoms))
    learner = distrl.CategoricalTD(grid=distrl.Grid(-6.0, 6.0, atoms)).learner(mrp, start=probs)
    source, _, successor, reward, terminal = rows_of(mrp)[0]
    learner.update(source, reward, successor, terminal)
    others = np.arange(mrp.n_states) != source
    np.testing.assert_array_equal(learner.returns.probs[others], probs[others])
    assert learner.visits.tolist() == [int(s == source) for s in range(mrp.n_states)]


def cycle_images(probs: np.ndarray, atoms: np.ndarray, rewards: list[float], discount: float) -> np.ndarray:
    """T p on the cycle 0 -> 1 -> ... -> 0, whose sampled operator is the operator itself."""
    images = [
        probs[(s + 1) % len(probs)] @ dense_hat(reward + discount * atoms, atoms) for s, reward in enumerate(rewards)
    ]
    return np.array(images)


def test_speedy_updates_are_the_recursion():
    rewards, discount, updates = [1.0, 0.0, -1.0], 0.5, 6
    mrp = distrl.MRP(np.roll(np.eye(3), 1, axis=1), rewards, discount)
    grid = distrl.Grid(-2.0, 2.0, 7)
    run = distrl.learn(
        mrp, distrl.CategoricalTD(grid=grid, variant="speedy"), step_size=Harmonic(offset=1), updates=updates, records=6
    )
    before = now = np.full((3, 7), 1 / 7)
    for k in range(1, updates + 1):
        a = 1 / (k + 1)
        t_before = cycle_images(before, grid.points, rewards, discount)
        t_now = cycle_images(now, grid.points, rewards, discount)
        before, now = now, now + a * (t_before - now) + (1 - a) * (t_now - t_before)
        np.testing.assert_allclose(run.values[k - 1, 0], now @ grid.points, atol=1e-13)


def test_recentred_updates_are_the_recursion():
    rewards, discount = [1.0, 0.0, -1.0], 0.5
    mrp = distrl.MRP(np.roll(np.eye(3), 1, axis=1), rewards, discount)
    grid = distrl.Grid(-2.0, 2.0, 7)
    method = distrl.CategoricalTD(grid=grid, variant=VarianceReduced(epoch=5, gathering=2))
    run = distrl.learn(mrp, method, step_size=0.3, updates=12, records=12)
    p = np.full((3, 7), 1 / 7)
    for k in range(12):
        if k % 5 == 0:
            reference, centre = p, cycle_images(p, grid.points, rewards, discount)
        if k % 5 >= 2:
            noise = cycle_images(p, grid.points, rewards, discount) - cycle_images(
                reference, grid.points, rewards, discount
            )
            p = 0.7 * p + 0.3 * (noise + centre)
        np.testing.assert_allclose(run.values[k, 0], p @ grid.points, atol=1e-13)


def test_the_laws_given_for_signed_masses_are_laws_and_the_nearest_ones():
    from scipy.optimize import LinearConstraint, minimize

    from distrl.td.categorical import nearest_law

    rng = np.random.default_rng(3)
    for _ in range(5):
        signed = rng.normal(size=6)
        signed += (1 - signed.sum()) / 6
        law = nearest_law(signed)
        assert law.min() >= 0 and abs(law.sum() - 1) < 1e-12
        cdf = np.cumsum(signed)

        def cost(p, cdf=cdf):
            return np.sum((np.cumsum(p) - cdf) ** 2)

        best = minimize(cost, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, constraints=LinearConstraint(np.ones(6), 1, 1))
        assert cost(law) <= best.fun + 1e-7


@given(st.integers(1, 6), st.integers(0, 1000), st.booleans())
def test_expectile_updates_are_the_defining_formula(n, seed, terminal):
    rng = np.random.default_rng(seed)
    method = distrl.ExpectileTD(n)
    start = np.sort(rng.normal(size=(2, len(method.taus))), axis=1)
    learner = method.learner(2, 0.9, step_size=0.2, start=start)
    law = learner.returns[1]
    targets = 0.3 + (0.0 if terminal else 0.9) * law.values
    gaps = targets[None, :] - start[0][:, None]
    gain = (np.abs(method.taus[:, None] - (gaps < 0)) * gaps * law.weights[None, :]).sum(axis=1)
    learner.update(0, 0.3, 1, terminal)
    np.testing.assert_allclose(learner.returns.expectiles[0], start[0] + 2 * 0.2 * gain, atol=1e-12)


@given(st.integers(1, 6), st.integers(0, 1000))
def test_imputed_laws_have_the_expectiles_they_were_made_from(n, seed):
    values = np.random.default_rng(seed).normal(size=(3, 2, 30))
    taus = distrl.ExpectileTD(n).taus
    expectiles = distrl.ParticleReturns(values).expectile(taus)  # of laws, so all of them can be met
    returns = distrl.ExpectileReturns.of(taus, expectiles)
    np.testing.assert_allclose(returns.expectile(taus), expectiles, atol=1e-9)
    np.testing.assert_allclose(returns.mean(), values.mean(axis=-1), atol=1e-9)
    np.testing.assert_array_equal(returns[1, 0].expectiles, expectiles[1, 0])
    np.testing.assert_array_equal(returns[1, 0].values, returns.values[1, 0])
    assert set(returns.arrays()) == {"particles", "weights", "taus", "expectiles"}


@given(st.integers(0, 1000), st.integers(0, 4))
def test_averages_are_those_of_the_estimates_after_the_burn_in(seed, burn_in):
    rng = np.random.default_rng(seed)
    transitions = [(int(rng.integers(2)), float(rng.normal()), int(rng.integers(2)), False) for _ in range(12)]
    for method, averaged in [
        (distrl.TD(), distrl.TD(average_from=burn_in)),
        (distrl.QuantileTD(5), distrl.QuantileTD(5, average_from=burn_in)),
        (distrl.ExpectileTD(3), distrl.ExpectileTD(3, average_from=burn_in)),
        (
            distrl.CategoricalTD(grid=distrl.Grid(-9, 9, 5)),
            distrl.CategoricalTD(grid=distrl.Grid(-9, 9, 5), average_from=burn_in),
        ),
    ]:
        plain, mean = method.learner(2, 0.9), averaged.learner(2, 0.9)
        seen = {0: [], 1: []}
        for transition in transitions:
            plain.update(*transition)
            mean.update(*transition)
            seen[transition[0]].append(plain.values[transition[0]])
        for state, estimates in seen.items():
            kept = estimates[burn_in:] or estimates[-1:] or [plain.values[state]]
            np.testing.assert_allclose(mean.values[state], np.mean(kept), atol=1e-12)
