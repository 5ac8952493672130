"""One sweep of the bracketing operators; positions in units of the grid spacing from its first atom.

`merge_sweep` keeps, for each cell of the grid, the mass that lands there and its conditional mean: below the
unprojected image in convex order. `round_sweep` moves each mass to the next atom below or above: below or above it in
stochastic order.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray


@kernel
def _cell(at: float, cells: int) -> int:
    """The cell of a particle: 0 is left of the first atom, c is [c - 1, c), the last starts at the last atom."""
    return int(min(max(np.floor(at), -1.0), float(cells - 2))) + 1


@kernel
def _merge(at: float, mass: float, masses: FloatArray, sums: FloatArray) -> None:
    """Add a particle to its cell."""
    cell = _cell(at, len(masses))
    masses[cell] += mass
    sums[cell] += mass * at


@kernel
def merge_sweep(
    positions: FloatArray, weights: FloatArray, plan: Any, out: FloatArray, out_weights: FloatArray
) -> None:
    """Particles (S, m + 1), one a cell, to the same: outcomes applied, each cell merged to its conditional mean."""
    cells = weights.shape[1]
    sums = np.empty(cells)
    for x in range(out.shape[0]):
        masses = out_weights[x]
        masses[:] = 0.0
        sums[:] = 0.0
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            discount = plan.discount[group]
            for k in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                successor, probability = plan.successor[k], plan.successor_prob[k]
                for read in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    # read_at belongs to the first atom, so a particle at position t lands at read_at + discount * t
                    at, weight = plan.read_at[read], probability * plan.read_prob[read]
                    for c in range(cells):
                        if weights[successor, c] > 0.0:
                            mass = weight * weights[successor, c]
                            _merge(at + discount * positions[successor, c], mass, masses, sums)
        for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
            _merge(plan.end_at[k], plan.end_prob[k], masses, sums)
        for c in range(cells):  # an empty cell keeps a place of its own, so that positions stay sorted
            out[x, c] = sums[c] / masses[c] if masses[c] > 0.0 else c - 0.5


@kernel
def merged_variance(positions: FloatArray, weights: FloatArray, plan: Any, means: FloatArray, out: FloatArray) -> None:
    """(S,) the variance that merging takes: the squared distances of particles from the `means` (S, m + 1) of their
    cells, which `merge_sweep` gave for the same particles, weighted.

    The loop over outcomes is that of `merge_sweep` once more: squares around a mean need the mean first, so that one
    pass cannot do both without cancellation, and a kernel that is handed what to do with each particle is compiled for
    each such function, and counts references to the rows it hands on.
    """
    cells = weights.shape[1]
    for x in range(out.shape[0]):
        total = 0.0
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            discount = plan.discount[group]
            for k in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                successor, probability = plan.successor[k], plan.successor_prob[k]
                for read in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    at, weight = plan.read_at[read], probability * plan.read_prob[read]
                    for c in range(cells):
                        if weights[successor, c] > 0.0:
                            place = at + discount * positions[successor, c]
                            gap = place - means[x, _cell(place, cells)]
                            total += weight * weights[successor, c] * gap * gap
        for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
            gap = plan.end_at[k] - means[x, _cell(plan.end_at[k], cells)]
            total += plan.end_prob[k] * gap * gap
        out[x] = total


@kernel
def _round(at: float, mass: float, upwards: bool, slack: float, out: FloatArray) -> None:
    place = np.ceil(at - slack) if upwards else np.floor(at + slack)
    out[int(min(max(place, 0.0), float(len(out) - 1)))] += mass


@kernel
def round_sweep(probs: FloatArray, plan: Any, upwards: bool, slack: float, out: FloatArray) -> None:
    """PMF (S, m) to PMF: outcomes applied, masses rounded down or up to atoms, but for those within `slack` of one."""
    atoms = probs.shape[1]
    for x in range(out.shape[0]):
        row = out[x]
        row[:] = 0.0
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            discount = plan.discount[group]
            for k in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                successor, probability = plan.successor[k], plan.successor_prob[k]
                for read in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    at, weight = plan.read_at[read], probability * plan.read_prob[read]
                    for j in range(atoms):
                        if probs[successor, j] > 0.0:
                            _round(at + discount * j, weight * probs[successor, j], upwards, slack, row)
        for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
            _round(plan.end_at[k], plan.end_prob[k], upwards, slack, row)
