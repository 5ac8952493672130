"""`estimate`: the return distribution of a sampled model, with confidence intervals."""

from distrl.generative.allocation import neyman_allocation
from distrl.generative.estimate import estimate
from distrl.generative.intervals import Estimate

__all__ = ["Estimate", "estimate", "neyman_allocation"]
