"""What transitions `learn` is fed: their frequencies, their order, and the n-step targets made of them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import rows_of
from scipy import stats

import distrl
from distrl.td.sampling import Sampler, Stream, child
from distrl.testing.strategies import mrps

pytestmark = pytest.mark.fast

SEED = np.random.SeedSequence(20)


def stream(model: distrl.MRP, sampling: str, steps: int = 1) -> Stream:
    return Stream(Sampler.of(model, sampling, steps), child(SEED, 0))


def columns(targets) -> list[tuple]:
    return list(zip(*(np.asarray(column).tolist() for column in targets), strict=True))


def small_model() -> distrl.MRP:
    rows = [
        (0, 0.25, 0, 1.0, False),
        (0, 0.5, 1, -1.0, False),
        (0, 0.25, 0, 3.0, True),
        (1, 0.125, 0, 2.0, False),
        (1, 0.875, 1, 0.0, True),
    ]
    return distrl.MRP.from_outcomes(rows, 0.5, initial=[0.3, 0.7])


@pytest.mark.parametrize("sampling", ["synchronous", "generative", "trajectory"])
def test_outcomes_come_with_their_probabilities(sampling):
    model = small_model()
    targets = stream(model, sampling).take(20_000)
    for state in (0, 1):
        here = targets.states == state
        rows = [row for row in rows_of(model) if row[0] == state]
        counts = [
            np.sum(here & (targets.rewards == reward) & ((targets.weights == 0) == terminal))
            for _, _, _, reward, terminal in rows
        ]
        assert sum(counts) == here.sum()
        assert stats.chisquare(counts, here.sum() * np.array([row[1] for row in rows])).pvalue > 1e-3


def test_generative_states_are_uniform_and_synchronous_ones_in_turn():
    p = np.full((7, 7), 1 / 7)
    model = distrl.MRP(p, np.zeros(7), 0.9)
    assert stats.chisquare(np.bincount(stream(model, "generative").take(7000).states, minlength=7)).pvalue > 1e-3
    np.testing.assert_array_equal(stream(model, "synchronous").take(3).states, np.tile(np.arange(7), 3))


def test_trajectories_go_on_and_restart_from_the_initial_law():
    model = small_model()
    targets = stream(model, "trajectory").take(30_000)
    ended = targets.weights[:-1] == 0
    np.testing.assert_array_equal(targets.next_states[:-1][~ended], targets.states[1:][~ended])
    starts = targets.states[1:][ended]
    assert stats.chisquare(np.bincount(starts), len(starts) * model.initial).pvalue > 1e-3


def test_without_an_initial_law_episodes_start_in_any_state_that_goes_on():
    mrp = distrl.MRP([[0, 0, 1], [0, 0, 1], [0, 0, 1]], [1.0, 1.0, 0.0], 0.9, terminal=[0, 0, 1])
    states = stream(mrp, "trajectory").take(2000).states
    counts = np.bincount(states, minlength=3)
    assert counts[2] == 0 and stats.chisquare(counts[:2]).pvalue > 1e-3


def test_rewards_follow_their_laws_and_are_not_reused():
    laws = [stats.norm(1, 2), stats.expon(), stats.t(2), distrl.FiniteLaw([0, 1], [0.3, 0.7])]
    model = distrl.MRP(np.full((4, 4), 0.25), laws, 0.9)
    targets = stream(model, "synchronous").take(5000)  # several blocks of each law
    for state, law in enumerate(laws[:3]):
        rewards = targets.rewards[targets.states == state]
        assert len(np.unique(rewards)) == len(rewards)
        assert stats.kstest(rewards, law.cdf).pvalue > 1e-3
        assert abs(stats.spearmanr(rewards[:-1], rewards[1:]).statistic) < 4 / np.sqrt(len(rewards))
    assert stats.binomtest(int(targets.rewards[targets.states == 3].sum()), 5000, 0.7).pvalue > 1e-3


@given(mrps(max_states=3, discounts=st.sampled_from([0.0, 0.5, 0.9])), st.data())
def test_targets_do_not_depend_on_how_many_are_taken_at_a_time(mrp, data):
    sampling = data.draw(st.sampled_from(["synchronous", "generative", "trajectory"]))
    steps = data.draw(st.integers(1, 4))
    pieces = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    whole = columns(stream(mrp, sampling, steps).take(sum(pieces)))
    parts = stream(mrp, sampling, steps)
    assert [row for piece in pieces for row in columns(parts.take(piece))] == whole


def windows_by_hand(steps: list[tuple], n: int, discount: float) -> list[tuple]:
    """n-step targets of a list of (state, reward, next state, ended), by the definition, in the order of completion."""
    found = []
    for i, (state, *_) in enumerate(steps):
        total, weight = 0.0, 1.0
        for k in range(i, len(steps)):
            total += weight * steps[k][1]
            weight *= discount
            if steps[k][3] or k - i + 1 == n:
                found.append((k + 1, state, total, steps[k][2], 0.0 if steps[k][3] else weight))
                break
    return sorted(found, key=lambda target: target[0])


@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_targets_along_a_trajectory_are_the_windows_of_its_steps(seed, n, discount):
    rng = np.random.default_rng(seed)
    rows = [(s, 0.25, t, float(rng.integers(-3, 4)), bool(end)) for s in (0, 1) for t in (0, 1) for end in (0, 1)]
    model = distrl.MRP.from_outcomes(rows, discount)
    one_step = stream(model, "trajectory").take(60)
    ended = one_step.weights == 0 if discount else None
    if ended is None:  # at discount 0 a weight does not tell; the next state does, unless it repeats
        ended = stream(distrl.MRP.from_outcomes(rows, 0.5), "trajectory").take(60).weights == 0
    steps = list(zip(one_step.states, one_step.rewards, one_step.next_states, ended, strict=True))
    expected = windows_by_hand(steps, n, discount)
    targets = stream(model, "trajectory", n).take(60)
    assert targets.updates.tolist() == [target[0] for target in expected]
    for column, place in ((targets.states, 1), (targets.rewards, 2), (targets.next_states, 3), (targets.weights, 4)):
        np.testing.assert_allclose(column, [target[place] for target in expected], atol=1e-12)


@pytest.mark.parametrize("sampling", ["synchronous", "generative"])
def test_n_step_targets_come_with_the_probabilities_of_their_paths(sampling):
    # all paths of three steps are enumerated; rewards are chosen so that different paths have different sums
    model, n = small_model(), 3
    rows = rows_of(model)
    for state in (0, 1):
        law: dict[tuple, float] = {}
        for path in itertools.product(rows, repeat=n):
            place, total, weight, mass, cut = state, 0.0, 1.0, 1.0, n
            for length, (source, probability, successor, reward, terminal) in enumerate(path, 1):
                if source != place:
                    mass = 0.0
                    break
                total, weight, mass, place = total + weight * reward, weight * 0.5, mass * probability, successor
                if terminal:
                    weight, cut = 0.0, length
                    break
            # a path that ends early stands for all its continuations, of which one is counted
            if mass and all(row is rows[0] for row in path[cut:]):
                key = (total, place if weight else -1, weight)
                law[key] = law.get(key, 0.0) + mass
        assert sum(law.values()) == pytest.approx(1.0)
        targets = stream(model, sampling, n).take(20_000)
        here = targets.states == state
        ends = np.where(targets.weights == 0, -1, targets.next_states)
        counts = [
            np.sum(here & (targets.rewards == total) & (ends == place) & (targets.weights == weight))
            for total, place, weight in law
        ]
        assert sum(counts) == here.sum()
        expected = here.sum() * np.array(list(law.values()))
        rare = expected < 5  # gathered into one class
        counts = np.append(np.array(counts)[~rare], np.array(counts)[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
        assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3
