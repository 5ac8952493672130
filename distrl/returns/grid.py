"""Uniform grids of atoms, and the intervals that suit a model."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from distrl._validation import FloatArray, real_number, whole_number


@dataclass(frozen=True)
class Grid:
    """`atoms` equally spaced points from `low` to `high`, both included.

    Parameters
    ----------
    low, high : float
        Ends, low < high, in units of reward.
    atoms : int
        Number of points, at least 2.

    Raises
    ------
    ValueError, TypeError
        If low >= high, atoms < 2, an end is not finite, or the points are too close to be told apart in float64.
    """

    low: float
    high: float
    atoms: int

    def __post_init__(self) -> None:
        low = real_number(self.low, "Grid low")
        high = real_number(self.high, "Grid high")
        atoms = whole_number(self.atoms, "Grid atoms", low=2)
        if low >= high:
            raise ValueError(f"Grid needs low < high, got low={low:g}, high={high:g}")
        if not math.isfinite(high - low):
            raise ValueError(f"Grid from {low:g} to {high:g} is wider than float64 can hold")
        if (high - low) / (atoms - 1) <= max(16 * np.spacing(max(abs(low), abs(high))), 1e-290):
            raise ValueError(
                f"Grid from {low!r} to {high!r} with {atoms} atoms: the atoms are too close to be told apart in "
                "float64; widen the interval, shift the rewards or use fewer atoms"
            )
        for name, value in (("low", low), ("high", high), ("atoms", atoms)):
            object.__setattr__(self, name, value)

    @property
    def width(self) -> float:
        """high - low."""
        return self.high - self.low

    @property
    def spacing(self) -> float:
        """Distance between neighbouring atoms."""
        return self.width / (self.atoms - 1)

    @cached_property
    def points(self) -> FloatArray:
        """The atoms, shape (atoms,), read-only."""
        points = np.linspace(self.low, self.high, self.atoms)
        points.flags.writeable = False
        return points
