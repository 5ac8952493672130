"""What comes out: return laws, their functionals, and distances between them."""

from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.expectile import ExpectileReturns
from distrl.returns.grid import Grid
from distrl.returns.metrics import cramer, energy, kolmogorov, wasserstein
from distrl.returns.particles import ParticleReturns
from distrl.returns.quantile import QuantileReturns

__all__ = [
    "CategoricalReturns",
    "ExpectileReturns",
    "Grid",
    "ParticleReturns",
    "QuantileReturns",
    "Returns",
    "cramer",
    "energy",
    "kolmogorov",
    "wasserstein",
]
