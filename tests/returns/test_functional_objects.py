"""Functionals as objects: the short forms are the same ones, and each knows its value, its slope and its range."""

import pickle

import numpy as np
import pytest

import distrl
from distrl import (
    CDF,
    CategoricalReturns,
    CVaR,
    EntropicRisk,
    EVaR,
    Expectile,
    Grid,
    Mean,
    MeanCVaR,
    MeanVariance,
    ProbabilityAbove,
    Quantile,
    Shortfall,
    Std,
    StopLoss,
    Variance,
)
from distrl.returns.functionals import NAMES, parse

pytestmark = pytest.mark.fast
RNG = np.random.default_rng(0)
LAWS = CategoricalReturns(Grid(-1.0, 3.0, 9), RNG.dirichlet(np.ones(9), 4))
SHORT = [
    (Mean(), "mean", None, {}),
    (Variance(), "variance", None, {}),
    (Std(), "std", None, {}),
    (Quantile(0.3), "quantile", 0.3, {}),
    (CVaR(0.3), "cvar", 0.3, {}),
    (CVaR(0.3, tail="upper"), "cvar", 0.3, {"tail": "upper"}),
    (CDF(0.7), "cdf", 0.7, {}),
    (StopLoss(0.7), "stop_loss", 0.7, {}),
    (Expectile(0.8), "expectile", 0.8, {}),
    (EntropicRisk(-0.5), "entropic_risk", -0.5, {}),
    (Shortfall(0.7), "shortfall", 0.7, {}),
    (EVaR(0.3), "evar", 0.3, {}),
    (MeanVariance(0.7), "mean_variance", 0.7, {}),
    (ProbabilityAbove(0.7), "probability_above", 0.7, {}),
]
NO_MODULUS = ("quantile", "cdf", "evar", "probability_above")


@pytest.mark.parametrize(("functional", "name", "at", "options"), SHORT)
def test_a_short_form_is_the_object(functional, name, at, options):
    assert parse(name, at, **options) == functional == parse(functional)
    assert hash(parse(name, at, **options)) == hash(functional)
    assert pickle.loads(pickle.dumps(functional)) == functional
    assert functional.name == name and name in NAMES


def test_several_points_are_one_functional_with_one_more_axis():
    several = parse("cvar", [0.1, 0.5])
    assert several == CVaR((0.1, 0.5)) == CVaR(np.array([0.1, 0.5])) and several.each() == [CVaR(0.1), CVaR(0.5)]
    assert several.value(LAWS).shape == (4, 2)
    np.testing.assert_array_equal(several.value(LAWS)[:, 1], CVaR(0.5).value(LAWS))
    with pytest.raises(ValueError, match="give one at a time"):
        several.gradient(LAWS, np.arange(4))


@pytest.mark.parametrize(
    ("functional", "name", "at", "options"), [case for case in SHORT if not isinstance(case[0], Quantile | CDF)]
)
def test_a_gradient_is_the_derivative_of_the_value(functional, name, at, options):
    """Central differences of the value in the CDF, against the gradient; mass moves between neighbours."""
    states = np.array([0, 2])
    gradient = functional.gradient(LAWS, states)
    for row, s in enumerate(states):
        for atom in range(8):
            moved = []
            for step in (-1e-6, 1e-6):
                probs = np.array(LAWS.probs[s])
                probs[atom] += step
                probs[atom + 1] -= step
                moved.append(float(functional.value(CategoricalReturns(LAWS.grid, probs))))
            slope = (moved[1] - moved[0]) / 2e-6
            assert gradient[row, atom] == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize(("functional", "name", "at", "options"), SHORT)
def test_values_lie_in_the_natural_range(functional, name, at, options):
    low, high = functional.natural_range(-1.0, 3.0)
    value = functional.value(LAWS)
    assert (low <= value).all() and (value <= high).all()
    below, above = functional.natural_range(np.array([-1.0, -np.inf]), np.array([3.0, np.inf]))
    assert below.shape == above.shape == (2,) and below[0] == low and above[0] == high


@pytest.mark.parametrize(("functional", "name", "at", "options"), [c for c in SHORT if c[1] not in NO_MODULUS])
def test_w1_moves_a_functional_by_no_more_than_it_says(functional, name, at, options):
    radius = np.atleast_1d(distrl.wasserstein(LAWS[[0]], LAWS[[1]]))
    value = functional.value(LAWS[[0]])
    ends = functional.moved(np.stack([value, value], axis=1), radius, 4.0)
    other = functional.value(LAWS[[1]])
    assert ends[0, 0] - 1e-12 <= other[0] <= ends[0, 1] + 1e-12


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: parse("median"), "functional must be one of"),
        (lambda: parse(3), "functional must be one of"),
        (lambda: parse(CVaR), r"create it: CVaR\("),
        (lambda: parse("cvar"), "cvar needs a level"),
        (lambda: parse("stop_loss"), "stop_loss needs a point"),
        (lambda: parse("mean", 1.0), "takes no point"),
        (lambda: parse("cvar", 0.0), "at must lie in"),
        (lambda: parse("expectile", 1.0), "at must lie in"),
        (lambda: parse("quantile", 1.5), "at must lie in"),
        (lambda: parse("cdf", np.nan), "at is NaN"),
        (lambda: parse("cvar", 0.1, "left"), "tail must be"),
        (lambda: parse(CVaR(0.1), 0.2), "leave `at` and `tail` out"),
        (lambda: CVaR(2.0), "level must lie in"),
        (lambda: CVaR(0.1, "both"), "tail must be"),
        (lambda: parse("evar", 0.0), "at must lie in"),
        (lambda: parse("mean_variance"), "mean_variance needs a weight"),
        (lambda: parse("mean_variance", -1.0), "at must be at least 0, got -1; variance is a cost"),
        (lambda: parse("mean_cvar", 0.1), "functional must be one of"),
        (lambda: MeanCVaR(0.0, 0.5), "level must lie in"),
        (lambda: MeanCVaR(0.1, 1.5), r"weight must lie in \[0, 1\], got 1.5"),
    ],
)
def test_wrong_questions_are_refused_with_the_mend(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_level_that_the_cdf_takes_has_no_derivative_on_either_tail():
    laws = CategoricalReturns(Grid(0, 3, 4), [[0.25, 0.25, 0.25, 0.25]])
    for functional in (CVaR(0.25), CVaR(0.25, "upper"), CVaR(0.5)):
        with pytest.raises(ValueError, match="no derivative at state 0"):
            functional.gradient(laws, np.array([0]))
        assert np.isfinite(functional.gradient(laws, np.array([0]), one_sided=True)).all()
    assert np.isfinite(CVaR(0.3).gradient(laws, np.array([0]))).all()
    with pytest.raises(ValueError, match="no derivative"):
        Quantile(0.3).gradient(laws, np.array([0]))
