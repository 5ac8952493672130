"""Logs of episodes and recorded steps: what was cut off is no end, and no step is made across an end."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrl.models import EmpiricalMDP, EmpiricalMRP

EPISODES = [
    {"observations": [0, 1, 2], "actions": [0, 1], "rewards": [1, 2], "terminations": [0, 0], "truncations": [0, 1]},
    {"observations": [0, 3], "actions": [0], "rewards": [5], "terminations": [1], "truncations": [0]},
]


def transitions_of_mrp(model):
    s = model.samples
    names = [[model.states[k] for k in column.tolist()] for column in (s.sources, s.next_states)]
    return set(zip(names[0], s.rewards.tolist(), names[1], s.terminals.tolist(), strict=True))


def transitions(model):
    table, pairs = model.outcomes, model.pairs
    names = [(model.states[s], model.actions[a]) for s, a in pairs.tolist()]
    known = model.samples.totals[table.sources] > 0
    rows = zip(
        table.sources.tolist(),
        table.rewards.tolist(),
        table.next_states.tolist(),
        table.terminals.tolist(),
        strict=True,
    )
    return {(*names[s], r, model.states[y], t) for (s, r, y, t), seen in zip(rows, known, strict=True) if seen}


WANTED = {(0, 0, 1.0, 1, False), (1, 1, 2.0, 2, False), (0, 0, 5.0, 3, True)}


class Dataset:
    """What a Minari data set offers."""

    def __init__(self, episodes):
        self.episodes = episodes

    def iterate_episodes(self):
        return iter(self.episodes)


@pytest.mark.parametrize("form", ["mappings", "objects", "arrays", "data set"])
def test_a_step_that_was_cut_off_goes_on_and_is_not_glued_to_the_next(form):
    arrays = [{name: np.array(column) for name, column in episode.items()} for episode in EPISODES]
    objects = [SimpleNamespace(id=k, infos={}, **episode) for k, episode in enumerate(arrays)]
    given_form = {"mappings": EPISODES, "arrays": iter(arrays), "objects": objects, "data set": Dataset(objects)}[form]
    model = EmpiricalMDP.from_episodes(given_form, 0.9)
    assert transitions(model) == WANTED and model.samples.counts.sum() == 3
    assert model.unknown.tolist() == [[False, True], [True, False], [True, True], [True, True]]


@given(st.lists(st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.booleans()), min_size=1, max_size=4))
def test_counts_are_those_of_a_loop_over_the_steps(walks):
    episodes, wanted = [], {}
    for steps, ends in walks:
        observed = [0, *steps]
        last = len(steps) - 1
        for k, (here, there) in enumerate(itertools.pairwise(observed)):
            key = (here, here + 0.5, there, ends and k == last)
            wanted[key] = wanted.get(key, 0) + 1
        flags = [False] * last
        episodes.append(
            {
                "observations": np.array(observed),
                "actions": np.zeros(len(steps), dtype=int),
                "rewards": [here + 0.5 for here in observed[:-1]],
                "terminations": [*flags, ends],
                "truncations": [*flags, not ends],
            }
        )
    model = EmpiricalMDP.from_episodes(episodes, 0.9)
    s = model.samples
    rows = zip(s.sources.tolist(), s.rewards.tolist(), s.next_states.tolist(), s.terminals.tolist(), strict=True)
    assert dict(zip(rows, s.counts.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("acts", [False, True])
def test_an_mrp_is_the_process_of_whoever_acted(acts):
    episodes = EPISODES if acts else [{k: v for k, v in each.items() if k != "actions"} for each in EPISODES]
    model = EmpiricalMRP.from_episodes(episodes, 0.9)
    assert transitions_of_mrp(model) == {(s, r, y, t) for s, _, r, y, t in WANTED}
    assert model.samples.counts.tolist() == [1, 1, 1]
    assert model.unknown.tolist() == [False, False, True, True] and model.sample_counts.tolist() == [2, 1, 0, 0]
    named = [{**each, "observations": [("cell", k) for k in each["observations"]]} for each in episodes]
    assert list(EmpiricalMRP.from_episodes(named, 0.9).states) == [("cell", k) for k in (0, 1, 2, 3)]


def test_an_mrp_of_episodes_is_that_of_their_table():
    table = {"state": [0, 1, 0], "reward": [1, 2, 5], "next_state": [1, 2, 3], "terminal": [False, False, True]}
    options = {"unvisited": "unknown", "reward_range": (0, 9), "initial": [1, 0, 0, 0]}
    model, wanted = EmpiricalMRP.from_episodes(EPISODES, 0.5, **options), EmpiricalMRP(table, 0.5, **options)
    for name in ("indptr", "probs", "next_states", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(model.outcomes, name), getattr(wanted.outcomes, name))
    assert model.return_range == wanted.return_range == (0, 18) and model.initial.tolist() == [1, 0, 0, 0]
    with pytest.raises(ValueError, match="state 2 has no sample"):
        EmpiricalMRP.from_episodes(EPISODES, 0.5, unvisited="error")


def test_composite_observations_are_names():
    episode = {
        "observations": (np.array([1, 2]), np.array([[0, 1], [1, 1]])),
        "actions": np.array([[3, 4]]),
        "rewards": np.array([1.0]),
        "terminations": np.array([True]),
    }
    model = EmpiricalMDP.from_episodes([episode], 0.9)
    assert list(model.states) == [(1, (0, 1)), (2, (1, 1))] and list(model.actions) == [(3, 4)]
    by_key = {**episode, "observations": {"b": np.array([1, 2]), "a": np.array([5, 6])}, "actions": ["go"]}
    assert list(EmpiricalMDP.from_episodes([by_key], 0.9).states) == [(5, 1), (6, 2)]


@pytest.mark.parametrize(
    ("episodes", "sentence"),
    [
        (
            [{**EPISODES[1], "observations": [0]}],
            r"episodes\[0\] has 1 observations and 1 actions; .* one observation more",
        ),
        ([EPISODES[1], {**EPISODES[0], "truncations": [1, 0]}], r"episodes\[1\] goes on after step 0, which ends it"),
        ([{**EPISODES[0], "terminations": [1, 0], "truncations": None}], r"episodes\[0\] goes on after step 0"),
        ([{**EPISODES[1], "rewards": [1, 2]}], r"episodes\[0\] has 2 rewards and 1 actions"),
        ([{**EPISODES[1], "rewards": [float("nan")]}], r"episodes\[0\]: rewards\[0\] is nan"),
        ([{**EPISODES[1], "terminations": [2]}], r"episodes\[0\]: terminations must hold booleans"),
        ([{"observations": [0, 1]}], r"episodes\[0\] has no actions"),
        ([], "episodes holds no step"),
        (3, "episodes must be an iterable of episodes, or a Minari data set, got 3"),
        ({"observations": [0, 1]}, "episodes must be an iterable"),
        ([{**EPISODES[1], "observations": [{1}, 1]}], "which names nothing"),
    ],
)
def test_what_is_no_log_of_episodes_is_said(episodes, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        EmpiricalMDP.from_episodes(episodes, 0.9)


@pytest.mark.parametrize(
    ("episode", "sentence"),
    [
        (
            {**EPISODES[1], "observations": [0]},
            r"episodes\[0\] has 1 observations and 1 rewards; .* one observation more",
        ),
        ({**EPISODES[0], "terminations": [1, 0]}, r"episodes\[0\] goes on after step 0, which ends it"),
        ({**EPISODES[0], "truncations": [1, 0]}, r"episodes\[0\] goes on after step 0, which ends it"),
        ({**EPISODES[1], "terminations": [0, 1]}, r"episodes\[0\]: terminations"),
        ({"observations": [0, 1]}, r"episodes\[0\] has no rewards: .*\(one more than rewards\), rewards, terminations"),
    ],
)
def test_what_is_no_log_of_episodes_is_no_mrp_either(episode, sentence):
    with pytest.raises(ValueError, match=sentence):
        EmpiricalMRP.from_episodes([episode], 0.9)


class Corridor:
    """Three cells; action 1 goes right, 0 stays; an episode ends beyond the last cell, or is cut off after 4 steps."""

    def __init__(self, names=None):
        self.names, self.resets = names, 0
        self.observation_space = SimpleNamespace() if names else SimpleNamespace(n=3)
        self.action_space = SimpleNamespace(n=2, seed=self.seed, sample=lambda: int(self.rng.integers(2)))

    def seed(self, seed):
        self.rng = np.random.default_rng(seed)

    def told(self):
        return self.names[self.cell] if self.names else self.cell

    def reset(self, seed=None):
        self.cell, self.steps = 0, 0
        self.resets += 1
        return self.told(), {}

    def step(self, action):
        self.steps += 1
        over = action == 1 and self.cell == 2
        self.cell = min(self.cell + int(action), 2)
        return self.told(), float(self.cell), over, self.steps == 4, {}


def test_a_recorder_crosses_neither_ends_nor_cuts():
    env = Corridor()
    model = EmpiricalMDP.from_gymnasium(env, 0.9, steps=400, rng=0)
    assert model.samples.counts.sum() == 400 and env.resets > 60
    right = {(s, 1, float(min(s + 1, 2)), min(s + 1, 2), s == 2) for s in range(3)}
    assert transitions(model) == right | {(s, 0, float(s), s, False) for s in range(3)}  # no way back to cell 0
    again = EmpiricalMDP.from_gymnasium(Corridor(), 0.9, steps=400, rng=0)
    assert np.array_equal(model.samples.counts, again.samples.counts)


def test_a_recorder_follows_policies_and_keeps_names():
    names = [np.array([0, 0]), np.array([0, 1]), np.array([1, 1])]
    model = EmpiricalMDP.from_gymnasium(Corridor(names), 0.9, steps=30, policy=lambda seen: 1)
    assert set(model.states) == {(0, 0), (0, 1), (1, 1)} and list(model.actions) == [0, 1]
    forward = EmpiricalMDP.from_gymnasium(Corridor(), 0.9, steps=30, policy=[1, 1, 1])
    assert forward.sample_counts.tolist() == [[0, 10], [0, 10], [0, 10]]
    mixed = EmpiricalMDP.from_gymnasium(Corridor(), 0.9, steps=300, rng=1, policy=[[0, 1], [0.5, 0.5], [1, 0]])
    assert mixed.sample_counts[0, 0] == 0 and mixed.sample_counts[2, 1] == 0 and (mixed.sample_counts[1] > 20).all()


def test_what_is_no_environment_is_said():
    with pytest.raises(TypeError, match="a Gymnasium environment, or its id, is needed"):
        EmpiricalMDP.from_gymnasium(3, 0.9, steps=10)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        EmpiricalMDP.from_gymnasium(Corridor(), 0.9, steps=0)
    with pytest.raises(TypeError, match="keywords are for gymnasium"):
        EmpiricalMDP.from_gymnasium(Corridor(), 0.9, steps=1, slippery=True)
    with pytest.raises(TypeError, match="policy must be None, a function"):
        EmpiricalMDP.from_gymnasium(Corridor(), 0.9, steps=1, policy="uniform")


def test_an_environment_of_gymnasium_is_recorded_by_its_id():
    pytest.importorskip("gymnasium")
    model = EmpiricalMDP.from_gymnasium("FrozenLake-v1", 0.95, steps=500, rng=0, is_slippery=False)
    assert model.available.shape == (16, 4) and isinstance(model.states, range)
    blackjack = EmpiricalMDP.from_gymnasium("Blackjack-v1", 1.0, steps=200, rng=0)
    assert len(blackjack.states[0]) == 3
