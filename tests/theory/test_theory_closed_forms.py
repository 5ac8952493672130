"""Bounds as functions: they take arrays, and meet what is known where two of them must agree."""

import math

import numpy as np
import pytest

from distrl import theory

pytestmark = pytest.mark.fast
G = np.array([0.0, 0.5, 0.9])


def test_moduli_take_arrays_and_lie_below_one():
    for modulus in (theory.wasserstein_modulus, theory.cramer_modulus, theory.quantile_modulus):
        assert modulus(G).shape == G.shape and (modulus(G) < 1.0).all()
    assert np.allclose(theory.grid_wasserstein_modulus(G, 1), theory.wasserstein_modulus(G))
    assert np.allclose(theory.grid_wasserstein_modulus(G, 2), theory.cramer_modulus(G))


def test_fixed_point_bounds_at_discount_zero_are_those_of_one_projection():
    spacing = np.array([0.1, 2.0])
    assert np.allclose(theory.fixed_point_w1_absolute(spacing, 0.0), theory.projection_w1(spacing))
    assert np.allclose(theory.fixed_point_cramer_squared_sharp(spacing, 0.0), theory.projection_cramer_squared(spacing))
    assert theory.fixed_point_w1(2.0, 0.0) == math.sqrt(theory.projection_variance(2.0))


def test_sharper_bounds_are_sharper():
    for g in G:
        assert theory.fixed_point_w1(1.0, g) <= theory.fixed_point_w1_absolute(1.0, g)
        assert theory.fixed_point_cramer_squared_sharp(1.0, g) <= theory.fixed_point_cramer_squared(1.0, g)


@pytest.mark.parametrize(("target", "width", "g"), [(0.1, 1.0, 0.0), (1e-3, 20.0, 0.9), (5.0, 1.0, 0.5)])
def test_atom_count_is_the_smallest_that_meets_the_bound(target, width, g):
    atoms = theory.atoms_for_w1(target, width, g)
    assert theory.fixed_point_w1(width / (atoms - 1), g) <= target * (1 + 1e-9)
    assert atoms == 2 or theory.fixed_point_w1(width / (atoms - 2), g) > target
    with pytest.raises(ValueError, match="target"):
        theory.atoms_for_w1(0.0, width, g)


def test_random_steps_before_and_after_add_up():
    whole = theory.quantile_w1(3.0, 7, 0.8)
    parts = theory.quantile_w1_between(3.0, 7, 0.8, 0, 4), theory.quantile_w1_between(3.0, 7, 0.8, 4)
    assert math.isclose(sum(parts), whole)
    assert theory.quantile_w1_between(3.0, 7, 0.8, 5, 5) == 0.0


def test_steps_of_quantile_learning_are_the_longest_and_shortest_that_an_update_makes():
    # a quantile at level tau moves by step * (tau - share of targets below it), shares from 0 to 1 and never both ends
    for m in (1, 2, 5, 50):
        levels = (2 * np.arange(m) + 1) / (2 * m)
        shares = np.arange(m + 1) / m
        moves = np.abs(levels[:, None] - shares)
        assert theory.quantile_step(0.1, m) == pytest.approx(0.1 * moves.max(), rel=1e-12)
        assert theory.quantile_shortest_step(0.1, m) == pytest.approx(0.1 * moves.min(), rel=1e-12)


def test_iteration_bounds_are_infinite_where_nothing_contracts():
    with np.errstate(divide="ignore"):
        assert np.isinf(theory.iteration_w1(1.0, 1.0)) and np.isinf(theory.iteration_cramer(1.0, 1.0))


def test_closed_forms():
    assert theory.td_stationary_variance(1.0, 0.0, 4.0) == 4.0  # the last reward
    assert theory.td_deterministic_error(1.0, 0.5, 3) == 0.125
    assert theory.expectile_lipschitz(0.5) == 1.0
    assert theory.power_tail_constant(0.5, 1.0) == 2.0
    assert theory.stochastic_variation(8.0) == 2.0
    assert theory.simulation_w1(2.0, 0.5, 0.25) == 1.0
    assert math.isclose(theory.mean_difference_near_absorbing(0.9, 0.5, 0.1), 1 / (1 - 0.54) - 1 / (1 - 0.45))


@pytest.mark.parametrize(
    ("bound", "arguments"),
    [
        (theory.fixed_point_w1, ([0.1, 0.3, 2.0], [0.0, 0.9, 1.0])),
        (theory.fixed_point_cramer_squared, ([0.1, 0.3, 2.0], [0.0, 0.9, 1.0])),
        (theory.quantile_projection_w1, ([0.0, 1.0, 3.7], [1, 2, 50])),
        (theory.quantile_w1, ([0.1, 1.0, 3.7], [1, 2, 50], [0.0, 0.9, 1.0])),
        (theory.quantile_w1_between, ([0.1, 1.0, 3.7], [1, 2, 50], [0.0, 0.9, 0.5], [0.0, 2.0, 5.0], [1.0, 2.0, 6.0])),
        (theory.dkw_halfwidth, ([1, 10, 1000], [0.5, 0.95, 1.0])),
        (theory.likelihood_radius, ([1, 10, 1000], [0.5, 1e-9, 1.0])),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_array_gets_what_each_of_its_numbers_gets(bound, arguments):
    whole = bound(*map(np.array, arguments))
    singles = [bound(*numbers) for numbers in zip(*arguments, strict=True)]
    assert all(type(single) is float for single in singles)
    np.testing.assert_array_equal(whole, singles)
    first, *rest = arguments  # one array, and numbers beside it
    column = bound(np.array(first)[:, None], *(values[1] for values in rest))
    assert column.shape == (3, 1)
    np.testing.assert_array_equal(column[1], singles[1])
