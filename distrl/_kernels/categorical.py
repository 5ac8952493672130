"""The categorical Bellman operator, one pass over the outcomes.

Positions are in units of the grid spacing, from its first atom: atom j sits at j, and an outcome with reward r maps
atom j to `at + discount * j`. A plan (see `distrl.operators.plan.Plan`) lists, for each source, groups of
successors that share a reward law on few values: successors are mixed once, then read once for each value.

CDF form. The hat projection makes the new CDF at atom i the average of the unprojected CDF over the cell [i, i + 1],
which is the average of the mixed step function over the window [(i - at)/discount, (i + 1 - at)/discount]. All
coefficients are non-negative: nothing cancels. While windows and cells keep their offset, the reading is a
contiguous loop (`_read_runs`), which is what makes the pass run near memory speed for discounts above 1/2.

PMF form. Each particle splits between its two neighbours; the same pass collects what the certificate needs.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def _read_cell(mix: FloatArray, at: float, discount: float, weight: float, out: FloatArray, i: int) -> None:
    """Add weight * (average of the step function `mix` over cell i's window) to out[i], window clipped by hand."""
    last = len(mix) - 1
    start = (i - at) / discount
    stop = (i + 1 - at) / discount
    inner_start = min(max(start, 0.0), float(last))
    inner_stop = min(max(stop, 0.0), float(last))
    first, end = int(inner_start), int(inner_stop)
    if first == end:
        area = (inner_stop - inner_start) * mix[first]
    else:
        area = (first + 1 - inner_start) * mix[first]
        for j in range(first + 1, end):
            area += mix[j]
        area += (inner_stop - end) * mix[end]
    area *= discount
    # beyond the last atom the step function is the whole mass
    area += max(min(i + 1 - at - discount * last, 1.0), 0.0) * mix[last]
    out[i] += weight * area


@kernel
def _read(mix: FloatArray, at: float, discount: float, weight: float, out: FloatArray) -> None:
    """Add weight * (CDF form of the push-forward of `mix` under j -> at + discount j, projected) to `out`."""
    last = len(mix) - 1
    total = mix[last]
    out[last] += weight * total
    low = int(min(max(np.floor(at), 0.0), float(last)))  # cells below read 0
    high = int(min(max(np.ceil(at + discount * last), 0.0), float(last)))  # cells from here on read the mass
    for i in range(high, last):
        out[i] += weight * total
    if discount < 0.6:
        for i in range(low, high):
            _read_cell(mix, at, discount, weight, out, i)
        return
    # cells whose windows lie inside [0, last] run with a constant offset; the few others are read one by one
    inner_low = min(max(low, int(min(max(np.ceil(at), 0.0), float(last)))), high)
    inner_high = max(min(high, int(max(min(np.floor(at + discount * last), float(last)), 0.0))), inner_low)
    for i in range(low, inner_low):
        _read_cell(mix, at, discount, weight, out, i)
    drift = 1.0 / discount - 1.0  # how far the window's start gains on the cell's in one step
    scale = weight * discount
    i = inner_low
    while i < inner_high:
        start = (i - at) / discount
        first = int(start)
        lead = start - first
        count = inner_high - i
        if drift * count > 1.0 - lead:
            count = int((1.0 - lead) / drift)
        count = min(count, last - first)
        source = mix[first : first + count + 1]
        target = out[i : i + count]
        for k in range(count):
            left = lead + k * drift
            target[k] += scale * ((1.0 - left) * source[k] + (left + drift) * source[k + 1])
        i += count
        if i < inner_high:  # the window that spans three atoms, where the offset changes
            _read_cell(mix, at, discount, weight, out, i)
            i += 1
    for i in range(inner_high, high):
        _read_cell(mix, at, discount, weight, out, i)


@kernel
def _mix_row(values: FloatArray, plan: Any, group: int, mix: FloatArray) -> None:
    mix[:] = 0.0
    for k in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
        weight = plan.successor_prob[k]
        row = values[plan.successor[k]]
        for j in range(len(mix)):
            mix[j] += weight * row[j]


@kernel
def apply_cdf(cdf: FloatArray, plan: Any, affine: bool, out: FloatArray) -> None:
    """CDF form for all sources: out = linear part of `cdf`, plus the terminal outcomes if `affine`.

    `cdf` is (S, m) with the mass in its last column: 1 for a distribution, 0 for a difference of two.
    """
    atoms = cdf.shape[1]
    mix = np.empty(atoms)
    for x in range(out.shape[0]):
        row = out[x]
        row[:] = 0.0
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            _mix_row(cdf, plan, group, mix)
            for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                _read(mix, plan.read_at[k], plan.discount, plan.read_prob[k], row)
        if affine:
            for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
                at = min(max(plan.end_at[k], 0.0), float(atoms - 1))
                first = int(at)
                if first < atoms - 1:
                    row[first] += plan.end_prob[k] * (first + 1 - at)
                else:
                    row[first] += plan.end_prob[k]
                for i in range(first + 1, atoms):
                    row[i] += plan.end_prob[k]


@kernel
def _split(at: float, mass: float, slack: float, out: FloatArray, spread: FloatArray) -> None:
    """Project a particle: mass to the neighbours in `out`; add variance, overshoot and clipped mass to `spread`."""
    last = len(out) - 1
    inside = min(max(at, 0.0), float(last))
    left = min(int(inside), last - 1)
    share = inside - left
    out[left] += mass * (1.0 - share)
    out[left + 1] += mass * share
    spread[0] += mass * share * (1.0 - share)
    gap = abs(at - inside)
    spread[1] += mass * gap
    if gap > slack:
        spread[2] += mass


@kernel
def apply_pmf(probs: FloatArray, plan: Any, slack: float, out: FloatArray, spread: FloatArray) -> None:
    """PMF form for all sources; spread[x] = (variance added by rounding, overshoot, clipped mass), grid units."""
    atoms = probs.shape[1]
    mix = np.empty(atoms)
    for x in range(out.shape[0]):
        row = out[x]
        row[:] = 0.0
        spread[x] = 0.0
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            _mix_row(probs, plan, group, mix)
            for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                at, weight = plan.read_at[k], plan.read_prob[k]
                for j in range(atoms):
                    if mix[j] != 0.0:
                        _split(at + plan.discount * j, weight * mix[j], slack, row, spread[x])
        for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
            _split(plan.end_at[k], plan.end_prob[k], slack, row, spread[x])


@kernel
def matrix_entries(plan: Any, atoms: int, rows: IntArray, columns: IntArray, values: FloatArray) -> int:
    """Triplets of the linear part in CDF form on the first atoms - 1 atoms; returns how many were written."""
    last = atoms - 1
    count = 0
    for x in range(len(plan.group_ptr) - 1):
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                at, weight = plan.read_at[k], plan.read_prob[k]
                for j in range(last):
                    here = min(max(at + plan.discount * j, 0.0), float(last))
                    following = min(max(at + plan.discount * (j + 1), 0.0), float(last))
                    for i in range(int(here), min(int(following) + 1, last)):
                        value = min(max(i + 1 - here, 0.0), 1.0) - min(max(i + 1 - following, 0.0), 1.0)
                        if value <= 0.0:
                            continue
                        for n in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                            rows[count] = x * last + i
                            columns[count] = plan.successor[n] * last + j
                            values[count] = weight * plan.successor_prob[n] * value
                            count += 1
    return count


@kernel
def largest_distance(first: FloatArray, second: FloatArray) -> float:
    """max over rows of sum |first - second|: the sup-W1 distance of two CDF arrays, in grid units; inf for NaN."""
    largest = 0.0
    for x in range(first.shape[0]):
        total = 0.0
        for i in range(first.shape[1]):
            total += abs(first[x, i] - second[x, i])
        if total != total:
            return np.inf
        largest = max(largest, total)
    return largest
