"""What a functional keeps, as a suite of tests.

A subclass says what is to be tested and inherits the rest:

    class TestMine(FunctionalLaws):
        def functional(self):
            return MyFunctional(0.1)

What the suite needs to know beyond that is an attribute with a default. Nothing here uses a private name of the
library: a suite that passes is the proof that a newcomer fits the public protocol.
"""

from typing import ClassVar

import numpy as np
import pytest

import distrl
from distrl import MRP


class FunctionalLaws:
    """What a functional keeps: the value of a law, and an interval of what it can be."""

    #: Whether f(a Z + b) = a f(Z) + b for a > 0, as for means, quantiles and CVaR.
    translates: ClassVar[bool] = False

    def functional(self) -> distrl.Functional:
        """The functional, with its parameter."""
        raise NotImplementedError("say which functional is tested")

    def laws(self) -> distrl.ParticleReturns:
        """What it is read from: three laws on five values."""
        rng = np.random.default_rng(2)
        values = np.sort(rng.normal(size=(3, 5)), axis=1)
        return distrl.ParticleReturns(values, rng.dirichlet(np.ones(5), size=3))

    def test_a_value_does_not_depend_on_the_other_laws(self) -> None:
        laws, functional = self.laws(), self.functional()
        values = np.asarray(functional.value(laws))
        assert values.shape[0] == 3
        for state in range(3):
            np.testing.assert_allclose(functional.value(laws[state]), values[state], rtol=1e-12, atol=1e-12)

    def test_a_value_does_not_depend_on_how_a_law_is_written(self) -> None:
        laws, functional = self.laws(), self.functional()
        values, weights = laws.support_weights()
        twice = distrl.ParticleReturns(np.repeat(values, 2, axis=1), np.repeat(0.5 * weights, 2, axis=1))
        np.testing.assert_allclose(functional.value(twice), functional.value(laws), rtol=1e-9, atol=1e-9)

    def test_it_moves_with_the_law(self) -> None:
        if not self.translates:
            pytest.skip("the functional does not scale with the law")
        laws, functional = self.laws(), self.functional()
        values, weights = laws.support_weights()
        moved = distrl.ParticleReturns(2.0 * values + 3.0, weights)
        np.testing.assert_allclose(
            functional.value(moved), 2.0 * np.asarray(functional.value(laws)) + 3.0, rtol=1e-12, atol=1e-12
        )

    def test_certified_intervals_hold_the_exact_value(self) -> None:
        rows = [(0, 0.25, 0, 2.0, True), (0, 0.5, 0, -1.0, True), (0, 0.25, 0, 0.5, True)]
        model = MRP.from_outcomes(rows, 0.9)
        exact = distrl.ParticleReturns(np.array([[-1.0, 0.5, 2.0]]), np.array([[0.5, 0.25, 0.25]]))
        truth = np.asarray(self.functional().value(exact))
        for method in (distrl.CategoricalFixedPoint(61), distrl.QuantileDP(40), distrl.Brackets(61)):
            ends = distrl.evaluate(model, method).interval(self.functional())
            room = 1e-9 * np.maximum(np.abs(truth), 1.0)
            assert (ends[..., 0] <= truth + room).all(), method
            assert (truth - room <= ends[..., 1]).all(), method

    def test_its_label_is_short(self) -> None:
        assert 0 < len(self.functional().label) < 40
