"""Where Q-learning and SARSA go: the exact expectation of a linear recursion, and the answer of `optimize`."""

import numpy as np
import pytest
from q_models import finite, rows_of

import distrl
from distrl import CategoricalQ, MeanQ, QuantileQ
from distrl.td import Harmonic, Polynomial


def test_sarsa_that_always_explores_has_the_expectation_of_the_uniform_policy():
    """The action of a target is independent of the estimates then, so that expectations follow a linear recursion."""
    mdp, n, replications = finite(), 200, 60
    weights = mdp.policy_matrix("uniform")
    run = distrl.learn(
        mdp,
        MeanQ("sarsa"),
        step_size=Harmonic(4.0, 3.0),
        updates=n,
        replications=replications,
        rng=1,
        exploration=1.0,
        records=[20, n],
    )
    q, expected = np.zeros(mdp.available.shape), {}
    for k in range(1, n + 1):
        target = np.zeros_like(q)
        values = (weights * q).sum(axis=1)
        for s, a, p, y, r, end in rows_of(mdp):
            target[s, a] += p * (r + (0.0 if end else mdp.discount * values[y]))
        q = q + 4.0 / (3.0 + k) * (target - q)
        expected[k] = np.where(mdp.available, q, np.nan)
    for place, k in enumerate((20, n)):
        found = run.action_values[place]
        band = 5.0 * found.std(axis=0, ddof=1) / np.sqrt(replications)
        assert (np.abs(found.mean(axis=0) - expected[k]) <= band)[mdp.available].all()
    assert (band < 0.3)[mdp.available].all()
    truth = distrl.evaluate(mdp, distrl.Moments(2), policy="uniform").values
    assert np.abs((weights * np.nan_to_num(expected[n])).sum(axis=1) - truth).max() < 0.02


@pytest.mark.parametrize(
    ("method", "sampling", "updates"),
    [
        (MeanQ(), "synchronous", 4000),
        (CategoricalQ(31), "synchronous", 4000),
        (MeanQ(), "trajectory", 20_000),
        (QuantileQ(31), "generative", 15_000),
    ],
    ids=repr,
)
def test_values_come_to_those_of_optimize(method, sampling, updates):
    """Within five standard deviations of an estimate, by 12 replications, and of the quantiles' own bias, 1/31 each."""
    mdp, steps = finite(), Harmonic(8.0, 8.0)
    quantiles = isinstance(method, QuantileQ)
    if quantiles:
        steps = Polynomial(2.0, 0.7)
    truth = distrl.optimize(mdp, distrl.Mean(), tol=1e-9)
    run = distrl.learn(
        mdp,
        method,
        step_size=steps,
        updates=updates,
        replications=12,
        sampling=sampling,
        rng=5,
        exploration=0.5,
        records=1,
    )
    spread = run.values[-1].std(axis=0, ddof=1)
    assert (np.abs(run.values[-1] - truth.values) <= 5.0 * spread + 0.15 * quantiles).all()
    assert spread.max() < 0.06
    gaps = truth.values - run.values[-1]
    for policy in run.policy():
        lost = truth.values - distrl.evaluate(mdp, distrl.Moments(2), policy=policy).values
        assert lost.max() <= 2.0 * np.abs(gaps).max()
    np.testing.assert_array_equal(run.errors(truth.values, over=None), np.abs(gaps)[None])


def test_laws_of_greedy_actions_come_to_the_fixed_point_of_the_best_policy():
    mdp, grid = finite(), distrl.Grid.covering(finite(), 51)
    best = distrl.optimize(mdp, distrl.Mean()).policy
    truth = distrl.evaluate(mdp, distrl.CategoricalFixedPoint(grid=grid), policy=best).returns
    run = distrl.learn(
        mdp, CategoricalQ(51), step_size=Harmonic(8.0, 8.0), updates=4000, replications=3, rng=0, records=[1, 4000]
    )
    errors = run.errors(truth, over=None)
    assert errors.shape == (2, 3, 4)
    assert errors[1].max() < 0.1 < errors[0].min()
    for k, policy in enumerate(run.policy()):
        greedy = [int(mdp.choices.sources(np.array([s]), policy[s : s + 1])[0]) for s in range(4)]
        np.testing.assert_array_equal(errors[1, k], distrl.wasserstein(run.final[k][greedy], truth))
