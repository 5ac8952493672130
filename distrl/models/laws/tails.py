"""The tails of a law that is known by its CDF: how far out there is something, and the power law beyond."""

import math
from dataclasses import dataclass

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.models.laws.describe import Function
from distrl.models.laws.sides import LARGEST


@dataclass(frozen=True)
class Tail:
    """S(c + y) = mass (y / start)^-exponent for y > start, and likewise F(c - y); nothing where `mass` is 0."""

    start: float
    mass: float
    exponent: float
    integral: float  # over the tail
    error: float  # of `integral`

    def height(self, y: FloatArray) -> FloatArray:
        """S(c + y), or F(c - y)."""
        return self._power(y, self.mass, self.exponent)

    def beyond(self, y: FloatArray) -> FloatArray:
        """int_y^inf of the tail."""
        return self._power(y, self.integral, self.exponent - 1.0)

    def distance(self, mass: FloatArray) -> FloatArray:
        """The y with height(y) = mass."""
        with np.errstate(all="ignore"):
            return np.asarray(self.start * (self.mass / mass) ** (1.0 / self.exponent))

    def _power(self, y: FloatArray, height: float, exponent: float) -> FloatArray:
        if height == 0.0:
            return np.zeros_like(y)
        with np.errstate(all="ignore"):
            return np.asarray(height * (np.maximum(y, self.start) / self.start) ** -exponent)


def march(
    function: Function, centre: float, unit: float, sign: float, end: float, name: str
) -> tuple[FloatArray, Tail]:
    """Distances unit, 2 unit, 4 unit, ... from the centre, until what is beyond is negligible; and the tail beyond."""
    nothing = Tail(1.0, 0.0, math.inf, 0.0, 0.0)
    if end == centre:
        return np.empty(0), nothing
    distances, heights = np.empty(0), np.empty(0)
    octave = 0
    while True:
        with np.errstate(over="ignore"):
            more = unit * 2.0 ** np.arange(octave, octave + 8)
            x = centre + sign * more
        inside = (np.abs(x) < LARGEST) & (x > end if sign < 0.0 else x < end)
        more = more[inside]
        distances, heights = np.append(distances, more), np.append(heights, function(centre + sign * more))
        last = _where_to_stop(distances, heights, unit)
        if last is not None or not inside.all():
            break
        octave += 8
    if last is None and math.isfinite(end):
        return np.append(centre + sign * distances, end), nothing
    last = len(distances) - 1 if last is None else last
    distances, heights = distances[: last + 1], heights[: last + 1]
    return centre + sign * distances, _tail(distances, heights, unit, name) if math.isinf(end) else nothing


def _where_to_stop(distances: FloatArray, heights: FloatArray, unit: float) -> int | None:
    negligible = (heights == 0.0) | ((heights < 1e-15) & (distances * heights <= 1e-17 * unit)) | (heights < 1e-290)
    # 1 - F has no digits left: it is a multiple of 2^-53, but for the rounding of a logarithm
    counts = heights * 2.0**53
    few = (counts > 0.5) & (counts < 1e6)
    if few.sum() >= 2 and (np.abs(counts - np.round(counts))[few] < 1e-4).all():
        negligible |= counts < 1e6
    noise = np.append(False, (heights[1:] > 0.99 * heights[:-1]) & (heights[1:] < 1e-8))
    found = np.flatnonzero(negligible | noise)
    return int(found[0]) if found.size else None


def _tail(distances: FloatArray, heights: FloatArray, unit: float, name: str) -> Tail:
    start, mass = float(distances[-1]), float(heights[-1])
    positive = heights > 0.0
    if mass == 0.0 or positive.sum() < 3:
        return Tail(start, 0.0, math.inf, 0.0, start * mass)
    slopes = -np.diff(np.log2(heights))
    exponent, before = float(slopes[-1]), float(slopes[-2])
    if heights[-1] > 0.99 * heights[-2]:  # noise: what it was before
        exponent, before = float(slopes[-2]), float(slopes[-3]) if len(slopes) > 2 else 0.0
    if not exponent > 1.002:
        falls = f"P(|R| > x) falls like x^-{max(exponent, 0.0):.4g}"
        if exponent > 1.0:
            raise ValueError(f"{name}: {falls}, so heavy that float64 cannot tell its mean from an infinite one")
        raise ValueError(f"{name} has no finite mean: {falls}, so its return has none either")
    integral = start * mass / (exponent - 1.0)
    other = start * mass / (before - 1.0) if before > 1.0 else math.inf
    rounding = integral * 1e-10 + start * min(mass, EPS)
    return Tail(start, mass, exponent, integral, abs(integral - other) + rounding)
