"""Reward laws on many values: a matrix with one band of weights a column.

Positions are in units of the grid spacing, as in `distrl._kernels.categorical`. Column j of the matrix is the projected
law of R + discount * z_j: weights[j, k] on atom first[j] + k.
"""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def project_columns(
    at: FloatArray, mass: FloatArray, moment: FloatArray, discount: float, first: IntArray, weights: FloatArray
) -> None:
    """weights of all columns for a law on sorted positions `at`, where atom 0 is mapped.

    `mass` and `moment` (n + 1,) are sums of probs and probs * at over the positions before. Cell by cell: what falls
    into one splits between its ends in proportion to its mean. Time O(m * b * log n).
    """
    last = len(first) - 1
    for j in range(last + 1):
        row, shift = weights[j], discount * j
        row[:] = 0.0
        below = _count_below(at, -shift, 0)
        if below > 0:
            row[-first[j]] += mass[below]
        cell = int(max(at[0] + shift, 0.0))
        while below < len(at) and cell < last:
            above = _count_below(at, cell + 1 - shift, below)
            inside = mass[above] - mass[below]
            right = min(max(moment[above] - moment[below] + (shift - cell) * inside, 0.0), inside)
            row[cell - first[j]] += inside - right
            row[cell + 1 - first[j]] += right
            below, cell = above, cell + 1
        if below < len(at):
            row[last - first[j]] += mass[len(at)] - mass[below]


@kernel
def _count_below(at: FloatArray, bound: float, start: int) -> int:
    """Number of entries of sorted `at` below `bound`, at least `start`."""
    stop = len(at)
    while start < stop:
        middle = (start + stop) // 2
        if at[middle] < bound:
            start = middle + 1
        else:
            stop = middle
    return start


@kernel
def project_bands(
    at: FloatArray, probs: FloatArray, edges: IntArray, discounts: FloatArray, first: IntArray, weights: FloatArray
) -> None:
    """`project_columns` for groups of positions: group k is the slice edges[k]:edges[k + 1], sorted within it."""
    longest = 0
    for k in range(len(edges) - 1):
        longest = max(longest, edges[k + 1] - edges[k])
    mass, moment = np.zeros(longest + 1), np.zeros(longest + 1)
    for k in range(len(edges) - 1):
        start, count = edges[k], edges[k + 1] - edges[k]
        for n in range(count):
            mass[n + 1] = mass[n] + probs[start + n]
            moment[n + 1] = moment[n] + probs[start + n] * at[start + n]
        project_columns(at[start : start + count], mass, moment, discounts[k], first[k], weights[k])


@kernel
def add_bands(
    given: FloatArray, sources: IntArray, successors: IntArray, first: IntArray, weights: FloatArray, out: FloatArray
) -> None:
    """out[sources[k]] += band k applied to the CDF given[successors[k]], for all k; bands sorted by source."""
    atoms, width = weights.shape[1], weights.shape[2]
    image = np.zeros(atoms)
    for k in range(len(sources)):
        successor, below = given[successors[k]], 0.0
        for j in range(atoms):
            mass = successor[j] - below
            below = successor[j]
            if mass != 0.0:
                target, column = image[first[k, j] : first[k, j] + width], weights[k, j]
                for i in range(width):
                    target[i] += mass * column[i]
        if k + 1 == len(sources) or sources[k + 1] != sources[k]:
            total, target = 0.0, out[sources[k]]
            for i in range(atoms):
                total += image[i]
                target[i] += total
                image[i] = 0.0


@kernel
def add_image(
    given: FloatArray,
    sources: IntArray,
    indptr: IntArray,
    indices: IntArray,
    probs: FloatArray,
    first: IntArray,
    weights: FloatArray,
    out: FloatArray,
    pmf: bool,
) -> None:
    """out[sources] += the matrix applied to the mixed successors, CDF to CDF or PMF to PMF; CSR rows are sources."""
    atoms, width = weights.shape
    mix, image = np.empty(atoms), np.empty(atoms)
    for row in range(len(sources)):
        if indptr[row] == indptr[row + 1]:
            continue
        mix[:] = 0.0
        for k in range(indptr[row], indptr[row + 1]):
            successor = given[indices[k]]
            for j in range(atoms):
                mix[j] += probs[k] * successor[j]
        image[:] = 0.0
        below = 0.0
        for j in range(atoms):
            mass = mix[j] - below
            if not pmf:
                below = mix[j]
            if mass != 0.0:
                target, column = image[first[j] : first[j] + width], weights[j]
                for k in range(width):
                    target[k] += mass * column[k]
        total = 0.0
        for i in range(atoms):
            total = image[i] if pmf else total + image[i]
            out[sources[row], i] += total
