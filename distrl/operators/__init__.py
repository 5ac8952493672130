"""One application of a distributional Bellman operator."""

from distrl.operators.categorical import CategoricalBellman
from distrl.operators.quantile import QuantileBellman

__all__ = ["CategoricalBellman", "QuantileBellman"]
