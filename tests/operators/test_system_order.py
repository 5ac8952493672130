"""Runs of constant offset at every kind of discount, and systems whose states were put in another order."""

import numpy as np
import pytest
from oracles import dense_bellman
from scipy import sparse

from distrl import MRP, CategoricalFixedPoint, Grid, evaluate
from distrl.operators import CategoricalBellman
from distrl.operators.system import System

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("discount", [0.3, 0.4999, 0.5, 0.5001, 2 / 3, 0.8, 8 / 9, 0.9, 0.99, 1 - 1e-9])
def test_cdf_form_is_the_dense_formula_for_any_number_of_successors(discount):
    rng = np.random.default_rng(0)
    states = 13  # state x has x + 1 successors; rewards off the grid, on its atoms, between them
    rewards = np.array([-90.0, -7.5, -4.0, -1.0, -1e-12, 0.0, 1e-12, 0.3, 1.0, 2.0, 6.5, 11.0, 90.0])
    transitions = np.zeros((states, states))
    for x in range(states):
        transitions[x, rng.permutation(states)[: x + 1]] = rng.dirichlet(np.ones(x + 1))
    model, grid = MRP(transitions, rewards, discount), Grid(-8.0, 12.0, 41)
    probs = rng.dirichlet(np.ones(grid.atoms), states)
    expected = np.cumsum(dense_bellman(model, grid.points, probs), axis=1)
    operator = CategoricalBellman(model, grid)
    np.testing.assert_allclose(operator.cdf(np.cumsum(probs, axis=1)), expected, rtol=0, atol=1e-13)
    single = np.cumsum(probs, axis=1).astype(np.float32)
    out = np.empty_like(single)
    operator.apply_cdf(single, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5)


def shuffled_walk(states):
    """A walk on a line that may end anywhere, the same with states renumbered, and the numbers on the line of those."""
    rng = np.random.default_rng(0)
    rewards, order = rng.normal(size=states), rng.permutation(states)
    place = np.argsort(order)
    line = [(x, 0.05, x, rewards[x], True) for x in range(states)]
    for step in (-1, 0, 1):
        line += [(x, 0.95 / 3, min(max(x + step, 0), states - 1), rewards[x], False) for x in range(states)]
    renumbered = [(int(place[x]), p, int(place[y]), r, end) for x, p, y, r, end in line]
    return MRP.from_outcomes(line, 0.97), MRP.from_outcomes(renumbered, 0.97), order


def system_of(model, atoms):
    return System.whole(CategoricalBellman(model, Grid.covering(model, atoms)), 1)


def test_an_order_is_taken_where_it_puts_successors_near():
    atoms = 400  # a megabyte is 328 rows
    line, shuffled, _ = shuffled_walk(2000)
    assert system_of(line, atoms).near_order() is None  # near as it is
    order = system_of(shuffled, atoms).near_order()
    assert sorted(order) == list(range(2000))
    rng = np.random.default_rng(1)
    anywhere = sparse.csr_array(
        (np.full(8000, 0.25), rng.integers(0, 2000, 8000), np.arange(0, 8001, 4)), shape=(2000, 2000)
    )
    assert system_of(MRP(anywhere, np.zeros(2000), 0.9), 2000).near_order() is None  # no order helps a random graph


def test_a_reordered_system_is_the_same_bit_for_bit():
    _, model, order = shuffled_walk(60)
    system = system_of(model, 21)
    other = system.reordered(order)
    cdf = np.sort(np.random.default_rng(2).random((60, 21)), axis=1)
    cdf[:, -1] = 1.0
    out, image = np.empty_like(cdf), np.empty_like(cdf)
    assert other.apply(cdf[order], image) == system.apply(cdf, out)
    np.testing.assert_array_equal(image, out[order])
    matrix = system.matrix().toarray().reshape(60, 20, 60, 20)
    np.testing.assert_array_equal(other.matrix().toarray(), matrix[order][:, :, order].reshape(1200, 1200))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_fixed_point_does_not_depend_on_the_numbering(monkeypatch, threads):
    monkeypatch.setattr("distrl.operators.system._CACHE", 21 * 8 * 4)  # four rows are near: 100 states are many
    line, shuffled, order = shuffled_walk(100)
    assert system_of(shuffled, 21).near_order() is not None
    expected = evaluate(line, CategoricalFixedPoint(21, threads=threads))
    found = evaluate(shuffled, CategoricalFixedPoint(21, threads=threads))
    gap = np.abs(found.returns.cdf_values - expected.returns.cdf_values[order]).sum(axis=1)
    assert gap.max() * found.returns.grid.spacing <= expected.tol + found.tol
