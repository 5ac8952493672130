"""What comes out: return laws, their functionals, and distances between them."""

from distrl.returns.base import NotKnown, Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.expectile import ExpectileReturns
from distrl.returns.finite import FiniteReturns, ParticleReturns, as_finite
from distrl.returns.functionals import (
    CDF,
    CVaR,
    EntropicRisk,
    EVaR,
    Expectile,
    Functional,
    Mean,
    MeanCVaR,
    MeanVariance,
    Pointed,
    ProbabilityAbove,
    Quantile,
    Shortfall,
    Std,
    StopLoss,
    Variance,
)
from distrl.returns.grid import Grid
from distrl.returns.lattice import LatticeReturns
from distrl.returns.metrics import cramer, energy, kolmogorov, wasserstein
from distrl.returns.moments import MomentReturns, ValueEstimates
from distrl.returns.quantile import QuantileReturns
from distrl.returns.sketch import Features, Gaussians, Hats, Indicators, Sigmoids, SketchReturns

__all__ = [
    "CDF",
    "CVaR",
    "CategoricalReturns",
    "EVaR",
    "EntropicRisk",
    "Expectile",
    "ExpectileReturns",
    "Features",
    "FiniteReturns",
    "Functional",
    "Gaussians",
    "Grid",
    "Hats",
    "Indicators",
    "LatticeReturns",
    "Mean",
    "MeanCVaR",
    "MeanVariance",
    "MomentReturns",
    "NotKnown",
    "ParticleReturns",
    "Pointed",
    "ProbabilityAbove",
    "Quantile",
    "QuantileReturns",
    "Returns",
    "Shortfall",
    "Sigmoids",
    "SketchReturns",
    "Std",
    "StopLoss",
    "ValueEstimates",
    "Variance",
    "as_finite",
    "cramer",
    "energy",
    "kolmogorov",
    "wasserstein",
]
