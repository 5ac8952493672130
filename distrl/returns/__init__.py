"""What comes out: return laws, their functionals, and distances between them."""

from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.expectile import ExpectileReturns
from distrl.returns.functionals import (
    CDF,
    CVaR,
    EntropicRisk,
    Expectile,
    Functional,
    Mean,
    Quantile,
    Std,
    StopLoss,
    Variance,
)
from distrl.returns.grid import Grid
from distrl.returns.metrics import cramer, energy, kolmogorov, wasserstein
from distrl.returns.particles import ParticleReturns
from distrl.returns.quantile import QuantileReturns

__all__ = [
    "CDF",
    "CVaR",
    "CategoricalReturns",
    "EntropicRisk",
    "Expectile",
    "ExpectileReturns",
    "Functional",
    "Grid",
    "Mean",
    "ParticleReturns",
    "Quantile",
    "QuantileReturns",
    "Returns",
    "Std",
    "StopLoss",
    "Variance",
    "cramer",
    "energy",
    "kolmogorov",
    "wasserstein",
]
