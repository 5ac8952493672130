"""Our own return laws and functionals keep the laws that `distrl.testing` asks of anybody's."""

import numpy as np
import pytest

import distrl
from distrl.returns.sketch import Gaussians, Hats, Indicators, Sigmoids, SketchReturns
from distrl.testing import FunctionalLaws, ReturnsLaws

GRID = distrl.Grid(-2.0, 3.0, 21)
MRP = distrl.environments.garnet(4, 2, 3, discount=0.8, rng=0).under("uniform")


def masses() -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(GRID.atoms), size=4)


class TestCategorical(ReturnsLaws):
    def returns(self) -> distrl.Returns:
        return distrl.CategoricalReturns(GRID, masses())


class TestQuantile(ReturnsLaws):
    def returns(self) -> distrl.Returns:
        levels = (2.0 * np.arange(11) + 1.0) / 22.0
        return distrl.QuantileReturns(levels, np.sort(np.random.default_rng(1).normal(size=(3, 11)), axis=1))


class TestParticle(ReturnsLaws):
    def returns(self) -> distrl.Returns:
        rng = np.random.default_rng(2)
        return distrl.ParticleReturns(rng.normal(size=(3, 7)), rng.dirichlet(np.ones(7), size=3))


class TestExpectile(ReturnsLaws):
    def returns(self) -> distrl.Returns:
        run = distrl.learn(MRP, distrl.ExpectileTD(5), updates=30, rng=0)
        return run.final[0]


class TestMoments(ReturnsLaws):
    finite = False

    def returns(self) -> distrl.Returns:
        return distrl.evaluate(MRP, distrl.Moments(3)).returns


class TestBrackets(ReturnsLaws):
    finite = False

    def returns(self) -> distrl.Returns:
        return distrl.evaluate(MRP, distrl.Brackets(21)).returns


class TestMeanEstimates(ReturnsLaws):
    finite = False

    def returns(self) -> distrl.Returns:
        return distrl.learn(MRP, distrl.TD(), updates=30, rng=0).final[0]


class TestSketch(ReturnsLaws):
    @pytest.fixture(params=[Hats(), Indicators(), Sigmoids(), Gaussians()], ids=repr, autouse=True)
    def features(self, request):
        self._features = request.param

    def returns(self) -> distrl.Returns:
        return SketchReturns(self._features, GRID, masses() @ self._features(GRID.points, GRID))


class TestMean(FunctionalLaws):
    translates = True

    def functional(self) -> distrl.Functional:
        return distrl.Mean()


class TestVariance(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.Variance()


class TestStd(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.Std()


class TestCVaR(FunctionalLaws):
    translates = True

    @pytest.fixture(params=[(0.1, "lower"), (0.3, "upper"), (1.0, "lower")], autouse=True)
    def options(self, request):
        self._options = request.param

    def functional(self) -> distrl.Functional:
        return distrl.CVaR(*self._options)


class TestQuantileOfLaw(FunctionalLaws):
    translates = True

    def functional(self) -> distrl.Functional:
        return distrl.Quantile(0.6)


class TestExpectileOfLaw(FunctionalLaws):
    translates = True

    def functional(self) -> distrl.Functional:
        return distrl.Expectile(0.2)


class TestCDF(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.CDF(0.1)


class TestStopLoss(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.StopLoss(0.1)


class TestEntropicRisk(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.EntropicRisk(-0.5)


class TestMeanCVaR(FunctionalLaws):
    translates = True

    def functional(self) -> distrl.Functional:
        return distrl.MeanCVaR(0.3, 0.25)


class TestShortfall(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.Shortfall(0.1)


class TestMeanVariance(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.MeanVariance(0.7)


class TestProbabilityAbove(FunctionalLaws):
    def functional(self) -> distrl.Functional:
        return distrl.ProbabilityAbove(0.5)


class TestEVaR(FunctionalLaws):
    translates = True

    @pytest.fixture(params=[0.1, 0.7, 1.0], autouse=True)
    def options(self, request):
        self._level = request.param

    def functional(self) -> distrl.Functional:
        return distrl.EVaR(self._level)
