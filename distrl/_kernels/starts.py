"""From moments to CDF values to start from, and from CDF values to probabilities."""

import math

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray

_ROOT_TWO = math.sqrt(2.0)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@kernel
def normal_rows(
    mean: FloatArray, sd: FloatArray, low: float, spacing: float, cdf: FloatArray, start: int, stop: int
) -> None:
    """CDF values of normal laws projected on the grid: cell averages, by differences of E[(z - G)+]."""
    atoms = cdf.shape[1]
    for x in range(start, stop):
        before = 0.0
        for i in range(atoms):
            score = (low + i * spacing - mean[x]) / sd[x]
            below = 0.5 * math.erfc(-score / _ROOT_TWO)
            put = sd[x] * (score * below + _DENSITY * np.exp(-0.5 * score * score))
            if i > 0:
                cdf[x, i - 1] = min(max((put - before) / spacing, 0.0), 1.0)
            before = put
        cdf[x, atoms - 1] = 1.0


@kernel
def cdf_to_pmf(values: FloatArray, start: int, stop: int) -> None:
    """CDF rows to probabilities in place: differences, negative rounding cut off, sums made 1."""
    for x in range(start, stop):
        row = values[x]
        total = before = 0.0
        for j in range(len(row)):
            value = row[j]
            row[j] = max(value - before, 0.0)
            before = value
            total += row[j]
        for j in range(len(row)):
            row[j] /= total
