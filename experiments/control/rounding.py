"""Bounds on the best CVaR by targets that are rounded to a lattice at every step: down for one side, up for the other.

U(x, b), the least E (b - G)+, does not fall in b: rounded down it stays below, rounded up above, at every sweep.
"""

from typing import NamedTuple

import numpy as np

import distrl
from distrl.returns.grid import return_ranges

_SETTLED = 1e-9  # of the range: the change of a sweep that ends them
_NEAR = 1e-9  # of a cell: a target as near to a knot may be rounded past it, on the safe side


class Rounded(NamedTuple):
    """(S,) ends of the best CVaR, the number of sweeps, and the spacing of the lattice."""

    lower: np.ndarray
    upper: np.ndarray
    sweeps: int
    spacing: float


def rounded(mdp: distrl.MDP, level: float, cells: int, most: int = 5000) -> Rounded:
    """The bounds on a lattice of so many cells over the range of all returns; discount below 1."""
    g, table = mdp.discount, mdp.outcomes
    assert g is not None and g < 1.0
    ends = return_ranges(mdp.under("uniform"))
    low, high = float(ends[0].min()), float(ends[1].max())
    s = (high - low) / cells
    knots = low + s * np.arange(cells + 1)
    best = distrl.optimize(mdp, distrl.Mean()).upper
    after = (knots - table.rewards[:, None]) / g  # (outcomes, knots), where the return goes on
    ended = np.maximum(knots - table.rewards[:, None], 0.0)
    successors = table.next_states[:, None]
    places = (after - low) / s

    def sweep(loss: np.ndarray, down: bool) -> np.ndarray:
        index = np.floor(places - _NEAR) if down else np.ceil(places + _NEAR)
        inside = np.clip(index, 0, cells).astype(np.int64)
        read = loss[successors, inside]
        # beyond the lattice: nothing is lost below; above it at least b - V*, at most one more for each more of b
        beyond = np.maximum(after - high, 0.0)
        read = np.where(index > cells, np.maximum(read, after - best[successors]) if down else read + beyond, read)
        read = np.where(index < 0, 0.0, read)
        parts = table.probs[:, None] * np.where(table.terminals[:, None], ended, g * read)
        pairs = np.add.reduceat(parts, table.indptr[:-1], axis=0)
        return np.asarray(np.minimum.reduceat(pairs, mdp.choices.indptr[:-1], axis=0))

    below = np.maximum(knots - best[:, None], 0.0)
    above = np.maximum(knots - ends[0][:, None], 0.0)
    sweeps, change = 0, np.inf
    while change > _SETTLED * (high - low) and sweeps < most:
        new_below, new_above = np.maximum(below, sweep(below, True)), np.minimum(above, sweep(above, False))
        change = max(float((new_below - below).max()), float((above - new_above).max()))
        below, above, sweeps = new_below, new_above, sweeps + 1
    # within a cell b is at most its upper end, and the loss at least that at the lower one
    upper = np.minimum((knots + s - below / level).max(axis=1), best)
    lower = np.maximum((knots - above / level).max(axis=1), ends[0])
    return Rounded(lower, upper, sweeps, s)
