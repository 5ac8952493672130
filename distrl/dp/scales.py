"""How far returns reach and how large they are, and the tolerances, starts and numbers of sweeps that follow."""

import math

import numpy as np

from distrl._lazy import special
from distrl._tolerances import EPS, NOT_ZERO
from distrl._validation import FloatArray
from distrl.dp.resolvent import Resolvent
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid


def largest_absolute_mean(model: MRP) -> float:
    """A bound on sup over states of E|G|: the discounted sum of E|r|."""
    table = model.outcomes
    step = np.bincount(table.sources, weights=table.probs * _reward_sizes(model), minlength=table.n_sources)
    return float(Resolvent.of(model).upper(np.asarray(step, dtype=np.float64)).max())


def _reward_sizes(model: MRP) -> FloatArray:
    """(n,) E|r| of each outcome."""
    table = model.outcomes
    sizes = np.array([0.0, *(law.absolute_mean() for law in table.reward_laws)])[table.laws + 1]
    return np.where(table.laws >= 0, sizes, np.abs(table.rewards))


def range_width(model: MRP) -> float:
    """Width of the range of returns; 0 if there is one value only, inf if it has no bounds."""
    try:
        grid = Grid.tight(model, 2)
    except ValueError:
        return math.inf
    return grid.width


def diameter(model: MRP) -> float:
    """How far apart in W1 two outcomes can be: the width of the range of returns, or 2 sup E|r + discount G|.

    It says what mass of which nothing is known but that it leads to the model's states with the model's rewards can do.
    """
    width = range_width(model)
    if math.isfinite(width):
        return width
    return 2.0 * (float(_reward_sizes(model).max()) + model.largest_discount * largest_absolute_mean(model))


def unknown_mass(model: MRP) -> FloatArray:
    """(S,) what rows that did not sum to 1 can change of one step, in W1; zeros where all did."""
    defects = model.outcomes.known_defects
    return np.zeros(model.n_states) if defects is None else defects * diameter(model)


def default_tol(model: MRP, size: float, gain: float) -> float:
    """1e-10 of the width of the returns' range (2 sup E|G| = 2 `size` if infinite), or what float64 can reach."""
    width = range_width(model)
    return max(1e-10 * (width if math.isfinite(width) else 2.0 * size), 128.0 * EPS * gain * size, NOT_ZERO)


def normal_quantiles(mean: FloatArray, variance: FloatArray, levels: FloatArray) -> FloatArray:
    """(S, m) quantiles of normal laws (of Diracs where the variance is infinite)."""
    sd = np.sqrt(np.where(np.isfinite(variance), variance, 0.0))
    return np.asarray(mean[:, None] + sd[:, None] * special.ndtri(levels))


def enough_sweeps(discount: float, gain: float, ratio: float) -> int:
    """Twice the sweeps that shrink an error `ratio` times by contraction; undiscounted, the rate is 1 - 1 / gain."""
    rate = min(discount, 1.0 - 1.0 / max(gain, 1.0)) if gain < 1e15 else 1.0
    if rate <= 0.0:
        return 100  # one is enough for sweeps, but over-relaxed ones err by a fifth of the error before
    ratio = max(ratio, 2.0)
    if rate >= 1.0:
        return 10**6
    decay = -math.log(rate) if rate < 0.5 else -math.log1p(rate - 1.0)  # 1e-17 - 1 is -1, and has no logarithm
    return int(min(2.0 * math.log(ratio) / decay + 100, 1e9))
