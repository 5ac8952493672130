"""Laws of the categorical Bellman operator, against dense formulas."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import dense_bellman, dense_hat, merge_distance
from scipy import integrate, stats

import distrl
from distrl import MRP, FiniteLaw, Grid
from distrl.operators import CategoricalBellman
from distrl.operators.law_matrices import projected_sum
from distrl.testing import categorical_probs, grids, mrps

pytestmark = pytest.mark.fast


@st.composite
def operators(draw, **options):
    """An operator and the probabilities of two laws on its grid, clipping or not."""
    model = draw(mrps(**options))
    grid = Grid.covering(model, draw(st.integers(2, 20))) if draw(st.booleans()) else draw(grids(max_atoms=20))
    operator = CategoricalBellman(model, grid)
    first, second = (draw(categorical_probs(model.n_states, grid.atoms)) for _ in range(2))
    return model, operator, first, second


def w1(first, second, spacing):
    return np.abs(np.cumsum(first - second, axis=1)[:, :-1]).sum(axis=1) * spacing


def positions_error(operator):
    """Float error of one application: a position r + g z in units of the spacing is off by a few eps of its size."""
    grid = operator.grid
    size = (np.abs(operator.table.rewards).max() + max(abs(grid.low), abs(grid.high))) / grid.spacing
    return 50 * np.finfo(float).eps * (1 + size) * grid.atoms


@given(operators())
def test_pmf_form_equals_the_dense_projection_formula(case):
    model, operator, probs, _ = case
    expected = dense_bellman(model, operator.grid.points, probs)
    np.testing.assert_allclose(operator(probs), expected, rtol=0, atol=positions_error(operator))


@given(operators())
def test_cdf_form_is_the_cumulative_pmf_form(case):
    _, operator, probs, _ = case
    expected = np.cumsum(operator(probs), axis=1)
    np.testing.assert_allclose(operator.cdf(np.cumsum(probs, axis=1)), expected, rtol=0, atol=positions_error(operator))


@given(operators())
def test_stop_loss_form_is_the_expected_excess_of_the_pmf_form(case):
    _, operator, probs, _ = case
    z = operator.grid.points
    excess = np.maximum(z[:, None] - z[None, :], 0.0)  # [j, i] = (z_j - z_i)+
    got = operator.stop_loss(probs @ excess)
    error = positions_error(operator) * operator.grid.width
    np.testing.assert_allclose(got, operator(probs) @ excess, rtol=0, atol=error)


@given(operators())
def test_matrix_offset_and_linear_operator_agree_with_the_cdf_form(case):
    model, operator, probs, _ = case
    cdf = np.cumsum(probs, axis=1)[:, :-1].ravel()
    expected = np.cumsum(operator(probs), axis=1)[:, :-1].ravel()
    error = positions_error(operator)
    np.testing.assert_allclose(operator.matrix() @ cdf + operator.offset(), expected, rtol=0, atol=error)
    linear = operator.linear_operator()
    np.testing.assert_allclose(linear @ cdf + operator.offset(), expected, rtol=0, atol=error)
    other = np.linspace(-1, 1, model.n_states * (operator.grid.atoms - 1))
    assert other @ (linear @ cdf) == pytest.approx(linear.rmatvec(other) @ cdf, abs=error * len(other))


@given(operators())
def test_linear_part_is_non_negative_with_rows_at_most_one_and_columns_at_most_the_discount(case):
    model, operator, _, _ = case
    n, last = model.n_states, operator.grid.atoms - 1
    blocks = operator.matrix().toarray().reshape(n, last, n, last)
    assert (blocks >= 0).all()
    assert (blocks.sum(axis=(2, 3)) <= 1 + positions_error(operator)).all()
    going_on = model.continuation.toarray()
    bound = model.discount * going_on[:, :, None] + positions_error(operator)
    assert (blocks.sum(axis=1) <= bound).all()


@given(mrps(random_rewards=False), st.integers(2, 20))
def test_columns_sum_to_the_discount_when_nothing_is_clipped(model, atoms):
    operator = CategoricalBellman(model, Grid.covering(model, atoms))
    n, last = model.n_states, atoms - 1
    columns = operator.matrix().toarray().reshape(n, last, n, last).sum(axis=1)
    expected = np.broadcast_to(model.discount * model.continuation.toarray()[:, :, None], columns.shape)
    np.testing.assert_allclose(columns, expected, rtol=0, atol=positions_error(operator))


@given(operators())
def test_contracts_sup_w1_by_the_discount_and_sup_cramer_by_its_root(case):
    model, operator, first, second = case
    spacing = operator.grid.spacing
    before, after = w1(first, second, spacing), w1(operator(first), operator(second), spacing)
    error = positions_error(operator) * operator.grid.width
    assert after.max() <= model.discount * before.max() + error

    def cramer(p, q):
        return np.sqrt((np.cumsum(p - q, axis=1)[:, :-1] ** 2).sum(axis=1) * spacing)

    ratio_bound = np.sqrt(model.discount) * cramer(first, second).max()
    assert cramer(operator(first), operator(second)).max() <= ratio_bound + np.sqrt(error)


def test_the_w1_modulus_is_attained_by_a_lone_state_on_a_lattice():
    operator = CategoricalBellman(MRP([[1.0]], [0.0], 0.5), Grid(0, 4, 5))
    low, high = np.eye(5)[[0]], np.eye(5)[[4]]
    assert w1(operator(low), operator(high), 1.0)[0] == 0.5 * w1(low, high, 1.0)[0]


@given(operators(), st.data())
def test_keeps_first_order_stochastic_dominance(case, data):
    _, operator, first, second = case
    lower = np.maximum(np.cumsum(first, axis=1), np.cumsum(second, axis=1))  # the CDF of a law below both
    upper = np.cumsum(first, axis=1)
    assert (operator.cdf(lower) >= operator.cdf(upper) - positions_error(operator)).all()


@given(mrps(), st.integers(2, 30), st.data())
def test_keeps_the_mean_when_nothing_is_clipped(model, atoms, data):
    grid = Grid.covering(model, atoms)
    operator = CategoricalBellman(model, grid)
    probs = data.draw(categorical_probs(model.n_states, atoms))
    expected = model.expected_rewards + model.discount * model.continuation @ (probs @ grid.points)
    scale = max(abs(grid.low), abs(grid.high))
    np.testing.assert_allclose(operator(probs) @ grid.points, expected, rtol=0, atol=1e-13 * atoms * scale)


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=6), st.integers(2, 12), st.data())
def test_projection_is_orthogonal_in_cramer_distance(values, atoms, data):
    """Pythagoras: l2^2(mu, nu) = l2^2(mu, Pi mu) + l2^2(Pi mu, nu) for nu on the grid, mu within its range."""
    grid = Grid(-1.0, 2.0, atoms)
    mu = np.array(values)
    weights = np.full(len(mu), 1.0 / len(mu))
    projected = projected_sum(FiniteLaw(mu, weights), 0.0, 0.5, grid)
    pmf = np.diff(projected, prepend=0.0)
    nu = data.draw(categorical_probs(1, atoms))[0]
    z = grid.points
    total = merge_distance((mu, weights), (z, nu), 2)
    parts = merge_distance((mu, weights), (z, pmf), 2) + merge_distance((z, pmf), (z, nu), 2)
    assert total == pytest.approx(parts, abs=1e-12)


def test_the_projected_operator_is_no_wasserstein_2_contraction_on_general_laws():
    """delta_{1/4} and delta_{3/4} on {0, 1}: W2 goes from 1/2 to 2^{-1/2}, more than any discount allows."""
    operator = CategoricalBellman(MRP([[1.0]], [0.0], 0.99), Grid(0, 1, 2))
    first = operator.apply_to(FiniteLaw([0.25 / 0.99]))
    second = operator.apply_to(FiniteLaw([0.75 / 0.99]))
    after = distrl.wasserstein(first, second, p=2)[0]
    assert after == pytest.approx(2**-0.5, abs=1e-12)
    assert after > 0.99 * 0.5 / 0.99


@given(operators())
def test_apply_to_grid_laws_equals_the_pmf_form(case):
    model, operator, probs, _ = case
    returns = distrl.CategoricalReturns(operator.grid, probs)
    particles = distrl.ParticleReturns(np.tile(operator.grid.points, (model.n_states, 1)), probs)
    laws = [FiniteLaw(operator.grid.points, row) for row in probs]
    for form in (returns, particles, laws):
        got = operator.apply_to(form).probs
        np.testing.assert_allclose(got, operator(probs), rtol=0, atol=10 * positions_error(operator))


@pytest.mark.parametrize(
    "law",
    [
        stats.norm(0.3, 0.7),
        stats.uniform(-1, 2.5),
        stats.expon(-0.5, 0.4),
        stats.t(3),
        stats.gumbel_r(0.1, 0.3),
        stats.poisson(1.3),
    ],
)
def test_continuous_reward_laws_are_projected_to_quadrature_error(law):
    """Weights E[h_i(R + g z_j)] against quadrature of the hat function, atom by atom."""
    grid = Grid(-2.0, 3.0, 9)
    operator = CategoricalBellman(MRP([[1.0]], [law], 0.8), grid)
    z, s = grid.points, grid.spacing
    for j in (0, 4, 8):
        got = operator(np.eye(9)[[j]])[0]
        shift = 0.8 * z[j]
        if hasattr(law, "pmf"):
            support = np.arange(200)
            expected = law.pmf(support) @ dense_hat(support + shift, z)
        else:
            kinks = np.concatenate([[-np.inf], z - shift, [np.inf]])

            def weight(u, i, shift=shift):
                return np.clip(1 - abs(min(max(u + shift, z[0]), z[-1]) - z[i]) / s, 0, 1) * law.pdf(u)

            expected = [
                sum(integrate.quad(weight, a, b, args=(i,), epsabs=1e-12, epsrel=1e-12)[0] for a, b in pairwise(kinks))
                for i in range(9)
            ]
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-9)


def test_a_continuous_law_goes_through_every_form_alike():
    grid = Grid(-6.0, 9.0, 31)
    model = MRP([[0.3, 0.7], [0.6, 0.4]], [stats.norm(0.5, 1.0), FiniteLaw(np.linspace(0, 1, 25))], 0.7)
    operator = CategoricalBellman(model, grid)
    probs = np.random.default_rng(0).dirichlet(np.ones(31), 2)
    cdf = np.cumsum(probs, axis=1)
    expected = np.cumsum(operator(probs), axis=1)
    np.testing.assert_allclose(operator.cdf(cdf), expected, atol=1e-13)
    through_matrix = operator.matrix() @ cdf[:, :-1].ravel() + operator.offset()
    np.testing.assert_allclose(through_matrix, expected[:, :-1].ravel(), atol=1e-13)
    particles = distrl.ParticleReturns(np.tile(grid.points, (2, 1)), probs)
    np.testing.assert_allclose(operator.apply_to(particles).probs, operator(probs), atol=1e-12)


def test_apply_to_a_scipy_law_matches_its_fine_discretisation():
    grid = Grid(-4.0, 4.0, 17)
    operator = CategoricalBellman(MRP([[1.0]], [0.25], 0.5), grid)
    law = stats.norm(0.2, 1.0)
    levels = (np.arange(200_000) + 0.5) / 200_000
    fine = FiniteLaw(law.ppf(levels))
    got = operator.apply_to(law).probs
    # W1 of the discretisation is below 1e-4, weights are 1/s-Lipschitz in W1
    np.testing.assert_allclose(got, operator.apply_to(fine).probs, atol=0.5 * 1e-4 / grid.spacing)


def test_bad_input_is_refused_by_name():
    mrp = MRP([[1.0]], [0.0], 0.5)
    operator = CategoricalBellman(mrp, Grid(0, 1, 3))
    with pytest.raises(TypeError, match="under"):
        CategoricalBellman(distrl.MDP([[[1.0]]], [0.0], 0.5), Grid(0, 1, 3))
    with pytest.raises(TypeError, match="grid"):
        CategoricalBellman(mrp, 3)
    with pytest.raises(ValueError, match=r"shape \(1, 3\)"):
        operator(np.ones((2, 3)))
    with pytest.raises(ValueError, match="apply_to"):
        operator(distrl.CategoricalReturns(Grid(0, 1, 2), [[0.5, 0.5]]))
    with pytest.raises(ValueError, match="2 laws given for 1"):
        operator.apply_to([FiniteLaw([0]), FiniteLaw([0])])
    both = CategoricalBellman(MRP([[1.0]], [stats.norm()], 0.5), Grid(-5, 5, 3))
    with pytest.raises(ValueError, match="both not finite"):
        both.apply_to(stats.norm())
