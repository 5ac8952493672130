"""Functionals of finitely supported laws, a row for each law.

Every kernel takes `values` (1 or B, n), sorted along the rows, and `weights` (1 or B, n); a single row is shared by all
B laws. Answers go to `out` (B, number of arguments). Weights below zero are rounding of a linear solve and count as 0.
"""

import math

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray

#: Levels are compared with cumulative masses up to this, so that 0.1 + 0.2 reaches the level 0.3.
LEVEL_TOLERANCE = 1e-9
#: Mass that can be rounding alone; the extreme quantiles look past it.
NO_MASS = 1e-15


@kernel
def _row(array: FloatArray, row: int) -> FloatArray:
    chosen: FloatArray = array[row if array.shape[0] > 1 else 0]
    return chosen


@kernel
def _cumulate(weights: FloatArray, out: FloatArray) -> float:
    total = 0.0
    for i in range(weights.size):
        total += max(weights[i], 0.0)
        out[i] = min(total, 1.0)
    return total


@kernel
def _mean(values: FloatArray, weights: FloatArray) -> float:
    total = 0.0
    for i in range(values.size):
        total += max(weights[i], 0.0) * values[i]
    return total


@kernel
def _ends(weights: FloatArray, least: float) -> tuple[int, int]:
    """First and last index with more mass than `least`."""
    first, last = 0, weights.size - 1
    while first < last and weights[first] <= least:
        first += 1
    while last > first and weights[last] <= least:
        last -= 1
    return first, last


@kernel
def variance(values: FloatArray, weights: FloatArray, out: FloatArray) -> None:
    """sum w (v - mean)^2; out (B,)."""
    for r in range(out.size):
        v, w = _row(values, r), _row(weights, r)
        mean = _mean(v, w)
        total = 0.0
        for i in range(v.size):
            if w[i] > 0:  # an overflowing square times no mass would be NaN
                total += w[i] * (v[i] - mean) ** 2
        out[r] = total


@kernel
def cdf(values: FloatArray, weights: FloatArray, points: FloatArray, out: FloatArray) -> None:
    """P(Z <= x)."""
    cumulative = np.empty(values.shape[1])
    for r in range(out.shape[0]):
        v = _row(values, r)
        _cumulate(_row(weights, r), cumulative)
        for k in range(points.size):
            count = np.searchsorted(v, points[k], side="right")
            out[r, k] = cumulative[count - 1] if count > 0 else 0.0


@kernel
def quantile(values: FloatArray, weights: FloatArray, levels: FloatArray, out: FloatArray) -> None:
    """inf{x : F(x) >= q} up to LEVEL_TOLERANCE."""
    cumulative = np.empty(values.shape[1])
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        _cumulate(w, cumulative)
        first, last = _ends(w, NO_MASS)
        for k in range(levels.size):
            index = np.searchsorted(cumulative, levels[k] - LEVEL_TOLERANCE)
            out[r, k] = v[min(max(index, first), last)]


@kernel
def cvar(values: FloatArray, weights: FloatArray, levels: FloatArray, out: FloatArray, upper: bool) -> None:
    """Mean of the lowest (or highest) mass `level`, an atom that straddles it taken in part."""
    n = values.shape[1]
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        for k in range(levels.size):
            left, total, last = levels[k], 0.0, 0.0
            for i in range(n):
                j = n - 1 - i if upper else i
                mass = min(w[j], left)
                if mass > 0:
                    total += mass * v[j]
                    left -= mass
                    last = v[j]
                if left <= 0:
                    break
            out[r, k] = (total + left * last) / levels[k]


@kernel
def entropic_risk(values: FloatArray, weights: FloatArray, betas: FloatArray, out: FloatArray) -> None:
    """(1/beta) log E exp(beta Z)."""
    n = values.shape[1]
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        first, last = _ends(w, 0.0)
        mean = _mean(v, w)
        for k in range(betas.size):
            beta, total = betas[k], 0.0
            if beta == 0.0:
                out[r, k] = mean
            elif abs(beta) * (v[last] - v[first]) < 1.0:  # about the mean: no cancellation as beta goes to 0
                for i in range(n):
                    if w[i] > 0:
                        total += w[i] * math.expm1(beta * (v[i] - mean))
                out[r, k] = mean + math.log1p(total) / beta
            else:  # about the largest term: no overflow
                anchor = v[last] if beta > 0 else v[first]
                for i in range(n):
                    if w[i] > 0:
                        total += w[i] * math.exp(beta * (v[i] - anchor))
                out[r, k] = anchor + math.log(total) / beta


@kernel
def expectile(values: FloatArray, weights: FloatArray, taus: FloatArray, out: FloatArray) -> None:
    """Root e of tau E(Z - e)+ = (1 - tau) E(e - Z)+, by a scan of its linear pieces from the end nearer to it."""
    n = values.shape[1]
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        mean = _mean(v, w)
        for k in range(taus.size):
            low = taus[k] <= 0.5
            tau = taus[k] if low else 1.0 - taus[k]
            partial, mass, root = 0.0, 0.0, 0.0
            for i in range(n):
                j = i if low else n - 1 - i
                partial += max(w[j], 0.0) * (v[j] - mean)
                mass += max(w[j], 0.0)
                root = (1.0 - 2.0 * tau) * partial / (tau * (1.0 - mass) + (1.0 - tau) * mass)
                if i == n - 1 or (low and root <= v[j + 1] - mean) or (not low and root >= v[j - 1] - mean):
                    break
            out[r, k] = mean + root


@kernel
def stop_loss(values: FloatArray, weights: FloatArray, points: FloatArray, out: FloatArray) -> None:
    """E[(Z - k)+], summed from the top so that every term is positive."""
    n = values.shape[1]
    at, above = np.empty(n), np.empty(n)
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        total, mass = 0.0, 0.0
        for i in range(n - 1, -1, -1):
            if i < n - 1:
                total += mass * (v[i + 1] - v[i])
            at[i], above[i] = total, mass
            mass += max(w[i], 0.0)
        for k in range(points.size):
            count = np.searchsorted(v, points[k], side="right")
            if count == n:
                out[r, k] = 0.0
            else:
                tail = above[count - 1] if count > 0 else mass
                out[r, k] = at[count] + tail * (v[count] - points[k])


@kernel
def draw(values: FloatArray, weights: FloatArray, uniforms: FloatArray) -> None:
    """Replace uniforms (B, n) by draws: inverse transform."""
    cumulative = np.empty(values.shape[1])
    for r in range(uniforms.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        total = min(_cumulate(w, cumulative), 1.0)
        last = _ends(w, 0.0)[1]
        for k in range(uniforms.shape[1]):
            uniforms[r, k] = v[min(np.searchsorted(cumulative, uniforms[r, k] * total, side="right"), last)]
