"""Learners fed by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_sampling_laws import windows_by_hand

import distrl
from distrl.td import Harmonic, Listed

pytestmark = pytest.mark.fast

GRID = distrl.Grid(-20.0, 20.0, 11)
METHODS = [
    distrl.TD(),
    distrl.TD(steps=3),
    distrl.MonteCarloTD(),
    distrl.CategoricalTD(grid=GRID),
    distrl.CategoricalTD(grid=GRID, steps=2, average_from=2),
    distrl.QuantileTD(7),
    distrl.ExpectileTD(3),
]


def transitions(seed: int, count: int) -> list[tuple[int, float, int, bool]]:
    """Episodes, some of them cut off."""
    rng = np.random.default_rng(seed)
    steps, state = [], 0
    for _ in range(count):
        successor, terminal = int(rng.integers(3)), bool(rng.random() < 0.2)
        steps.append((state, float(rng.normal()), successor, terminal))
        state = int(rng.integers(3)) if terminal or rng.random() < 0.1 else successor
    return steps


@given(st.sampled_from(METHODS), st.integers(0, 10**6), st.integers(1, 40))
def test_a_batch_is_the_same_as_its_transitions_one_by_one(method, seed, count):
    steps = transitions(seed, count)
    single, batch = (method.learner(3, 0.9, step_size=Harmonic(offset=1)) for _ in range(2))
    for step in steps:
        single.update(*step)
    half = count // 2
    for part in (steps[:half], steps[half:]):
        batch.update_batch(*(list(column) for column in zip(*part, strict=True))) if part else None
    np.testing.assert_array_equal(single.values, batch.values)
    np.testing.assert_array_equal(single.visits, batch.visits)


@given(st.sampled_from([1, 2, 4]), st.integers(0, 10**6))
def test_a_learner_bootstraps_where_an_episode_was_cut_off(n, seed):
    steps = transitions(seed, 40)
    learner = distrl.TD(steps=n).learner(3, 0.5, step_size=0.25)
    for step in steps:
        learner.update(*step)
    pieces: list[list] = [[]]
    for i, step in enumerate(steps):
        pieces[-1].append(step)
        following = steps[i + 1] if i + 1 < len(steps) else None
        if following is not None and (step[3] or following[0] != step[2]):
            pieces.append([])
    values = np.zeros(3)
    for piece in pieces:
        done = windows_by_hand(piece, n, 0.5)
        if piece is not pieces[-1] and not piece[-1][3]:  # what still waits bootstraps at the last state
            for i in range(len(done), len(piece)):
                rest = piece[i:]
                total = sum(0.5**k * reward for k, (_, reward, _, _) in enumerate(rest))
                done.append((0, piece[i][0], total, piece[-1][2], 0.5 ** len(rest)))
        for _, state, total, successor, weight in done:
            values[state] += 0.25 * (total + weight * values[successor] - values[state])
    np.testing.assert_allclose(learner.values, values, atol=1e-12)


def test_monte_carlo_drops_visits_of_episodes_that_were_cut_off():
    learner = distrl.MonteCarloTD().learner(2, 1.0, step_size=1.0)
    learner.update(0, 5.0, 1, False)
    learner.update(0, 1.0, 1, False)  # not from state 1: a new episode
    learner.update(1, 2.0, 0, True)
    assert learner.values.tolist() == [3.0, 2.0]
    assert learner.visits.tolist() == [1, 1]


def test_a_learner_and_learn_agree_on_the_same_transitions():
    mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    run = distrl.learn(mrp, distrl.QuantileTD(9), sampling="trajectory", updates=50, rng=3)
    rng = np.random.default_rng(np.random.SeedSequence(3).spawn(1)[0])
    learner = distrl.QuantileTD(9).learner(mrp)
    state = int(rng.random() >= 0.5)
    for _ in range(50):
        successor = int(rng.random() >= 0.5)
        learner.update(state, [2.0, -1.0][state], successor, False)
        state = successor
    np.testing.assert_array_equal(learner.returns.values, run.final.values[0])


def test_a_model_gives_states_discount_and_grid():
    mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.5)
    learner = distrl.CategoricalTD(11).learner(mrp)
    assert learner.discount == 0.5 and learner.returns.grid == distrl.Grid.covering(mrp, 11)
    assert "states=2" in repr(learner)


@pytest.mark.parametrize(
    ("rule", "method"),
    [(distrl.CategoricalTD(), distrl.CategoricalDP(51, sweeps=1)), (distrl.SketchTD(), distrl.SketchDP())],
    ids=["categorical", "sketch"],
)
def test_grids_at_discount_1_are_those_of_evaluate(rule, method):
    """FrozenLake's returns are 0 or 1; those of the coin have no largest value, and its grid ends in the tail."""
    pytest.importorskip("gymnasium")
    lake = distrl.from_gymnasium("FrozenLake-v1", discount=1.0)
    coin = distrl.MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 0.0, True)], 1.0)
    for model in (lake.under("uniform"), coin):
        grid = distrl.evaluate(model, method, throw=False, max_iterations=1).returns.grid
        run = distrl.learn(model, rule, updates=20, rng=0)
        assert run.method.grid == grid and rule.learner(model).method.grid == grid
        if isinstance(rule, distrl.CategoricalTD) and model is not coin:  # where nothing is clipped means are TD's
            start = np.full(model.n_states, 0.5 * (grid.low + grid.high))
            plain = distrl.learn(model, distrl.TD(), updates=20, rng=0, start=start)
            np.testing.assert_allclose(run.values, plain.values, rtol=0, atol=1e-13)
    low, high = (getattr(rule.learner(lake).method.grid, end) for end in ("low", "high"))
    assert low <= 0.0 and high >= 1.0  # of a decision process, whatever the policy


def test_returns_already_given_do_not_change():
    learner = distrl.QuantileTD(3).learner(1, 0.9)
    before = learner.returns
    values = learner.values
    learner.update(0, 1.0, 0, False)
    assert before.values.tolist() == [[0.0, 0.0, 0.0]] and values.tolist() == [0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: distrl.TD().learner(3), "discount must be given"),
        (lambda: distrl.CategoricalTD().learner(3, 0.9), "grid must be given"),
        (lambda: distrl.TD().learner(3, 1.5), "discount"),
        (lambda: distrl.TD().learner(0, 0.5), "number of states"),
        (lambda: distrl.TD().learner("taxi", 0.5), "number of states"),
        (lambda: distrl.TD().learner(3, 0.9, step_size=2.0), "at most 1"),
        (lambda: distrl.TD().learner(3, 0.9, start=[0.0]), r"it must be \(3,\)"),
        (lambda: distrl.CategoricalTD(grid=GRID, variant="speedy").learner(3, 0.9), "one at a time"),
        (lambda: distrl.TD().learner(3, 0.9).update(3, 0.0, 0, False), "state must be at most 2"),
        (lambda: distrl.TD().learner(3, 0.9).update(0, np.nan, 0, False), "reward must be finite"),
        (lambda: distrl.TD().learner(3, 0.9).update(0, 0.0, 0, "no"), "terminal must be"),
        (lambda: distrl.TD().learner(3, 0.9).update_batch([3], [0.0], [0], [0]), "outside the range 0..2"),
        (lambda: distrl.TD().learner(3, 0.9).update_batch([0, 1], [0.0], [0, 1], [0, 0]), "rewards has 1 entries"),
        (lambda: distrl.TD().learner(1, 0.9, step_size=[0.1]).update_batch([0, 0], [0, 0], [0, 0], [0, 0]), "lists 1"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_listed_steps_follow_their_clock():
    steps = [0.5, 0.25]
    for clock, expected in (("visits", [0.5, 0.5]), ("updates", [0.5, 0.25])):
        learner = distrl.TD().learner(2, 0.9, step_size=Listed(steps, clock=clock))
        learner.update(0, 1.0, 0, True)
        learner.update(1, 1.0, 0, True)
        assert learner.values.tolist() == expected
