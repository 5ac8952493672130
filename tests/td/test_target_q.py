"""Losses at targets against brute force over policies, a dense recursion, and laws of executed policies."""

import itertools
from fractions import Fraction as F

import numpy as np
import pytest
from q_models import deterministic, noisy, rows_of

import distrl
from distrl import MeanQ, TargetQ
from distrl.td import Harmonic

SAMPLINGS = ("synchronous", "generative", "trajectory")
#: Memory matters: after a first reward of 0 or 4, a sure 1 or another 0 or 4.
MEMORY = [
    (0, 0, 0.5, 1, 0.0, False),
    (0, 0, 0.5, 1, 4.0, False),
    (1, 0, 1.0, 1, 1.0, True),
    (1, 1, 0.5, 1, 0.0, True),
    (1, 1, 0.5, 1, 4.0, True),
]


def laws_of_all_policies(g: F) -> list[dict[F, F]]:
    """The law of the return from state 0 under every policy that remembers the first reward."""
    second = ({F(1): F(1)}, {F(0): F(1, 2), F(4): F(1, 2)})
    laws = []
    for after_0, after_4 in itertools.product((0, 1), repeat=2):
        law: dict[F, F] = {}
        for first, action in ((F(0), after_0), (F(4), after_4)):
            for reward, p in second[action].items():
                law[first + g * reward] = law.get(first + g * reward, F(0)) + p / 2
        laws.append(law)
    return laws


def cvar(law: dict, level: F) -> F:
    """The mean of the worst mass, value by value."""
    left, total = level, F(0)
    for value, p in sorted(law.items()):
        total += value * min(p, left)
        left -= min(p, left)
    return total / level


@pytest.mark.parametrize("g", [F(1), F(1, 2)])
def test_losses_and_cvar_are_the_best_of_all_policies(g):
    """Averages of 20,000 sampled targets, each within 4: five standard errors are 0.08 at most."""
    mdp = distrl.MDP.from_outcomes(MEMORY, float(g), initial=[1.0, 0.0])
    grid, band = distrl.Grid(0.0, 8.0, 65), 5.0 * 2.0 / np.sqrt(20_000)  # targets stay on the knots
    run = distrl.learn(mdp, TargetQ(grid=grid), step_size=Harmonic(), updates=20_000, rng=0, records=1)
    assert g < 1 or TargetQ(8).on(mdp).grid == distrl.Grid(0.0, 8.0, 9)  # at discount 1 on the lattice of the returns
    laws = laws_of_all_policies(g)
    losses = run.final.losses[0, 0]
    for k, b in enumerate(grid.points.tolist()):
        brute = min(sum(p * max(F(b) - value, F(0)) for value, p in law.items()) for law in laws)
        assert abs(losses[k] - float(brute)) <= band
    levels = [F(1, 10), F(1, 4), F(1, 2), F(3, 4), F(1)]
    found = run.final.cvar([float(level) for level in levels])[0, 0]
    for level, value in zip(levels, found, strict=True):
        assert abs(value - float(max(cvar(law, level) for law in laws))) <= band / float(level)
    assert run.values[-1, 0, 0] == pytest.approx(
        float(max(sum(v * p for v, p in law.items()) for law in laws)), abs=band
    )
    policy = run.policy()[0]
    for level in levels:
        law = executed(mdp, policy.at(float(level)), 0, policy.at(float(level)).start(0))
        assert cvar(law, level) == max(cvar(each, level) for each in laws)


def executed(mdp: distrl.MDP, policy, state: int, memory: float) -> dict[F, F]:
    """The exact law of the return of a policy that is run: every branch of a process that ends after some steps."""
    law: dict[F, F] = {}
    action = policy.act(state, memory)
    for s, a, p, y, r, end in rows_of(mdp):
        if (s, a) != (state, action):
            continue
        later = {F(0): F(1)} if end else executed(mdp, policy, y, policy.observe(s, memory, r, y))
        for value, q in later.items():
            total = F(r) + F(mdp.discount) * value
            law[total] = law.get(total, F(0)) + F(p) * q
    return law


def recursion(mdp: distrl.MDP, points: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """One expected update of losses (pairs, K), dense, by `numpy.interp`."""
    pairs, high, out = mdp.pairs, points[-1], np.zeros_like(losses)
    place = {(s, a): k for k, (s, a) in enumerate(pairs.tolist())}
    for s, a, p, y, r, end in rows_of(mdp):
        if end:
            out[place[s, a]] += p * np.maximum(points - r, 0.0)
            continue
        left = (points - r) / mdp.discount
        own = [np.interp(left, points, row) + np.maximum(left - high, 0.0) for row in losses[pairs[:, 0] == y]]
        out[place[s, a]] += p * mdp.discount * np.min(own, axis=0)
    return out


@pytest.mark.fast
def test_with_steps_of_1_on_a_deterministic_process_it_is_the_recursion():
    mdp = deterministic()
    run = distrl.learn(mdp, TargetQ(40), step_size=1.0, updates=15, records=15)
    points = run.method.grid.points
    assert points[0] == distrl.Grid.covering(mdp, 41).low and len(points) == 41
    losses = np.tile(np.maximum(points - points.mean(), 0.0), (8, 1))
    for k in range(15):
        losses = recursion(mdp, points, losses)
        np.testing.assert_allclose(run.at(k + 1).losses[0], losses, atol=1e-12)
        np.testing.assert_allclose(run.at(k + 1).mean()[0], points[-1] - losses[:, -1], atol=1e-12)


def test_3000_rounds_come_within_1_percent_of_the_range():
    mdp = distrl.environments.garnet(20, 3, 3, rng=1, discount=0.9)
    run = distrl.learn(mdp, TargetQ(64), step_size=Harmonic(10.0, 10.0), updates=3000, rng=0, records=1)
    points = run.method.grid.points
    losses, before = np.tile(np.maximum(points - points.mean(), 0.0), (60, 1)), None
    while before is None or np.abs(losses - before).max() > 1e-4:
        before, losses = losses, recursion(mdp, points, losses)
    found = run.final.losses.reshape(60, -1)
    assert np.abs(found - losses).max() <= 0.01 * (points[-1] - points[0])
    best = distrl.optimize(mdp, distrl.Mean()).values
    assert np.abs(run.values[-1, 0] - best).max() <= 0.01 * (points[-1] - points[0])
    mean = distrl.evaluate(mdp, distrl.CategoricalFixedPoint(101), policy=distrl.optimize(mdp, distrl.Mean()).policy)
    lower = mean.returns.cvar(0.1)
    assert (run.final.cvar(0.1)[0].max(axis=1) >= lower - 0.02 * (points[-1] - points[0])).all()


@pytest.mark.fast
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_largest_means_are_learnt_as_q_learning_learns_them(sampling):
    """At the last knot the loss is the knot less the mean, and both choose by it."""
    mdp = bounded()
    grid = distrl.Grid.covering(mdp, 9)
    common = {"updates": 200, "sampling": sampling, "rng": 3, "step_size": 0.3, "exploration": 1.0}
    start = np.tile(np.maximum(grid.points - 0.5 * (grid.low + grid.high), 0.0), (len(mdp.pairs), 1))
    losses = distrl.learn(mdp, TargetQ(grid=grid), start=start, **common)
    means = distrl.learn(mdp, MeanQ(), start=grid.high - start[:, -1], **common)
    np.testing.assert_array_equal(losses.visits, means.visits)
    np.testing.assert_allclose(losses.action_values, means.action_values, atol=1e-11)


def bounded() -> distrl.MDP:
    """`noisy` with laws of two values."""
    out, law = noisy().outcomes, distrl.FiniteLaw([-1.0, 2.0])
    with_law = (out.laws >= 0).tolist()
    rows = [
        (*row[:4], law if random else row[4], row[5]) for row, random in zip(rows_of(noisy()), with_law, strict=True)
    ]
    return distrl.MDP.from_outcomes(rows, 0.9, initial=[0.2, 0.5, 0.3])


@pytest.mark.fast
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_resumed_run_is_the_uninterrupted_one_whatever_the_threads(sampling, tmp_path):
    mdp, method = noisy(), TargetQ(grid=distrl.Grid(-10.0, 20.0, 13), level=0.3)
    common = {"sampling": sampling, "rng": 7, "step_size": 0.2, "exploration": 0.3}
    whole = distrl.learn(mdp, method, updates=90, replications=3, records=[40, 90], threads=1, **common)
    half = distrl.learn(mdp, method, updates=40, replications=3, records=1, threads=2, **common)
    half.save(tmp_path / "half.npz")
    for before in (half, distrl.load(tmp_path / "half.npz")):
        rest = distrl.learn(mdp, method, updates=50, records=1, resume=before, threads=2)
        np.testing.assert_array_equal(rest.estimates[-1], whole.estimates[-1])
        np.testing.assert_array_equal(rest.visits, whole.visits)
    assert len(np.unique(whole.values[-1], axis=0)) == 3
    assert whole.final.losses.shape == (3, 5, 13) and len(whole.policy(40)) == 3
    assert "TargetQ" in whole.summary()


@pytest.mark.fast
def test_a_model_its_environment_and_a_learner_by_hand_learn_the_same():
    pytest.importorskip("gymnasium")
    mdp, method = deterministic(), TargetQ(grid=distrl.Grid(-8.0, 16.0, 25), level=0.5)
    common = {"updates": 300, "rng": 4, "step_size": Harmonic(3.0, 2.0), "exploration": 0.4}
    model = distrl.learn(mdp, method, sampling="trajectory", **common)
    env = distrl.learn(mdp.to_gymnasium(), method, discount=0.5, **common)
    np.testing.assert_array_equal(env.visits, model.visits)
    np.testing.assert_allclose(env.final.losses, model.final.losses.reshape(env.final.losses.shape), atol=1e-13)
    # by hand: the same choices, from the same numbers
    numbers = np.random.default_rng(np.random.SeedSequence(4).spawn(1)[0]).random((300, 4))
    learner = method.learner(mdp, step_size=Harmonic(3.0, 2.0), exploration=0.4)
    outcomes = {(s, a): (r, y, end) for s, a, _, y, r, end in rows_of(mdp)}

    state = 0
    for row in numbers:
        action = learner.act(state, Given(row[2]))
        r, y, end = outcomes[state, action]
        learner.update(state, action, r, y, end)
        state = 0 if end else y
    np.testing.assert_array_equal(learner.visits, model.visits[0])
    np.testing.assert_allclose(learner.returns.losses, model.final.losses[0], atol=1e-13)
    assert learner.policy[0].start(0) == model.policy()[0].start(0)


class Given(np.random.Generator):
    """A generator that gives one number."""

    def __init__(self, number: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.number = number

    def random(self) -> float:
        return self.number


@pytest.mark.fast
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TargetQ(0), "cells"),
        (lambda: TargetQ(level=0.0), "level must be above 0"),
        (lambda: TargetQ(level=1.5), "level must lie"),
        (lambda: TargetQ(grid=3), "grid must be a distrl.Grid"),
        (lambda: TargetQ().learner((2, 2), 0.9), "grid must be given"),
        (lambda: distrl.learn(deterministic(), TargetQ(8), step_size=2.0), "TargetQ needs steps of at most 1"),
        (lambda: distrl.learn(deterministic(), TargetQ(8), start=np.zeros((8, 8))), r"it must be \(8, 9\)"),
        (lambda: distrl.learn(deterministic(), TargetQ(8), updates=1).final.cvar(0.0), "level must lie"),
        (lambda: distrl.learn(deterministic(), TargetQ(8), updates=1).final.cvar(0.1, tail="upper"), "upper tail"),
        (lambda: distrl.learn(deterministic(), TargetQ(8), updates=1).final.quantile(0.1), "losses at targets"),
        (lambda: distrl.learn(noisy(), TargetQ(8), updates=1), "unbounded"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
