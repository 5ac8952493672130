"""The random CDF operator: its draws against its moments, its moments against dense textbook formulas."""

import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dense_hat, rows_of
from scipy import stats

import distrl
from distrl import MRP, FiniteLaw, Grid
from distrl.operators import CategoricalBellman, StochasticCDFBellman
from distrl.testing import strategies


def garnet(seed, discount=0.8, terminal=None):
    rng = np.random.default_rng(seed)
    p, rewards = rng.dirichlet(np.ones(3), 3), rng.uniform(size=(3, 3))
    if terminal is not None:
        rewards[terminal] = 0.0
    return MRP(p, rewards, discount, terminal=terminal)


def dense_outcomes(model, grid):
    """(source, probability, successor, B (m, m) on CDF values with last column b), by cumulated hat functions."""
    out = []
    for source, probability, successor, reward, terminal in rows_of(model):
        if terminal:
            matrix = np.zeros((grid.atoms, grid.atoms))
            matrix[:, -1] = np.cumsum(dense_hat(np.array([reward]), grid.points)[0])
        else:
            hats = np.cumsum(dense_hat(reward + model.discount * grid.points, grid.points), axis=1).T
            matrix = hats.copy()
            matrix[:, :-1] -= hats[:, 1:]
        out.append((source, probability, successor, matrix))
    return out


@pytest.mark.fast
@given(st.data())
def test_the_mean_is_the_categorical_fixed_point(data):
    model = data.draw(strategies.mrps(max_states=3))
    grid = data.draw(strategies.grids(max_atoms=8))
    fixed = StochasticCDFBellman(model, grid).mean()
    np.testing.assert_allclose(CategoricalBellman(model, grid).cdf(fixed), fixed, atol=1e-9)
    assert (fixed[:, -1] == 1).all()


@pytest.mark.fast
@given(st.data())
def test_local_variation_is_the_variance_of_one_outcome(data):
    model = data.draw(strategies.mrps(max_states=3))
    grid = data.draw(strategies.grids(max_atoms=8))
    phi = StochasticCDFBellman(model, grid)
    fixed, expected = phi.mean(), np.zeros(model.n_states)
    for source, probability, successor, matrix in dense_outcomes(model, grid):
        expected[source] += probability * ((matrix @ fixed[successor] - fixed[source]) ** 2).sum() * grid.spacing
    np.testing.assert_allclose(phi.local_variation(), expected, rtol=1e-9, atol=1e-10 * grid.width)


@pytest.mark.fast
@given(st.data())
def test_second_moments_solve_their_equation(data):
    """E Phi Phi^T = sum p M E Phi Phi^T M^T with M = [B b]: raw second moments, cross terms with b included."""
    model = data.draw(strategies.mrps(max_states=3, discounts=st.sampled_from([0.0, 0.5, 0.9])))
    grid = data.draw(strategies.grids(max_atoms=7))
    phi = StochasticCDFBellman(model, grid)
    fixed = phi.mean()
    second = phi.covariance() + fixed[:, :, None] * fixed[:, None, :]
    image = np.zeros_like(second)
    for source, probability, successor, matrix in dense_outcomes(model, grid):
        image[source] += probability * matrix @ second[successor] @ matrix.T
    np.testing.assert_allclose(image, second, atol=1e-9)


@pytest.mark.parametrize("terminal", [None, [False, False, True]])
@pytest.mark.parametrize("grid", [Grid(0, 5, 13), Grid(0.5, 3, 9)], ids=["covering", "clipping"])
def test_draws_have_the_moments_of_the_fixed_point(grid, terminal):
    model, n = garnet(0, terminal=terminal), 2000
    phi = StochasticCDFBellman(model, grid)
    draws = phi.sample(n, rng=1)
    fixed, covariance = phi.mean(), phi.covariance()
    variance = np.einsum("sii->si", covariance)
    # Bernstein at level 1e-7 for values in [0, 1]
    width = np.sqrt(2 * variance * np.log(2e7) / n) + np.log(2e7) / n
    assert (np.abs(draws.mean(axis=0) - fixed) <= width).all()
    centred = draws - fixed
    products = centred[:, :, :, None] * centred[:, :, None, :]
    error = 5.5 * products.std(axis=0) / np.sqrt(n) + np.log(2e7) / n
    assert (np.abs(products.mean(axis=0) - covariance) <= error).all()
    again = phi(draws, rng=2)  # the equation itself: another outcome leaves the law as it is
    assert (np.abs(again.mean(axis=0) - fixed) <= width).all()
    size = (centred**2).sum(axis=2) * grid.spacing
    error = 5.5 * size.std(axis=0) / np.sqrt(n) + 1e-12
    assert (np.abs(size.mean(axis=0) - phi.global_variation()) <= error).all()


@pytest.mark.fast
def test_a_draw_is_the_projected_image_of_its_trajectory():
    """Deterministic cycle: Phi is F*, whatever the draw."""
    model = MRP([[0, 1], [1, 0]], [1.0, 0.0], 0.5)
    phi = StochasticCDFBellman(model, Grid(0, 2, 12))
    np.testing.assert_allclose(phi.sample(2, rng=0), np.stack([phi.mean()] * 2), atol=1e-12)
    np.testing.assert_allclose(phi.covariance(), 0.0, atol=1e-12)


@pytest.mark.fast
def test_truncation_is_within_its_stated_bound():
    model = garnet(3)
    phi = StochasticCDFBellman(model, Grid(0, 5, 20))
    long, short = phi.sample(20, rng=5, tol=1e-12), phi.sample(20, rng=5, tol=0.8)  # one step: the same first outcomes
    distance = np.abs(long - short).sum(axis=2) * phi.grid.spacing
    assert (distance <= 0.8 * phi.grid.width).all() and distance.max() > 0.01


@pytest.mark.fast
@settings(max_examples=20)
@given(st.data())
def test_variance_corollary_on_grids_that_clip_nothing(data):
    model = data.draw(strategies.mrps(max_states=4, discounts=st.sampled_from([0.0, 0.5, 0.9, 0.97])))
    grid = Grid.covering(model, data.draw(st.integers(2, 15)))
    sides = StochasticCDFBellman(model, grid).variance_corollary()
    slack = 1e-9 * grid.width
    assert (sides.global_variation <= sides.accumulated + slack).all()
    assert (sides.accumulated <= sides.bound + slack).all()
    assert (sides.bound <= grid.width / 4 + slack).all()


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_branching_to_absorbing_rewards_attains_the_corollary(discount):
    """From state 0 to a state that pays 0 or 1 for ever: the accumulated variation is g / (4 (1 - g)) there."""
    model = MRP([[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]], [0.5, 0.0, 1.0], discount)
    grid = Grid(0, 1 / (1 - discount), 400)
    sides = StochasticCDFBellman(model, grid)
    accumulated = np.linalg.solve(np.eye(3) - discount * model.to_dense().P, sides.local_variation())
    assert accumulated[0] == pytest.approx(discount / (4 * (1 - discount)), rel=0.02)


@pytest.mark.fast
def test_the_tightest_instance_found_stays_within_the_corollary():
    """Of 1,000 MRPs with transitions random, near-absorbing or absorbing, discounts .5 to .99 and 3 to 21 atoms."""
    saved = np.load(pathlib.Path(__file__).with_name("tightest_corollary.npz"))
    model, state = MRP(saved["P"], saved["rewards"], float(saved["discount"])), int(saved["state"])
    grid = Grid.covering(model, int(saved["atoms"]))
    phi, local = StochasticCDFBellman(model, grid), np.zeros(model.n_states)
    fixed = phi.mean()
    for source, probability, successor, matrix in dense_outcomes(model, grid):
        local[source] += probability * ((matrix @ fixed[successor] - fixed[source]) ** 2).sum() * grid.spacing
    accumulated = np.linalg.solve(np.eye(model.n_states) - model.discount * saved["P"], local)[state]
    bound = (fixed * (1 - fixed)).sum(axis=1)[state] * grid.spacing
    assert accumulated / bound == pytest.approx(float(saved["ratio"]), abs=1e-9) and 0.999999 < accumulated / bound < 1


@pytest.mark.fast
def test_the_corollary_fails_under_clipping():
    """Mass thrown back to the grid's end at every step keeps its variation, but int F (1 - F) forgets it."""
    model = MRP([[0.5, 0.5], [0.5, 0.5]], [1.0, 0.0], 0.9)
    ratios = []
    for low, high in [(4, 6), (4.5, 5.5), (4.8, 5.2), (0, 2), (0, 0.5)]:
        sides = StochasticCDFBellman(model, Grid(low, high, 11)).variance_corollary()
        ratios.append((sides.accumulated / np.maximum(sides.bound, 1e-12)).max())
    assert max(ratios) > 1.01


def test_continuous_rewards_can_be_drawn_but_not_summed():
    model = MRP([[1.0]], [stats.norm(0, 1)], 0.5)
    phi = StochasticCDFBellman(model, Grid(-8, 8, 41))
    draws = phi.sample(3000, rng=0)
    assert (np.abs(draws.mean(axis=0) - phi.mean()) <= 6 * draws.std(axis=0) / np.sqrt(3000) + 0.006).all()
    with pytest.raises(ValueError, match="FiniteLaw"):
        phi.local_variation()


@pytest.mark.fast
def test_draws_are_reproducible_and_input_is_checked():
    model = MRP([[1.0]], [FiniteLaw([0, 1])], 0.5)
    phi = StochasticCDFBellman(model, Grid(0, 2, 9))
    np.testing.assert_array_equal(phi.sample(5, rng=3), phi.sample(5, rng=3))
    with pytest.raises(ValueError, match="cdf must end in"):
        phi(np.ones((2, 9)))
    with pytest.raises(ValueError, match="tol must be positive"):
        phi.sample(1, tol=0.0)
    with pytest.raises(ValueError, match="GB"):
        StochasticCDFBellman(model, Grid(0, 2, 200_000)).covariance()
    with pytest.raises(TypeError, match="MRP"):
        StochasticCDFBellman(distrl.MDP(np.ones((1, 1, 1)), [0.0], 0.5), Grid(0, 2, 9))


@pytest.mark.fast
def test_undiscounted_episodes_are_drawn_to_their_end():
    model = MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)], 1.0)
    grid = Grid(0, 40, 41)
    draws = StochasticCDFBellman(model, grid).sample(500, rng=0)
    lengths = (draws < 0.5).sum(axis=2)[:, 0]  # every draw is the Dirac at the length of its episode
    assert stats.chisquare(np.bincount(np.minimum(lengths, 5))[1:], 500 * np.array([8, 4, 2, 1, 1]) / 16).pvalue > 1e-4
