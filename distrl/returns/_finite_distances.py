"""Distances between laws of finitely many values, by the cheapest kernel that the two kinds of support allow."""

import math

import numpy as np

from distrl._kernels import metrics as kernels
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.returns._operands import Rows
from distrl.returns.arrays import as_rows

#: Values closer than this part of their own size are one value to cramer and kolmogorov: the same sum of a few terms
#: in another order. The range does not decide: one value may be huge and the others exact.
_TIE = 8 * EPS
_PLAIN = 1e150, 1e-150  # sizes between which squares of distances and sums of two values are ordinary numbers


def in_units(x: Rows, y: Rows) -> tuple[Rows, Rows, float]:
    """Both supports in units of a power of 4, 1 but for extreme values: nothing overflows or vanishes on the way.

    Values without mass may come out beyond all others, in their order.
    """
    x, y = _trimmed(x), _trimmed(y)
    largest = 0.0
    for values, _ in (x, y):  # sorted: the largest sizes are at the ends
        largest = max(largest, float(np.abs(values[:, [0, -1]]).max()))
    if largest == 0.0 or _PLAIN[1] <= largest <= _PLAIN[0]:
        return x, y, 1.0
    largest = max(float(np.where(weights != 0.0, np.abs(values), 0.0).max()) for values, weights in (x, y))
    if largest == 0.0:
        return x, y, 1.0
    exponent = 2 * ((math.frexp(largest)[1] - 1) // 2)
    with np.errstate(over="ignore", under="ignore"):
        scaled = [(as_rows(np.clip(np.ldexp(values, -exponent), -8.0, 8.0)), weights) for values, weights in (x, y)]
    return scaled[0], scaled[1], math.ldexp(1.0, exponent)


def _trimmed(rows: Rows) -> Rows:
    """Without columns at the end in which no law has mass: rounding must not count over the gap to them."""
    values, weights = rows
    if weights[:, -1].any() or weights.shape[1] == 1:
        return rows
    last = int(np.flatnonzero(weights.any(axis=0)).max(initial=0)) + 1
    return as_rows(values[:, :last]), as_rows(weights[:, :last])


def shared_gaps(x: Rows, y: Rows) -> FloatArray | None:
    """Gaps between the atoms if all laws have the same ones, no two of them tied."""
    if len(x[0]) != 1 or len(y[0]) != 1 or not np.array_equal(x[0], y[0]):
        return None
    atoms = x[0][0]
    with np.errstate(over="ignore"):
        gaps: FloatArray = np.diff(atoms)
    return gaps if (gaps > _TIE * np.abs(atoms[:-1])).all() else None


def merged(x: Rows, y: Rows, count: int) -> FloatArray:
    """(count, 2) a quarter of the squared Cramér distance, and the Kolmogorov distance, by merging the two supports."""
    out = np.empty((count, 2))
    kernels.merged(*x, *y, _TIE, out)
    return out


def wasserstein_1(x: Rows, y: Rows, out: FloatArray) -> None:
    """W_1 by the cheapest kernel that the two kinds of support allow."""
    gaps = shared_gaps(x, y)
    if gaps is not None:
        kernels.shared_wasserstein_1(gaps, x[1], y[1], out)
    elif np.array_equal(x[1][:1], y[1][:1]) and np.array_equal(x[1], y[1]):  # the first row decides most cases
        kernels.paired_wasserstein_1(x[0], y[0], x[1], out)
    elif len(x[0]) == len(y[0]) == 1 and len(out) > 1:
        atoms = np.concatenate([x[0][0], y[0][0]])
        order = np.argsort(atoms, kind="stable")
        kernels.ordered_wasserstein_1(order, np.diff(atoms[order]), x[1], y[1], out)
    else:
        kernels.merged_wasserstein_1(*x, *y, out)
