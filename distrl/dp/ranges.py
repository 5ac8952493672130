"""How far returns reach, and how large they are on average."""

import math

import numpy as np

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
    return 2.0 * (float(_reward_sizes(model).max()) + model.discount * largest_absolute_mean(model))


def unknown_mass(model: MRP) -> FloatArray:
    """(S,) what rows that did not sum to 1 can change of one step, in W1; zeros where all did."""
    defects = model.outcomes.known_defects
    return np.zeros(model.n_states) if defects is None else defects * diameter(model)
