"""Moments by linear systems, against closed forms, rational arithmetic and sampling."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import enumerated_law
from scipy import stats

from distrl import MRP, FiniteLaw, Moments, Status, evaluate
from distrl.dp.moment_systems import mean_and_variance
from distrl.testing import mrps

pytestmark = pytest.mark.fast


@given(mrps(max_states=3, discounts=st.sampled_from([0.0, 0.25])), st.integers(1, 4))
def test_moments_equal_those_of_the_enumerated_law(model, order):
    sol = evaluate(model, Moments(max(order, 2)))
    for state in range(model.n_states):
        values, weights, _ = enumerated_law(model, state, 7)
        mean = weights @ values
        reach = 2 * max(np.abs(values).max(), 1.0)
        slack = 40 * order * reach**order * 0.25**7  # what the cut at seven steps can move
        assert sol.values[state] == pytest.approx(mean, abs=slack)
        for k in range(2, order + 1):
            expected = weights @ (values - mean) ** k
            assert sol.returns.central_moment(k)[state] == pytest.approx(expected, abs=slack)


def test_normal_rewards_have_normal_moments():
    sol = evaluate(MRP([[1.0]], [stats.norm(1, 2)], 0.9), Moments(4))
    variance = 4 / (1 - 0.81)
    assert sol.values[0] == pytest.approx(10.0, rel=1e-12)
    assert sol.returns.var()[0] == pytest.approx(variance, rel=1e-12)
    assert sol.returns.skewness()[0] == pytest.approx(0.0, abs=1e-9)
    assert sol.returns.kurtosis()[0] == pytest.approx(3.0, rel=1e-9)


def test_the_uniform_law_from_coin_flips():
    sol = evaluate(MRP([[1.0]], [FiniteLaw([0, 1])], 0.5), Moments(6))
    expected = [1.0, 1 / 3, 0.0, 1 / 5, 0.0, 1 / 7]
    got = [sol.values[0], *(sol.returns.central_moment(k)[0] for k in range(2, 7))]
    np.testing.assert_allclose(got, expected, atol=1e-13)


def test_variance_in_rational_arithmetic():
    """Two states, rewards on transitions: the second-moment equations solved in Fractions."""
    g = Fraction(3, 4)
    p = [[Fraction(1, 3), Fraction(2, 3)], [Fraction(1, 2), Fraction(1, 2)]]
    r = [[Fraction(1), Fraction(-2)], [Fraction(0), Fraction(3)]]

    def solve(a, b):
        det = a[0][0] * a[1][1] - a[0][1] * a[1][0]
        return [(b[0] * a[1][1] - a[0][1] * b[1]) / det, (a[0][0] * b[1] - a[1][0] * b[0]) / det]

    def system(factor):
        return [[int(i == j) - factor * p[i][j] for j in range(2)] for i in range(2)]

    mean = solve(system(g), [sum(p[i][j] * r[i][j] for j in range(2)) for i in range(2)])
    second_rhs = [sum(p[i][j] * (r[i][j] ** 2 + 2 * g * r[i][j] * mean[j]) for j in range(2)) for i in range(2)]
    second = solve(system(g * g), second_rhs)
    expected = [float(second[i] - mean[i] ** 2) for i in range(2)]
    model = MRP(np.array(p, dtype=float), np.array(r, dtype=float), 0.75)
    np.testing.assert_allclose(evaluate(model, Moments(2)).returns.var(), expected, rtol=1e-13)


def test_what_moments_cannot_tell_is_refused_with_the_mend():
    sol = evaluate(MRP([[1.0]], [1.0], 0.5), Moments(2))
    for ask in (lambda: sol.returns.quantile(0.5), lambda: sol.returns.cvar(0.1), lambda: sol.returns.cdf(0.0)):
        with pytest.raises(TypeError, match="CategoricalFixedPoint"):
            ask()
    with pytest.raises(ValueError, match="Moments\\(order=3\\)"):
        sol.returns.skewness()
    with pytest.raises(ValueError, match="order must be at least 1"):
        Moments(0)
    with pytest.raises(ValueError, match="no finite moment of order 2"):
        evaluate(MRP([[1.0]], [stats.t(2)], 0.5), Moments(2))
    assert "mean" in sol.summary()


@pytest.mark.parametrize("size", [5e-324, 1e-200, 1e-100])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_rewards_whose_powers_are_denormal_are_not_an_error_of_the_solver(size, order):
    solution = evaluate(MRP([[0.5, 0.5], [0.25, 0.75]], [size, -size], 0.5), Moments(order))
    assert solution.status is Status.CONVERGED and solution.bound <= solution.tol


def test_powers_beyond_float64_are_a_sentence():
    with pytest.raises(ValueError, match="scale them down"):
        evaluate(MRP([[0.5, 0.5], [0.25, 0.75]], [1e100, -1e100], 0.5), Moments(8))


def test_infinite_variance_is_told_for_the_states_that_can_meet_it():
    model = MRP(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1.0]]), [1.0, stats.t(2), FiniteLaw([0, 1])], 0.5)
    mean, variance = mean_and_variance(model)
    assert np.isinf(variance).tolist() == [True, True, False]
    np.testing.assert_allclose(mean, [1 + 0.25, 0.5, 1.0], atol=1e-12)


def test_moments_at_discount_one_are_those_of_the_number_of_steps():
    model = MRP.from_outcomes([(0, 0.75, 0, 1.0, False), (0, 0.25, 0, 1.0, True)], 1.0)
    sol = evaluate(model, Moments(3))
    law = stats.geom(0.25)
    np.testing.assert_allclose([sol.values[0], sol.returns.var()[0]], [law.mean(), law.var()], rtol=1e-12)
    assert sol.returns.skewness()[0] == pytest.approx(float(law.stats("s")), rel=1e-10)


def test_index_gives_one_state():
    sol = evaluate(MRP(np.eye(2), [1.0, 2.0], 0.5), Moments(2))
    assert [float(law.mean()) for law in itertools.islice(sol.returns, 2)] == [2.0, 4.0]
