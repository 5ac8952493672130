"""The categorical Bellman operator, one pass over the outcomes.

Positions are in units of the grid spacing, from its first atom: atom j sits at j, and an outcome with reward r maps
atom j to `at + discount * j`. A plan (see `distrl.operators.kernel_plan.KernelPlan`) lists, for each source, groups of
successors that share a discount and a reward law on few values: they are mixed once, then read once for each value.

CDF form. The hat projection makes the new CDF at atom i the average of the unprojected CDF over the cell [i, i + 1],
which is the average of the mixed step function over the window [(i - at)/discount, (i + 1 - at)/discount]. All
coefficients are non-negative: nothing cancels. While windows and cells keep their offset, the reading is a
contiguous loop (`_read_runs`), which is what makes the pass run near memory speed for discounts above 1/2.

PMF form. Each particle splits between its two neighbours; the same pass collects what the certificate needs.

Reference counts. Loops over sources take the plan apart first: to pass it on, or to choose between arrays in a branch,
costs two atomic updates for each of its arrays and source, as long as all else together.
"""

from typing import Any

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import NOT_ZERO
from distrl._validation import FloatArray, IntArray

_CELLS = 20_000_000  # a second's work
_PAD = 3  # entries on either side of a step function: windows reach two atoms beyond it, and one is for rounding


@kernel
def _copy(given: FloatArray, out: FloatArray) -> None:
    """out = given, row by hand: see `distrl._numba`."""
    for i in range(len(out)):
        out[i] = given[i]


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
def _read_runs(
    padded: FloatArray, at: float, discount: float, weight: float, out: FloatArray, low: int, high: int
) -> None:
    """What `_read_cell` adds to cells low to high, for discounts of at least 1/2: windows span at most three atoms."""
    stretch = 1.0 / discount
    drift = stretch - 1.0  # how far the window's start gains on the cell's in one step
    scale, step, reach = weight * discount, weight * (1.0 - discount), 1.0 / max(drift, NOT_ZERO)
    begin = _PAD - at * stretch  # cell i's window starts at begin + i * stretch in `padded`
    shift = np.floor(begin + low * drift)
    i = low
    while i < high:
        # as long as windows lead their cells by the same `shift` they span two atoms; the last of them spans three
        lead, first = begin + i * drift - shift, i + int(shift)
        shift += 1.0
        count = max(int(min((shift - begin) * reach, high - 1.0)) - i, 0)
        source, target = padded[first : first + count + 1], out[i : i + count]
        head, tail = scale * (1.0 - lead), scale * (lead + drift)
        for k in range(count):
            target[k] += (head - k * step) * source[k] + (tail + k * step) * source[k + 1]
        i, first, lead = i + count, first + count, lead + count * drift
        head, tail = max(1.0 - lead, 0.0), max(lead + drift - 1.0, 0.0)
        middle = stretch - head - tail
        out[i] += scale * (head * padded[first] + middle * padded[first + 1] + tail * padded[first + 2])
        i += 1


@kernel
def _read(padded: FloatArray, at: float, discount: float, weight: float, out: FloatArray) -> None:
    """Add weight * (CDF form of the push-forward under j -> at + discount j, projected) to `out`.

    `padded` is the step function from `_PAD` atoms below the grid to `_PAD` above.
    """
    last = len(out) - 1
    total = padded[_PAD + last]
    low = int(min(max(np.floor(at), 0.0), float(last)))  # cells below read 0
    high = int(min(max(np.ceil(at + discount * last), 0.0), float(last)))  # cells from here on read the mass
    if discount >= 0.5:
        _read_runs(padded, at, discount, weight, out, low, high)
    else:
        for i in range(low, high):
            _read_cell(padded[_PAD : _PAD + last + 1], at, discount, weight, out, i)
    for i in range(high, last + 1):
        out[i] += weight * total


@kernel
def _mix_rows(
    values: FloatArray, successor: IntArray, prob: FloatArray, start: int, stop: int, mix: FloatArray
) -> None:
    """mix = sum of prob * row over successors start to stop: four rows, then two at a time, to spare passes over `mix`.

    A row that is missing is the last one again, with weight 0.
    """
    last = stop - 1
    k, n, o = min(start + 1, last), min(start + 2, last), min(start + 3, last)
    a, b, c, d = values[successor[start]], values[successor[k]], values[successor[n]], values[successor[o]]
    p, q, r, s = prob[start], prob[k] * (k > start), prob[n] * (n > k), prob[o] * (o > n)
    for j in range(len(mix)):
        mix[j] = (p * a[j] + q * b[j]) + (r * c[j] + s * d[j])
    for k in range(start + 4, stop, 2):
        n = min(k + 1, last)
        first, second = values[successor[k]], values[successor[n]]
        p, q = prob[k], prob[n] * (n > k)
        for j in range(len(mix)):
            mix[j] += p * first[j] + q * second[j]


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
def _add_ends(at: FloatArray, prob: FloatArray, start: int, stop: int, row: FloatArray) -> None:
    """Add ends start to stop to `row`."""
    last = len(row) - 1
    for k in range(start, stop):
        place = min(max(at[k], 0.0), float(last))
        first = int(place)
        row[first] += prob[k] * min(first + 1 - place, 1.0)
        for i in range(first + 1, last + 1):
            row[i] += prob[k]


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
    atoms = cdf.shape[1]
    padded = np.zeros(atoms + 2 * _PAD)
    mix = padded[_PAD : _PAD + atoms]
    group_ptr, successor_ptr, read_ptr, end_ptr = plan.group_ptr, plan.successor_ptr, plan.read_ptr, plan.end_ptr
    successor, successor_prob, discounts = plan.successor, plan.successor_prob, plan.discount
    read_at, read_prob, end_at, end_prob = plan.read_at, plan.read_prob, plan.end_at, plan.end_prob
    for x in range(start, stop):
        row = out[x]
        if affine and len(offset) > 0:
            _copy(offset[x], row)
        else:
            row[:] = 0.0
        for group in range(group_ptr[x], group_ptr[x + 1]):
            first, end = successor_ptr[group], successor_ptr[group + 1]
            if first < end:  # none of a group's successors may be among the states of this plan
                _mix_rows(cdf, successor, successor_prob, first, end, mix)
                padded[_PAD + atoms :] = mix[atoms - 1]
                for k in range(read_ptr[group], read_ptr[group + 1]):
                    _read(padded, read_at[k], discounts[group], read_prob[k], row)
        if affine:
            _add_ends(end_at, end_prob, end_ptr[x], end_ptr[x + 1], row)
        if len(sums) > 0:
            sums[x] = _row_distance(row, cdf[x])


@kernel
def sweep_blocks(
    first: FloatArray,
    plan: Any,
    offset: FloatArray,
    edges: IntArray,
    forward: bool,
    relax: float,
    second: FloatArray,
    sums: FloatArray,
    times: int,
    start: int,
    stop: int,
) -> None:
    """Gauss-Seidel on blocks start to stop of states, an odd number of `times`: from `first` into `second` and back.

    Rows of the own block that are done are read from the new array. A row moves `relax` times as far as its equation
    says. Rows of other blocks are read from the old array, so that blocks can run side by side for one sweep; sums =
    rows' sums of |new - old| of the last sweep.
    """
    atoms = first.shape[1]
    padded = np.zeros(atoms + 2 * _PAD)
    mix = padded[_PAD : _PAD + atoms]
    group_ptr, successor_ptr, read_ptr, end_ptr = plan.group_ptr, plan.successor_ptr, plan.read_ptr, plan.end_ptr
    successor, successor_prob, discounts = plan.successor, plan.successor_prob, plan.discount
    read_at, read_prob, end_at, end_prob = plan.read_at, plan.read_prob, plan.end_at, plan.end_prob
    for turn in range(times):
        old, new = (first, second) if turn % 2 == 0 else (second, first)
        for block in range(start, stop):
            low, high = edges[block], edges[block + 1]
            for step in range(high - low):
                x = low + step if forward else high - 1 - step
                begin, end = (low, x) if forward else (x + 1, high)
                row = new[x]
                if len(offset) > 0:
                    _copy(offset[x], row)
                else:
                    row[:] = 0.0
                for group in range(group_ptr[x], group_ptr[x + 1]):
                    mix[:] = 0.0
                    n, last = successor_ptr[group], successor_ptr[group + 1]
                    while n < last:  # two at a time; the second is the first again, with weight 0, where it is missing
                        y, weight = successor[n], successor_prob[n]
                        source = new[y] if begin <= y < end else old[y]
                        other_weight, other = 0.0, source
                        if n + 1 < last:
                            y, other_weight = successor[n + 1], successor_prob[n + 1]
                            other = new[y] if begin <= y < end else old[y]
                        for j in range(atoms):
                            mix[j] += weight * source[j] + other_weight * other[j]
                        n += 2
                    padded[_PAD + atoms :] = mix[atoms - 1]
                    for k in range(read_ptr[group], read_ptr[group + 1]):
                        _read(padded, read_at[k], discounts[group], read_prob[k], row)
                _add_ends(end_at, end_prob, end_ptr[x], end_ptr[x + 1], row)
                if relax != 1.0:
                    here = old[x]
                    for j in range(atoms - 1):
                        row[j] = here[j] + relax * (row[j] - here[j])
                sums[x] = _row_distance(row, old[x])


@kernel
def _solve_cell(
    row: FloatArray, known: float, weights: FloatArray, ats: FloatArray, discounts: FloatArray, i: int
) -> float:
    """What the equation of cell i of a state with self-loops says, given the other cells of its `row`.

    A self-loop reads the average of `row` over [(i - at)/discount, (i + 1 - at)/discount], cell i itself included.
    """
    last = len(row) - 1
    own, value = 0.0, known
    for k in range(len(ats)):
        discount = discounts[k]
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
def _self_loops(plan: Any, x: int, weights: FloatArray, ats: FloatArray, discounts: FloatArray) -> int:
    """Fill in probability, position and discount of each reward on x's way to itself, and give their number."""
    loops = 0
    for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
        for n in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
            if plan.successor[n] == x:
                for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                    if loops < len(ats):
                        weights[loops] = plan.successor_prob[n] * plan.read_prob[k]
                        ats[loops] = plan.read_at[k]
                        discounts[loops] = plan.discount[group]
                    loops += 1
    return loops


@kernel
def solve_states(cdf: FloatArray, plan: Any, states: IntArray) -> None:
    """Solve the equations of `states` one after the other, in place: all their successors but themselves are known.

    A self-loop that pays r maps position z to at + discount * z. Above the fixed point at/(1 - discount) of this map a
    cell reads only itself and higher cells, below it only itself and lower ones. So a pass down to it, a pass
    up to it and its own cell last solve the equation exactly, in O(m). With several rewards on the loop passes both
    ways are repeated until nothing moves, 500 times at most, on many atoms as often as `_CELLS` cells allow.
    """
    atoms = cdf.shape[1]
    last = atoms - 1
    padded, known = np.zeros(atoms + 2 * _PAD), np.empty(atoms)
    mix = padded[_PAD : _PAD + atoms]
    weights, ats, own = np.empty(4), np.empty(4), np.empty(4)
    group_ptr, successor_ptr, read_ptr, end_ptr = plan.group_ptr, plan.successor_ptr, plan.read_ptr, plan.end_ptr
    successor, successor_prob, discounts = plan.successor, plan.successor_prob, plan.discount
    read_at, read_prob, end_at, end_prob = plan.read_at, plan.read_prob, plan.end_at, plan.end_prob
    for x in states:
        row = cdf[x]
        row[:] = 0.0  # only what follows is read
        known[:] = 0.0
        for group in range(group_ptr[x], group_ptr[x + 1]):
            first, end = successor_ptr[group], successor_ptr[group + 1]
            if first < end:  # none of a group's successors may be among the states of this plan
                _mix_rows(cdf, successor, successor_prob, first, end, mix)
                padded[_PAD + atoms :] = mix[atoms - 1]
                for k in range(read_ptr[group], read_ptr[group + 1]):
                    _read(padded, read_at[k], discounts[group], read_prob[k], known)
        _add_ends(end_at, end_prob, end_ptr[x], end_ptr[x + 1], known)
        _copy(known, row)
        loops = _self_loops(plan, x, weights, ats, own)
        if loops == 0:
            continue
        if loops > len(ats):
            weights, ats, own = np.empty(loops), np.empty(loops), np.empty(loops)
            _self_loops(plan, x, weights, ats, own)
        row[last] = 1.0
        if loops == 1:
            at = ats[0]
            centre = at / max(1.0 - own[0], NOT_ZERO)
            turn = int(np.floor(min(max(centre, -1.0), float(last))))
            for i in range(min(turn, last)):
                row[i] = _solve_cell(row, known[i], weights[:1], ats[:1], own[:1], i)
            for i in range(last - 1, turn, -1):
                row[i] = _solve_cell(row, known[i], weights[:1], ats[:1], own[:1], i)
            if 0 <= turn < last:
                row[turn] = _solve_cell(row, known[turn], weights[:1], ats[:1], own[:1], turn)
            continue
        for _ in range(min(500, max(_CELLS // (2 * last), 4))):
            moved = 0.0
            for step in range(2 * last):
                i = step if step < last else 2 * last - 1 - step
                value = _solve_cell(row, known[i], weights[:loops], ats[:loops], own[:loops], i)
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
def apply_pmf(
    probs: FloatArray,
    plan: Any,
    slack: float,
    out: FloatArray,
    spread: FloatArray,
    distance: FloatArray,
    start: int,
    stop: int,
) -> None:
    """PMF form for sources start to stop.

    spread[x] = (variance added by rounding, overshoot, clipped mass), grid units. `out`, if not empty, gets the image;
    `distance`, if not empty, W1 between the image and `probs` in grid units.
    """
    atoms = probs.shape[1]
    mix, scratch = np.empty(atoms), np.empty(atoms)
    group_ptr, successor_ptr, read_ptr, end_ptr = plan.group_ptr, plan.successor_ptr, plan.read_ptr, plan.end_ptr
    successor, successor_prob, discounts = plan.successor, plan.successor_prob, plan.discount
    read_at, read_prob, end_at, end_prob = plan.read_at, plan.read_prob, plan.end_at, plan.end_prob
    for x in range(start, stop):
        row = out[x] if len(out) > 0 else scratch
        losses = spread[x]
        row[:] = 0.0
        losses[:] = 0.0
        for group in range(group_ptr[x], group_ptr[x + 1]):
            _mix_rows(probs, successor, successor_prob, successor_ptr[group], successor_ptr[group + 1], mix)
            discount = discounts[group]
            for k in range(read_ptr[group], read_ptr[group + 1]):
                at, weight = read_at[k], read_prob[k]
                for j in range(atoms):
                    if mix[j] != 0.0:
                        _split(at + discount * j, weight * mix[j], slack, row, losses)
        for k in range(end_ptr[x], end_ptr[x + 1]):
            _split(end_at[k], end_prob[k], slack, row, losses)
        if len(distance) > 0:
            gap = total = 0.0
            for j in range(atoms - 1):
                gap += row[j] - probs[x, j]
                total += abs(gap)
            distance[x] = total


@kernel
def row_distances(first: FloatArray, second: FloatArray, sums: FloatArray, start: int, stop: int) -> None:
    """sums[x] = sum |first[x] - second[x]|: W1 of two CDF rows, in grid units."""
    for x in range(start, stop):
        sums[x] = _row_distance(first[x], second[x])
