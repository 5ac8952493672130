"""Whatever is passed, a public call gives a right answer or distrl's own ValueError/TypeError, and never NaN."""

import traceback
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import distrl
from distrl import (
    MRP,
    CategoricalDP,
    CategoricalFixedPoint,
    CategoricalReturns,
    FiniteLaw,
    Grid,
    Moments,
    MonteCarlo,
    ParticleReturns,
    evaluate,
)
from distrl.operators import CategoricalBellman

pytestmark = pytest.mark.fast

NUMBERS = st.one_of(
    st.floats(),
    st.integers(-3, 5),
    st.sampled_from(
        [0.0, -0.0, 1.0, 5e-324, 1e-310, 2.2e-308, -1e-200, 1e-17, 1e300, -1e308, np.inf, np.nan, 0.1 + 0.2]
    ),
)
JUNK = st.one_of(NUMBERS, st.none(), st.text(max_size=3), st.booleans(), st.complex_numbers(), st.binary(max_size=2))
ARRAYS = st.one_of(
    JUNK,
    st.lists(NUMBERS, max_size=4),
    st.lists(st.lists(NUMBERS, max_size=3), max_size=3),
    st.lists(JUNK, max_size=3),
    st.dictionaries(st.integers(), st.integers(), max_size=2),
)
MODEL = MRP([[0.5, 0.5], [0.2, 0.8]], [1.0, FiniteLaw([0, 1])], 0.7)


def attempt(make):
    """The result, or None after an error that distrl itself raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return make()
        except (ValueError, TypeError, distrl.ConvergenceError) as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            assert "/distrl/" in frame.filename.replace("\\", "/"), f"raised in {frame.filename}: {error!r}"
            assert len(str(error)) > 10
            return None


def finite(solution):
    assert np.isfinite(np.asarray(solution.values)).all()
    assert not np.isnan(solution.residual)
    if solution.certificate is not None:
        assert not np.isnan(solution.certificate.w1).any()


@given(JUNK, JUNK, JUNK)
def test_grids(low, high, atoms):
    grid = attempt(lambda: Grid(low, high, atoms) if not isinstance(atoms, int) or atoms < 10_000 else None)
    if grid is not None:
        assert np.isfinite(grid.points).all() and (np.diff(grid.points) > 0).all()


@given(ARRAYS, ARRAYS)
def test_finite_laws(values, probs):
    law = attempt(lambda: FiniteLaw(values, probs))
    if law is not None:
        assert np.isfinite(law.mean)


@given(ARRAYS)
def test_categorical_returns(probs):
    returns = attempt(lambda: CategoricalReturns(Grid(0, 1, 3), probs))
    if returns is not None:
        assert np.isfinite(returns.mean()).all() and np.isfinite(returns.cvar(0.3)).all()


@given(ARRAYS, ARRAYS)
def test_particle_returns(values, weights):
    returns = attempt(lambda: ParticleReturns(values, weights))
    if returns is not None:
        assert not np.isnan(returns.mean()).any()


@given(ARRAYS)
def test_functionals_arguments(argument):
    returns = CategoricalReturns(Grid(-1, 1, 3), [[0.2, 0.5, 0.3]])
    for functional in ("cdf", "quantile", "cvar", "entropic_risk", "expectile", "stop_loss"):
        result = attempt(lambda name=functional: getattr(returns, name)(argument))
        if result is not None:
            assert not np.isnan(result).any()


@given(ARRAYS)
def test_operator_arguments(values):
    operator = CategoricalBellman(MODEL, Grid(0, 4, 3))
    for call in (operator, operator.cdf, operator.stop_loss, operator.apply_to):
        attempt(lambda form=call: form(values))


@settings(max_examples=100)
@given(ARRAYS, JUNK, JUNK, JUNK)
def test_evaluate_arguments(policy, tol, limit, rng):
    method = CategoricalFixedPoint(5)
    for model in (MODEL, distrl.MDP([[[0.5, 0.5], [0.2, 0.8]]], [1.0, 0.0], 0.7)):
        result = attempt(lambda m=model: evaluate(m, method, policy=policy, tol=tol, max_iterations=limit, rng=rng))
        if result is not None:
            finite(result)


@given(JUNK, JUNK, st.sampled_from([CategoricalFixedPoint, CategoricalDP, Moments, MonteCarlo]))
def test_method_options(first, second, method):
    small = not isinstance(first, int) or first < 100
    result = attempt(lambda: evaluate(MODEL, method(first), rng=0) if small else None)
    if result is not None:
        finite(result)
    if method is not Moments:
        attempt(lambda: method(first, second))


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 2), NUMBERS, st.integers(0, 2), NUMBERS, st.booleans()), max_size=5),
    st.sampled_from([0.0, 5e-324, 1e-310, 2.2e-308, 1e-300, 1e-17, 0.5, 0.999, 1.0]),
)
def test_models_of_any_magnitude_solve_or_say_why_not(rows, discount):
    fair = [(s, 1.0 / sum(r[0] == s for r in rows), y, r, t) for s, _, y, r, t in rows]
    model = attempt(lambda: MRP.from_outcomes(fair, discount))
    if model is None:
        return
    for method in (CategoricalFixedPoint(4), CategoricalFixedPoint(4, solver="krylov"), CategoricalDP(4, 3)):
        result = attempt(lambda m=method: evaluate(model, m))
        if result is not None:
            finite(result)
    for method in (Moments(2), MonteCarlo(3)):
        result = attempt(lambda m=method: evaluate(model, m, rng=0, max_iterations=1000))
        if result is not None:
            finite(result)
