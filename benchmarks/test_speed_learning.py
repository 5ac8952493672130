"""State updates a second of `learn`, sampling included, against rlax under jax.jit; nothing asserts on time."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

import distrl
from benchmarks.test_solver_ratios import best_of

STATES, REPLICATIONS = 10, 100
SIZES = {"categorical": (51, 128, 1000), "quantile": (32, 128, 512)}


def model(noise):
    """Ten states, dense transitions, normal or constant rewards."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=STATES)
    rewards = [stats.norm(mean) for mean in means] if noise else means
    return distrl.MRP(rng.dirichlet(np.ones(STATES), STATES), rewards, discount=0.9)


def updates_a_second(kind, atoms, noise=True, updates=1000):
    """State updates a second of `learn`, 100 replications, all cores."""
    method = distrl.QuantileTD(atoms) if kind == "quantile" else distrl.CategoricalTD(grid=distrl.Grid(-40, 40, atoms))
    mrp = model(noise)
    options = {"step_size": 0.05, "updates": updates, "replications": REPLICATIONS, "records": 1, "rng": 0}
    distrl.learn(mrp, method, updates=2, rng=0)  # compiled before it is timed
    _, seconds = best_of(lambda: distrl.learn(mrp, method, **options), 3)
    return updates * REPLICATIONS * STATES / seconds


def rlax_updates_a_second(kind, atoms):
    """(state updates a second of rlax's best setting, which), from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.rlax_updates", kind, str(atoms)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    speed, setting = json.loads(found.splitlines()[-1])
    return speed, setting


def has_rlax():
    """Whether rlax and jax are installed: extra `bench`."""
    return importlib.util.find_spec("rlax") is not None and importlib.util.find_spec("jax") is not None


@pytest.mark.parametrize("kind", SIZES)
def test_learning_can_be_timed(kind):
    assert updates_a_second(kind, 16, updates=5) > 0.0


@pytest.mark.parametrize("kind", SIZES)
def test_rlax_makes_the_same_update(kind):
    pytest.importorskip("rlax")
    from benchmarks.rlax_updates import DISCOUNT, STEP, one_update

    rng, atoms = np.random.default_rng(1), 11
    rewards, next_states = rng.normal(size=STATES), rng.integers(0, STATES, STATES)
    if kind == "quantile":
        method, start = distrl.QuantileTD(atoms), np.sort(rng.normal(size=(STATES, atoms)), axis=1)
    else:
        method, start = distrl.CategoricalTD(grid=distrl.Grid(-40, 40, atoms)), rng.dirichlet(np.ones(atoms), STATES)
    theirs = np.asarray(one_update(kind, atoms, np.float32)(start.astype(np.float32), rewards, next_states))
    for state in range(STATES):  # each from the same start: their update is synchronous
        learner = method.learner(STATES, DISCOUNT, step_size=STEP, start=start)
        learner.update(state, float(rewards[state]), int(next_states[state]), False)
        ours = learner.returns.values if kind == "quantile" else learner.returns.probs
        np.testing.assert_allclose(theirs[state], ours[state], rtol=0, atol=1e-5)
