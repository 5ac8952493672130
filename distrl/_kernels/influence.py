"""The categorical operator backwards: adjoint application and influence of outcomes.

A row `cumulated` of m numbers, last 0, is the linear functional <lambda, F>: cumulated[l] is the sum of lambda_i over
l <= i < m - 1, and a law on the atoms with masses p has the value sum p_l cumulated[l]. Pulled back through an outcome
it is read at the image of every atom, by linear interpolation. Positions are in units of the grid spacing.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def _read_at(row: FloatArray, at: float) -> float:
    """`row` at position `at`, linear between atoms, constant outside of the grid."""
    last = len(row) - 1
    inside = min(max(at, 0.0), float(last))
    left = min(int(inside), last - 1)
    share = inside - left
    value: float = (1.0 - share) * row[left] + share * row[left + 1]
    return value


@kernel
def cumulate(adjoint: FloatArray, out: FloatArray) -> None:
    """Rows lambda (R, m), last entry ignored, to their sums from each index on."""
    last = adjoint.shape[1] - 1
    for r in range(len(adjoint)):
        out[r, last] = 0.0
        for i in range(last - 1, -1, -1):
            out[r, i] = out[r, i + 1] + adjoint[r, i]


@kernel
def pull_reads(cumulated: FloatArray, plan: Any, out: FloatArray, start: int, stop: int) -> None:
    """out[k, y] += functionals (K, S, m) of the sources, pulled back to the successors, for k from start to stop."""
    atoms = cumulated.shape[2]
    pulled = np.empty(atoms)
    for k in range(start, stop):
        for x in range(len(plan.group_ptr) - 1):
            row = cumulated[k, x]
            for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
                pulled[:] = 0.0
                discount = plan.discount[group]
                for read in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    at, weight = plan.read_at[read], plan.read_prob[read]
                    for j in range(atoms):
                        pulled[j] += weight * _read_at(row, at + discount * j)
                for n in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                    target, probability = out[k, plan.successor[n]], plan.successor_prob[n]
                    for j in range(atoms):
                        target[j] += probability * pulled[j]


@kernel
def pull_law(
    cumulated: FloatArray,
    sources: IntArray,
    indptr: IntArray,
    indices: IntArray,
    probs: FloatArray,
    first: IntArray,
    weights: FloatArray,
    out: FloatArray,
    start: int,
    stop: int,
) -> None:
    """The same through a reward law's matrix, see `distrl._kernels.laws`."""
    atoms, width = weights.shape
    pulled = np.empty(atoms)
    for k in range(start, stop):
        for row in range(len(sources)):
            if indptr[row] == indptr[row + 1]:
                continue
            functional = cumulated[k, sources[row]]
            for j in range(atoms):
                total = 0.0
                for i in range(width):
                    total += weights[j, i] * functional[first[j] + i]
                pulled[j] = total
            for n in range(indptr[row], indptr[row + 1]):
                target = out[k, indices[n]]
                for j in range(atoms):
                    target[j] += probs[n] * pulled[j]


@kernel
def influence(
    cumulated: FloatArray,
    probs: FloatArray,
    states: IntArray,
    next_states: IntArray,
    at: FloatArray,
    terminals: Any,
    discounts: FloatArray,
    first: IntArray,
    last: IntArray,
    out: FloatArray,
    start: int,
    stop: int,
) -> None:
    """out[o] = the functional of states[o] at the projected law of reward + discounts[o] Z, Z ~ probs[next_states[o]].

    Atoms outside of first[y] to last[y] have no mass that matters.
    """
    for o in range(start, stop):
        row = cumulated[states[o]]
        if terminals[o]:
            out[o] = _read_at(row, at[o])
            continue
        y, total, discount = next_states[o], 0.0, discounts[o]
        law = probs[y]
        for j in range(first[y], last[y] + 1):
            total += law[j] * _read_at(row, at[o] + discount * j)
        out[o] = total
