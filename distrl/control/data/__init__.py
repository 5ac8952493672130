"""Decisions from samples: what is sure of them, what fresh samples say, and what to sample next."""

from distrl.control.data.confirmation import Confirmation
from distrl.control.data.dominated import PessimisticProcess
from distrl.control.data.pessimism import PessimisticIteration

__all__ = ["Confirmation", "PessimisticIteration", "PessimisticProcess"]
