"""Distances between return laws, one number for each state.

With F and G the CDFs of the two laws of a state:

    wasserstein  W_p = (int_0^1 |F^{-1}(u) - G^{-1}(u)|^p du)^(1/p);  W_1 = int |F - G|,  W_inf = sup |F^{-1} - G^{-1}|
    cramer       (int (F - G)^2 dx)^(1/2)
    energy       sqrt(2) * cramer
    kolmogorov   sup |F - G|

They are distances, roots taken. Either operand is `FiniteReturns` of any representation, one law (`FiniteLaw` or a
frozen scipy.stats law), or a list of laws, one a state (nested [state][action] for action returns). A single law, a
`returns[s]` too, is compared with every state of the other operand. At least one of the two has finitely many values.
"""

import math
from collections.abc import Callable

import numpy as np

from distrl._kernels import metrics as kernels
from distrl._steady import steady
from distrl._validation import FloatArray
from distrl.models.laws import FiniteLaw, Law
from distrl.returns import _continuous
from distrl.returns._finite_distances import in_units, merged, shared_gaps, wasserstein_1
from distrl.returns._operands import Laws, Operand, Rows, common_shape, operand, take
from distrl.returns.arrays import as_rows
from distrl.returns.finite import FiniteReturns

_CHUNK = 2_000_000  # entries of a temporary array


def wasserstein(a: Operand, b: Operand, p: float = 1) -> FloatArray:
    """p-Wasserstein distance W_p between the laws of every state.

    W_p = (int_0^1 |F^{-1}(u) - G^{-1}(u)|^p du)^(1/p), the sup of the integrand for p = inf.

    Parameters
    ----------
    a, b : FiniteReturns, law, or list of laws
        See the module; batch shapes equal, or one of them ().
    p : float
        At least 1; `numpy.inf` is allowed.

    Returns
    -------
    array, batch shape
        In units of reward; inf if a law has no finite p-th moment (p = inf: unbounded support), never NaN.

    Notes
    -----
    Finite supports: time O(B n), n the atoms of both, constant memory; p = 1 is fastest where all laws share a grid, or
    both sides their weights (quantiles), and slowest where each has a support and weights of its own. For p > 1 a mass
    e that travels a distance d moves W_p by up to e^(1/p) d, so steps of mass that can be rounding are left out: up to
    1e-15, and up to 1e-12 for p = inf.

    Against a continuous law: p = 1 is exact through E[(k - R)+] at the atoms, p = inf through the law's quantiles at
    the cumulative masses, both O(B n) calls of the law; p = 2 is closed where W_2^2 exceeds 1e-4 of the law's variance;
    otherwise adaptive quadrature over each atom's mass to a relative 1e-10 or so, 30 quantiles or more an atom. A law
    on infinitely many integers is cut at the mass 1e-16.

    Raises
    ------
    ValueError
        If p < 1 or NaN, or the batch shapes differ.
    TypeError
        If an operand is not one of those listed, or both have infinitely many values.
    """
    order = _order(p)

    def finite(x: Rows, y: Rows, out: FloatArray) -> None:
        x, y, unit = in_units(x, y)
        if order == 1:
            wasserstein_1(x, y, out)
        else:
            kernels.transport(*x, *y, order, out)
        with np.errstate(over="ignore"):  # a distance beyond float64 is inf
            out *= unit

    def continuous(values: FloatArray, cumulative: FloatArray, law: Law) -> FloatArray:
        if order == 1:
            return _continuous.wasserstein_1(values, cumulative, law)
        if order == math.inf:
            return _continuous.wasserstein_inf(values, cumulative, law)
        return _continuous.wasserstein_p(values, cumulative, law, order)

    return _distance(a, b, finite, continuous, lambda law: _has_moment(law, order))


def cramer(a: Operand, b: Operand) -> FloatArray:
    """Cramér distance (int (F - G)^2 dx)^(1/2) between the laws of every state.

    Parameters
    ----------
    a, b : FiniteReturns, law, or list of laws
        See the module; batch shapes equal, or one of them ().

    Returns
    -------
    array, batch shape
        In square roots of units of reward. Finite supports: time O(B n); values that differ by at most 8 eps of their
        size are taken as equal, since sums in another order do, and atoms without mass do not count. Against a
        continuous law: adaptive Gauss-Legendre between atoms and quantiles of the law, to a relative 1e-10 or so, about
        30 (n + 100) calls of its CDF a state.

    Raises
    ------
    ValueError
        If the batch shapes differ.
    TypeError
        If an operand is not one of those listed, or both have infinitely many values.
    """

    def finite(x: Rows, y: Rows, out: FloatArray) -> None:
        x, y, unit = in_units(x, y)
        gaps = shared_gaps(x, y)
        if gaps is not None:
            kernels.shared_cramer(gaps, x[1], y[1], out)
        else:
            out[:] = 2.0 * np.sqrt(merged(x, y, len(out))[:, 0])
        out *= math.sqrt(unit)

    return _distance(a, b, finite, _continuous.cramer)


def energy(a: Operand, b: Operand) -> FloatArray:
    """Energy distance (2 E|X - Y| - E|X - X'| - E|Y - Y'|)^(1/2) = sqrt(2) * `cramer`; see there.

    Parameters
    ----------
    a, b : FiniteReturns, law, or list of laws

    Returns
    -------
    array, batch shape
        In square roots of units of reward.

    Raises
    ------
    ValueError, TypeError
        As `cramer` does.
    """
    return np.asarray(math.sqrt(2.0) * cramer(a, b))[()]


def kolmogorov(a: Operand, b: Operand) -> FloatArray:
    """Kolmogorov distance sup_x |F(x) - G(x)| between the laws of every state.

    Parameters
    ----------
    a, b : FiniteReturns, law, or list of laws
        See the module; batch shapes equal, or one of them ().

    Returns
    -------
    array, batch shape
        In [0, 1], exact: time O(B n). Between finite supports values that differ by at most 8 eps of their size are
        taken as equal, so that 0.1 + 0.2 against 0.3 has distance 0, not 1; atoms without mass do not count.

    Raises
    ------
    ValueError
        If the batch shapes differ.
    TypeError
        If an operand is not one of those listed, or both have infinitely many values.
    """

    def finite(x: Rows, y: Rows, out: FloatArray) -> None:
        if shared_gaps(x, y) is not None:
            kernels.shared_kolmogorov(x[1], y[1], out)
        else:
            out[:] = merged(x, y, len(out))[:, 1]
        np.minimum(out, 1.0, out=out)

    return _distance(a, b, finite, _continuous.kolmogorov)


@steady
def _distance(
    a: Operand,
    b: Operand,
    finite: Callable[[Rows, Rows, FloatArray], None],
    continuous: Callable[[FloatArray, FloatArray, Law], FloatArray],
    is_finite: Callable[[Law], bool] = lambda law: True,
) -> FloatArray:
    """Send each pair of laws to the kernel or the formula for its kind."""
    x, y = operand(a, "a"), operand(b, "b")
    shape = common_shape(x.batch_shape, y.batch_shape)
    out = np.empty(math.prod(shape))
    if isinstance(x, Laws):
        x, y = y, x  # distances are symmetric
    if isinstance(x, FiniteReturns) and isinstance(y, FiniteReturns):
        finite(x.rows(), y.rows(), out)
    elif isinstance(x, FiniteReturns) and isinstance(y, Laws):
        for states, law in y.groups():
            out[states] = _to_law(take(x.rows(), states), len(out[states]), law, finite, continuous, is_finite)
    elif isinstance(x, Laws) and isinstance(y, Laws):
        for i in range(len(out)):
            left, right = (side.laws[i if side.batch_shape else 0] for side in (x, y))
            if not isinstance(left, FiniteLaw):
                left, right = right, left
            if not isinstance(left, FiniteLaw):
                raise TypeError(f"{left!r} and {right!r} both have infinitely many values; one must have finitely many")
            out[i] = _to_law((as_rows(left.values), as_rows(left.probs)), 1, right, finite, continuous, is_finite)[0]
    shaped: FloatArray = out.reshape(shape)[()]
    return shaped


def _to_law(
    rows: Rows,
    count: int,
    law: Law,
    finite: Callable[[Rows, Rows, FloatArray], None],
    continuous: Callable[[FloatArray, FloatArray, Law], FloatArray],
    is_finite: Callable[[Law], bool],
) -> FloatArray:
    """Distances of `count` rows to one law."""
    out = np.empty(count)
    if not is_finite(law):
        out.fill(np.inf)
    elif isinstance(law, FiniteLaw):
        finite(rows, (as_rows(law.values), as_rows(law.probs)), out)
    else:
        values, weights = rows
        step = max(1, _CHUNK // values.shape[1])
        for start in range(0, count, step):
            part = slice(start, min(start + step, count))
            v = values if len(values) == 1 else values[part]
            w = np.broadcast_to(weights, (count, weights.shape[1]))[part]
            cumulative = np.minimum(np.cumsum(np.maximum(w, 0.0), axis=1), 1.0)
            # rounding of the sum is no mass: an atom of none, at the end, must not get the law's far tail
            cumulative[cumulative >= cumulative[:, -1:]] = 1.0
            out[part] = continuous(v, cumulative, law)
    return out


def _order(p: object) -> float:
    try:
        order = float(p)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise TypeError(f"p must be a real number of at least 1, got {p!r}") from error
    if not order >= 1:
        raise ValueError(f"p must be at least 1 (W_p is no distance below), got {order:g}")
    return order


def _has_moment(law: Law, p: float) -> bool:
    """Whether E|R|^p is finite."""
    if p == 1 or all(map(math.isfinite, law.support)):
        return True
    if p <= 2 and math.isfinite(law.variance):
        return True
    if p == 2 or (p > 2 and not math.isfinite(law.variance)):
        return False
    return p < law.tail_index
