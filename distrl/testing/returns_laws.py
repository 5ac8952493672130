"""What a representation of return laws keeps, as a suite of tests.

A subclass says what is to be tested and inherits the rest:

    class TestMine(ReturnsLaws):
        def returns(self):
            return MyReturns(...)  # of three states or more

What the suite needs to know beyond that is an attribute with a default. Nothing here uses a private name of the
library: a suite that passes is the proof that a newcomer fits the public protocol.
"""

from typing import ClassVar

import numpy as np
import pytest

import distrl
from distrl._tolerances import EPS, NOT_ZERO
from distrl._validation import FloatArray
from distrl.returns.finite import FiniteReturns, as_finite

_DKW = 4.0  # sqrt(n) times the Kolmogorov distance of n draws: beyond it with probability 2 exp(-32)


class ReturnsLaws:
    """What a representation of return laws keeps, for a batch of states."""

    #: Whether the laws have finitely many values, and so all functionals (`distrl.FiniteReturns`).
    finite: ClassVar[bool] = True

    def returns(self) -> distrl.Returns:
        """Laws of at least three states, no two alike."""
        raise NotImplementedError("say which return laws are tested")

    def test_the_batch_has_a_shape_that_indexing_follows(self) -> None:
        laws = self.returns()
        assert len(laws.batch_shape) == 1
        assert len(laws) == laws.batch_shape[0] >= 3
        assert laws[1].batch_shape == ()
        assert laws[[2, 0]].batch_shape == (2,)
        assert laws[1:].batch_shape == (len(laws) - 1,)
        with pytest.raises(IndexError, match=str(len(laws))):
            laws[len(laws)]

    def test_a_mean_does_not_depend_on_the_other_laws(self) -> None:
        laws = self.returns()
        means = np.asarray(laws.mean())
        assert means.shape == laws.batch_shape
        assert np.isfinite(means).all()
        np.testing.assert_array_equal([float(laws[s].mean()) for s in range(len(laws))], means)
        np.testing.assert_array_equal(laws[[2, 0]].mean(), means[[2, 0]])

    def test_arrays_state_the_laws(self) -> None:
        arrays = self.returns().arrays()
        assert arrays
        for name, array in arrays.items():
            assert isinstance(name, str)
            assert not np.asarray(array).dtype.hasobject

    def test_repr_is_one_line(self) -> None:
        laws = self.returns()
        for law in (laws, laws[0]):
            assert type(laws).__name__ in repr(law)
            assert "\n" not in repr(law)

    # -- laws of finitely many values -------------------------------------------------------------------------------

    def _finite(self) -> FiniteReturns:
        if not self.finite:
            pytest.skip("these laws have no finite support")
        return as_finite(self.returns())

    def _rows(self) -> list[tuple[FloatArray, FloatArray]]:
        laws = self._finite()
        values, weights = laws.support_weights()
        shape = (len(laws), values.shape[-1])
        return list(zip(np.broadcast_to(values, shape), np.broadcast_to(weights, shape), strict=True))

    def test_weights_are_a_distribution_on_sorted_values(self) -> None:
        for values, weights in self._rows():
            assert (np.diff(values) >= 0.0).all()
            assert (weights >= -8 * EPS).all()
            assert abs(weights.sum() - 1.0) <= 1e-9

    def test_moments_are_those_of_the_support(self) -> None:
        laws = self._finite()
        found = zip(self._rows(), laws.mean(), laws.var(), laws.std(), strict=True)
        for (values, weights), mean, variance, sd in found:
            size = max(float(np.abs(values).max()), NOT_ZERO)
            expected = float(weights @ values)
            spread = float(weights @ (values - expected) ** 2)
            assert abs(mean - expected) <= len(values) * 4 * EPS * size
            assert abs(variance - spread) <= len(values) * 16 * EPS * size**2
            assert abs(sd**2 - variance) <= 8 * EPS * variance + NOT_ZERO

    def test_the_cdf_rises_from_0_to_1_and_jumps_by_the_weights(self) -> None:
        laws = self._finite()
        for state, (values, weights) in enumerate(self._rows()):
            cdf = laws[state].cdf(values)
            assert (np.diff(cdf) >= -4 * EPS).all()
            np.testing.assert_allclose(cdf, [weights[values <= v].sum() for v in values], rtol=0, atol=1e-12)
            ends = laws[state].cdf([values[0] - 1.0, values[-1], np.inf])
            np.testing.assert_allclose(ends, [0.0, 1.0, 1.0], rtol=0, atol=1e-9)

    def test_quantiles_invert_the_cdf(self) -> None:
        laws, levels = self._finite(), np.array([0.013, 0.25, 0.5, 0.83, 0.997])
        for state in range(len(laws)):
            quantiles = laws[state].quantile(levels)
            assert (np.diff(quantiles) >= 0.0).all()
            assert (laws[state].cdf(quantiles) >= levels - 2e-9).all()
            below = quantiles - 1e-9 * np.maximum(np.abs(quantiles), 1.0)
            assert (laws[state].cdf(below) <= levels + 2e-9).all()

    def test_cvar_lies_between_the_worst_value_and_the_mean(self) -> None:
        laws, levels = self._finite(), np.array([0.05, 0.3, 0.7, 1.0])
        lower, upper, mean = laws.cvar(levels), laws.cvar(levels, tail="upper"), laws.mean()[:, None]
        room = 1e-9 * max(float(np.abs(mean).max()), 1.0)
        assert (np.diff(lower, axis=1) >= -room).all()
        assert (np.diff(upper, axis=1) <= room).all()
        np.testing.assert_allclose(lower[:, -1], mean[:, 0], rtol=0, atol=room)
        # the mean is the mixture of both tails that meet
        for at, level in ((0, 0.05), (1, 0.3)):
            rest = laws.cvar(1.0 - level, tail="upper")
            np.testing.assert_allclose(level * lower[:, at] + (1.0 - level) * rest, mean[:, 0], rtol=0, atol=room)

    def test_stop_loss_expectile_and_entropic_risk_satisfy_their_definitions(self) -> None:
        laws = self._finite()
        for state, (values, weights) in enumerate(self._rows()):
            law, size = laws[state], max(float(np.abs(values).max()), 1.0)
            middle = float(law.mean())
            plain = float(weights @ np.maximum(values - middle, 0.0))
            assert abs(float(law.stop_loss(middle)) - plain) <= 1e-12 * size * len(values)
            e = float(law.expectile(0.3))
            over, under = weights @ np.maximum(values - e, 0.0), weights @ np.maximum(e - values, 0.0)
            assert abs(0.3 * over - 0.7 * under) <= 1e-9 * size
            beta = -1.0 / size
            plain = float(np.log(weights @ np.exp(beta * values)) / beta)
            assert abs(float(law.entropic_risk(beta)) - plain) <= 1e-9 * size
            assert abs(float(law.entropic_risk(0.0)) - middle) <= 1e-12 * size * len(values)

    def test_draws_follow_the_law_and_repeat_with_their_seed(self) -> None:
        laws = self._finite()
        draws = laws.sample(4000, rng=3)
        assert draws.shape == (*laws.batch_shape, 4000)
        np.testing.assert_array_equal(draws, laws.sample(4000, rng=3))
        for state, (values, weights) in enumerate(self._rows()):
            assert np.isin(draws[state], values).all()
            gaps = [abs((draws[state] <= v).mean() - weights[values <= v].sum()) for v in values]
            assert max(gaps) <= _DKW / np.sqrt(4000)

    def test_distances_are_those_of_a_metric(self) -> None:
        laws = self._finite()
        a, b, c = laws[[0]], laws[[1]], laws[[2]]
        for distance in (distrl.wasserstein, distrl.cramer, distrl.kolmogorov, distrl.energy):
            ab, bc, ac = (float(distance(*pair)[0]) for pair in ((a, b), (b, c), (a, c)))
            room = 1e-9 * max(ab, bc, ac, 1.0)
            assert abs(float(distance(b, a)[0]) - ab) <= room
            assert float(distance(a, a)[0]) <= room
            assert ac <= ab + bc + room
        assert abs(float(a.mean()[0] - b.mean()[0])) <= float(distrl.wasserstein(a, b)[0]) + 1e-9

    def test_a_mixture_has_the_mixed_mean_and_cdf(self) -> None:
        laws = self._finite()
        weights = np.arange(1.0, len(laws) + 1.0)
        weights /= weights.sum()
        mixed = laws.mix(weights)
        points = np.quantile(laws.support_weights()[0], [0.1, 0.5, 0.9])
        size = max(float(np.abs(laws.mean()).max()), 1.0)
        assert mixed.batch_shape == ()
        assert abs(float(mixed.mean()) - float(weights @ laws.mean())) <= 1e-12 * size * len(laws)
        np.testing.assert_allclose(mixed.cdf(points), weights @ laws.cdf(points), rtol=0, atol=1e-12)
