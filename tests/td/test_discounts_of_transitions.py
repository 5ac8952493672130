"""Transitions with discounts of their own: targets against plain loops, limits against dense solves."""

import numpy as np
import pytest

import distrl
from distrl import MRP, TD, CategoricalTD, ExpectileTD, QuantileTD, learn

pytestmark = pytest.mark.fast

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(4), 4)
R = RNG.normal(size=(4, 4))
G = RNG.uniform(0.2, 0.9, (4, 4))
V = np.linalg.solve(np.eye(4) - P * G, (P * R).sum(axis=1))


@pytest.mark.slow_without_jit
@pytest.mark.parametrize("sampling", ["synchronous", "generative", "trajectory"])
@pytest.mark.parametrize("method", [TD(), TD(steps=3), TD(steps=None), CategoricalTD(11), QuantileTD(5)], ids=repr)
def test_arrays_of_one_number_give_the_bits_of_the_number(method, sampling):
    """Rewards with a law and an end, so that all streams are drawn from."""
    p, r = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]), [1.0, distrl.FiniteLaw([-1, 2]), 0.0]
    models = (MRP(p, r, g, terminal=[False, False, True]) for g in (0.75, np.full((3, 3), 0.75)))
    one, other = (learn(m, method, updates=60, sampling=sampling, rng=1, replications=2) for m in models)
    np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("method", [TD(), TD(steps=2), CategoricalTD(51), QuantileTD(1), ExpectileTD(1)], ids=repr)
def test_a_deterministic_circle_is_learnt_with_the_factors_on_its_way(method):
    """One value a state, which TD with a step of 1 takes over from the next state; quantiles move by steps."""
    model = MRP([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [1.0, -2.0, 0.5], [0.5, 0.25, 0.75])
    truth = np.linalg.solve(np.eye(3) - model.discounted().toarray(), [1.0, -2.0, 0.5])
    quantiles = isinstance(method, QuantileTD)
    step = distrl.td.Harmonic(scale=2, offset=1) if quantiles else 1.0 if not isinstance(method, ExpectileTD) else 0.5
    run = learn(model, method, step_size=step, updates=4000 if quantiles else 400, rng=0)
    np.testing.assert_allclose(run.values[-1, 0], truth, atol=1e-2 if quantiles else 1e-9)


def episodes(count):
    """Transitions of episodes, some of which are cut off: states, rewards, next states, terminals, discounts."""
    rng, rows = np.random.default_rng(3), []
    for _ in range(count):
        state = int(rng.integers(4))
        for _ in range(int(rng.integers(1, 9))):
            following = int(rng.integers(4))
            end = bool(rng.random() < 0.2)
            rows.append((state, rng.normal(), following, end, rng.choice([0.0, 0.25, 0.5, 1.0])))
            if end:
                break
            state = following
    return rows


@pytest.mark.parametrize("n", [1, 2, 3])
def test_n_step_targets_multiply_the_factors_on_their_way(n):
    rows = episodes(60)
    learner = TD(steps=n).learner(4, discount=0.9, step_size=0.5)
    for state, reward, following, end, g in rows:
        learner.update(state, reward, following, end, g)
    values, first = np.zeros(4), 0

    def renew(begin, stop):
        """The visit `begin` with the rewards up to the step before `stop`."""
        target, weight = 0.0, 1.0
        for _, reward, _, end, g in rows[begin:stop]:
            target, weight = target + weight * reward, weight * (0.0 if end else g)
        values[rows[begin][0]] += 0.5 * (target + weight * values[rows[stop - 1][2]] - values[rows[begin][0]])

    for k, (_, _, _, end, _) in enumerate(rows):
        if k > first and rows[k - 1][2] != rows[k][0]:  # cut off: what waits bootstraps from where it was
            for begin in range(first, k):
                renew(begin, k)
            first = k
        if end:
            for begin in range(first, k + 1):
                renew(begin, k + 1)
            first = k + 1
        elif k - first + 1 == n:
            renew(first, k + 1)
            first += 1
    np.testing.assert_allclose(learner.values, values, rtol=1e-12, atol=1e-12)


def test_a_learner_fed_in_one_go_or_one_by_one_or_with_its_own_number_is_the_same():
    rows = episodes(30)
    columns = [list(column) for column in zip(*rows, strict=True)]
    one, many, plain, told = (QuantileTD(5, steps=2).learner(4, discount=0.5) for _ in range(4))
    for row in rows:
        one.update(*row)
        plain.update(*row[:4])
        told.update(*row[:4], discount=0.5)
    many.update_batch(*columns)
    np.testing.assert_array_equal(one.returns.values, many.returns.values)
    np.testing.assert_array_equal(plain.returns.values, told.returns.values)


@pytest.mark.slow_without_jit
@pytest.mark.parametrize("sampling", ["synchronous", "generative", "trajectory"])
@pytest.mark.parametrize("method", [TD(), TD(steps=2), CategoricalTD(101)], ids=repr)
def test_the_mean_of_many_runs_is_the_dense_solution_within_its_error(method, sampling):
    model, runs = MRP(P, R, G), 40
    steps = 1500 if sampling == "synchronous" else 6000
    values = learn(model, method, step_size=0.02, updates=steps, sampling=sampling, replications=runs, rng=5).values[-1]
    error = values.std(axis=0, ddof=1) / runs**0.5
    # what is left of the start after `visits` renewals, at most; trajectories visit the rarest state about that often
    visits = steps if sampling == "synchronous" else steps * 0.1
    left = np.abs(V).max() * (1 - 0.02 * (1 - G.max())) ** visits
    assert (np.abs(values.mean(axis=0) - V) <= 4.5 * error + left).all()


def test_runs_go_on_from_where_they_stood_with_steps_that_wait():
    model = MRP(P, R, G)
    whole = learn(model, TD(steps=4), updates=100, sampling="trajectory", rng=2, records=1)
    half = learn(model, TD(steps=4), updates=37, sampling="trajectory", rng=2, records=1)
    rest = learn(model, TD(steps=4), updates=63, sampling="trajectory", resume=half, records=1)
    np.testing.assert_array_equal(whole.values[-1], rest.values[-1])
    with pytest.raises(ValueError, match="another model"):
        learn(MRP(P, R, G**2), TD(steps=4), updates=5, sampling="trajectory", resume=half)


def test_a_transition_without_its_factor_is_refused_where_the_model_has_many():
    learner = TD().learner(MRP(P, R, G))
    learner.update(0, 1.0, 1, True)  # nothing follows an end
    learner.update(0, 1.0, 1, False, discount=0.25)
    for bad, sentence in ((None, r"update\(\.\.\., discount=\)"), (1.5, r"numbers in \[0, 1\]")):
        with pytest.raises(ValueError, match=sentence):
            learner.update(0, 1.0, 1, False, discount=bad)
    with pytest.raises(ValueError, match="discounts must be 2 numbers"):
        learner.update_batch([0, 1], [1.0, 1.0], [1, 0], [False, False], [0.5])
    assert "discount=by transition" in repr(learner)
