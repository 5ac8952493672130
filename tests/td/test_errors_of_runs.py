"""`LearningRun.errors` against a truth in whatever form it comes."""

import numpy as np
import pytest
from scipy import stats

import distrl
from distrl import MRP, TD, CategoricalFixedPoint, CategoricalTD, ExpectileTD, FiniteLaw, Moments, QuantileTD

pytestmark = pytest.mark.fast

MODEL = MRP([[0.5, 0.5], [0.2, 0.8]], [2.0, -1.0], 0.9)
MEANS = np.linalg.solve(np.eye(2) - 0.9 * np.array([[0.5, 0.5], [0.2, 0.8]]), [2.0, -1.0])
METHODS = [TD(), TD(steps=3), CategoricalTD(21), QuantileTD(11), ExpectileTD(5)]


def learnt(method):
    return distrl.learn(MODEL, method, updates=30, replications=2, records=3, rng=0)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: repr(m)[:20])
@pytest.mark.parametrize("form", [np.asarray, list, tuple, np.float32, lambda m: np.asarray(m, dtype=object)])
def test_numbers_are_means_for_every_method(method, form):
    run = learnt(method)
    truth = form(MEANS)
    found = run.errors(truth, over=None)
    np.testing.assert_allclose(found, np.abs(run.values - np.asarray(truth, dtype=float)), rtol=1e-12)
    assert run.errors(truth).shape == (3, 2)
    assert run.interval(truth).shape == (3, 2)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: repr(m)[:20])
def test_moments_alone_are_means_and_laws_are_laws(method):
    run = learnt(method)
    by_moments = run.errors(distrl.evaluate(MODEL, Moments(2)), over=None)
    np.testing.assert_allclose(by_moments, np.abs(run.values - MEANS), rtol=1e-9)
    laws = [FiniteLaw([0.0, 1.0]), stats.norm(2.0, 1.0)]
    found = run.errors(laws, over=None)
    if isinstance(method, TD):
        np.testing.assert_allclose(found, np.abs(run.values - [0.5, 2.0]), rtol=1e-12)
    else:
        assert (found >= np.abs(run.values - [0.5, 2.0]) - 1e-9).all()  # W1 is at least the means' difference
        solved = distrl.evaluate(MODEL, CategoricalFixedPoint(41))
        assert (run.errors(solved, over=None) >= np.abs(run.values - MEANS) - 1e-6).all()


@pytest.mark.parametrize("method", METHODS, ids=lambda m: repr(m)[:20])
@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (np.zeros(3), r"means of shape \(3,\); it must be \(2,\)"),
        (np.zeros((1, 2)), r"means of shape \(1, 2\); it must be \(2,\)"),
        (np.array([np.nan, 0.0]), r"truth\[0\] is nan"),
        ("abc", "truth|b is 'abc'"),
        (None, "truth|b is None"),
    ],
)
def test_what_is_no_truth_is_refused_by_name(method, truth, message):
    with pytest.raises((ValueError, TypeError), match=message):
        learnt(method).errors(truth)
