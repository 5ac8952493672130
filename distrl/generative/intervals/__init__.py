"""Confidence intervals from samples: three methods, and the protocol that another one keeps to."""

from distrl.generative.intervals.base import IntervalMethod
from distrl.generative.intervals.bootstrap import Bootstrap
from distrl.generative.intervals.delta import Delta
from distrl.generative.intervals.finite_sample import FiniteSample

__all__ = ["Bootstrap", "Delta", "FiniteSample", "IntervalMethod"]
