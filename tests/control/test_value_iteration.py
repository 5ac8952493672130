"""Distributional value iteration: its policy is bounded as any other, whatever its laws did on the way."""

import numpy as np
import pytest
from scipy.optimize import linprog

import distrl
from distrl import MDP, Mean, Status, optimize
from distrl.control import CategoricalValueIteration, QuantileValueIteration


def by_linear_program(mdp):
    rows = mdp.discount * mdp.outcomes.continuation.toarray()
    rows[np.arange(len(rows)), mdp.choices.states] -= 1.0
    options = {"A_ub": rows, "b_ub": -mdp.outcomes.expected_rewards, "bounds": [(None, None)] * mdp.n_states}
    return linprog(np.ones(mdp.n_states), **options, method="highs").x


def test_frozen_lake_has_the_values_of_linear_programming():
    pytest.importorskip("gymnasium")
    mdp = distrl.from_gymnasium("FrozenLake-v1", discount=0.99)
    best = by_linear_program(mdp)
    for method in (CategoricalValueIteration(11), CategoricalValueIteration(11, evaluation_sweeps=50)):
        ctl = optimize(mdp, Mean(), method)
        assert np.abs(ctl.values - best).max() < 1e-9
        assert ctl.converged and (ctl.lower <= best + 1e-9).all() and (best <= ctl.upper + 1e-9).all()


@pytest.mark.parametrize(
    "method",
    [
        CategoricalValueIteration(21),
        CategoricalValueIteration(ties="last", evaluation_sweeps=8),
        QuantileValueIteration(51),
        QuantileValueIteration(51, evaluation_sweeps=8, flat=0.5),
    ],
    ids=repr,
)
def test_it_finds_what_policy_iteration_finds(method):
    mdp = distrl.environments.garnet(12, 3, 3, rng=4, discount=0.9)
    ctl, best = optimize(mdp, Mean(), method), optimize(mdp, Mean())
    assert (ctl.lower <= best.upper).all() and (best.lower <= ctl.upper).all()
    assert ctl.gap.max() <= ctl.tol and ctl.method == method
    np.testing.assert_allclose(ctl.values, best.values, atol=0.01 * np.abs(best.values).max())
    assert ctl.returns.batch_shape == (12,)
    np.testing.assert_allclose(ctl.returns.mean(), ctl.values, atol=1e-8)


def test_quantiles_that_miss_a_rare_prize_are_found_out():
    """A prize of 100 with probability 1/50 is worth 2, and no quantile of five sees it."""
    rows = [(0, 0, 1.0, 0, 1.0, True), (0, 1, 0.02, 0, 100.0, True), (0, 1, 0.98, 0, 0.0, True)]
    mdp = MDP.from_outcomes(rows, 0.5)
    ctl = optimize(mdp, Mean(), QuantileValueIteration(5), throw=False, tol=0.1)
    assert ctl.policy.tolist() == [0] and ctl.values.tolist() == [1.0]
    assert ctl.upper[0] >= 2.0 and ctl.gap[0] == pytest.approx(1.0) and ctl.status is Status.STALLED
    assert optimize(mdp, Mean(), QuantileValueIteration(50), tol=0.1).policy.tolist() == [1]
    assert optimize(mdp, Mean(), CategoricalValueIteration(2), tol=0.1).policy.tolist() == [1]


def test_few_sweeps_and_ctrl_c_leave_bounds_that_hold(tmp_path):
    mdp = distrl.environments.garnet(12, 3, 3, rng=4, discount=0.99)
    best = optimize(mdp, Mean())

    def stop(*_):
        raise KeyboardInterrupt

    for options in ({"max_iterations": 1}, {"progress": stop}):
        ctl = optimize(mdp, Mean(), CategoricalValueIteration(11), throw=False, tol=1e-9, **options)
        assert (ctl.lower <= best.upper).all() and (best.lower <= ctl.upper).all() and not ctl.converged
    assert ctl.status is Status.INTERRUPTED
    distrl.save(ctl, tmp_path / "ctl.npz")
    assert distrl.load(tmp_path / "ctl.npz").method == CategoricalValueIteration(11)


def test_what_it_is_not_for_is_said():
    mdp = distrl.environments.garnet(4, 2, 2, rng=0, discount=0.9)
    with pytest.raises(ValueError, match=r"with a horizon use distrl\.PolicyIteration"):
        optimize(mdp, Mean(), CategoricalValueIteration(), horizon=3)
    walk = distrl.environments.gridworld(discount=1.0, slip=0.1)
    with pytest.raises(ValueError, match=r"at discount 1 use distrl\.PolicyIteration"):
        optimize(walk, Mean(), QuantileValueIteration())
    with pytest.raises(ValueError, match="does not serve the objective"):
        optimize(mdp, distrl.CVaR(0.1), CategoricalValueIteration())
    for options, words in (({"ties": "any"}, "ties must be"), ({"evaluation_sweeps": 0}, "evaluation_sweeps must")):
        with pytest.raises(ValueError, match=words):
            QuantileValueIteration(**options)
