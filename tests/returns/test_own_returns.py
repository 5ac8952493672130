"""Representations that are not the library's, written with public names alone."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import distrl
from distrl import CDF, CVaR, EntropicRisk, Expectile, Mean, ParticleReturns, Quantile, Std, StopLoss, Variance
from distrl.returns import FiniteReturns, NotKnown, Returns

pytestmark = pytest.mark.fast
ALL = [
    Mean(),
    Variance(),
    Std(),
    Quantile((0.0, 0.3, 1.0)),
    CVaR((0.2, 1.0)),
    CVaR((0.2, 1.0), "upper"),
    CDF((-np.inf, 0.0, 1.0)),
    StopLoss((-1.0, 0.5)),
    Expectile((0.1, 0.5)),
    EntropicRisk((-1.0, 0.0, 2.0)),
]


class Bets(FiniteReturns):
    """Laws (1 - p) delta(low) + p delta(high): the four members that a finite representation supplies."""

    def __init__(self, low, high, p):
        self.low, self.high, self.p = np.broadcast_arrays(low, high, p)

    @property
    def batch_shape(self):
        return self.low.shape

    def support_weights(self):
        return np.stack([self.low, self.high], axis=-1), np.stack([1.0 - self.p, self.p], axis=-1)

    def arrays(self):
        return {"low": self.low, "high": self.high, "p": self.p}

    def __getitem__(self, index):
        return Bets(self.low[index], self.high[index], self.p[index])


@dataclass(frozen=True)
class Normal(Returns):
    """Normal laws: no finitely many values, so what is not answered is not known."""

    centre: np.ndarray
    spread: np.ndarray
    why_not = "of normal laws only the mean, the spread, the CDF and quantiles are read; ask one of these"

    @property
    def batch_shape(self):
        return self.centre.shape

    def mean(self):
        return self.centre

    def std(self):
        return self.spread

    def cdf(self, x):
        shape = (self.batch_shape + (1,) * np.ndim(x)) if np.ndim(x) else self.batch_shape
        return stats.norm.cdf(x, self.centre.reshape(shape), self.spread.reshape(shape))

    def arrays(self):
        return {"centre": self.centre, "spread": self.spread}

    def __getitem__(self, index):
        return Normal(np.asarray(self.centre[index]), np.asarray(self.spread[index]))


@st.composite
def bets(draw):
    states = draw(st.integers(1, 4))
    numbers = st.integers(-8, 8).map(float)
    low = np.array(draw(st.lists(numbers, min_size=states, max_size=states)))
    width = np.array(draw(st.lists(st.integers(0, 8).map(float), min_size=states, max_size=states)))
    p = np.array(draw(st.lists(st.integers(0, 8), min_size=states, max_size=states))) / 8.0
    return Bets(low, low + width, p)


def as_particles(laws):
    values, weights = laws.support_weights()
    return ParticleReturns(values, weights)


@given(bets())
def test_every_functional_is_answered_as_it_is_for_particles(laws):
    for functional in ALL:
        np.testing.assert_array_equal(functional.value(laws), functional.value(as_particles(laws)), repr(functional))
    assert list(laws.columns(ALL)) == [functional.label for functional in ALL]


@given(bets(), bets())
def test_every_metric_takes_it_on_either_side(laws, others):
    other = others[0]
    for metric in (distrl.wasserstein, distrl.cramer, distrl.energy, distrl.kolmogorov):
        expected = metric(as_particles(laws), as_particles(other))
        np.testing.assert_array_equal(metric(laws, other), expected)
        np.testing.assert_array_equal(metric(laws, as_particles(other)), expected)
        np.testing.assert_allclose(metric(other, laws), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        distrl.wasserstein(laws, stats.norm()), distrl.wasserstein(as_particles(laws), stats.norm())
    )


@given(bets(), st.data())
def test_mixtures_samples_and_states_are_those_of_particles(laws, data):
    counts = data.draw(st.lists(st.integers(0, 4), min_size=len(laws), max_size=len(laws)).filter(any))
    weights = np.array(counts) / sum(counts)
    mixed = laws.mix(weights)
    assert mixed.batch_shape == ()
    np.testing.assert_allclose(mixed.cdf([-1.0, 0.0, 3.5]), weights @ laws.cdf([-1.0, 0.0, 3.5]), atol=1e-12)
    np.testing.assert_allclose(mixed.mean(), weights @ laws.mean(), atol=1e-12)
    np.testing.assert_array_equal(laws.sample(5, rng=0), as_particles(laws).sample(5, rng=0))
    assert [float(law.mean()) for law in laws] == laws.mean().tolist()


def test_it_is_one_law_a_state_and_says_so():
    laws = Bets([0.0, 1.0], [2.0, 5.0], [0.5, 0.25])
    assert len(laws) == 2 and laws.spacing is None and not laws.moments_alone
    assert repr(laws) == "Bets(2 states)" and repr(laws[0]) == "Bets(one law, mean=1, std=1)"
    for wrong, sentence in (
        ([1.0], "each state needs one"),
        ([2.0, -1.0], "cannot be negative"),
        ([0.5, 0.6], "not 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            laws.mix(wrong)


def test_it_is_drawn():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = Bets([0.0, 1.0], [2.0, 5.0], [0.5, 0.25]).plot(labels=["even", "odd"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["even", "odd"]
    matplotlib.pyplot.close(axes.figure)


def test_a_law_of_another_kind_answers_what_it_can_and_refuses_the_rest_in_its_own_words():
    laws = Normal(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    assert list(laws.columns([Mean(), Std(), CVaR(0.1), CDF(0.0)])) == ["mean", "sd", "P(return <= 0)"]
    np.testing.assert_allclose(CDF((0.0, 1.0)).value(laws), stats.norm.cdf([[0.0, 1.0], [-0.5, 0.0]]))
    assert repr(laws[1]).startswith("Normal(")
    for refused in (
        lambda: laws.cvar(0.1),
        lambda: laws.sample(3),
        lambda: laws.plot(),
        lambda: CVaR(0.1).value(laws),
        lambda: distrl.wasserstein(laws, stats.norm()),
    ):
        with pytest.raises(NotKnown, match="ask one of these"):
            refused()
    with pytest.raises(NotKnown, match="Normal gives no law to mix"):
        laws.mix([0.5, 0.5])


def test_what_is_not_known_is_a_type_error_and_a_value_error():
    laws = Normal(np.zeros(2), np.ones(2))
    for kind in (TypeError, ValueError):
        with pytest.raises(kind):
            laws.quantile(0.5)
