"""Entropic risk and EVaR: policies that depend on the time, by dynamic programming over it."""

from distrl.control.timed.method import TimedDP
from distrl.control.timed.policy import TimedPolicy

__all__ = ["TimedDP", "TimedPolicy"]
