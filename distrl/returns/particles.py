"""Return laws as weighted samples: see `distrl.returns.finite`."""

from distrl.returns.finite import ParticleReturns

__all__ = ["ParticleReturns"]
