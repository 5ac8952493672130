"""Steps of entropic risk look at few pairs: what they give is the best of all pairs all the same."""

import numpy as np
import pytest

import distrl
from distrl.control.timed.steps import EntropicSteps, Seen

pytestmark = pytest.mark.fast
MODELS = {
    "garnet": lambda: distrl.environments.garnet(40, 5, 3, rng=3, discount=0.9),
    "map": lambda: distrl.environments.gridworld((6, 7), discount=0.95, slip=0.2),
}


def worth(steps, b, after):
    """(pairs,) (1/b) log E exp(b (r + g v)) by its formula, about the mean, in 80 bits."""
    mdp, table, probs = steps.mdp, steps.mdp.outcomes, steps.probs.astype(np.longdouble)
    v = table.rewards + np.where(table.terminals, 0.0, mdp.discount * np.longdouble(1.0) * after[table.next_states])
    mean = np.add.reduceat(probs * v, table.indptr[:-1])
    z = b * (v - mean[table.sources])
    top = np.maximum(np.maximum.reduceat(z, table.indptr[:-1]), 0.0)
    inner = np.add.reduceat(probs * np.expm1(z - top[table.sources]), table.indptr[:-1])
    return mean + (top + np.log1p(inner)) / b


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("b", [-30.0, -0.3, -0.01, -1e-5, 1e-5, 0.01, 0.3, 30.0])
def test_a_step_is_the_best_of_all_pairs(name, b):
    steps, rng = EntropicSteps(MODELS[name]()), np.random.default_rng(0)
    choices, room = steps.mdp.choices, 1e-12
    for scale in (0.1, 10.0):
        after = rng.normal(size=steps.mdp.n_states) * scale
        each = worth(steps, b, after)
        best = np.maximum.reduceat(each, choices.indptr[:-1])
        for preferred in (None, rng.integers(choices.indptr[:-1], choices.indptr[1:])):
            for side in (-1.0, 1.0):
                found = steps.back(b, after, side, preferred)
                assert (side * (found.values - best) >= 0.0).all()
                assert np.abs(found.values - best).max() < room * (1.0 + scale)
                assert (each[found.pairs] >= best - room * (1.0 + scale)).all()
                if preferred is not None:
                    good = best - each[preferred] <= 1e-15 * scale
                    assert np.array_equal(found.pairs[good], preferred[good])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("beta", [-0.05, -5.0])
def test_what_was_seen_before_saves_work_and_changes_nothing(name, beta):
    steps = EntropicSteps(MODELS[name]())
    n, g, first = steps.mdp.n_states, steps.discount, steps.mdp.choices.indptr[:-1].astype(np.int64)
    seen, low, high, pairs = Seen(len(steps.rows) - 1), np.zeros(n), np.ones(n), first
    passed = []
    for t in range(80, -1, -1):
        if t == 40:  # values of another problem, higher by far
            low, high = low + 3.0, high + 3.0
        plain = steps.both(beta * g**t, low, high, pairs)
        before = seen.caps.copy()
        saving = steps.both(beta * g**t, low, high, pairs, seen)
        assert all(np.array_equal(one, other) for one, other in zip(plain, saving, strict=True))
        every = worth(steps, beta * g**t, low)
        assert (every <= seen.caps + seen.risen).all()
        passed.append(np.mean(before == seen.caps))
        low, high, pairs = saving
    assert passed[0] == 0.0 and np.mean(passed) > 0.2


def test_nothing_is_known_where_beta_moves_towards_0_or_values_are_infinite():
    seen, values = Seen(3), np.zeros(2)
    for b, after in ((-1.0, values), (-0.5, values), (-0.6, np.array([0.0, -np.inf])), (-0.7, np.full(2, -np.inf))):
        caps = seen.caps_at(b, after, 0.9)
        kept = b == -0.6  # values that fall are no reason to look again
        assert np.isinf(caps).all() == (not kept)
        caps.fill(1.0)
