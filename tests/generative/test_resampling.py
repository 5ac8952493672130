"""One plan for all redrawn models: its operator is the redrawn model's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distrl import MDP, GenerativeModel, Grid
from distrl.generative.resampling import Resampler
from distrl.operators import CategoricalBellman
from distrl.testing import strategies

pytestmark = pytest.mark.fast


def agree(empirical, policy, grid, seed):
    weights = np.ones(empirical.samples.n_sources) if policy is None else policy.ravel()
    resampler = Resampler(empirical.samples, weights, empirical.discount, grid)
    counts = empirical.samples.redrawn_counts(np.random.default_rng(seed))
    redrawn = empirical.redrawn(np.random.default_rng(seed))
    operator = CategoricalBellman(redrawn if policy is None else redrawn.under(policy), grid)
    cdf = np.sort(np.random.default_rng(seed).random((empirical.n_states, grid.atoms)), axis=1)
    cdf[:, -1] = 1.0
    weighted = resampler.weighted(counts)
    np.testing.assert_allclose(weighted.apply(cdf), operator.cdf(cdf), atol=1e-12)
    difference = cdf - operator.cdf(cdf)
    linear = np.empty_like(cdf)
    operator.apply_cdf(difference, linear, affine=False)
    np.testing.assert_allclose(weighted.apply(difference, affine=False), linear, atol=1e-12)
    return resampler


@given(st.data())
def test_weights_alone_make_the_redrawn_operator(data):
    model = data.draw(st.one_of(strategies.mrps(max_states=3), strategies.mdps(max_states=3)))
    empirical = GenerativeModel(model).sample(data.draw(st.integers(1, 40)), rng=data.draw(st.integers(0, 99)))
    policy = None
    if isinstance(model, MDP):
        policy = np.random.default_rng(0).dirichlet(np.ones(model.n_actions), model.n_states)
        policy[0] = np.eye(model.n_actions)[-1]
    agree(empirical, policy, data.draw(strategies.grids(max_atoms=20)), data.draw(st.integers(0, 99)))


@pytest.mark.parametrize("discount", [0.0, 0.7])
@pytest.mark.parametrize("grid", [Grid(-9, 12, 41), Grid(0, 1, 12)], ids=["covering", "clipping"])
def test_many_observed_rewards_are_one_matrix_a_pair_of_states(discount, grid):
    p = np.random.default_rng(0).dirichlet(np.ones(3), (2, 3))
    rewards = [[stats.norm(0.3, 0.5), stats.uniform()], [stats.norm(0, 1), 0.5], 0.0]
    model = MDP(p, rewards, discount, terminal=[False, False, True])
    empirical = GenerativeModel(model).sample([[400, 300], [200, 10], [50, 1]], rng=1)
    policy = np.array([[0.3, 0.7], [0.5, 0.5], [1.0, 0.0]])
    resampler = agree(empirical, policy, grid, 5)
    pairs = list(zip(resampler._sources, resampler._successors, strict=True))
    assert len(set(pairs)) == len(pairs) and (len(pairs) >= 3 if discount > 0 else not pairs)
