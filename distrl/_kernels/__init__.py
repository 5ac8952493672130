"""Numba functions on plain arrays: validated input in, `out` arrays filled."""
