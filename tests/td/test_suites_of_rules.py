"""Our own learning rules keep the laws that `distrl.testing` asks of anybody's."""

from typing import Any

import pytest

import distrl
from distrl.returns.sketch import Hats, Sigmoids
from distrl.testing import RuleLaws

GRID = distrl.Grid(-6.0, 6.0, 31)


class TestTD(RuleLaws):
    def rule(self) -> Any:
        return distrl.TD()


class TestAveragedTD(RuleLaws):
    def rule(self) -> Any:
        return distrl.TD(average_from=5)


class TestThreeSteps(RuleLaws):
    def rule(self) -> Any:
        return distrl.CategoricalTD(grid=GRID, steps=3)


class TestCategorical(RuleLaws):
    def rule(self) -> Any:
        return distrl.CategoricalTD(grid=GRID)


class TestSpeedy(RuleLaws):
    samplings = ("synchronous",)

    def rule(self) -> Any:
        return distrl.CategoricalTD(grid=GRID, variant="speedy")


class TestQuantile(RuleLaws):
    accuracy = 1.0

    def rule(self) -> Any:
        return distrl.QuantileTD(15)


class TestExpectile(RuleLaws):
    def rule(self) -> Any:
        return distrl.ExpectileTD(5)


class TestSketch(RuleLaws):
    @pytest.fixture(params=[Hats(), Sigmoids()], ids=repr, autouse=True)
    def features(self, request):
        self._features = request.param

    def rule(self) -> Any:
        return distrl.td.SketchTD(self._features, grid=GRID)
