"""from_gymnasium reads what an environment does: its `step` agrees with its table, or is refused by name."""

import copy
import random
import threading
import warnings

import numpy as np
import pytest

from distrl.models import from_gymnasium

gymnasium = pytest.importorskip("gymnasium")
TAXI = max((key for key in gymnasium.registry if key.startswith("Taxi-v")), key=lambda key: int(key[6:]))
wrappers = gymnasium.wrappers

#: two states, two actions; state 1 is left for good
P = {
    0: {0: [(0.5, 0, 1.0, False), (0.5, 1, 2.0, False)], 1: [(1.0, 1, 0.0, False)]},
    1: {0: [(0.75, 0, -1.0, False), (0.25, 1, 0.0, True)], 1: [(1.0, 0, 0.5, False)]},
}


class Follows:
    """An environment of nobody's making that does what its table says."""

    def __init__(self, table=P):
        self.P, self.state, self.rng = table, 0, np.random.default_rng(7)

    def reset(self, seed=None):
        self.rng = np.random.default_rng(seed)
        self.state = int(self.rng.integers(len(self.P)))
        return self.state, {}

    def step(self, action):
        rows = self.P[self.state][action]
        _, self.state, reward, ended = rows[self.rng.choice(len(rows), p=[row[0] for row in rows])]
        return self.state, reward, ended, False, {}


def outcomes(model):
    table = model.outcomes
    columns = (table.sources, table.probs, table.next_states, table.rewards, table.terminals)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FrozenLake-v1", {}),
        ("FrozenLake-v1", {"is_slippery": False}),
        ("FrozenLake-v1", {"map_name": "8x8"}),
        ("CliffWalking-v1", {}),
        ("CliffWalking-v1", {"is_slippery": True}),
        (TAXI, {}),
        (TAXI, {"is_rainy": True}),
    ],
)
def test_environments_that_follow_their_table_pass(name, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_gymnasium(name, 0.9, **options)


@pytest.mark.parametrize("seed", range(30))
def test_a_random_environment_that_follows_its_table_passes(seed):
    rng = np.random.default_rng(seed)
    n, actions = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    table = [
        [
            [(q, y, float(rng.integers(3)), bool(rng.random() < 0.2)) for y, q in enumerate(rng.dirichlet(np.ones(n)))]
            for _ in range(actions)
        ]
        for _ in range(n)
    ]
    from_gymnasium(Follows(table), 0.9)


class OtherState(Follows):
    def step(self, action):
        state, *rest = super().step(action)
        self.state = 0 if self.rng.random() < 0.05 else state  # P[0][1] never stays
        return self.state, *rest


class OtherReward(Follows):
    def step(self, action):
        state, reward, *rest = super().step(action)
        return state, 2 * reward, *rest


class OtherEnd(Follows):
    def step(self, action):
        state, reward, ended, *rest = super().step(action)
        return state, reward, ended or self.rng.random() < 0.02, *rest


class OtherFrequency(Follows):
    """Rows of P are taken with each other's probabilities."""

    def step(self, action):
        rows = self.P[self.state][action]
        _, self.state, reward, ended = rows[self.rng.choice(len(rows), p=[row[0] for row in rows[::-1]])]
        return self.state, reward, ended, False, {}


class Sticky(Follows):
    """The action before is repeated now and then."""

    last = 0

    def step(self, action):
        self.last = self.last if self.rng.random() < 0.25 else action
        return super().step(self.last)


class Fails(Follows):
    def step(self, action):
        raise RuntimeError("out\nof order")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (OtherState, r"in state 1, action 0 it went to state 0 .* which P\[1\]\[0\] does not have"),
        (OtherReward, r"which P\[\d\]\[\d\] does not have"),
        (OtherEnd, r"terminated True, which P\[\d\]\[\d\] does not have"),
        (OtherFrequency, r"in state 1, action 0 .* times of \d+, P gives it probability"),
        (Sticky, r"which P\[\d\]\[\d\] does not have"),
        (Fails, r"step\(\d\) in state \d fails, RuntimeError: out of order"),
    ],
)
def test_a_step_that_does_more_than_the_table_is_refused(kind, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        from_gymnasium(kind(), 0.9)
    assert kind.__name__ in str(caught.value) and "\n" not in str(caught.value) and "check=False" in str(caught.value)
    assert outcomes(from_gymnasium(kind(), 0.9, check=False)) == outcomes(from_gymnasium(Follows(), 0.9))


def test_frequencies_are_compared_over_all_pairs_together():
    """Two outcomes of 1/2 each in 500 pairs, none of which is visited often enough to tell; always the first comes."""
    rng = np.random.default_rng(0)
    table = [[[(0.5, int(y), 0.0, False) for y in rng.choice(100, 2, False)] for _ in range(5)] for _ in range(100)]
    from_gymnasium(Follows(table), 0.9)

    class First(Follows):
        def step(self, action):
            _, self.state, reward, ended = self.P[self.state][action][0]
            return self.state, reward, ended, False, {}

    with pytest.raises(ValueError, match=r"outcome 0 of the entries P\[state\]\[action\] came 500 times in 500 steps"):
        from_gymnasium(First(table), 0.9)


def test_a_lake_that_slips_in_its_table_only_is_refused():
    env = gymnasium.make("FrozenLake-v1", is_slippery=True).unwrapped
    firm = gymnasium.make("FrozenLake-v1", is_slippery=False).unwrapped.P

    class Firm(type(env)):
        def step(self, action):
            _, self.s, reward, ended = firm[self.s][action][0]
            return self.s, reward, ended, False, {}

    env.__class__ = Firm
    with pytest.raises(ValueError, match=r"Firm: its step .* P gives it probability 0\.333"):
        from_gymnasium(env, 0.9)


@pytest.mark.parametrize("give", [gymnasium.make, lambda *name, **how: gymnasium.make(*name, **how).unwrapped])
def test_the_fickle_passenger_is_refused_by_name(give):
    env = give(TAXI, fickle_passenger=True)
    for check in (True, False):
        with pytest.raises(ValueError, match="with fickle_passenger its step changes the destination"):
            from_gymnasium(env, 0.9, check)
    with pytest.raises(ValueError, match="with fickle_passenger its step changes the destination"):
        from_gymnasium(TAXI, 0.9, fickle_passenger=True)


def lake():
    return gymnasium.make("FrozenLake-v1")


class Punishes(gymnasium.Wrapper):
    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, reward - 1.0, *rest


class StartsElsewhere(gymnasium.Wrapper):
    def reset(self, **how):
        return 14, self.env.reset(**how)[1]


class Renumbers(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return 15 - observation


class Wrapper(gymnasium.Wrapper):
    """Called like its base."""

    step = Punishes.step


CHANGES = {
    "RewardWrapper": lambda: wrappers.TransformReward(lake(), lambda reward: -reward),
    "a reward clipped": lambda: wrappers.ClipReward(lake(), 0.0, 0.5),
    "NormalizeReward": lambda: wrappers.NormalizeReward(lake()),
    "ActionWrapper": lambda: wrappers.TransformAction(lake(), lambda action: 3 - action, lake().action_space),
    "StickyAction": lambda: wrappers.StickyAction(lake(), 0.25),
    "RepeatAction": lambda: wrappers.RepeatAction(lake(), 2),
    "a step of its own": lambda: Punishes(lake()),
    "a start of its own": lambda: StartsElsewhere(lake()),
    "other numbers": lambda: Renumbers(lake()),
    "observations delayed": lambda: wrappers.DelayObservation(lake(), 1),
    "a name of Gymnasium": lambda: type("TimeLimit", (Punishes,), {})(lake()),
    "the name of its base": lambda: Wrapper(lake()),
    "beneath a harmless one": lambda: wrappers.TimeLimit(Punishes(lake()), 10),
    "a patched step": lambda: patched(wrappers.OrderEnforcing(lake())),
}


def patched(env):
    env.step = lambda action: (0, 5.0, True, False, {})
    return env


@pytest.mark.parametrize("case", CHANGES)
def test_a_wrapper_that_changes_the_process_is_refused_by_name(case):
    env = CHANGES[case]()
    with pytest.raises(ValueError, match=r"the wrapper \w+ may change .* P of FrozenLakeEnv .*env\.unwrapped"):
        from_gymnasium(env, 0.9, check=False)
    assert outcomes(from_gymnasium(env.unwrapped, 0.9)) == outcomes(from_gymnasium("FrozenLake-v1", 0.9))


HARMLESS = {
    "as made": lake,
    "TimeLimit": lambda: wrappers.TimeLimit(lake(), 5),
    "RecordEpisodeStatistics": lambda: wrappers.RecordEpisodeStatistics(lake()),
    "Autoreset": lambda: wrappers.Autoreset(lake()),
    "TimeAwareObservation": lambda: wrappers.TimeAwareObservation(lake(), flatten=False),
    "one-hot observations": lambda: wrappers.FlattenObservation(lake()),
    "nothing of its own": lambda: gymnasium.Wrapper(lake()),
    "vectors": lambda: wrappers.FrameStackObservation(lake(), 2),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_a_wrapper_that_only_looks_on_changes_nothing(case):
    assert outcomes(from_gymnasium(HARMLESS[case](), 0.9)) == outcomes(from_gymnasium("FrozenLake-v1", 0.9))


class Halves(gymnasium.Wrapper):
    """Half the reward, in its step and in its own table."""

    def __init__(self, env):
        super().__init__(env)
        table = env.unwrapped.P
        self.table = {
            s: {a: [(p, y, r / 2, t) for p, y, r, t in rows] for a, rows in row.items()} for s, row in table.items()
        }

    @property
    def P(self):
        return self.table

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, reward / 2, *rest


def test_a_wrapper_with_a_table_of_its_own_is_read_with_that_and_compared():
    whole = from_gymnasium("FrozenLake-v1", 0.9)
    half = from_gymnasium(Halves(lake()), 0.9)
    np.testing.assert_array_equal(half.expected_rewards, whole.expected_rewards / 2)
    assert outcomes(from_gymnasium(wrappers.TimeLimit(Halves(lake()), 9), 0.9)) == outcomes(half)
    wrong = Halves(lake())
    wrong.table = lake().unwrapped.P
    with pytest.raises(ValueError, match="Halves: its step does not follow its table P"):
        from_gymnasium(wrong, 0.9)


def test_a_table_may_be_given_itself():
    expected = outcomes(from_gymnasium(Follows(), 0.9))
    assert outcomes(from_gymnasium(P, 0.9)) == expected
    assert outcomes(from_gymnasium([list(row.values()) for row in P.values()], 0.9)) == expected
    with pytest.raises(TypeError, match="is_slippery: keywords are for"):
        from_gymnasium(P, 0.9, is_slippery=True)


def test_the_environment_and_the_global_generators_are_left_as_they_are():
    class Draws(Follows):
        def step(self, action):
            random.random()
            np.random.random()  # noqa: NPY002
            return super().step(action)

    env = Draws()
    env.reset(seed=3)
    before = copy.deepcopy(vars(env))
    python, numpy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    from_gymnasium(env, 0.9)
    assert env.state == before["state"] and env.rng.bit_generator.state == before["rng"].bit_generator.state
    assert random.getstate() == python and (np.random.get_state()[1] == numpy).all()  # noqa: NPY002
    taxi = gymnasium.make(TAXI)
    taxi.reset(seed=5)
    state, drawn = taxi.unwrapped.s, taxi.unwrapped.np_random.bit_generator.state
    from_gymnasium(taxi, 0.9)
    assert taxi.unwrapped.s == state and taxi.unwrapped.np_random.bit_generator.state == drawn


class Locked(Follows):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Wordy(Follows):
    def reset(self, seed=None):
        return f"room {super().reset(seed)[0]}", {}


@pytest.mark.parametrize(("kind", "why"), [(Locked, "it cannot be copied"), (Wordy, "it observes 'room ")])
def test_what_cannot_be_compared_is_said(kind, why):
    with pytest.warns(
        UserWarning, match=f"{kind.__name__}: whether its step .* was not checked, since {why}"
    ) as caught:
        model = from_gymnasium(kind(), 0.9)
    assert caught[0].filename == __file__
    assert outcomes(model) == outcomes(from_gymnasium(Follows(), 0.9))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_gymnasium(kind(), 0.9, check=False)


def test_a_start_that_the_law_of_the_first_state_excludes_is_refused():
    class Starts(Follows):
        initial_state_distrib = np.array([0.0, 1.0])

    with pytest.raises(ValueError, match=r"Starts: reset\(\) starts in state 0, to which .* probability 0"):
        from_gymnasium(Starts(), 0.9)
    assert from_gymnasium(Starts(), 0.9, check=False).initial.tolist() == [0.0, 1.0]


def test_an_older_step_of_four_results_is_understood():
    class Older(Follows):
        def reset(self):
            return super().reset(0)[0]

        def step(self, action):
            state, reward, ended, _, information = super().step(action)
            return state, reward, ended, information

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_gymnasium(Older(), 0.9)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"is_slippery": "no"}, "is_slippery of FrozenLake-v1 must be True or False, got 'no'"),
        ({"is_slippery": None}, "must be True or False, got None"),
        ({"is_slippery": 2}, "must be True or False, got 2"),
        ({"success_rate": "high"}, "success_rate of FrozenLake-v1 must be a number, got 'high'|cannot make"),
    ],
)
def test_text_is_not_taken_for_true(options, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        from_gymnasium("FrozenLake-v1", 0.9, **options)


def test_check_is_true_or_false():
    with pytest.raises(TypeError, match="check must be True or False, got 'no'"):
        from_gymnasium("FrozenLake-v1", 0.9, "no")
