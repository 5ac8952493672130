"""Bounds as pure functions, each with its source."""

from distrl.theory.bounds import (
    dkw_halfwidth,
    fixed_point_cramer_squared,
    fixed_point_w1,
    quantile_projection_w1,
    quantile_w1,
)

__all__ = [
    "dkw_halfwidth",
    "fixed_point_cramer_squared",
    "fixed_point_w1",
    "quantile_projection_w1",
    "quantile_w1",
]
