"""Our own methods keep the laws that `distrl.testing` asks of anybody's."""

from typing import Any

import pytest

import distrl
from distrl.dp.sketch import SketchDP
from distrl.returns.sketch import Gaussians, Hats, Indicators, Sigmoids
from distrl.testing import MethodLaws


class TestCategoricalFixedPoint(MethodLaws):
    @pytest.fixture(params=["auto", "krylov", "direct", "iterate"], autouse=True)
    def solver(self, request):
        self._solver = request.param

    def method(self) -> Any:
        return distrl.CategoricalFixedPoint(41, solver=self._solver)


class TestCategoricalDP(MethodLaws):
    def method(self) -> Any:
        return distrl.CategoricalDP(41, sweeps=400)


class TestQuantileDP(MethodLaws):
    def method(self) -> Any:
        return distrl.QuantileDP(31)


class TestExpectileDP(MethodLaws):
    def method(self) -> Any:
        return distrl.ExpectileDP(7)


class TestParticleDP(MethodLaws):
    def method(self) -> Any:
        return distrl.ParticleDP(41)


class TestMoments(MethodLaws):
    accuracy = 1e-9

    def method(self) -> Any:
        return distrl.Moments(2)


class TestMonteCarlo(MethodLaws):
    def method(self) -> Any:
        return distrl.MonteCarlo(200)


class TestBrackets(MethodLaws):
    @pytest.fixture(params=["convex", "stochastic"], autouse=True)
    def order(self, request):
        self._order = request.param

    def method(self) -> Any:
        return distrl.Brackets(41, order=self._order)


class TestSketchDP(MethodLaws):
    @pytest.fixture(params=[Hats(), Indicators(), Sigmoids(), Gaussians()], ids=repr, autouse=True)
    def features(self, request):
        self._features = request.param

    def method(self) -> Any:
        return SketchDP(self._features, 41)
