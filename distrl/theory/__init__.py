"""Bounds as pure functions, each with its source."""

from distrl.theory.bounds import (
    SampleSize,
    dkw_halfwidth,
    fixed_point_cramer_squared,
    fixed_point_w1,
    quantile_projection_w1,
    quantile_w1,
    samples_for,
)

__all__ = [
    "SampleSize",
    "dkw_halfwidth",
    "fixed_point_cramer_squared",
    "fixed_point_w1",
    "quantile_projection_w1",
    "quantile_w1",
    "samples_for",
]
