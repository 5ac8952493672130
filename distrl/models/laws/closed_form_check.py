"""Closed forms of E[(z - Z)+], compared with integrals of SciPy's own functions before anything trusts them."""

import math
from collections.abc import Callable

import numpy as np

from distrl._tolerances import EPS, LEVEL
from distrl._validation import FloatArray
from distrl.models.laws.describe import FrozenLaw

_LEVELS = np.array([1e-3, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])
_WITNESSES = np.array([1e-12, 0.5, 1.0 - 1e-6])  # levels at which quantile and CDF have to agree
_FEW, _MANY = (np.polynomial.legendre.leggauss(order) for order in (10, 20))


def closed_form_error(
    frozen: FrozenLaw, closed: Callable[[FloatArray], FloatArray], mean: float, support: tuple[float, float]
) -> tuple[float, float]:
    """(spread, error): E|Z - mean|, and how far the closed form and the mean are from integrals of SciPy's functions.

    Between quantiles by 20-point Gauss-Legendre, whose own error is what 10 points give less; beyond them by
    E[(Z - k)+] = int (isf(e^-s) - k) e^-s ds. About 600 values of SciPy's functions.
    """
    spread = 2.0 * float(closed(np.array([mean]))[0])
    quantiles = np.asarray(frozen.ppf(np.append(_LEVELS, _WITNESSES)))  # every call of SciPy costs a tenth of a ms
    marks = np.append(quantiles[: len(_LEVELS)], frozen.isf(_LEVELS[:1]))
    marks = np.unique(np.clip(marks[np.isfinite(marks)], *support))
    if not (len(marks) >= 4 and spread > 0.0 and math.isfinite(spread)):
        return 1.0, math.inf
    low, half, witnesses = marks[:-1], np.diff(marks) / 2, quantiles[len(_LEVELS) :]
    points = low[:, None] + half[:, None] * (1.0 + np.append(_FEW[0], _MANY[0]))
    values = np.asarray(frozen.cdf(np.append(points, witnesses)))
    inner = (witnesses > support[0]) & (witnesses < support[1])
    if not (np.abs(values[points.size :] - _WITNESSES)[inner] <= LEVEL).all():
        return 1.0, math.inf
    heights = values[: points.size].reshape(points.shape)
    few, many = half * (heights[:, :10] @ _FEW[1]), half * (heights[:, 10:] @ _MANY[1])
    doubt = 10.0 * np.abs(many - few)
    puts = closed(marks)
    rounding = 64.0 * EPS * (np.abs(marks).max() + abs(mean))
    error = float(np.maximum(np.abs(np.diff(puts) - many) - doubt - rounding, 0.0).sum())
    if not float(doubt.sum()) <= 1e-3 * spread:
        return 1.0, math.inf
    right = puts[-1] - (marks[-1] - mean)
    ends = ((puts[0], lambda t: marks[0] - frozen.ppf(t)), (right, lambda t: frozen.isf(t) - marks[-1]))
    for stated, excess in ends:
        found, unsure = _beyond(excess, float(_LEVELS[0]))
        if not unsure <= 1e-6 * spread:
            return 1.0, math.inf
        error += max(abs(float(stated) - found) - unsure - rounding, 0.0)
    return spread, error if not math.isnan(error) else math.inf


def _beyond(excess: Callable[[FloatArray], FloatArray], mass: float) -> tuple[float, float]:
    """int_0^mass max(excess(t), 0) dt, and a doubt about it."""
    s = -math.log(mass) + np.array([0.0, 2.0, 6.0, 14.0, 30.0, 70.0, 150.0, 300.0, 470.0, 680.0])
    low, half = s[:-1], np.diff(s) / 2

    at = low[:, None] + half[:, None] * (1.0 + np.append(_FEW[0], _MANY[0]))
    at = np.append(at, s[-1] - np.array([200.0, 100.0, 0.0]))
    heights = np.maximum(excess(np.exp(-at)), 0.0) * np.exp(-at)
    heights = np.where(np.isfinite(heights), heights, 0.0)
    inside, ends = heights[:-3].reshape(len(low), -1), heights[-3:]
    few, many = float(half @ (inside[:, :10] @ _FEW[1])), float(half @ (inside[:, 10:] @ _MANY[1]))
    rests = [0.0, 0.0]
    if ends[-1] > 1e-12 * many:  # a power law goes on like e^{-rate s}
        with np.errstate(all="ignore"):
            rests = (100.0 * ends[-1] / np.log(ends[:2] / ends[1:])).tolist()
            rests = [rest if rest > 0.0 else math.inf for rest in rests]
    return many + rests[1], abs(many - few) + abs(rests[1] - rests[0])
