"""The least mean among laws that samples do not contradict, of many sources at once.

For values y >= 0 with frequencies p, and a radius c > 0, the least mean is

    m = min { sum_j q_j y_j : sum_j p_j log(p_j / q_j) <= c, q >= 0, sum_j q_j <= 1 },

where what q lacks of 1 is mass at 0. Its q are p_j k / (y_j + u): with u >= 0 such that sum p log(1 + y / u) +
log sum p u / (y + u) = c and k = 1 / sum p / (y + u), or, where the smallest y is so far above 0 that no u does, with
u = 0 and k = exp(sum p log y - c), and 1 - sum q of the mass at 0. m rises with u, so that two ends of u enclose it.
`distrl.theory.likelihood_radius` says which c makes it a confidence bound.
"""

from typing import NamedTuple

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray

_NEWTON = 40  # steps at most: some ten as a rule
_ROUNDS = 200  # those, and halvings of what is between the ends, in logarithms
_CLOSE = 1e-11  # relative, between the ends of u
_LEAST = 1e-280  # u below which a value of 0 is all that counts


class Least(NamedTuple):
    """Of each source the least mean as computed, what it may be off by, and the q of its values."""

    means: FloatArray
    errors: FloatArray
    weights: FloatArray


def least_means(starts: IntArray, values: FloatArray, probs: FloatArray, radii: FloatArray) -> Least:
    """The least means of K sources.

    Parameters
    ----------
    starts : (K,)
        Where the values of each begin; one at least each.
    values, probs : (n,)
        y >= 0, and p > 0 that sum to 1 in each source.
    radii : (K,)
        c; 0: the mean itself. inf: 0.

    Returns
    -------
    Least
        Time O(n) a step, some ten steps.
    """
    sizes = np.diff(np.append(starts, len(values)))
    row = np.repeat(np.arange(len(starts)), sizes)
    mean = np.add.reduceat(probs * values, starts)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.add.reduceat(probs * np.log(values), starts)
        first = logs + np.log(np.add.reduceat(probs / values, starts))  # the divergence at u = 0; nan where y has a 0
        nothing = np.isinf(radii)
        means = np.where(nothing, 0.0, np.exp(logs - radii))
        weights = np.where(nothing[row], 0.0, probs * (means[row] / values))
    exact = radii == 0.0
    means[exact], weights[exact[row]] = mean[exact], probs[exact[row]]
    terms = (sizes + 8.0) * EPS
    with np.errstate(invalid="ignore"):
        errors = terms * np.where(exact | nothing, mean, means * (2.0 + np.abs(logs) + np.where(nothing, 0.0, radii)))
    rooted = np.flatnonzero(~((first <= radii) | nothing | exact))
    if len(rooted):
        own = np.isin(row, rooted)
        inner = np.cumsum(sizes[rooted]) - sizes[rooted]
        found = _rooted(inner, values[own], probs[own], radii[rooted], mean[rooted])
        means[rooted], errors[rooted], weights[own] = found
    return Least(means, errors, weights)


class _Curve(NamedTuple):
    """The divergence at u, its slope in log u, the mean, and what rounding can make of the divergence."""

    divergence: FloatArray
    slope: FloatArray
    mean: FloatArray
    rounding: FloatArray


def _rooted(starts: IntArray, values: FloatArray, probs: FloatArray, radii: FloatArray, mean: FloatArray) -> Least:
    """The same where u > 0: safeguarded Newton steps in log u for the logarithm of the divergence, all in step."""
    sizes = np.diff(np.append(starts, len(values)))
    row, terms = np.repeat(np.arange(len(starts)), sizes), (sizes + 8.0) * EPS
    spread = np.sqrt(np.add.reduceat(probs * (values - mean[row]) ** 2, starts) / (2.0 * radii))
    u = np.maximum(np.maximum(spread - mean, 1e-3 * spread), _LEAST)
    low, high = np.zeros(len(starts)), np.full(len(starts), np.inf)
    for number in range(_ROUNDS):
        now = _curve(starts, row, values, probs, u, terms)
        inside = now.divergence >= radii
        low, high = np.where(inside, u, low), np.where(inside, high, u)
        done = (high <= low * (1.0 + _CLOSE)) | (high <= _LEAST)
        if done.all():
            break
        with np.errstate(all="ignore"):
            step = -np.log(now.divergence / radii) * now.divergence / now.slope
            # a step that hardly moves goes a little beyond the root, so that the other end comes near as well
            beyond = np.where(np.abs(step) < 1e-6, np.where(inside, 0.5, -0.5) * _CLOSE, 0.0)
            wanted = u * np.exp(np.clip(step, -30.0, 30.0)) * (1.0 + beyond)
            halved = np.where(low > 0.0, np.sqrt(low) * np.sqrt(high), 1e-4 * high)
            halved = np.where(np.isinf(high), 1e4 * low, halved)
        good = (wanted > low) & (wanted < high) & (number < _NEWTON)
        u = np.where(done, u, np.maximum(np.where(good, wanted, halved), _LEAST))
    at_low = _curve(starts, row, values, probs, np.maximum(low, _LEAST), terms)
    at_high = _curve(starts, row, values, probs, np.where(np.isinf(high), 1.0, high), terms)
    means = np.where(low > 0.0, at_low.mean, 0.0)
    most = np.where(np.isinf(high), mean, at_high.mean)
    # the least mean is convex in the radius and at `mean` for 0: so much per unit of the radius at most
    slack = 2.0 * at_low.rounding / radii * (mean - means)
    errors = np.maximum(most - means, 0.0) + np.maximum(slack, 0.0) + terms * mean
    inverse = probs / (values + np.maximum(low, _LEAST)[row])
    share = inverse / np.add.reduceat(inverse, starts)[row]
    return Least(means, errors, np.where((low > 0.0)[row], share, 0.0))


def _curve(
    starts: IntArray, row: IntArray, values: FloatArray, probs: FloatArray, u: FloatArray, terms: FloatArray
) -> _Curve:
    with np.errstate(over="ignore"):
        raised = np.add.reduceat(probs * np.log1p(values / u[row]), starts)
    share = u[row] / (values + u[row])
    kept = np.add.reduceat(probs * share, starts)
    lost = np.add.reduceat(probs * (values / (values + u[row])), starts)
    square = np.add.reduceat(probs * share**2, starts)
    fallen = np.where(kept < 0.5, -np.log(kept), -np.log1p(-np.minimum(lost, 0.75)))
    return _Curve(raised - fallen, kept - square / kept, u * lost / kept, terms * (raised + fallen))
