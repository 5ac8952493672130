"""The oracles over the rationals, against SciPy, the dense textbook formula and laws known in closed form."""

from fractions import Fraction

import numpy as np
import oracles
import pytest
from hypothesis import given
from scipy import stats

import distrl
from proofs_check import exact as ex
from proofs_check.case import Case
from proofs_check.families import models, on_grid, particle_laws, rows_of

pytestmark = pytest.mark.fast


@given(case=on_grid(1).strategy)
def test_image_is_the_textbook_formula(case):
    exact = ex.Exact(case)
    dense = oracles.dense_bellman(case.model, case.on.points, case.weights[0])
    size = 1.0 + max(abs(row[3]) for row in case.rows) / case.on.spacing + abs(case.on.low) / case.on.spacing
    assert np.allclose(exact.pmf(exact.image(exact.laws(0))), dense, atol=1e-12 * size, rtol=0)


@given(case=particle_laws(2, 3).strategy)
def test_distances_are_scipys(case):
    exact = ex.Exact(case)
    for x, (mu, nu) in enumerate(zip(exact.laws(0), exact.laws(1), strict=True)):
        arrays = (case.values[0][x], case.values[1][x], case.weights[0][x], case.weights[1][x])
        assert np.isclose(float(ex.w1(mu, nu)), stats.wasserstein_distance(*arrays), atol=1e-9)
        energy = stats.energy_distance(*arrays)
        assert np.isclose(2.0 * float(ex.cramer_squared(mu, nu)), energy**2, atol=1e-9)
        assert ex.transport_cost(mu, nu, 1) == ex.w1(mu, nu)
        assert ex.w_infinity(mu, nu) ** 8 >= ex.transport_cost(mu, nu, 8)


@given(case=models(states=2).strategy)
def test_rows_give_the_model_back(case):
    again = distrl.MRP.from_outcomes(rows_of(case.model), case.discount, states=case.states)
    # the same rows, of which repeated ones are summed in another order: some units in the last place
    eps, count = np.finfo(float).eps, len(case.model.outcomes.probs)
    size = np.abs(case.model.outcomes.rewards).max(initial=0.0)
    p = case.model.continuation.toarray()
    assert (np.abs(again.continuation.toarray() - p) <= count * eps * p).all()
    assert (np.abs(again.expected_rewards - case.model.expected_rewards) <= 2 * count * eps * size).all()


def test_reference_law_of_a_coin_is_uniform():
    case = Case(((0, 0.5, 0, 0.0, False), (0, 0.5, 0, 1.0, False)), 0.5)
    values, weights, error = ex.true_laws(case, 2000)
    grid = (np.arange(20_000) + 0.5) / 10_000
    gap = ex.w1_floats((values[0], weights[0]), (grid, np.full(20_000, 1 / 20_000)))
    assert gap <= error + 1e-4 < 0.01


def test_reference_law_of_an_ending_process_is_its_enumeration():
    case = Case(
        ((0, 0.5, 0, 1.0, True), (0, 0.5, 1, 2.0, False), (1, 0.25, 0, 4.0, True), (1, 0.75, 1, 0.0, True)), 0.5
    )
    values, weights, error = ex.true_laws(case)
    exact, masses, left = oracles.enumerated_law(case.model, 0, 5)
    assert left == 0.0
    assert ex.w1_floats((values[0], weights[0]), (exact, masses)) <= error


def test_fixed_point_solves_its_equation_over_the_rationals():
    case = Case(((0, 0.5, 1, 1.0, False), (0, 0.5, 0, 0.0, False), (1, 1.0, 0, 2.0, True)), 0.5, (0.0, 3.0, 4))
    exact = ex.Exact(case)
    fixed = ex.fixed_point(exact)
    image = exact.image(fixed)
    for law, other in zip(fixed, image, strict=True):
        assert all(law.get(atom, 0) == other.get(atom, 0) for atom in exact.atoms)
        assert sum(law.values()) == 1
    assert ex.values(exact)[0] == Fraction(1, 2) * (1 + Fraction(1, 2) * 2) / (1 - Fraction(1, 4))
