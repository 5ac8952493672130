"""Distances between finitely supported laws, row by row.

Operands are `values` (1 or B, n) sorted along the rows and `weights` (1 or B, n); a single row is shared by all B laws.
Time is linear in the number of atoms, memory constant.
"""

import math

import numpy as np

from distrl._numba import kernel
from distrl._tolerances import NO_MASS, NO_MASS_AT_ALL
from distrl._validation import FloatArray, IntArray


@kernel
def _row(array: FloatArray, row: int) -> FloatArray:
    chosen: FloatArray = array[row if array.shape[0] > 1 else 0]
    return chosen


@kernel
def shared_wasserstein_1(gaps: FloatArray, a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """sum |F - G| * gap on a shared support; `gaps` (n-1,) between its atoms."""
    rows = out.size
    sa = 1 if a.shape[0] > 1 else 0
    sb = 1 if b.shape[0] > 1 else 0
    # a running sum waits for its last addition: four rows at once keep the adders busy
    blocks = rows - rows % 4
    for r in range(0, blocks, 4):
        d0, d1, d2, d3 = 0.0, 0.0, 0.0, 0.0
        t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
        for i in range(gaps.size):
            d0 += a[sa * r, i] - b[sb * r, i]
            d1 += a[sa * (r + 1), i] - b[sb * (r + 1), i]
            d2 += a[sa * (r + 2), i] - b[sb * (r + 2), i]
            d3 += a[sa * (r + 3), i] - b[sb * (r + 3), i]
            t0 += abs(d0) * gaps[i]
            t1 += abs(d1) * gaps[i]
            t2 += abs(d2) * gaps[i]
            t3 += abs(d3) * gaps[i]
        out[r], out[r + 1], out[r + 2], out[r + 3] = t0, t1, t2, t3
    for r in range(blocks, rows):
        d, total = 0.0, 0.0
        for i in range(gaps.size):
            d += a[sa * r, i] - b[sb * r, i]
            total += abs(d) * gaps[i]
        out[r] = total


@kernel
def shared_cramer(gaps: FloatArray, a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """sqrt(sum (F - G)^2 * gap) on a shared support."""
    for r in range(out.size):
        p, q = _row(a, r), _row(b, r)
        d, total = 0.0, 0.0
        for i in range(gaps.size):
            d += p[i] - q[i]
            total += d * d * gaps[i]
        out[r] = math.sqrt(total)


@kernel
def shared_kolmogorov(a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """max |F - G| on a shared support."""
    for r in range(out.size):
        p, q = _row(a, r), _row(b, r)
        d, largest = 0.0, 0.0
        for i in range(p.size - 1):
            d += p[i] - q[i]
            largest = max(largest, abs(d))
        out[r] = largest


@kernel
def paired_wasserstein_1(values_a: FloatArray, values_b: FloatArray, weights: FloatArray, out: FloatArray) -> None:
    """sum weight * |x_i - y_i|: with equal weights the monotone coupling sends each atom to that of its own rank."""
    for r in range(out.size):
        va, vb, w = _row(values_a, r), _row(values_b, r), _row(weights, r)
        # four sums, so that an addition does not wait for the last one; abs: a weight can be -1e-17
        t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
        whole = w.size - w.size % 4
        for i in range(0, whole, 4):
            t0 += abs(w[i] * (va[i] - vb[i]))
            t1 += abs(w[i + 1] * (va[i + 1] - vb[i + 1]))
            t2 += abs(w[i + 2] * (va[i + 2] - vb[i + 2]))
            t3 += abs(w[i + 3] * (va[i + 3] - vb[i + 3]))
        for i in range(whole, w.size):
            t0 += abs(w[i] * (va[i] - vb[i]))
        out[r] = (t0 + t1) + (t2 + t3)


@kernel
def ordered_wasserstein_1(
    order: IntArray, gaps: FloatArray, weights_a: FloatArray, weights_b: FloatArray, out: FloatArray
) -> None:
    """int |F - G| on two supports that all rows share: `order` sorts the second's atoms in among the first's, `gaps`
    lie between them.
    """
    na, last = weights_a.shape[1], out.size - 1
    masses = np.empty((order.size, 4))
    for first in range(0, out.size, 4):  # four rows at once, as above; the last ones are done again to fill up
        for q in range(4):
            wa, wb = _row(weights_a, min(first + q, last)), _row(weights_b, min(first + q, last))
            for i in range(na):
                masses[i, q] = wa[i]
            for i in range(wb.size):
                masses[na + i, q] = -wb[i]
        d0, d1, d2, d3 = 0.0, 0.0, 0.0, 0.0
        t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
        for k in range(gaps.size):
            at, gap = order[k], gaps[k]
            d0 += masses[at, 0]
            d1 += masses[at, 1]
            d2 += masses[at, 2]
            d3 += masses[at, 3]
            t0 += abs(d0) * gap
            t1 += abs(d1) * gap
            t2 += abs(d2) * gap
            t3 += abs(d3) * gap
        for q, total in enumerate((t0, t1, t2, t3)):
            out[min(first + q, last)] = total


@kernel
def _used(weights: FloatArray) -> int:
    """Number of atoms up to the last one with mass, at least 1."""
    n = weights.size
    while n > 1 and weights[n - 1] == 0.0:
        n -= 1
    return n


@kernel
def merged_wasserstein_1(
    values_a: FloatArray, weights_a: FloatArray, values_b: FloatArray, weights_b: FloatArray, out: FloatArray
) -> None:
    """int |F - G| by merging the two supports of each row."""
    for r in range(out.size):
        va, wa, vb, wb = _row(values_a, r), _row(weights_a, r), _row(values_b, r), _row(weights_b, r)
        # up to the last mass: what rounding leaves of |F - G| there must not count over a gap to atoms of none
        na, nb = _used(wa), _used(wb)
        i, j, d, total = 0, 0, 0.0, 0.0
        previous = min(va[0], vb[0])
        while i < na and j < nb:  # selections, not branches, which nothing could predict
            left = va[i] <= vb[j]
            x = va[i] if left else vb[j]
            total += abs(d) * (x - previous)
            previous = x
            mass_a, mass_b = wa[i], -wb[j]
            d += mass_a if left else mass_b
            i += left
            j += not left
        while i < na:
            total += abs(d) * (va[i] - previous)
            previous = va[i]
            d += wa[i]
            i += 1
        while j < nb:
            total += abs(d) * (vb[j] - previous)
            previous = vb[j]
            d -= wb[j]
            j += 1
        out[r] = total


@kernel
def _next(values: FloatArray, weights: FloatArray, i: int) -> int:
    """The first atom from i on that has mass."""
    while i < values.size and weights[i] == 0.0:
        i += 1
    return i


@kernel
def merged(
    values_a: FloatArray,
    weights_a: FloatArray,
    values_b: FloatArray,
    weights_b: FloatArray,
    tolerance: float,
    out: FloatArray,
) -> None:
    """A quarter of int (F - G)^2, and sup |F - G|, into out (B, 2), by merging the two supports.

    A quarter, so that no difference of two values overflows. Values closer than `tolerance` times their own size are
    one; atoms without mass are none.
    """
    na, nb = values_a.shape[1], values_b.shape[1]
    for r in range(out.shape[0]):
        va, wa, vb, wb = _row(values_a, r), _row(weights_a, r), _row(values_b, r), _row(weights_b, r)
        i, j, d, x = _next(va, wa, 0), _next(vb, wb, 0), 0.0, 0.0
        square, largest = 0.0, 0.0
        while i < na or j < nb:
            previous = x
            x = va[i] if i < na and (j == nb or va[i] <= vb[j]) else vb[j]
            if d != 0.0:  # also skips the first round, which has no previous value
                square += d * d * (0.25 * x - 0.25 * previous)
            reach = x + tolerance * abs(x)
            mass_a, mass_b = 0.0, 0.0  # summed apart: equal laws then cancel exactly
            while i < na and va[i] <= reach:
                mass_a += wa[i]
                i = _next(va, wa, i + 1)
            while j < nb and vb[j] <= reach:
                mass_b += wb[j]
                j = _next(vb, wb, j + 1)
            d += mass_a - mass_b
            largest = max(largest, abs(d))
        out[r, 0], out[r, 1] = square, largest


@kernel
def _couple(
    va: FloatArray, wa: FloatArray, vb: FloatArray, wb: FloatArray, p: float, unit: float, no_mass: float
) -> float:
    """Largest distance (p = inf) or sum of mass * (distance / unit)^p of the monotone coupling."""
    i, j = 0, 0
    # compensated sums: a cumulative mass that drifted by rounding would couple atoms far apart
    sum_a, low_a, sum_b, low_b = max(wa[0], 0.0), 0.0, max(wb[0], 0.0), 0.0
    used, result = 0.0, 0.0
    while True:
        reach_a, reach_b = sum_a + low_a, sum_b + low_b
        reach = min(reach_a, reach_b)
        if reach - used > no_mass:
            distance = abs(va[i] - vb[j])
            if p == np.inf:
                result = max(result, distance)
            elif distance > 0:
                result += (reach - used) * (distance / unit) ** p
        used = reach
        if reach_a <= reach_b:
            i += 1
            if i == va.size:
                return result
            w = max(wa[i], 0.0)
            total = sum_a + w
            low_a += (sum_a - total) + w if sum_a >= w else (w - total) + sum_a
            sum_a = total
        else:
            j += 1
            if j == vb.size:
                return result
            w = max(wb[j], 0.0)
            total = sum_b + w
            low_b += (sum_b - total) + w if sum_b >= w else (w - total) + sum_b
            sum_b = total


@kernel
def transport(
    values_a: FloatArray,
    weights_a: FloatArray,
    values_b: FloatArray,
    weights_b: FloatArray,
    p: float,
    out: FloatArray,
) -> None:
    """W_p into out (B,), by merging cumulative masses; steps of mass that can be rounding are left out."""
    no_mass = NO_MASS_AT_ALL if p == np.inf else NO_MASS
    for r in range(out.size):
        va, wa, vb, wb = _row(values_a, r), _row(weights_a, r), _row(values_b, r), _row(weights_b, r)
        largest = _couple(va, wa, vb, wb, np.inf, 1.0, no_mass)
        if p == np.inf or largest == 0.0:
            out[r] = largest
        else:  # in units of the largest distance no power overflows or vanishes
            out[r] = largest * _couple(va, wa, vb, wb, p, largest, no_mass) ** (1.0 / p)
