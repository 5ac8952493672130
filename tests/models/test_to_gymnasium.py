"""Models as Gymnasium's environments, one and many at once."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from distrl import MDP, FiniteLaw, environments, from_gymnasium
from tests.outside_models import any_mdps, assert_same_model

gymnasium = pytest.importorskip("gymnasium")
ROWS = [
    (0, 0, 0.25, 0, 1.0, False),
    (0, 0, 0.75, 1, -2.0, False),
    (0, 1, 1.0, 1, FiniteLaw([0.0, 10.0], [0.5, 0.5]), False),
    (1, 0, 0.5, 0, 3.0, True),
    (1, 0, 0.5, 2, 3.0, False),
    (2, 1, 1.0, 2, 0.0, True),
]


def model(**known):
    mdp = MDP.from_outcomes(ROWS, 0.9)
    return MDP.from_table(mdp.outcomes, 0.9, available=mdp.choices, **known)


@given(any_mdps(named=True))
def test_there_and_back_is_the_same_model(mdp):
    env = mdp.to_gymnasium()
    again = from_gymnasium(env, mdp.discount, check=False)
    assert_same_model(mdp, again)
    assert again.layout == mdp.layout
    assert (again.initial is None and mdp.initial is None) or np.array_equal(again.initial, mdp.initial)
    assert_same_model(mdp, from_gymnasium(env.P, mdp.discount), names=False)  # a bare table


@settings(max_examples=10)
@given(any_mdps())
def test_steps_follow_the_table(mdp):
    from_gymnasium(mdp.to_gymnasium(), mdp.discount, check=True)


def test_laws_of_rewards_come_back_too():
    assert_same_model(model(), from_gymnasium(model().to_gymnasium(), 0.9))


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1"])
def test_gymnasiums_own_environments_come_back(name):
    mdp = from_gymnasium(name, 0.9)
    again = from_gymnasium(mdp.to_gymnasium(), 0.9)
    assert_same_model(mdp, again)
    assert again.layout == mdp.layout
    np.testing.assert_array_equal(again.initial, mdp.initial)


@pytest.mark.parametrize("mdp", [model(), from_gymnasium("FrozenLake-v1", 0.9), environments.garnet(5, 3, 2, rng=0)])
def test_gymnasiums_checker_has_nothing_to_say(mdp):
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(mdp.to_gymnasium(), skip_render_check=True)  # which only warns that there is no spec


def test_wrappers_go_around_it_and_the_table_is_found_below():
    env = gymnasium.wrappers.TimeLimit(model().to_gymnasium(), 7)
    assert_same_model(model(), from_gymnasium(env, 0.9))
    env.reset(seed=0)
    ended = False
    while not ended:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        ended = terminated or truncated


def test_the_same_seed_gives_the_same_episode():
    def episode(env):
        seen = [env.reset(seed=3)[0]]
        for _ in range(20):
            state, reward, ended, _, info = env.step(int(np.argmax(env.reset()[1]["action_mask"])))
            seen.append((state, reward, ended, info["action_mask"].tolist()))
        return seen

    env = model().to_gymnasium()
    first = episode(env)
    assert first == episode(env) == episode(model().to_gymnasium()) == episode(pickle.loads(pickle.dumps(env)))
    assert first == episode(copy.deepcopy(env))


def counted(samples, expected):
    """p-value of observed outcomes against their probabilities."""
    keys = sorted(expected)
    assert set(samples) <= set(keys)
    observed = [samples.count(key) for key in keys]
    return stats.chisquare(observed, [expected[key] * len(samples) for key in keys]).pvalue if len(keys) > 1 else 1.0


LAWS = {  # (state, action): {(next state, reward, ended): probability}, written down by hand from ROWS
    (0, 0): {(0, 1.0, False): 0.25, (1, -2.0, False): 0.75},
    (0, 1): {(1, 0.0, False): 0.5, (1, 10.0, False): 0.5},
    (1, 0): {(0, 3.0, True): 0.5, (2, 3.0, False): 0.5},
    (2, 1): {(2, 0.0, True): 1.0},
}


@pytest.mark.parametrize("pair", LAWS)
def test_steps_have_the_laws_of_the_rows(pair):
    env = model().to_gymnasium()
    env.reset(seed=1)
    seen = []
    for _ in range(2000):
        env.reset(options={"state": pair[0]})
        state, reward, ended, cut, _ = env.step(pair[1])
        assert not cut
        seen.append((state, reward, ended))
    assert counted(seen, LAWS[pair]) > 1e-6


@pytest.mark.parametrize("pair", LAWS)
def test_so_have_those_of_many_at_once(pair):
    env = model().to_gymnasium(num_envs=2000)
    env.reset(seed=1, options={"state": pair[0]})
    states, rewards, ended, cut, _ = env.step(np.full(2000, pair[1]))
    assert not cut.any()
    seen = list(zip(states.tolist(), rewards.tolist(), ended.tolist(), strict=True))
    assert counted(seen, LAWS[pair]) > 1e-6


def test_an_episode_starts_by_the_first_law_or_where_something_is_left_to_earn():
    def firsts(mdp):
        return mdp.to_gymnasium(num_envs=3000).reset(seed=0)[0].tolist()

    assert counted(firsts(model(initial=[0.2, 0.3, 0.5])), {0: 0.2, 1: 0.3, 2: 0.5}) > 1e-6
    assert counted(firsts(model()), {0: 0.5, 1: 0.5}) > 1e-6


def test_a_copy_that_has_ended_starts_anew_at_the_next_step():
    env = model(initial=[0, 1, 0]).to_gymnasium(num_envs=500)
    assert env.metadata["autoreset_mode"].value == "NextStep"
    assert (env.reset(seed=0)[0] == 1).all()
    _, _, ended, _, _ = env.step(np.zeros(500))
    assert 0 < ended.sum() < 500
    actions = np.where(ended, 1, 1)  # of no meaning where it starts anew; state 2 has action 1 alone
    states, rewards, again, _, _ = env.step(actions)
    assert (states[ended] == 1).all() and (rewards[ended] == 0.0).all() and not again[ended].any()
    assert (states[~ended] == 2).all() and again[~ended].all()


def test_spaces_names_and_masks():
    mdp = model(states=["a", "b", "c"], actions=["x", "y"], layout=(1, 3))
    env, many = mdp.to_gymnasium(), mdp.to_gymnasium(num_envs=4)
    assert (env.observation_space.n, env.action_space.n, env.nrow, env.ncol, env.discount) == (3, 2, 1, 3, 0.9)
    assert list(env.state_names) == list(many.state_names) == ["a", "b", "c"]
    assert list(env.action_names) == list(many.action_names) == ["x", "y"]
    assert many.single_action_space.n == 2 and many.action_space.shape == (4,)
    masks = many.reset(options={"state": [0, 1, 2, 2]})[1]["action_mask"]
    assert masks.tolist() == [[1, 1], [1, 0], [0, 1], [0, 1]] and masks.dtype == np.int8
    env.reset(options={"state": 1})
    assert {int(env.action_space.sample()) for _ in range(50)} == {0}


def test_what_is_sampled_for_many_is_available_to_each():
    from gymnasium.vector.utils import batch_space

    env = model().to_gymnasium(num_envs=50)
    assert env.action_space == batch_space(env.single_action_space, 50)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(20):
        env.step(env.action_space.sample())  # which refuses what is not available


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda env: env.step(0), "call reset"),
        (lambda env: (env.reset(options={"state": 2}), env.step(1), env.step(1)), "call reset"),
        (lambda env: (env.reset(options={"state": 1}), env.step(1)), "action 1 is not available in state 1; .*: 0;"),
        (lambda env: (env.reset(), env.step(5)), "action 5 is not available"),
        (lambda env: (env.reset(), env.step(0.5)), "whole number"),
        (lambda env: env.reset(options={"state": 3}), "at most 2"),
    ],
)
def test_a_step_that_cannot_be_is_refused(act, sentence):
    with pytest.raises(ValueError, match=sentence):
        act(model().to_gymnasium())


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda env: env.step([0, 0]), "call reset"),
        (lambda env: (env.reset(), env.step([0])), "1 actions for 2 copies"),
        (lambda env: (env.reset(options={"state": [0, 1]}), env.step([0, 1])), "action 1 is not available in state 1"),
        (lambda env: env.reset(options={"state": 3}), "outside the range"),
    ],
)
def test_so_is_one_of_many(act, sentence):
    with pytest.raises(ValueError, match=sentence):
        act(model().to_gymnasium(num_envs=2))


@pytest.mark.parametrize("num_envs", [0, -1, 1.5, "2", True])
def test_a_number_of_copies_is_one(num_envs):
    with pytest.raises((ValueError, TypeError), match="num_envs"):
        model().to_gymnasium(num_envs=num_envs)


def test_a_table_whose_keys_are_names_comes_in_with_its_names():
    table = {
        "home": {"walk": [(0.75, "shop", -1, False), (0.25, "home", -1, False)], "wait": [(1.0, "home", 0, False)]},
        "shop": {"wait": [(1.0, "shop", 10, True)]},
    }
    mdp = from_gymnasium(table, 0.9)
    assert list(mdp.states) == ["home", "shop"] and list(mdp.actions) == ["walk", "wait"]
    assert mdp.available.tolist() == [[True, True], [False, True]]
    assert mdp.expected_rewards[0].tolist() == [-1.0, 0.0]
    with pytest.raises(ValueError, match="leads to 'moon', which is no key"):
        from_gymnasium({"home": {"walk": [(1.0, "moon", 0, False)]}}, 0.9)
