"""Functionals that are not the library's, written with public names alone, are taken by all intervals."""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import pytest

import distrl
from distrl import (
    CDF,
    MRP,
    Brackets,
    CategoricalFixedPoint,
    Functional,
    Moments,
    MonteCarlo,
    ParticleDP,
    QuantileDP,
    StopLoss,
    estimate,
    evaluate,
)
from distrl.returns import Pointed, as_finite

pytestmark = pytest.mark.fast


@dataclass(frozen=True)
class Between(Functional):
    """P(above < G <= upto): all that a functional can supply."""

    above: float
    upto: float
    name: ClassVar[str] = "between"

    def value(self, returns):
        return np.asarray(returns.cdf(self.upto) - returns.cdf(self.above))

    def enclose(self, known):
        low, high = known.cdf_ends(np.array([self.above, self.upto]))
        return low[..., 1] - high[..., 0], high[..., 1] - low[..., 0]

    def natural_range(self, low, high):
        return np.zeros(np.shape(low)), np.ones(np.shape(low))

    def slope(self, returns, states):
        inside = (returns.atoms > self.above) & (returns.atoms <= self.upto)
        return np.tile(inside.astype(float), (len(states), 1))

    @property
    def label(self):
        return f"P({self.above:g} < return <= {self.upto:g})"


@dataclass(frozen=True)
class SemiDeviation(Functional):
    """E (E G - G)+ = E (G - E G)+, in units of reward: a value and its bounds, nothing else."""

    name: ClassVar[str] = "semi-deviation"

    def value(self, returns):
        values, weights = as_finite(returns).support_weights()
        return np.asarray((weights * np.maximum(returns.mean()[..., None] - values, 0.0)).sum(axis=-1))

    def enclose(self, known):
        # the stop-loss transform falls: its ends at the mean's other end, each state's at its own
        least, most = known.mean_ends()
        states = np.arange(len(least))
        low, high = known.stop_loss_ends(most)[0], known.stop_loss_ends(least)[1]
        return np.maximum(low[states, states], 0.0), high[states, states]


@dataclass(frozen=True)
class Lottery(Functional):
    """E G^3 / E G^2, say: a value alone."""

    name: ClassVar[str] = "lottery"

    def value(self, returns):
        values, weights = as_finite(returns).support_weights()
        return np.asarray((weights * values**3).sum(axis=-1) / (weights * values**2).sum(axis=-1))


@dataclass(frozen=True)
class Below(Functional):
    """P(G <= point), without a slope."""

    point: float
    name: ClassVar[str] = "below"

    def value(self, returns):
        return np.asarray(returns.cdf(self.point))

    def natural_range(self, low, high):
        return np.zeros(np.shape(low)), np.ones(np.shape(low))


@dataclass(frozen=True)
class Exceedance(Pointed):
    """P(G > point), at one point or several."""

    point: float | tuple[float, ...]
    name: ClassVar[str] = "exceedance"

    def value(self, returns):
        return np.asarray(1.0 - returns.cdf(self.points))

    def enclose(self, known):
        low, high = self.read(known.cdf_ends(self.several))
        return 1.0 - high, 1.0 - low

    def natural_range(self, low, high):
        low, high = self.spread(low, high)
        return np.where(self.points < low, 1.0, 0.0), np.where(self.points >= high, 0.0, 1.0)


def two_steps(discount=0.5):
    """A reward of 0 or 1, then one of 0 or 2, then the end; and the exact laws of both states."""
    first, second = [(0.0, 0.25), (1.0, 0.75)], [(0.0, 0.5), (2.0, 0.5)]
    rows = [(0, p, 1, r, False) for r, p in first] + [(1, p, 1, r, True) for r, p in second]
    sums = [(a + discount * b, p * q) for (a, p), (b, q) in product(first, second)]
    laws = [sums, [*second, (0.0, 0.0), (0.0, 0.0)]]
    values, weights = (np.array([[pair[k] for pair in law] for law in laws]) for k in (0, 1))
    return MRP.from_outcomes(rows, discount, initial=[1.0, 0.0]), distrl.ParticleReturns(values, weights)


MODEL, TRUTH = two_steps()
OWN = [Between(0.2, 1.3), SemiDeviation(), Exceedance(0.7)]
METHODS = [
    CategoricalFixedPoint(41),
    QuantileDP(40),
    ParticleDP(50),
    Brackets(41),
    Brackets(41, order="stochastic"),
    MonteCarlo(2_000),
]


@pytest.mark.parametrize("functional", [*OWN, Lottery()], ids=repr)
def test_its_value_is_read_from_laws_of_every_representation(functional):
    for returns in (TRUTH, evaluate(MODEL, CategoricalFixedPoint(41)).returns):
        assert functional.value(returns).shape == (2,)
        assert returns.columns([functional])[functional.label].tolist() == functional.value(returns).tolist()
        assert functional.value(returns[[1]])[0] == functional.value(returns)[1]


@pytest.mark.parametrize("functional", OWN, ids=repr)
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_certified_intervals_of_it_hold_the_true_value(method, functional):
    solution = evaluate(MODEL, method, rng=0)
    low, high = solution.interval(functional).T
    value = functional.value(TRUTH)
    assert (low <= value + 1e-12).all() and (value <= high + 1e-12).all() and np.isfinite(high - low).all()
    np.testing.assert_array_equal(solution.enclosure(functional), solution.interval(functional))


@pytest.mark.parametrize("order", ["convex", "stochastic"])
@pytest.mark.parametrize("functional", OWN, ids=repr)
def test_brackets_enclose_it_and_can_be_refined_for_it(functional, order):
    returns = evaluate(MODEL, Brackets(41, order=order)).returns
    low, high = returns.interval(functional).T
    value = functional.value(TRUTH)
    assert (low <= value + 1e-12).all() and (value <= high + 1e-12).all()
    with pytest.raises(distrl.returns.NotKnown, match=r"ask \.interval"):
        functional.value(returns)


def test_brackets_are_refined_until_it_is_narrow_enough():
    solution = evaluate(MODEL, Brackets(11, target_width=0.05, functional=SemiDeviation()))
    assert np.diff(solution.returns.interval(SemiDeviation())).max() <= 0.05
    assert "target_width=0.05 of semi-deviation" in solution.reason


def test_bootstrap_intervals_take_it_as_they_take_the_functional_that_it_is():
    est = estimate(MODEL, CategoricalFixedPoint(41), samples_per_state=400, rng=0)
    options = {"method": "bootstrap", "resamples": 40, "rng": 1, "numerical": False}
    own, theirs = est.interval(Between(-np.inf, 1.3), **options), est.interval(CDF(1.3), **options)
    np.testing.assert_array_equal(own, theirs)
    # without a slope the errors are as skewed as the redrawn values, above as below
    theirs = est.interval(Below(1.3), **options)
    np.testing.assert_allclose(est.interval(Exceedance(1.3), **options), 1.0 - theirs[:, ::-1], rtol=1e-12)


def test_bootstrap_intervals_with_the_solvers_error_are_wider_and_hold_the_estimate():
    est = estimate(MODEL, CategoricalFixedPoint(41), samples_per_state=400, rng=0)
    for functional in OWN:
        sampled = est.interval(functional, method="bootstrap", resamples=40, rng=1, numerical=False)
        both = est.interval(functional, method="bootstrap", resamples=40, rng=1)
        assert (both[:, 0] <= sampled[:, 0]).all() and (sampled[:, 1] <= both[:, 1]).all()
        value = functional.value(est.returns)
        assert (sampled[:, 0] <= value).all() and (value <= sampled[:, 1]).all()


def test_finite_sample_intervals_of_it_hold_the_truth_without_more_than_enclose():
    est = estimate(MODEL, CategoricalFixedPoint(41), samples_per_state=100_000, rng=0)
    for functional in OWN:
        low, high = est.interval(functional, method="finite-sample").T
        value = functional.value(TRUTH)
        assert (low <= value).all() and (value <= high).all()


def test_a_slope_is_all_that_the_delta_method_needs():
    est = estimate(MODEL, CategoricalFixedPoint(41), samples_per_state=400, rng=0)
    np.testing.assert_array_equal(est.standard_error(Between(-np.inf, 1.3)), est.standard_error(CDF(1.3)))
    low, high = est.interval(Between(0.2, 1.3), numerical=False).T
    assert (low <= Between(0.2, 1.3).value(est.returns)).all() and (high <= 1.0).all()
    with pytest.raises(ValueError, match="semi-deviation has no derivative"):
        est.interval(SemiDeviation())


def test_a_value_alone_has_a_bootstrap_interval_and_no_certain_bounds():
    est = estimate(MODEL, CategoricalFixedPoint(41), samples_per_state=400, rng=0)
    low, high = est.interval(Lottery(), method="bootstrap", resamples=40, rng=1, numerical=False).T
    assert low[0] < Lottery().value(TRUTH)[0] < high[0] < np.inf and low[1] == high[1] == 2.0  # 0 or 2, always
    assert evaluate(MODEL, QuantileDP(20)).interval(Lottery()).tolist() == [[-np.inf, np.inf]] * 2


def test_several_points_are_one_more_axis():
    both = Exceedance((0.3, 1.2))
    solution = evaluate(MODEL, CategoricalFixedPoint(41))
    intervals = solution.interval(both)
    assert intervals.shape == (2, 2, 2) and both.each() == [Exceedance(0.3), Exceedance(1.2)]
    for k, one in enumerate(both.each()):
        np.testing.assert_array_equal(intervals[:, k], solution.interval(one))
    assert solution.interval(Exceedance((-1.0, 5.0))).tolist() == [[[1.0, 1.0], [0.0, 0.0]]] * 2


def test_laws_that_cannot_be_asked_it_say_so_and_tables_leave_it_out():
    returns = evaluate(MODEL, Moments(2)).returns
    assert list(returns.columns([distrl.Mean(), distrl.Std(), *OWN, StopLoss(1.0)])) == ["mean", "sd"]
    for functional in (*OWN, StopLoss(1.0)):
        with pytest.raises(distrl.returns.NotKnown, match="only moments are known"):
            functional.value(returns)


def test_it_has_its_parameters_and_takes_no_others():
    with pytest.raises(ValueError, match="has its parameters"):
        evaluate(MODEL, CategoricalFixedPoint(41)).interval(SemiDeviation(), 0.1)
    with pytest.raises(ValueError, match="create it: SemiDeviation"):
        evaluate(MODEL, CategoricalFixedPoint(41)).interval(SemiDeviation)
