"""`estimate`: the return distribution of a sampled model, with confidence intervals."""

from distrl.generative.adaptive import neyman_allocation
from distrl.generative.estimate import estimate
from distrl.generative.intervals import Bootstrap, Delta, FiniteSample, IntervalMethod
from distrl.generative.result import Estimate
from distrl.generative.sampled import SampledSolution

__all__ = [
    "Bootstrap",
    "Delta",
    "Estimate",
    "FiniteSample",
    "IntervalMethod",
    "SampledSolution",
    "estimate",
    "neyman_allocation",
]
