"""One application of a distributional Bellman operator."""

from distrl.operators.categorical import CategoricalBellman
from distrl.operators.optimality import CategoricalOptimality, QuantileOptimality
from distrl.operators.quantile import QuantileBellman
from distrl.operators.sketch import SketchBellman
from distrl.operators.stochastic import StochasticCDFBellman

__all__ = [
    "CategoricalBellman",
    "CategoricalOptimality",
    "QuantileBellman",
    "QuantileOptimality",
    "SketchBellman",
    "StochasticCDFBellman",
]
