"""Two learning rules written outside the package, with public names only: one from nothing, one on `TDMethod`."""

from dataclasses import dataclass

import numpy as np
import pytest

import distrl
from distrl import MRP, CategoricalFixedPoint, QuantileReturns
from distrl.td import Harmonic, Learner, LearningRule, Memory, TDMethod, Transitions, ValueEstimates

pytestmark = pytest.mark.fast

SAMPLINGS = ("synchronous", "generative", "trajectory")
P = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.4, 0.0, 0.6]])
MODEL = MRP(P, [2.0, -1.0, 0.5], 0.7, initial=[0.2, 0.5, 0.3])


@dataclass(frozen=True)
class MomentumTD:
    """TD whose steps keep a share of the one before: u(x) <- share u(x) + (target - V(x)), V(x) += a u(x)."""

    share: float = 0.5
    steps: int | None = 1

    width = 1
    arrays = 2
    largest_step = 1.0
    all_at_once = False

    def on(self, model):
        return self

    def starts(self, start, replications, states):
        return np.broadcast_to(0.0 if start is None else np.asarray(start)[..., None], (replications, states, 1))

    def remember(self, start):
        return {"values": start, "velocity": np.zeros_like(start)}

    def renew(self, memory, transitions, counts, steps, block):
        values, velocity = memory["values"][:, 0], memory["velocity"][:, 0]
        for first in range(0, len(steps), block):
            now = slice(first, first + block)
            states = transitions.states[now]
            targets = transitions.rewards[now] + transitions.weights[now] * values[transitions.next_states[now]]
            velocity[states] = self.share * velocity[states] + (targets - values[states])
            values[states] += steps[now] * velocity[states]

    def estimates(self, memory):
        return memory["values"]

    def means(self, estimates):
        return estimates[..., 0]

    def returns(self, estimates):
        return ValueEstimates(estimates[..., 0])

    def axis(self):
        return {}


@dataclass(frozen=True, kw_only=True)
class RecentTD(TDMethod[QuantileReturns]):
    """The last `m` targets of each state, as a law: target k is r + discount times entry k mod m of the next state."""

    m: int = 8

    @property
    def width(self) -> int:
        return self.m

    @property
    def arrays(self) -> int:
        return 2

    def remember(self, start: np.ndarray) -> Memory:
        return {"values": start}

    def renew(
        self, memory: Memory, transitions: Transitions, counts: np.ndarray, steps: np.ndarray, block: int
    ) -> None:
        values = memory["values"]
        for first in range(0, len(counts), block):
            now = slice(first, first + block)
            place = (counts[now] - 1) % self.m
            bootstrapped = values[transitions.next_states[now], place]
            values[transitions.states[now], place] = transitions.rewards[now] + transitions.weights[now] * bootstrapped

    def estimates(self, memory: Memory) -> np.ndarray:
        return memory["values"]

    def means(self, estimates: np.ndarray) -> np.ndarray:
        return estimates.mean(axis=-1)

    def returns(self, estimates: np.ndarray) -> QuantileReturns:
        return QuantileReturns((2 * np.arange(self.m) + 1) / (2 * self.m), estimates)


RULES = [MomentumTD(), MomentumTD(steps=3), RecentTD(), RecentTD(m=5, steps=2)]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_it_learns_in_replications_on_threads_and_can_be_resumed(rule, sampling):
    common = {"sampling": sampling, "rng": 3, "step_size": 0.1}
    whole = distrl.learn(MODEL, rule, updates=90, replications=5, records=[40, 90], threads=1, **common)
    half = distrl.learn(MODEL, rule, updates=40, replications=5, records=1, threads=2, **common)
    rest = distrl.learn(MODEL, rule, updates=50, records=1, resume=half, threads=2)
    np.testing.assert_array_equal(rest.values, whole.values)
    np.testing.assert_array_equal(rest.visits, whole.visits)
    fewer = distrl.learn(MODEL, rule, updates=90, replications=2, records=[40, 90], **common)
    np.testing.assert_array_equal(fewer.values, whole.values[:, :2])
    assert len(np.unique(whole.values[-1], axis=0)) == 5
    np.testing.assert_allclose(whole.at(90).mean(), whole.values[-1], rtol=1e-13)
    assert type(rule).__name__ in whole.summary()
    with pytest.raises(ValueError, match="not of"):
        distrl.learn(MODEL, distrl.TD(), updates=5, resume=half)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_without_momentum_it_is_td(sampling):
    common = {"sampling": sampling, "rng": 3, "step_size": 0.1, "updates": 200, "replications": 2}
    mine = distrl.learn(MODEL, MomentumTD(share=0.0), **common)
    np.testing.assert_allclose(mine.values, distrl.learn(MODEL, distrl.TD(), **common).values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", [MomentumTD(), RecentTD()], ids=repr)
def test_on_a_deterministic_process_it_finds_the_returns(rule):
    cycle = MRP([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0], 0.5)
    run = distrl.learn(cycle, rule, step_size=0.5, updates=500)
    np.testing.assert_allclose(run.final.mean(), [[4 / 3, 2 / 3]], atol=1e-12)


@pytest.mark.parametrize("rule", [MomentumTD(share=0.0), RecentTD()], ids=repr)
def test_a_learner_takes_transitions_by_hand(rule):
    rng = np.random.default_rng(0)
    columns = (rng.integers(3, size=60), rng.normal(size=60), rng.integers(3, size=60), rng.random(60) < 0.2)
    learner = Learner(rule, 3, discount=0.7, step_size=0.2)
    one_by_one = Learner(rule, 3, discount=0.7, step_size=0.2)
    learner.update_batch(*columns)
    for state, reward, next_state, terminal in zip(*columns, strict=True):
        one_by_one.update(int(state), float(reward), int(next_state), bool(terminal))
    np.testing.assert_array_equal(learner.values, one_by_one.values)
    np.testing.assert_allclose(learner.returns.mean(), learner.values, rtol=1e-13, atol=1e-15)
    assert learner.visits.sum() == 60
    if isinstance(rule, TDMethod):
        np.testing.assert_array_equal(rule.learner(3, discount=0.7).values, np.zeros(3))


@pytest.mark.parametrize("rule", [MomentumTD(), RecentTD()], ids=repr)
def test_errors_intervals_and_pictures_are_those_of_any_run(rule):
    truth = distrl.evaluate(MODEL, CategoricalFixedPoint(51))
    run = distrl.learn(MODEL, rule, step_size=0.1, updates=60, replications=9, records=3, rng=0)
    errors = run.errors(truth, over=None)
    assert errors.shape == (3, 9, 3)
    if isinstance(rule, TDMethod):
        np.testing.assert_array_equal(errors[-1, 0], distrl.wasserstein(run.final[0], truth.returns))
    else:
        np.testing.assert_array_equal(errors, np.abs(run.values - truth.values))
    np.testing.assert_array_equal(run.errors(truth.values, over="mean"), np.abs(run.values - truth.values).mean(axis=2))
    interval = run.interval(truth)
    assert (interval[:, 0] < interval[:, 1]).all()
    assert not run.negative_mass.any()
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = run.plot(truth)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), run.errors(truth).mean(axis=1))
    assert axes.get_legend().get_texts()[0].get_text() == type(rule).__name__
    matplotlib.pyplot.close(axes.figure)


@pytest.mark.parametrize("rule", [MomentumTD(share=0.2), RecentTD(m=100)], ids=repr)
def test_samples_can_be_learnt_from_with_it(rule):
    est = distrl.estimate(MODEL, rule, samples_per_state=4000, step_size=Harmonic(scale=5, offset=4), rng=0)
    exact = np.linalg.solve(np.eye(3) - 0.7 * P, [2.0, -1.0, 0.5])
    np.testing.assert_allclose(est.values, exact, atol=0.5)
    if isinstance(rule, TDMethod):
        assert (est.certificate.w1 >= np.abs(est.values - exact) - 0.5).all()
    else:
        assert (est.bounds < 1.0).all()


def test_it_is_saved_as_arrays_with_a_sentence(tmp_path):
    run = distrl.learn(MODEL, MomentumTD(), updates=5, records=2)
    with pytest.warns(UserWarning, match="MomentumTD is no class of distrl's results"):
        run.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as file:
        np.testing.assert_array_equal(file["values"], run.values)
    with pytest.raises(ValueError, match="arrays, no record"):
        distrl.load(tmp_path / "run.npz")


def test_what_a_rule_lacks_is_named():
    class Half:
        def renew(self, memory, transitions, counts, steps, block):
            pass

    for call in (lambda: distrl.learn(MODEL, Half()), lambda: Learner(Half(), 3, 0.5)):
        with pytest.raises(TypeError, match=r"it lacks steps, width, arrays, .*returns, axis of a distrl"):
            call()
    with pytest.raises(TypeError, match="create it: MomentumTD"):
        distrl.learn(MODEL, MomentumTD)
    with pytest.raises(ValueError, match="MomentumTD needs steps of at most 1"):
        distrl.learn(MODEL, MomentumTD(), step_size=1.5)


def test_a_rule_that_renews_all_at_once_gets_synchronous_sampling_alone():
    class Together(MomentumTD):
        all_at_once = True

    rule: LearningRule[ValueEstimates] = Together()
    assert distrl.learn(MODEL, rule, updates=3).done == 3
    with pytest.raises(ValueError, match="synchronous"):
        distrl.learn(MODEL, rule, sampling="trajectory")
    with pytest.raises(ValueError, match="one at a time"):
        Learner(rule, MODEL)
