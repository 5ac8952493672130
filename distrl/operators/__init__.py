"""One application of a distributional Bellman operator."""

from distrl.operators.categorical import CategoricalBellman

__all__ = ["CategoricalBellman"]
