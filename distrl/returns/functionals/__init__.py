"""What can be read from a return law, as objects; `parse` makes them from the short forms that users type.

`Functional` says what one of your own supplies, and what works with it then.
"""

from distrl.returns.functionals.averages import EntropicRisk, Mean, Std, Variance
from distrl.returns.functionals.base import Functional, Pointed, Points
from distrl.returns.functionals.enclosing import Enclosing, Ends
from distrl.returns.functionals.evar import EVaR
from distrl.returns.functionals.intervals import CrossedEnds, as_interval, intersection
from distrl.returns.functionals.levels import CVaR, Expectile, Quantile
from distrl.returns.functionals.objectives import MeanCVaR, MeanVariance, ProbabilityAbove, Shortfall
from distrl.returns.functionals.parsing import NAMES, parse
from distrl.returns.functionals.points import CDF, StopLoss

__all__ = [
    "CDF",
    "NAMES",
    "CVaR",
    "CrossedEnds",
    "EVaR",
    "Enclosing",
    "Ends",
    "EntropicRisk",
    "Expectile",
    "Functional",
    "Mean",
    "MeanCVaR",
    "MeanVariance",
    "Pointed",
    "Points",
    "ProbabilityAbove",
    "Quantile",
    "Shortfall",
    "Std",
    "StopLoss",
    "Variance",
    "as_interval",
    "intersection",
    "parse",
]
