"""Distances between return laws, one number for each state.

With F and G the CDFs of the two laws of a state:

    wasserstein  W_p = (int_0^1 |F^{-1}(u) - G^{-1}(u)|^p du)^(1/p);  W_1 = int |F - G|,  W_inf = sup |F^{-1} - G^{-1}|
    cramer       (int (F - G)^2 dx)^(1/2)
    energy       sqrt(2) * cramer
    kolmogorov   sup |F - G|

They are distances, roots taken. Either operand is `Returns` of any representation, one law (`FiniteLaw` or a frozen
scipy.stats law), or a list of laws, one a state (nested [state][action] for action returns). A single law, a
`returns[s]` too, is compared with every state of the other operand. At least one of the two has finitely many values.
"""

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from distrl._kernels import metrics as kernels
from distrl._steady import steady
from distrl._validation import FloatArray, IntArray
from distrl.models.laws import FiniteLaw, Law, as_law
from distrl.returns import _continuous
from distrl.returns.base import Returns, as_rows

_ACCEPTED = "Returns, a distrl.FiniteLaw, a frozen scipy.stats law, or a list of laws, one a state"
#: Values closer than this part of their own size are one value to cramer and kolmogorov: the same sum of a few terms
#: in another order. The range does not decide: one value may be huge and the others exact.
_TIE = 8 * float(np.finfo(np.float64).eps)
_PLAIN = 1e150, 1e-150  # sizes between which squares of distances and sums of two values are ordinary numbers
_CHUNK = 2_000_000  # entries of a temporary array

Rows = tuple[FloatArray, FloatArray]  # values and weights, (1 or B, n)


def wasserstein(a: Any, b: Any, p: float = 1) -> FloatArray:
    """p-Wasserstein distance W_p between the laws of every state.

    W_p = (int_0^1 |F^{-1}(u) - G^{-1}(u)|^p du)^(1/p), the sup of the integrand for p = inf.

    Parameters
    ----------
    a, b : Returns, law, or list of laws
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
        x, y, unit = _in_units(x, y)
        if order == 1:
            _wasserstein_1(x, y, out)
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


def cramer(a: Any, b: Any) -> FloatArray:
    """Cramér distance (int (F - G)^2 dx)^(1/2) between the laws of every state.

    Parameters
    ----------
    a, b : Returns, law, or list of laws
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
        x, y, unit = _in_units(x, y)
        gaps = _shared_gaps(x, y)
        if gaps is not None:
            kernels.shared_cramer(gaps, x[1], y[1], out)
        else:
            out[:] = 2.0 * np.sqrt(_merged(x, y, len(out))[:, 0])
        out *= math.sqrt(unit)

    return _distance(a, b, finite, _continuous.cramer)


def energy(a: Any, b: Any) -> FloatArray:
    """Energy distance (2 E|X - Y| - E|X - X'| - E|Y - Y'|)^(1/2) = sqrt(2) * `cramer`; see there.

    Parameters
    ----------
    a, b : Returns, law, or list of laws

    Returns
    -------
    array, batch shape
    """
    return np.asarray(math.sqrt(2.0) * cramer(a, b))[()]


def kolmogorov(a: Any, b: Any) -> FloatArray:
    """Kolmogorov distance sup_x |F(x) - G(x)| between the laws of every state.

    Parameters
    ----------
    a, b : Returns, law, or list of laws
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
        if _shared_gaps(x, y) is not None:
            kernels.shared_kolmogorov(x[1], y[1], out)
        else:
            out[:] = _merged(x, y, len(out))[:, 1]
        np.minimum(out, 1.0, out=out)

    return _distance(a, b, finite, _continuous.kolmogorov)


@dataclass(frozen=True)
class _Laws:
    """A batch of laws, flat in C order."""

    batch_shape: tuple[int, ...]
    laws: list[Law]

    def groups(self) -> Iterator[tuple[IntArray | slice, Law]]:
        """States and the law they share; a single law stands for all of them."""
        if not self.batch_shape:
            yield slice(None), self.laws[0]
            return
        found: dict[Hashable, list[int]] = {}
        for i, law in enumerate(self.laws):
            found.setdefault(law.key, []).append(i)
        for states in found.values():
            yield np.array(states), self.laws[states[0]]


@steady
def _distance(
    a: Any,
    b: Any,
    finite: Callable[[Rows, Rows, FloatArray], None],
    continuous: Callable[[FloatArray, FloatArray, Law], FloatArray],
    is_finite: Callable[[Law], bool] = lambda law: True,
) -> FloatArray:
    """Send each pair of laws to the kernel or the formula for its kind."""
    x, y = _operand(a, "a"), _operand(b, "b")
    shape = _common_shape(x.batch_shape, y.batch_shape)
    out = np.empty(math.prod(shape))
    if isinstance(x, _Laws):
        x, y = y, x  # distances are symmetric
    if isinstance(x, Returns) and isinstance(y, Returns):
        finite(_rows(x), _rows(y), out)
    elif isinstance(x, Returns) and isinstance(y, _Laws):
        for states, law in y.groups():
            out[states] = _to_law(_take(_rows(x), states), len(out[states]), law, finite, continuous, is_finite)
    elif isinstance(x, _Laws) and isinstance(y, _Laws):
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


def _operand(value: Any, name: str) -> Returns | _Laws:
    if isinstance(value, Returns):
        return value
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object and value.ndim):
        parts = [_operand(part, f"{name}[{i}]") for i, part in enumerate(value)]
        if not parts:
            raise ValueError(f"{name} is an empty list; give one law a state")
        laws: list[Law] = []
        for i, part in enumerate(parts):
            if not isinstance(part, _Laws):
                raise TypeError(f"{name}[{i}] is {value[i]!r}; a list holds laws, each one state's")
            if part.batch_shape != parts[0].batch_shape:
                raise ValueError(
                    f"{name}[{i}] has batch shape {part.batch_shape}, {name}[0] {parts[0].batch_shape}; "
                    "every state needs the same number of laws"
                )
            laws += part.laws
        return _Laws((len(parts), *parts[0].batch_shape), laws)
    if not isinstance(value, Law) and not hasattr(value, "cdf"):
        raise TypeError(f"{name} is {value!r}; expected {_ACCEPTED}")
    return _Laws((), [as_law(value, name)])


def _common_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if a and b and a != b:
        raise ValueError(f"a has batch shape {a}, b has {b}; they must be equal, or one of them a single law")
    return a or b


def _order(p: Any) -> float:
    try:
        order = float(p)
    except (TypeError, ValueError) as error:
        raise TypeError(f"p must be a real number of at least 1, got {p!r}") from error
    if not order >= 1:
        raise ValueError(f"p must be at least 1 (W_p is no distance below), got {order:g}")
    return order


def _rows(returns: Returns) -> Rows:
    values, weights = returns.support_weights()
    return as_rows(values), as_rows(weights)


def _take(rows: Rows, states: IntArray | slice) -> Rows:
    values, weights = (as_rows(part if len(part) == 1 else part[states]) for part in rows)
    return values, weights


def _in_units(x: Rows, y: Rows) -> tuple[Rows, Rows, float]:
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


def _shared_gaps(x: Rows, y: Rows) -> FloatArray | None:
    """Gaps between the atoms if all laws have the same ones, no two of them tied."""
    if len(x[0]) != 1 or len(y[0]) != 1 or not np.array_equal(x[0], y[0]):
        return None
    atoms = x[0][0]
    with np.errstate(over="ignore"):
        gaps: FloatArray = np.diff(atoms)
    return gaps if (gaps > _TIE * np.abs(atoms[:-1])).all() else None


def _merged(x: Rows, y: Rows, count: int) -> FloatArray:
    out = np.empty((count, 2))
    kernels.merged(*x, *y, _TIE, out)
    return out


def _wasserstein_1(x: Rows, y: Rows, out: FloatArray) -> None:
    """W_1 by the cheapest kernel that the two kinds of support allow."""
    gaps = _shared_gaps(x, y)
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


def _has_moment(law: Law, p: float) -> bool:
    """Whether E|R|^p is finite."""
    if p == 1 or all(map(math.isfinite, law.support)):
        return True
    if p <= 2 and math.isfinite(law.variance):
        return True
    if p == 2 or (p > 2 and not math.isfinite(law.variance)):
        return False
    return p < law.tail_index
