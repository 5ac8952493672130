"""Learning to act in environments of Gymnasium, by stepping through them."""

import numpy as np
import pytest
from q_models import deterministic, finite, noisy

import distrl
from distrl import CategoricalQ, ExpectileQ, MeanQ, QuantileQ
from distrl.td import Harmonic, LinearDecay

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.spaces import Box, Discrete  # noqa: E402  # which may not be there

GRID = distrl.Grid(-8.0, 24.0, 17)


class Line(gymnasium.Env):
    """Cells 5..8; action -1 or 0 goes left or right; the last one ends, and pays 1."""

    observation_space = Discrete(4, start=5)
    action_space = Discrete(2, start=-1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 5
        return self.cell, {}

    def step(self, action):
        assert action in (-1, 0)
        self.cell = min(max(self.cell + (1 if action == 0 else -1), 5), 8)
        return np.int64(self.cell), np.float32(self.cell == 8), self.cell == 8, False, {}


def test_on_frozen_lake_the_greedy_policy_is_nearly_the_best():
    """The start is optimistic, so that the way to the goal is found."""
    mdp = distrl.from_gymnasium("FrozenLake-v1", 0.99)
    best = distrl.optimize(mdp, distrl.Mean(), tol=1e-9)
    run = distrl.learn(
        "FrozenLake-v1",
        MeanQ(),
        discount=0.99,
        updates=30_000,
        start=np.ones((16, 4)),
        step_size=Harmonic(20.0, 20.0),
        rng=0,
    )
    reached = distrl.evaluate(mdp, distrl.Moments(2), policy=run.policy()[0]).values
    assert reached[0] >= 0.9 * best.values[0] > 0.4
    assert run.sampling == "trajectory" and run.action_values.shape == (10, 1, 16, 4)
    assert "FrozenLake-v1" in run.summary() and not run.visits[0, [5, 7, 11, 12, 15]].any()


@pytest.mark.parametrize(
    "method",
    [MeanQ(), MeanQ("sarsa"), CategoricalQ(grid=GRID), QuantileQ(5, "sarsa"), ExpectileQ(3)],
    ids=repr,
)
def test_a_model_and_its_environment_teach_the_same(method):
    """Of a deterministic process with one first state the environment draws nothing that matters."""
    mdp = deterministic()
    common = {"updates": 300, "rng": 4, "step_size": 0.25, "exploration": LinearDecay(updates=200), "replications": 2}
    model = distrl.learn(mdp, method, sampling="trajectory", **common)
    env = distrl.learn(mdp.to_gymnasium(), method, discount=0.5, **common)
    np.testing.assert_array_equal(env.visits, model.visits)
    np.testing.assert_allclose(env.action_values, model.action_values, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(env.policy(), model.policy())
    assert not env.visits[:, ~mdp.available].any()  # actions that are not there are not tried


def test_spaces_that_begin_elsewhere_are_positions():
    run = distrl.learn(Line(), MeanQ(), discount=0.5, step_size=1.0, updates=400, exploration=0.5, rng=0)
    assert run.policy()[0].tolist() == [1, 1, 1, 0]
    np.testing.assert_array_equal(run.values[-1, 0], [0.25, 0.5, 1.0, 0.0])
    assert list(run.model.states) == [5, 6, 7, 8] and list(run.model.actions) == [-1, 0]


def test_an_episode_that_is_cut_off_is_no_end():
    """One state that pays 1 for ever: with a limit of 3 steps its value is still 1 / (1 - discount)."""
    loop = distrl.MDP.from_outcomes([(0, 0, 1.0, 0, 1.0, False)], 0.5).to_gymnasium()
    env = gymnasium.wrappers.TimeLimit(loop, 3)
    run = distrl.learn(env, MeanQ(), discount=0.5, step_size=1.0, updates=50)
    assert run.values[-1, 0, 0] == pytest.approx(2.0, abs=1e-12)


@pytest.mark.parametrize("update", ["q", "sarsa"])
def test_a_resumed_run_goes_on_in_the_middle_of_its_episodes(update, tmp_path):
    env = noisy().to_gymnasium()
    before = env.reset(seed=3)[0]
    common = {"discount": 0.9, "rng": 1, "replications": 3}
    whole = distrl.learn(env, MeanQ(update), updates=120, records=[50, 120], threads=1, **common)
    half = distrl.learn(env, MeanQ(update), updates=50, records=1, threads=2, **common)
    for _ in range(2):  # the run is not changed by what goes on from it
        rest = distrl.learn(env, MeanQ(update), updates=70, records=1, resume=half, discount=0.9)
        np.testing.assert_array_equal(rest.action_values, whole.action_values)
        np.testing.assert_array_equal(rest.visits, whole.visits)
    assert len(np.unique(whole.values[-1], axis=0)) == 3
    made = distrl.learn(lambda: noisy().to_gymnasium(), MeanQ(update), updates=120, records=[50, 120], **common)
    np.testing.assert_array_equal(made.values, whole.values)
    after = [env.step(0 if before != 2 else 1)[:3]]
    env.reset(seed=3)
    assert [env.step(0 if before != 2 else 1)[:3]] == after  # what was given has not been stepped through
    half.save(tmp_path / "half.npz")
    loaded = distrl.load(tmp_path / "half.npz")
    np.testing.assert_array_equal(loaded.values, half.values)
    with pytest.raises(ValueError, match=r"start=run\.final"):
        distrl.learn(env, MeanQ(update), updates=70, resume=loaded, discount=0.9)
    again = distrl.learn(env, MeanQ(update), updates=1, start=loaded.final.values, **common)
    assert again.done == 1
    with pytest.raises(ValueError, match="another model"):
        distrl.learn(Line(), MeanQ(update), updates=70, resume=half, discount=0.9)


class Stubborn(Line):
    def __deepcopy__(self, memo):
        raise RuntimeError("no")


class Wide(Line):
    observation_space = Box(0.0, 1.0)


class Lost(Line):
    def reset(self, *, seed=None, options=None):
        return 99, {}


class Poor(Line):
    def step(self, action):
        return (*super().step(action)[:1], np.nan, False, False, {})


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (Line(), {}, "give discount="),
        (Line(), {"discount": 1.5}, "discount must lie in"),
        (Line(), {"discount": 0.9, "sampling": "synchronous"}, "sampling must be 'trajectory'"),
        (Line(), {"discount": 0.9, "method": CategoricalQ()}, "grid must be given"),
        ("Nowhere-v0", {"discount": 0.9}, "gymnasium cannot make 'Nowhere-v0'"),
        (Wide(), {"discount": 0.9}, "observation_space of Wide is Box"),
        ("Blackjack-v1", {"discount": 0.9}, "observation_space of Blackjack-v1 is Tuple"),
        (finite().to_gymnasium(num_envs=2), {"discount": 0.9}, "many environments at once"),
        (Stubborn(), {"discount": 0.9}, "Stubborn cannot be copied"),
        (lambda: 3, {"discount": 0.9}, "gave 3"),
        (3, {"discount": 0.9}, "needs actions to choose from, got 3|got 3"),
        (Lost(), {"discount": 0.9}, "Lost gave the observation 99"),
        (Poor(), {"discount": 0.9}, "the reward of Poor must be finite"),
        (Line(), {"method": distrl.TD()}, "model must be"),
    ],
)
def test_what_cannot_be_acted_in_is_named(model, arguments, message):
    given = {"method": MeanQ(), "updates": 5, **arguments}
    with pytest.raises((ValueError, TypeError), match=message):
        distrl.learn(model, given.pop("method"), **given)
