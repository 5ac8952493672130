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
    scale, stretch, reach = weight * discount, 1.0 / discount, 1.0 / max(drift, 1e-300)
    i = inner_low
    while i < inner_high:
        start = (i - at) * stretch
        first = min(int(start), last - 1)
        lead = start - first
        count = inner_high - i
        if drift * count > 1.0 - lead:
            count = int((1.0 - lead) * reach)
        count = min(count, last - first)
        source = mix[first : first + count + 1]
        target = out[i : i + count]
        for k in range(count):
            left = lead + k * drift
            target[k] += scale * ((1.0 - left) * source[k] + (left + drift) * source[k + 1])
        i += count
        if i < inner_high:  # the window that spans three atoms, where the offset changes
            start = (i - at) * stretch
            first = min(int(start), last - 1)
            lead = min(start - first, 1.0)
            beyond = max(lead + drift - 1.0, 0.0)
            middle = min(lead + drift, 1.0)
            out[i] += scale * ((1.0 - lead) * mix[first] + middle * mix[first + 1] + beyond * mix[min(first + 2, last)])
            i += 1
    for i in range(inner_high, high):
        _read_cell(mix, at, discount, weight, out, i)


@kernel
def _mix_row(values: FloatArray, plan: Any, group: int, mix: FloatArray) -> None:
    """mix = sum of probability * row over the group's successors, two rows at a time to spare passes over `mix`."""
    k, stop = plan.successor_ptr[group], plan.successor_ptr[group + 1]
    if (stop - k) % 2 == 1:
        weight = plan.successor_prob[k]
        row = values[plan.successor[k]]
        for j in range(len(mix)):
            mix[j] = weight * row[j]
        k += 1
    else:
        mix[:] = 0.0
    while k < stop:
        weight, other_weight = plan.successor_prob[k], plan.successor_prob[k + 1]
        row, other = values[plan.successor[k]], values[plan.successor[k + 1]]
        for j in range(len(mix)):
            mix[j] += weight * row[j] + other_weight * other[j]
        k += 2


@kernel
def _row_distance(first: FloatArray, second: FloatArray) -> float:
    """sum |first - second|, in four interleaved sums: a single one would wait for each addition."""
    a = b = c = d = 0.0
    full = len(first) - len(first) % 4
    for i in range(0, full, 4):
        a += abs(first[i] - second[i])
        b += abs(first[i + 1] - second[i + 1])
        c += abs(first[i + 2] - second[i + 2])
        d += abs(first[i + 3] - second[i + 3])
    for i in range(full, len(first)):
        a += abs(first[i] - second[i])
    return (a + b) + (c + d)


@kernel
def _ends_row(plan: Any, x: int, row: FloatArray) -> None:
    """Add source x's outcomes that end to `row`."""
    last = len(row) - 1
    for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
        at = min(max(plan.end_at[k], 0.0), float(last))
        first = int(at)
        if first < last:
            row[first] += plan.end_prob[k] * (first + 1 - at)
        else:
            row[first] += plan.end_prob[k]
        for i in range(first + 1, last + 1):
            row[i] += plan.end_prob[k]


@kernel
def _image_row(cdf: FloatArray, plan: Any, x: int, affine: bool, mix: FloatArray, row: FloatArray) -> None:
    """Add source x's image of `cdf` to `row`."""
    for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
        _mix_row(cdf, plan, group, mix)
        for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
            _read(mix, plan.read_at[k], plan.discount, plan.read_prob[k], row)
    if affine:
        _ends_row(plan, x, row)


@kernel
def apply_cdf(
    cdf: FloatArray,
    plan: Any,
    affine: bool,
    offset: FloatArray,
    out: FloatArray,
    sums: FloatArray,
    start: int,
    stop: int,
) -> None:
    """CDF form for sources start to stop: out = linear part of `cdf`, plus ends and `offset` if affine.

    `cdf` is (S, m) with the mass in its last column: 1 for a distribution, 0 for a difference of two. `offset` is
    (S, m) or empty. `sums`, if not empty, gets sum |out - cdf| of each row while the row is in cache.
    """
    mix = np.empty(cdf.shape[1])
    for x in range(start, stop):
        row = out[x]
        if affine and len(offset) > 0:
            row[:] = offset[x]
        else:
            row[:] = 0.0
        _image_row(cdf, plan, x, affine, mix, row)
        if len(sums) > 0:
            sums[x] = _row_distance(row, cdf[x])


@kernel
def sweep_blocks(
    old: FloatArray,
    plan: Any,
    offset: FloatArray,
    edges: IntArray,
    forward: bool,
    relax: float,
    new: FloatArray,
    sums: FloatArray,
    start: int,
    stop: int,
) -> None:
    """Gauss-Seidel on blocks start to stop of states: rows of the own block that are done are read from `new`.

    A row moves `relax` times as far as its equation says. Rows of other blocks are read from `old`, so that blocks can
    run side by side; sums = rows' sums of |new - old|.
    """
    atoms = old.shape[1]
    mix = np.empty(atoms)
    for block in range(start, stop):
        low, high = edges[block], edges[block + 1]
        for step in range(high - low):
            x = low + step if forward else high - 1 - step
            first, end = (low, x) if forward else (x + 1, high)
            row = new[x]
            if len(offset) > 0:
                row[:] = offset[x]
            else:
                row[:] = 0.0
            for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
                n, last = plan.successor_ptr[group], plan.successor_ptr[group + 1]
                mix[:] = 0.0
                while n < last:  # two at a time; the second is the first again, with weight 0, where it is missing
                    y, weight = plan.successor[n], plan.successor_prob[n]
                    source = new[y] if first <= y < end else old[y]
                    other_weight, other = 0.0, source
                    if n + 1 < last:
                        y, other_weight = plan.successor[n + 1], plan.successor_prob[n + 1]
                        other = new[y] if first <= y < end else old[y]
                    for j in range(atoms):
                        mix[j] += weight * source[j] + other_weight * other[j]
                    n += 2
                for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    _read(mix, plan.read_at[k], plan.discount, plan.read_prob[k], row)
            _ends_row(plan, x, row)
            if relax != 1.0:
                here = old[x]
                for j in range(atoms - 1):
                    row[j] = here[j] + relax * (row[j] - here[j])
            sums[x] = _row_distance(row, old[x])


@kernel
def _solve_cell(row: FloatArray, known: float, weights: FloatArray, ats: FloatArray, discount: float, i: int) -> float:
    """What the equation of cell i of a state with self-loops says, given the other cells of its `row`.

    A self-loop reads the average of `row` over [(i - at)/discount, (i + 1 - at)/discount], cell i itself included.
    """
    last = len(row) - 1
    own, value = 0.0, known
    for k in range(len(ats)):
        start, stop = (i - ats[k]) / discount, (i + 1 - ats[k]) / discount
        begin, end = min(max(start, 0.0), float(last)), min(max(stop, 0.0), float(last))
        weight = weights[k] * discount
        j = int(begin)
        while j < end:
            share = weight * (min(end, j + 1.0) - max(begin, float(j)))
            if j == i:
                own += share
            else:
                value += share * row[j]
            j += 1
        value += weights[k] * max(min(i + 1 - ats[k] - discount * last, 1.0), 0.0) * row[last]
    return value / (1.0 - own)


@kernel
def _self_loops(plan: Any, x: int, weights: FloatArray, ats: FloatArray) -> int:
    """Fill in probability and position of each reward on x's way to itself, and give their number."""
    loops = 0
    for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
        for n in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
            if plan.successor[n] == x:
                for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    if loops < len(ats):
                        weights[loops] = plan.successor_prob[n] * plan.read_prob[k]
                        ats[loops] = plan.read_at[k]
                    loops += 1
    return loops


@kernel
def solve_states(cdf: FloatArray, plan: Any, states: IntArray) -> None:
    """Solve the equations of `states` one after the other, in place: all their successors but themselves are known.

    A self-loop that pays r maps position z to at + discount * z. Above the fixed point at/(1 - discount) of this map a
    cell reads only itself and higher cells, below it only itself and lower ones. So a pass down to it, a pass
    up to it and its own cell last solve the equation exactly, in O(m). With several rewards on the loop passes both
    ways are repeated until nothing moves.
    """
    atoms = cdf.shape[1]
    last = atoms - 1
    mix, known = np.empty(atoms), np.empty(atoms)
    weights, ats = np.empty(4), np.empty(4)
    for x in states:
        row = cdf[x]
        row[:] = 0.0
        known[:] = 0.0
        _image_row(cdf, plan, x, True, mix, known)  # the row itself is 0 here: only what follows is read
        row[:] = known
        loops = _self_loops(plan, x, weights, ats)
        if loops == 0:
            continue
        if loops > len(ats):
            weights, ats = np.empty(loops), np.empty(loops)
            _self_loops(plan, x, weights, ats)
        row[last] = 1.0
        if loops == 1:
            at = ats[0]
            centre = at / max(1.0 - plan.discount, 1e-300)
            turn = int(np.floor(min(max(centre, -1.0), float(last))))
            for i in range(min(turn, last)):
                row[i] = _solve_cell(row, known[i], weights[:1], ats[:1], plan.discount, i)
            for i in range(last - 1, turn, -1):
                row[i] = _solve_cell(row, known[i], weights[:1], ats[:1], plan.discount, i)
            if 0 <= turn < last:
                row[turn] = _solve_cell(row, known[turn], weights[:1], ats[:1], plan.discount, turn)
            continue
        for _ in range(500):
            moved = 0.0
            for step in range(2 * last):
                i = step if step < last else 2 * last - 1 - step
                value = _solve_cell(row, known[i], weights[:loops], ats[:loops], plan.discount, i)
                moved += abs(value - row[i])
                row[i] = value
            if moved <= 1e-15 * atoms:
                break


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
def _pmf_row(probs: FloatArray, plan: Any, x: int, slack: float, mix: FloatArray, row: FloatArray, spread: Any) -> None:
    row[:] = 0.0
    spread[:] = 0.0
    for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
        _mix_row(probs, plan, group, mix)
        for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
            at, weight = plan.read_at[k], plan.read_prob[k]
            for j in range(len(mix)):
                if mix[j] != 0.0:
                    _split(at + plan.discount * j, weight * mix[j], slack, row, spread)
    for k in range(plan.end_ptr[x], plan.end_ptr[x + 1]):
        _split(plan.end_at[k], plan.end_prob[k], slack, row, spread)


@kernel
def apply_pmf(probs: FloatArray, plan: Any, slack: float, out: FloatArray, spread: FloatArray) -> None:
    """PMF form for all sources; spread[x] = (variance added by rounding, overshoot, clipped mass), grid units."""
    mix = np.empty(probs.shape[1])
    for x in range(out.shape[0]):
        _pmf_row(probs, plan, x, slack, mix, out[x], spread[x])


@kernel
def pmf_losses(
    probs: FloatArray, plan: Any, slack: float, distance: FloatArray, spread: FloatArray, start: int, stop: int
) -> None:
    """What `apply_pmf` gives in `spread`, and W1 between image and `probs` in grid units; no image kept."""
    mix, row = np.empty(probs.shape[1]), np.empty(probs.shape[1])
    for x in range(start, stop):
        _pmf_row(probs, plan, x, slack, mix, row, spread[x])
        gap = total = 0.0
        for j in range(len(row) - 1):
            gap += row[j] - probs[x, j]
            total += abs(gap)
        distance[x] = total


@kernel
def row_distances(first: FloatArray, second: FloatArray, sums: FloatArray, start: int, stop: int) -> None:
    """sums[x] = sum |first[x] - second[x]|: W1 of two CDF rows, in grid units."""
    for x in range(start, stop):
        sums[x] = _row_distance(first[x], second[x])
