"""Quantile laws: values kept as given, functionals and metrics of the sorted, equally weighted law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from distrl import ParticleReturns, QuantileReturns, cramer, energy, kolmogorov, wasserstein
from distrl.returns.quantile import midpoint_levels

pytestmark = pytest.mark.fast
NUMBERS = st.floats(-100, 100, allow_subnormal=False).map(lambda x: round(x, 3))


@st.composite
def quantile_returns(draw, states=3):
    m = draw(st.integers(1, 12))
    return QuantileReturns(midpoint_levels(m), draw(arrays(np.float64, (states, m), elements=NUMBERS)))


@given(quantile_returns(), quantile_returns())
def test_distances_agree_with_scipy(a, b):
    for state in range(3):
        x, y = a.values[state], b.values[state]
        assert wasserstein(a, b)[state] == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-11, abs=1e-11)
        assert energy(a, b)[state] == pytest.approx(stats.energy_distance(x, y), rel=1e-9, abs=1e-6)
        at = np.concatenate([x, y])
        gap = np.abs((x[:, None] <= at).mean(axis=0) - (y[:, None] <= at).mean(axis=0)).max()
        assert kolmogorov(a, b)[state] == pytest.approx(gap, abs=1e-12)


@given(quantile_returns(), st.data())
def test_wasserstein_of_equal_counts_is_the_distance_of_the_sorted_values(a, data):
    m = len(a.levels)
    b = QuantileReturns(a.levels, data.draw(arrays(np.float64, (3, m), elements=NUMBERS)))
    gaps = np.abs(np.sort(a.values, axis=1) - np.sort(b.values, axis=1))
    np.testing.assert_allclose(wasserstein(a, b), gaps.mean(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(wasserstein(a, b, 2), np.sqrt((gaps**2).mean(axis=1)), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(wasserstein(a, b, np.inf), gaps.max(axis=1), rtol=1e-15)


@given(quantile_returns(), st.permutations(range(12)))
def test_the_order_of_the_values_changes_no_functional(a, permutation):
    order = [i for i in permutation if i < len(a.levels)]
    b = QuantileReturns(a.levels, a.values[:, order])
    np.testing.assert_array_equal(b.values, a.values[:, order])
    np.testing.assert_array_equal(a.cdf(a.values[0]), b.cdf(a.values[0]))
    np.testing.assert_array_equal(wasserstein(a, b), 0.0)
    np.testing.assert_array_equal(cramer(a, b), 0.0)
    for name, argument in (("cvar", 0.3), ("expectile", 0.2), ("entropic_risk", -0.1)):
        np.testing.assert_array_equal(getattr(a, name)(argument), getattr(b, name)(argument))
    np.testing.assert_array_equal(a.sample(5, rng=0), b.sample(5, rng=0))


@given(quantile_returns())
def test_the_quantile_at_a_level_is_the_sorted_value(a):
    np.testing.assert_array_equal(a.quantile(a.levels), np.sort(a.values, axis=1))


@given(quantile_returns())
def test_agrees_with_equally_weighted_particles(a):
    same = ParticleReturns(a.values)
    np.testing.assert_allclose(a.mean(), a.values.mean(axis=1), rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(a.var(), same.var())
    np.testing.assert_array_equal(wasserstein(a, same), 0.0)


def test_indexing_keeps_values_and_shapes():
    values = np.random.default_rng(0).normal(size=(4, 3, 5))
    returns = QuantileReturns(midpoint_levels(5), values)
    assert returns.batch_shape == (4, 3) and returns.mean().shape == (4, 3)
    assert returns[1].batch_shape == (3,)
    np.testing.assert_array_equal(returns[1, 2].values, values[1, 2])
    np.testing.assert_array_equal(returns[[True, False, True, False]].values, values[[0, 2]])
    assert float(returns[1, 2].mean()) == pytest.approx(values[1, 2].mean())
    assert "5 quantiles" in repr(returns) and "mean=" in repr(returns[1, 2])
    with pytest.raises(ValueError, match="read-only"):
        returns.values[0] = 0.0


def test_distance_to_a_continuous_law():
    m = 400
    returns = QuantileReturns(midpoint_levels(m), stats.norm.ppf(midpoint_levels(m)))
    # int |F - G| = sum over cells of 2 phi(q_mid) - phi(left) - phi(right): the optimal law of m equal weights
    edges = stats.norm.pdf(stats.norm.ppf(np.arange(m + 1) / m))
    middles = stats.norm.pdf(stats.norm.ppf(midpoint_levels(m)))
    assert wasserstein(returns, stats.norm()) == pytest.approx((2 * middles - edges[:-1] - edges[1:]).sum(), rel=1e-8)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"levels\[1\] is 0.5, not the mid-point 3/4"):
        QuantileReturns([0.25, 0.5], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="last axis must be the 2 levels"):
        QuantileReturns([0.25, 0.75], [[0.0, 1.0, 2.0]])
    with pytest.raises(ValueError, match=r"values\[0, 1\] is nan"):
        QuantileReturns([0.25, 0.75], [[0.0, np.nan]])
    with pytest.raises(ValueError, match="at least one"):
        QuantileReturns([], np.empty((2, 0)))
    with pytest.raises(ValueError, match="quantiles must be at least 1"):
        midpoint_levels(0)
