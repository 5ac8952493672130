"""Bounds on the best CVaR by targets that are rounded to a lattice at every step: down for one side, up for the other.

U(x, b), the least E (b - G)+, does not fall in b: rounded down it stays below, rounded up above, at every sweep.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

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


def rounded(mdp: distrl.MDP, level: float, cells: int, most: int = 5000, settled: float = _SETTLED) -> Rounded:
    """The bounds on a lattice of so many cells over the range of all returns; discount below 1.

    Sweeps end when they change less than `settled` of the range, or after `most`.
    """
    g, table = mdp.discount, mdp.outcomes
    assert g is not None and g < 1.0
    ends = return_ranges(mdp.under("uniform"))
    low, high = float(ends[0].min()), float(ends[1].max())
    s = (high - low) / cells
    knots = low + s * np.arange(cells + 1)
    best = distrl.optimize(mdp, distrl.Mean()).upper
    # outcomes of one action that pay the same read at the same targets: their successors are mixed first
    pairs = np.repeat(np.arange(len(mdp.choices.actions)), np.diff(table.indptr))
    keys = np.stack([pairs, table.rewards, table.terminals], axis=1)
    groups, group = np.unique(keys, axis=0, return_inverse=True)
    group, rewards, ended = np.ravel(group), groups[:, 1], groups[:, 2] > 0.0
    masses = np.bincount(group, weights=table.probs)
    mixing = sparse.csr_array((table.probs, (group, table.next_states)), shape=(len(groups), mdp.n_states))
    after = (knots - rewards[:, None]) / g
    done = masses[:, None] * np.maximum(knots - rewards[:, None], 0.0)
    # beyond the lattice: nothing is lost below; above it at least b - V*, at most one more for each more of b
    beyond = (masses[:, None] * after - (mixing @ best)[:, None], masses[:, None] * np.maximum(after - high, 0.0))
    places = (after - low) / s
    indices = np.floor(places - _NEAR), np.ceil(places + _NEAR)
    inside = [np.clip(index, 0, cells).astype(np.int64) for index in indices]
    starts = np.searchsorted(groups[:, 0], np.arange(len(mdp.choices.actions)))

    def sweep(loss: np.ndarray, down: bool) -> np.ndarray:
        side = 0 if down else 1
        read = np.take_along_axis(mixing @ loss, inside[side], axis=1)
        read = np.where(indices[side] > cells, beyond[0], read) if down else read + beyond[1]
        read[indices[side] < 0] = 0.0
        parts = np.where(ended[:, None], done, g * read)
        return np.asarray(np.minimum.reduceat(np.add.reduceat(parts, starts), mdp.choices.indptr[:-1]))

    below = np.maximum(knots - best[:, None], 0.0)
    above = np.maximum(knots - ends[0][:, None], 0.0)
    sweeps, change = 0, np.inf
    while change > settled * (high - low) and sweeps < most:
        new_below, new_above = np.maximum(below, sweep(below, True)), np.minimum(above, sweep(above, False))
        change = max(float((new_below - below).max()), float((above - new_above).max()))
        below, above, sweeps = new_below, new_above, sweeps + 1
    # within a cell b is at most its upper end, and the loss at least that at the lower one
    upper = np.minimum((knots + s - below / level).max(axis=1), best)
    lower = np.maximum((knots - above / level).max(axis=1), ends[0])
    return Rounded(lower, upper, sweeps, s)
