"""Return laws go out as laws of SciPy and as data sets, and answer there what they answer here."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from distrl.returns import CategoricalReturns, Grid, LatticeReturns, ParticleReturns, QuantileReturns, wasserstein

LEVELS = np.array([0.01, 0.1, 0.25, 0.5, 0.77, 0.9, 0.999])
has_new = pytest.mark.skipif(not hasattr(scipy.stats, "make_distribution"), reason="SciPy before 1.16")


@st.composite
def laws(draw):
    """Laws with values between whole numbers, equal values and values without mass."""
    size = draw(st.integers(1, 8))
    values = draw(st.lists(st.integers(-40, 40).map(lambda k: k / 8), min_size=size, max_size=size))
    weights = np.array(draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), dtype=float)
    weights[draw(st.integers(0, size - 1))] += 1.0
    return ParticleReturns(values, weights / weights.sum())


def points(law):
    values = law.values
    return np.unique(np.concatenate([values, values + 1e-3, values - 1e-3, values[:1] - 1.0, values[-1:] + 1.0]))


@given(laws())
def test_a_frozen_law_answers_as_the_law_does(law):
    frozen, x = law.to_scipy(), points(law)
    assert frozen.mean() == pytest.approx(float(law.mean()), abs=1e-12)
    assert frozen.var() == pytest.approx(float(law.var()), abs=1e-11)
    np.testing.assert_allclose(frozen.cdf(x), law.cdf(x), atol=1e-14)
    mass = {float(v): 0.0 for v in law.values}
    for value, weight in zip(law.values.tolist(), law.weights.tolist(), strict=True):
        mass[value] += weight
    np.testing.assert_allclose(frozen.pmf(list(mass)), list(mass.values()), atol=1e-15)
    np.testing.assert_array_equal(frozen.ppf(LEVELS), [smallest(law, level) for level in LEVELS])
    assert set(frozen.rvs(size=20, random_state=1)) <= {v for v, p in mass.items() if p > 0}


def smallest(law, level):
    """inf{x : F(x) >= level}, from the definition; sums in the order of the values, as NumPy adds them."""
    values, where = np.unique(law.values, return_inverse=True)
    sums = np.cumsum(np.bincount(where, weights=law.weights))
    return values[np.argmax(sums >= level)] if (sums >= level).any() else values[-1]


@has_new
@settings(max_examples=25)  # SciPy makes a class for each
@given(laws())
def test_a_distribution_of_the_new_kind_answers_as_the_law_does(law):
    new, x = law.to_scipy(new=True), points(law)
    assert new.mean() == pytest.approx(float(law.mean()), abs=1e-12)
    assert new.variance() == pytest.approx(float(law.var()), abs=1e-11)
    np.testing.assert_allclose(new.cdf(x), law.cdf(x), atol=1e-14)
    np.testing.assert_allclose(new.ccdf(x), 1.0 - law.cdf(x), atol=1e-14)
    np.testing.assert_array_equal(new.icdf(LEVELS), [smallest(law, level) for level in LEVELS])
    assert new.median() == smallest(law, 0.5)
    third = float(np.sum(law.weights * (law.values - law.mean()) ** 3))
    assert new.moment(3, kind="central") == pytest.approx(third, abs=1e-9)
    assert set(np.atleast_1d(new.sample(20, rng=1))) <= set(law.values.tolist())


@pytest.mark.parametrize("new", [False, pytest.param(True, marks=has_new)])
def test_a_law_that_went_out_comes_in_again(new):
    returns = CategoricalReturns(Grid(-1, 2.5, 4), [[0.1, 0.2, 0.3, 0.4], [0.5, 0.0, 0.0, 0.5]])
    out = [returns[0].to_scipy(new), returns[1].to_scipy(new)]
    assert wasserstein(returns, out).max() < 1e-12


def test_a_batch_goes_out_as_a_list_of_its_rows():
    grid, probs = Grid(0, 1, 2), np.array([[[0.5, 0.5], [0.1, 0.9]], [[1.0, 0.0], [0.25, 0.75]]])
    returns = CategoricalReturns(grid, probs[0])
    assert [law.pmf(1.0) for law in returns.to_scipy()] == [0.5, 0.9]
    assert wasserstein(returns, returns.to_scipy()).max() == 0.0
    nested = CategoricalReturns(grid, probs).to_scipy()
    assert [[law.mean() for law in row] for row in nested] == probs[:, :, 1].tolist()
    quantiles = QuantileReturns([0.25, 0.75], [[0.0, 1.0], [5.0, 3.0]])
    assert [law.support() for law in quantiles.to_scipy()] == [(0.0, 1.0), (3.0, 5.0)]


def test_data_sets_have_states_and_values_for_coordinates():
    pytest.importorskip("xarray")
    returns = CategoricalReturns(Grid(0, 1, 3), [[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
    found = returns.to_xarray(state=["here", (0, 1)])
    assert dict(found.sizes) == {"state": 2, "atom": 3} and found["atom"].values.tolist() == [0.0, 0.5, 1.0]
    assert found["state"].values.tolist() == ["here", (0, 1)]
    np.testing.assert_array_equal(found["probability"].values, returns.probs)
    np.testing.assert_allclose((found["probability"] * found["atom"]).sum("atom"), returns.mean())
    quantiles = QuantileReturns([0.25, 0.75], [[0.0, 1.0], [5.0, 3.0]])
    assert quantiles.to_xarray()["value"].sel(state=1, level=0.75).item() == 3.0
    particles = ParticleReturns([[[0.0, 1.0]], [[2.0, 3.0]]])
    both = particles.to_xarray()
    assert both["value"].dims == ("state", "action", "particle") and both["weight"].shape == (2, 1, 2)
    assert dict(particles.to_xarray(replication=range(2), state=[7]).sizes)["replication"] == 2
    assert returns[0].to_xarray()["probability"].dims == ("atom",)
    cut = LatticeReturns(Grid(0, 2, 3), [[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]], tail=[1e-3, 0.0]).to_xarray()
    assert cut["tail"].dims == ("state",) and cut["tail"].values.tolist() == [1e-3, 0.0]
    assert cut["probability"].sel(state=1, atom=1.0).item() == 0.9
    with pytest.raises(ValueError, match="state has 2 entries, but there are 3 names"):
        returns.to_xarray(state="abc")
    with pytest.raises(ValueError, match=r"laws of shape \(2,\): name each axis"):
        returns.to_xarray(state=range(2), action=range(1))
