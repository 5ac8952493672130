"""The random CDF operator: one sampled outcome's B^r F + b^r, and second moments of its fixed point.

Positions are in units of the grid spacing, as in `distrl._kernels.categorical`: an outcome maps atom j to
at + discount * j. Column j of B^r holds what cell averages gain between the images of atoms j and j + 1: two entries.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def _copy(given: FloatArray, out: FloatArray) -> None:
    """out = given, row by hand: see `distrl._numba`."""
    for i in range(len(out)):
        out[i] = given[i]


@kernel
def _end(at: float, weight: float, out: FloatArray) -> None:
    """out += weight * CDF of the projected Dirac at `at`."""
    last = len(out) - 1
    inside = min(max(at, 0.0), float(last))
    first = int(inside)
    if first < last:
        out[first] += weight * (first + 1 - inside)
        first += 1
    for i in range(first, last + 1):
        out[i] += weight


@kernel
def _push(cdf: FloatArray, at: float, discount: float, weight: float, out: FloatArray) -> None:
    """out += weight * (B cdf + b * cdf[last]), B and b of the outcome at `at`."""
    last = len(cdf) - 1
    here = min(max(at, 0.0), float(last))
    for j in range(last):
        following = min(max(at + discount * (j + 1), 0.0), float(last))
        for i in range(int(here), min(int(following) + 1, last)):
            share = min(max(i + 1 - here, 0.0), 1.0) - min(max(i + 1 - following, 0.0), 1.0)
            out[i] += weight * share * cdf[j]
        here = following
    _end(here, weight * cdf[last], out)


@kernel
def push_draws(given: FloatArray, at: FloatArray, ending: Any, discount: float, out: FloatArray) -> None:
    """out[k] = the image of CDF given[k] under the outcome at at[k], or its end."""
    for k in range(len(out)):
        out[k] = 0.0
        if ending[k]:
            _end(at[k], 1.0, out[k])
        else:
            _push(given[k], at[k], discount, 1.0, out[k])


@kernel
def unroll(
    tails: FloatArray,
    last_states: IntArray,
    at: FloatArray,
    lengths: IntArray,
    ended: Any,
    discount: float,
    out: FloatArray,
    start: int,
    stop: int,
) -> None:
    """out[d] = composition along trajectory d of its `lengths[d]` outcomes at[:, d], the last one innermost.

    Trajectories that have not ended start from the row `last_states[d]` of `tails`.
    """
    work = np.empty(out.shape[1])
    for d in range(start, stop):
        row = out[d]
        step = lengths[d] - 1
        if ended[d]:
            row[:] = 0.0
            _end(at[step, d], 1.0, row)
            step -= 1
        else:
            _copy(tails[last_states[d]], row)
        for t in range(step, -1, -1):
            work[:] = 0.0
            _push(row, at[t, d], discount, 1.0, work)
            _copy(work, row)


@kernel
def local_covariance(cdf: FloatArray, plan: Any, variation: FloatArray, covariance: FloatArray) -> None:
    """variation[x] = E|image - cdf[x]|^2 over the outcomes of x; covariance (S, m, m) of it too, if not empty."""
    atoms = cdf.shape[1]
    image = np.empty(atoms)
    for x in range(cdf.shape[0]):
        total = 0.0
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            for n in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    image[:] = 0.0
                    _push(cdf[plan.successor[n]], plan.read_at[k], plan.discount[group], 1.0, image)
                    weight = plan.successor_prob[n] * plan.read_prob[k]
                    total += weight * _add_square(image, cdf[x], weight, covariance, x)
        for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
            image[:] = 0.0
            _end(plan.end_at[k], 1.0, image)
            total += plan.end_prob[k] * _add_square(image, cdf[x], plan.end_prob[k], covariance, x)
        variation[x] = total


@kernel
def _add_square(image: FloatArray, mean: FloatArray, weight: float, covariance: FloatArray, x: int) -> float:
    """|image - mean|^2, and covariance[x] += weight * its outer square."""
    total = 0.0
    for i in range(len(image)):
        image[i] -= mean[i]
        total += image[i] * image[i]
    if len(covariance) > 0:
        for i in range(len(image)):
            for j in range(len(image)):
                covariance[x, i, j] += weight * image[i] * image[j]
    return total


@kernel
def apply_covariance(given: FloatArray, plan: Any, out: FloatArray) -> None:
    """out(x) = sum over outcomes of P B given(y) B^T, for symmetric (S, m, m) with last row and column 0."""
    atoms = given.shape[1]
    half = np.empty((atoms, atoms))
    turned = np.empty((atoms, atoms))
    for x in range(out.shape[0]):
        out[x] = 0.0
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            mixed = np.zeros((atoms, atoms))
            for n in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                source, weight = given[plan.successor[n]], plan.successor_prob[n]
                for i in range(atoms):
                    for j in range(atoms):
                        mixed[i, j] += weight * source[i, j]
            for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                half[:] = 0.0
                for i in range(atoms - 1):
                    _push(mixed[i], plan.read_at[k], plan.discount[group], 1.0, half[i])
                for i in range(atoms):
                    for j in range(atoms):
                        turned[j, i] = half[i, j]
                for i in range(atoms - 1):
                    _push(turned[i], plan.read_at[k], plan.discount[group], plan.read_prob[k], out[x, i])
