"""One application of a distributional Bellman operator."""

from distrl.operators.categorical import CategoricalBellman
from distrl.operators.quantile import QuantileBellman
from distrl.operators.sketch import SketchBellman
from distrl.operators.stochastic import StochasticCDFBellman

__all__ = ["CategoricalBellman", "QuantileBellman", "SketchBellman", "StochasticCDFBellman"]
