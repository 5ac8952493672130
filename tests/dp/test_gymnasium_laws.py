"""FrozenLake and CliffWalking against their exact laws, computed from Gymnasium's tables without the library."""

import gymnasium
import numpy as np
import pytest

from distrl import CategoricalFixedPoint, Grid, Moments, evaluate, from_gymnasium
from distrl.theory import fixed_point_w1
from experiments.quickstart.exact import categorical_w1, cliff_walking_law, frozen_lake_law


@pytest.mark.parametrize("atoms", [51, 201, 1001])
@pytest.mark.parametrize("solver", ["auto", "iterate"])
def test_frozen_lake_true_error_is_below_the_certificate_is_below_the_uniform_bound(atoms, solver):
    mdp = from_gymnasium("FrozenLake-v1", discount=0.99, map_name="8x8", is_slippery=True)
    sol = evaluate(mdp, CategoricalFixedPoint(atoms, solver=solver), policy="uniform")
    table = gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=True).unwrapped.P
    values, weights = frozen_lake_law(table, np.full((64, 4), 0.25), 0.99)
    true = categorical_w1(sol.returns.atoms, sol.returns.probs, values, weights)
    assert true.max() > 0
    assert (true <= sol.certificate.w1).all()
    assert sol.certificate.w1.max() <= fixed_point_w1(sol.returns.grid.spacing, 0.99)


def policy_towards_the_goal(slip):
    """Up from the start, right along the third row, down at the end; otherwise uniform with probability `slip`."""
    policy = np.full((48, 4), slip / 4)
    for state in range(48):
        row, column = divmod(state, 12)
        action = 0 if row == 3 and column != 11 else (2 if column == 11 else 1)
        policy[state, action] += 1 - slip
    return policy


@pytest.mark.parametrize("slip", [0.0, 0.1])
def test_cliff_walking_undiscounted_is_exact_on_an_integer_grid(slip):
    policy = policy_towards_the_goal(slip)
    lowest = -2500
    exact = cliff_walking_law(gymnasium.make("CliffWalking-v1").unwrapped.P, policy, lowest)
    left = 1 - exact.sum(axis=1)
    assert left.max() < 1e-12
    mdp = from_gymnasium("CliffWalking-v1", discount=1.0)
    sol = evaluate(mdp, CategoricalFixedPoint(grid=Grid(lowest, 0, 1 - lowest)), policy=policy)
    np.testing.assert_allclose(sol.returns.probs, exact, rtol=0, atol=1e-9)
    assert sol.clipped_mass < 1e-12
    true = np.abs(np.cumsum(sol.returns.probs - exact, axis=1)).sum(axis=1)
    assert (true <= sol.certificate.w1 + 1e-9).all()
    moments = evaluate(mdp, Moments(2), policy=policy)
    np.testing.assert_allclose(sol.values, moments.values, atol=1e-8)
    if slip == 0.0:
        assert sol.values[36] == pytest.approx(-13.0, abs=1e-9)


def test_the_truncated_mass_is_reported_when_the_grid_is_too_short():
    policy = policy_towards_the_goal(0.1)
    mdp = from_gymnasium("CliffWalking-v1", discount=1.0)
    sol = evaluate(mdp, CategoricalFixedPoint(grid=Grid(-200, 0, 201)), policy=policy)
    assert sol.clipped_mass > 1e-4
    exact = evaluate(mdp, Moments(1), policy=policy)
    assert (np.abs(sol.values - exact.values) <= sol.certificate.w1).all()
    assert sol.certificate.overshoot.max() > 0.01
