"""CDFs and quantiles at points that differ from law to law: values and weights (1 or B, n), arguments (B, K)."""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray


@kernel
def _cumulated(weights: FloatArray, row: int, out: FloatArray) -> None:
    total = 0.0
    w = weights[row if weights.shape[0] > 1 else 0]
    for i in range(w.size):
        total += max(w[i], 0.0)
        out[i] = total


@kernel
def cdf_each(values: FloatArray, weights: FloatArray, points: FloatArray, out: FloatArray) -> None:
    """out (B, K): P(Z_b <= points[b, k])."""
    cumulative = np.empty(values.shape[1])
    for r in range(points.shape[0]):
        v = values[r if values.shape[0] > 1 else 0]
        _cumulated(weights, r, cumulative)
        for k in range(points.shape[1]):
            count = np.searchsorted(v, points[r, k], side="right")
            out[r, k] = min(cumulative[count - 1], 1.0) if count > 0 else 0.0


@kernel
def quantile_each(values: FloatArray, weights: FloatArray, levels: FloatArray, out: FloatArray) -> None:
    """out (B, K): inf{x : F_b(x) >= levels[b, k]}, compared exactly; -inf for levels <= 0, inf for ones not reached."""
    cumulative = np.empty(values.shape[1])
    for r in range(levels.shape[0]):
        v = values[r if values.shape[0] > 1 else 0]
        _cumulated(weights, r, cumulative)
        for k in range(levels.shape[1]):
            if levels[r, k] <= 0.0:
                out[r, k] = -np.inf
            else:
                count = np.searchsorted(cumulative, levels[r, k])
                out[r, k] = v[count] if count < v.size else np.inf


@kernel
def window_mass(values: FloatArray, weights: FloatArray, lengths: FloatArray, out: FloatArray) -> None:
    """out (B, K): the largest mass on an interval (t, t + length]."""
    cumulative = np.empty(values.shape[1] + 1)
    cumulative[0] = 0.0
    for r in range(lengths.shape[0]):
        v = values[r if values.shape[0] > 1 else 0]
        _cumulated(weights, r, cumulative[1:])
        for k in range(lengths.shape[1]):
            first, most = 0, 0.0
            for last in range(v.size):
                while v[last] - v[first] > lengths[r, k]:
                    first += 1
                most = max(most, cumulative[last + 1] - cumulative[first])
            out[r, k] = min(most, 1.0)


@kernel
def tail_sums(values: FloatArray, weights: FloatArray, at: FloatArray, above: FloatArray) -> None:
    """at (B, n): E(Z - v_i)+ at the law's own values; above (B, n + 1): the mass from the i-th value on, 0 at last."""
    for r in range(at.shape[0]):
        v = values[r if values.shape[0] > 1 else 0]
        w = weights[r if weights.shape[0] > 1 else 0]
        total, mass = 0.0, 0.0
        above[r, v.size] = 0.0
        for i in range(v.size - 1, -1, -1):
            if i < v.size - 1:
                total += mass * (v[i + 1] - v[i])
            mass += max(w[i], 0.0)
            at[r, i], above[r, i] = total, mass


@kernel
def stop_loss_each(values: FloatArray, at: FloatArray, above: FloatArray, points: FloatArray, out: FloatArray) -> None:
    """out (B, K): E(Z_b - points[b, k])+ from `tail_sums`."""
    for r in range(points.shape[0]):
        v = values[r if values.shape[0] > 1 else 0]
        for k in range(points.shape[1]):
            count = np.searchsorted(v, points[r, k], side="right")
            out[r, k] = 0.0 if count == v.size else at[r, count] + above[r, count] * (v[count] - points[r, k])
