"""Reward laws on many values act as banded matrices: against the dense formula, value by value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import dense_bellman, rows_of

from distrl import MRP, FiniteLaw, Grid
from distrl.operators import CategoricalBellman
from distrl.operators.system import System

pytestmark = pytest.mark.fast


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, values = draw(st.integers(1, 3)), draw(st.integers(9, 60))
    spread = draw(st.sampled_from([0.1, 1.0, 30.0]))  # within a cell, some cells, far beyond the grid
    laws = [FiniteLaw(draw(st.integers(-2, 2)) + spread * rng.normal(size=values).round(1)) for _ in range(n)]
    terminal = np.arange(n) == (1 if draw(st.booleans()) else n)
    laws = [0.0 if ends else law for law, ends in zip(laws, terminal, strict=True)]
    discount = draw(st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.99]))
    model = MRP(rng.dirichlet(np.ones(n), n), laws, discount, terminal=terminal)
    grid = Grid(-3.0, draw(st.sampled_from([-1.0, 2.7, 40.0])), draw(st.integers(2, 40)))
    return model, grid, rng.dirichlet(np.ones(grid.atoms), n)


@given(problems())
def test_bands_give_the_dense_formula_in_every_form(problem):
    model, grid, probs = problem
    operator = CategoricalBellman(model, grid)
    expected = dense_bellman(model, grid.points, probs)
    np.testing.assert_allclose(operator(probs), expected, atol=1e-12)
    cdf = np.cumsum(probs, axis=1)
    np.testing.assert_allclose(operator.cdf(cdf), np.cumsum(expected, axis=1), atol=1e-12)
    by_matrix = operator.matrix() @ cdf[:, :-1].ravel() + operator.offset()
    np.testing.assert_allclose(by_matrix, np.cumsum(expected, axis=1)[:, :-1].ravel(), atol=1e-12)


@given(problems())
def test_what_projection_loses_is_counted_value_by_value(problem):
    model, grid, probs = problem
    image = CategoricalBellman(model, grid).apply(probs)
    variance, overshoot, clipped = np.zeros(model.n_states), np.zeros(model.n_states), np.zeros(model.n_states)
    for source, probability, successor, reward, terminal in rows_of(model):
        targets = np.array([reward]) if terminal else reward + model.discount * grid.points
        weights = probability * (np.ones(1) if terminal else probs[successor])
        gap = np.abs(targets - np.clip(targets, grid.low, grid.high))
        inside = np.where(gap > 1e-12 * grid.width, 0.0, (targets - grid.low) / grid.spacing % 1.0)
        variance[source] += weights @ (inside * (1.0 - inside)) * grid.spacing**2
        overshoot[source] += weights @ gap
        clipped[source] += weights @ (gap > 1e-12 * grid.width)
    np.testing.assert_allclose(image.overshoot, overshoot, atol=1e-10)
    np.testing.assert_allclose(image.clipped_mass, clipped, atol=1e-10)
    assert (image.variance >= variance - 1e-10).all()  # exact where nothing is clipped, else an upper bound
    free = clipped < 1e-12
    np.testing.assert_allclose(image.variance[free], variance[free], atol=1e-10)


def test_differences_of_cdfs_keep_no_mass_to_the_last_bit():
    """I - A is singular on mass in the last column where nothing ends: rounding there grew to a NaN in BiCGSTAB."""
    rng = np.random.default_rng(0)
    laws = [FiniteLaw(rng.uniform(size=500)) for _ in range(3)]
    model = MRP(rng.dirichlet(np.ones(3), 3), laws, 0.97)
    system = System.whole(CategoricalBellman(model, Grid.covering(model, 51)), 1)
    assert system.has_law_blocks
    vector, image = rng.normal(size=(3, 51)), np.empty((3, 51))
    vector[:, -1] = 0.0
    system.linear(vector, image)
    assert (image[:, -1] == 0.0).all()
