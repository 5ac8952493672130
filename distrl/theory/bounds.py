"""Bounds that other modules import from here."""

from distrl.theory.projection import fixed_point_w1
from distrl.theory.rounding import elimination_relative_error
from distrl.theory.samples import dkw_halfwidth

__all__ = ["dkw_halfwidth", "elimination_relative_error", "fixed_point_w1"]
