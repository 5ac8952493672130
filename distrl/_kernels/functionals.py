"""Functionals of finitely supported laws, a row for each law.

Every kernel takes `values` (1 or B, n), sorted along the rows, and `weights` (1 or B, n); a single row is shared by all
B laws. Answers go to `out` (B, number of arguments). Weights below zero are rounding of a linear solve and count as 0.

Values may be any floats: where differences or squares of them could overflow or vanish, they are taken in a unit.
"""

import math

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import LEVEL, NO_MASS
from distrl._validation import FloatArray

#: Sizes from which differences of two values may overflow, and between which their squares are ordinary numbers.
_HUGE, _LARGE, _SMALL = 8e307, 1e150, 1e-150


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
    # a mean of values near the largest float can be rounded beyond it
    return min(max(total, values[0]), values[values.size - 1]) if abs(total) > _HUGE else total


@kernel
def _part(values: FloatArray, first: int, last: int, point: float) -> float:
    """1, or a quarter where differences of the values, or with the point, may overflow."""
    return 0.25 if max(abs(values[first]), abs(values[last]), abs(point)) > _HUGE else 1.0


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
    """sum w ((v - mean) / unit)^2 and the unit; out (B, 2). The unit is 1 where squares are ordinary numbers."""
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        mean = _mean(v, w)
        first, last = _ends(w, 0.0)
        part = _part(v, first, last, 0.0)
        reach = max(abs(part * v[first] - part * mean), abs(part * v[last] - part * mean))
        unit = reach if reach > _LARGE or 0.0 < reach < _SMALL else 1.0
        part = part if unit > _LARGE else 1.0
        total = 0.0
        for i in range(v.size):
            if w[i] > 0:  # an overflowing square times no mass would be NaN
                total += w[i] * ((part * v[i] - part * mean) / unit) ** 2
        out[r, 0], out[r, 1] = total, unit / part


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
    """inf{x : F(x) >= q} up to LEVEL."""
    cumulative = np.empty(values.shape[1])
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        _cumulate(w, cumulative)
        first, last = _ends(w, NO_MASS)
        for k in range(levels.size):
            index = np.searchsorted(cumulative, levels[k] - LEVEL)
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
                if mass > 0:  # shares of the level, so that a tiny one loses nothing
                    total += mass / levels[k] * v[j]
                    left -= mass
                    last = v[j]
                if left <= 0:
                    break
            total += left / levels[k] * last
            out[r, k] = min(max(total, v[0]), v[n - 1])


@kernel
def entropic_risk(values: FloatArray, weights: FloatArray, betas: FloatArray, out: FloatArray) -> None:
    """(1/beta) log E exp(beta Z)."""
    n = values.shape[1]
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        first, last = _ends(w, 0.0)
        mean = _mean(v, w)
        part = _part(v, first, last, 0.0)
        gap = float(part * v[last] - part * v[first])
        for k in range(betas.size):
            beta, total = float(betas[k]), 0.0
            if beta == 0.0 or gap == 0.0:
                out[r, k] = mean
            elif abs(beta) * gap < part:  # about the mean: no cancellation as beta goes to 0
                for i in range(n):
                    if w[i] > 0:
                        total += w[i] * math.expm1(beta / part * (part * v[i] - part * mean))
                out[r, k] = mean + math.log1p(total) / beta
            else:  # about the largest term: no overflow
                anchor = v[last] if beta > 0 else v[first]
                steep = min(max(beta, -_LARGE / gap * _LARGE), _LARGE / gap * _LARGE) / part  # as steep as can matter
                for i in range(n):
                    if w[i] > 0:
                        total += w[i] * math.exp(steep * float(part * v[i] - part * anchor))
                out[r, k] = anchor + math.log(total) / beta


@kernel
def _tilted(
    values: FloatArray, weights: FloatArray, low: float, gap: float, centre: float, b: float
) -> tuple[float, float, float]:
    """Of T = (Z - low) / gap in [0, 1] under exp(-b T): the divergence b K'(b) - K(b), the variance, and -K(b) / b.

    K is the logarithm of E exp(-b T). About the centre while b is small, where the divergence is a difference of nearly
    equal numbers; about the smallest value beyond.
    """
    small = b < 1.0
    about = centre if small else 0.0
    mass, total, change, first, second = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(values.size):
        if weights[i] > 0:
            t = (values[i] - low) / gap - about
            factor = math.exp(-b * t)
            mass += weights[i]
            total += weights[i] * factor
            change += weights[i] * (math.expm1(-b * t) if small else 0.0)
            first += weights[i] * t * factor
            second += weights[i] * t * t * factor
    logarithm = math.log1p(change / mass) if small else math.log(total / mass)
    mean = first / total
    return -b * mean - logarithm, max(second / total - mean * mean, 0.0), about - logarithm / b


@kernel
def evar(values: FloatArray, weights: FloatArray, levels: FloatArray, out: FloatArray, best: FloatArray) -> None:
    """sup over b > 0 of (log(level) - log E exp(-b Z)) / b, and the b that takes it: 0 at level 1, inf for the limit.

    The tilted law's divergence rises in b from 0 to -log P(Z = min), and is -log(level) at the best b: a bracketed
    Newton search. There the derivative is 0, so that what is left of the search counts in second order.
    """
    for r in range(out.shape[0]):
        row, w = _row(values, r), _row(weights, r)
        start, stop = _ends(w, 0.0)
        part = _part(row, start, stop, 0.0)
        v, mean = part * row, part * _mean(row, w)
        low, gap = float(v[start]), float(v[stop] - v[start])
        mass, least, centre = 0.0, 0.0, 0.0
        for i in range(v.size):
            if w[i] > 0:
                mass += w[i]
                least += w[i] * (v[i] <= low)
                centre += w[i] * ((v[i] - low) / gap if gap > 0.0 else 0.0)
        centre /= mass
        for k in range(levels.size):
            if levels[k] >= 1.0:
                out[r, k], best[r, k] = mean / part, 0.0
                continue
            if gap == 0.0 or levels[k] * mass <= least:
                out[r, k], best[r, k] = low / part, np.inf
                continue
            loss = -math.log(levels[k])
            below, above = 0.0, np.inf
            spread = _tilted(v, w, low, gap, centre, 1e-9)[1]
            b = math.sqrt(2.0 * loss / spread) if spread > 0.0 else 1.0
            for turn in range(200):
                divergence, spread, _ = _tilted(v, w, low, gap, centre, b)
                if divergence < loss:
                    below = b
                else:
                    above = b
                step = (loss - divergence) / (b * spread) if spread > 0.0 else np.inf
                if abs(step) <= 1e-9 * b or above - below <= 4e-16 * b or below > 1e30:
                    break
                following = b + step
                closed = below > 0.0 and above < np.inf
                if not below < following < above or (closed and turn % 4 == 3):
                    if closed:
                        following = math.sqrt(below) * math.sqrt(above)
                    else:
                        following = 8.0 * below if below > 0.0 else above / 8.0
                b = following
            value = _tilted(v, w, low, gap, centre, b)[2] - loss / b
            out[r, k] = min(max(low + gap * value, low), mean) / part
            best[r, k] = b / gap * part


@kernel
def expectile(values: FloatArray, weights: FloatArray, taus: FloatArray, out: FloatArray) -> None:
    """Root e of tau E(Z - e)+ = (1 - tau) E(e - Z)+, by a scan of its linear pieces from the end nearer to it."""
    n = values.shape[1]
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        mean = _mean(v, w)
        part = _part(v, 0, n - 1, 0.0)
        centre = part * mean
        for k in range(taus.size):
            low = taus[k] <= 0.5
            tau = taus[k] if low else 1.0 - taus[k]
            partial, mass, root = 0.0, 0.0, 0.0
            for i in range(n):
                j = i if low else n - 1 - i
                partial += max(w[j], 0.0) * (part * v[j] - centre)
                mass += max(w[j], 0.0)
                root = (1.0 - 2.0 * tau) * partial / (tau * (1.0 - mass) + (1.0 - tau) * mass)
                if i == n - 1 or (low and root <= part * v[j + 1] - centre):
                    break
                if not low and root >= part * v[j - 1] - centre:
                    break
            out[r, k] = (centre + root) / part


@kernel
def stop_loss(values: FloatArray, weights: FloatArray, points: FloatArray, out: FloatArray) -> None:
    """E[(Z - k)+], summed from the top so that every term is positive."""
    n = values.shape[1]
    at, above = np.empty(n), np.empty(n)
    farthest = 0.0
    for k in range(points.size):
        farthest = max(farthest, abs(points[k]))
    for r in range(out.shape[0]):
        v, w = _row(values, r), _row(weights, r)
        part = _part(v, 0, n - 1, farthest)
        total, mass = 0.0, 0.0
        for i in range(n - 1, -1, -1):
            if i < n - 1:
                total += mass * (part * v[i + 1] - part * v[i])
            at[i], above[i] = total, mass
            mass += max(w[i], 0.0)
        for k in range(points.size):
            count = np.searchsorted(v, points[k], side="right")
            if count == n:
                out[r, k] = 0.0
            else:
                tail = above[count - 1] if count > 0 else mass
                out[r, k] = float(at[count] + tail * (part * v[count] - part * points[k])) / part


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
