"""Distances between finitely supported laws and a law known through its CDF.

F is a step function with values v_1 <= ... <= v_n and cumulative masses c_j, G the CDF of the law. Everything is over
R rows at once: `values` (1 or R, n), `cumulative` (R, n) with last entry exactly 1. Nothing here checks its input.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from distrl._tolerances import NO_MASS_AT_ALL
from distrl._validation import FloatArray, IntArray
from distrl.models.laws import Law

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)
#: The quantile domain is cut at the masses exp(-300) and 1 - exp(-300).
_DEEPEST = 300.0


class Transformed(Protocol):
    """What W1 needs of a law."""

    def quantile(self, q: FloatArray) -> FloatArray: ...

    def put(self, k: FloatArray) -> FloatArray: ...

    def stop_loss(self, k: FloatArray) -> FloatArray: ...


def wasserstein_1(values: FloatArray, cumulative: FloatArray, law: Transformed) -> FloatArray:
    """int |F - G|: on a cell F is a constant c and |c - G| changes its sign at the quantile of c."""
    left, right, c = values[:, :-1], values[:, 1:], cumulative[:, :-1]
    split = np.clip(law.quantile(c), left, right)
    put = law.put(split)
    cells = c * (split - left) - (put - law.put(left)) + (law.put(right) - put) - c * (right - split)
    tails = law.put(values[:, 0]) + law.stop_loss(values[:, -1])
    return np.asarray(tails + np.maximum(cells, 0.0).sum(axis=1))


def wasserstein_p(values: FloatArray, cumulative: FloatArray, law: Law, p: float) -> FloatArray:
    """W_p for 1 < p < inf, where the law's p-th moment is known to be finite."""
    scales = wasserstein_1(values, cumulative, law)
    out = np.zeros(len(cumulative))
    todo = np.arange(len(out))
    if p == 2 and math.isfinite(law.variance):
        squares = _squares(values, cumulative, law)
        # the closed form subtracts terms of the size of the variance: near zero its digits are gone
        good = squares > 1e-4 * law.variance
        out[good] = np.sqrt(squares[good])
        todo = todo[~good]
    for r in todo:
        if scales[r] > 0:  # W_1 as the unit: W_p is at least W_1, so powers do not vanish
            v = values[r if len(values) > 1 else 0]
            out[r] = scales[r] * _power(v, np.diff(cumulative[r], prepend=0.0), law, p, scales[r]) ** (1.0 / p)
    return out


def wasserstein_inf(values: FloatArray, cumulative: FloatArray, law: Law) -> FloatArray:
    """Largest distance of an atom from the ends of its piece of the law; masses up to 1e-12 are rounding."""
    if not all(map(math.isfinite, law.support)):
        return np.full(len(cumulative), np.inf)
    c = np.concatenate([np.zeros((len(cumulative), 1)), cumulative], axis=1)
    inner = (c > NO_MASS_AT_ALL) & (c < 1 - NO_MASS_AT_ALL)
    ends = np.where(inner, law.quantile(np.where(inner, c, 0.5)), np.where(c < 0.5, *law.support))
    farthest = np.maximum(np.abs(values - ends[:, :-1]), np.abs(values - ends[:, 1:]))
    return np.asarray(np.where(np.diff(c, axis=1) > NO_MASS_AT_ALL, farthest, 0.0).max(axis=1))


def kolmogorov(values: FloatArray, cumulative: FloatArray, law: Law) -> FloatArray:
    """sup |F - G|: G is monotone where F is constant, so the sup is at an atom, from its left or its right."""
    before = np.concatenate([np.zeros((len(cumulative), 1)), cumulative[:, :-1]], axis=1)
    right, left = np.abs(cumulative - law.cdf(values)), np.abs(before - law.cdf_left(values))
    return np.asarray(np.maximum(right, left).max(axis=1))


def cramer(values: FloatArray, cumulative: FloatArray, law: Law) -> FloatArray:
    """sqrt(int (F - G)^2), by quadrature between the atoms and a ladder of the law's quantiles."""
    tails = np.geomspace(1e-16, 0.05, 48)
    levels = np.concatenate([tails, np.linspace(0.05, 0.95, 19)[1:-1]])
    ladder = np.concatenate([law.quantile(levels), law.upper_quantile(tails), law.support])
    ladder = ladder[np.isfinite(ladder)]
    out = np.empty(len(cumulative))
    for r, c in enumerate(cumulative):
        v = values[r if len(values) > 1 else 0]
        knots = np.unique(np.concatenate([v, ladder]))
        # outside all knots either 1 - |F - G| or |F - G| is below 1e-16
        low, high = knots[:-1], knots[1:]
        cell = np.searchsorted(v, low, side="right")
        constants = np.concatenate([[0.0], c])[cell]
        out[r] = math.sqrt(_integrate(lambda x, level: (level - law.cdf(x)) ** 2, low, high, constants))
    return out


def _squares(values: FloatArray, cumulative: FloatArray, law: Law) -> FloatArray:
    """E[V^2] + E[R^2] - 2 sum v_j int_{c_{j-1}}^{c_j} G^{-1}, all about the law's mean m.

    int_0^c (G^{-1} - m) = c (q_c - m) - put(q_c), q_c the quantile of c; it is 0 at c = 0 and c = 1.
    """
    v = values - law.mean
    inner = (cumulative > 0) & (cumulative < 1)
    q = law.quantile(np.where(inner, cumulative, 0.5))
    inner &= np.isfinite(q)
    q = np.where(inner, q, law.mean)
    partial = np.where(inner, cumulative * (q - law.mean) - law.put(q), 0.0)
    masses, pieces = np.diff(cumulative, axis=1, prepend=0.0), np.diff(partial, axis=1, prepend=0.0)
    return np.asarray((masses * v * v - 2.0 * v * pieces).sum(axis=1) + law.variance)


def _power(values: FloatArray, weights: FloatArray, law: Law, p: float, unit: float) -> float:
    """int_0^1 |F^{-1} - G^{-1}|^p / unit^p, the upper half of the masses as the lower half of the mirrored laws."""
    lower = _lower_half(values, weights, law.cdf, law.quantile, p, unit)
    upper = _lower_half(
        -values[::-1],
        weights[::-1],
        lambda x: law.survival(-np.asarray(x)),
        lambda t: -law.upper_quantile(t),
        p,
        unit,
    )
    return lower + upper


def _lower_half(
    values: FloatArray,
    weights: FloatArray,
    cdf: Callable[[FloatArray], FloatArray],
    quantile: Callable[[FloatArray], FloatArray],
    p: float,
    unit: float,
) -> float:
    """int_0^{1/2} |F^{-1}(u) - G^{-1}(u)|^p du in s = -log u, where quantiles of any tail are tame."""
    cumulative = np.cumsum(weights)
    kinks = np.concatenate([cumulative, cdf(values)])  # the atom changes, or the difference changes its sign
    kinks = -np.log(kinks[(kinks > math.exp(-_DEEPEST)) & (kinks < 0.5)])
    top = math.log(2.0)
    s = np.unique(np.concatenate([[top, _DEEPEST], top + 2.0 ** np.arange(8), kinks]))
    low, high = s[:-1], s[1:]
    atom = np.searchsorted(cumulative, np.exp(-(low + high) / 2))
    targets = values[np.minimum(atom, len(values) - 1)]

    def integrand(at: FloatArray, target: FloatArray) -> FloatArray:
        distance = np.abs(target - quantile(np.exp(-at))) / unit
        with np.errstate(divide="ignore", over="ignore"):
            return np.where(np.isfinite(distance), np.exp(p * np.log(distance) - at), 0.0)

    return _integrate(integrand, low, high, targets)


def _integrate(
    f: Callable[[FloatArray, FloatArray], FloatArray], low: FloatArray, high: FloatArray, label: FloatArray
) -> float:
    """Sum over intervals of int_low^high f(x, label) dx, f >= 0, all intervals bisected side by side.

    10-point Gauss-Legendre on an interval against its halves; an interval is done when they differ by less than 1e-13
    of the whole sum.
    """

    def rule(a: FloatArray, b: FloatArray, which: IntArray) -> FloatArray:
        half = (b - a) / 2
        return np.asarray(half * (f(a[:, None] + half[:, None] * (1 + _NODES), label[which, None]) @ _WEIGHTS))

    which = np.arange(len(low))
    whole, done = rule(low, high, which), 0.0
    for _ in range(48):
        middle = (low + high) / 2
        left, right = rule(low, middle, which), rule(middle, high, which)
        both = left + right
        rough = np.abs(both - whole) > 1e-13 * (done + both.sum())
        done += float(both[~rough].sum())
        if not rough.any():
            return done
        low, high = np.append(low[rough], middle[rough]), np.append(middle[rough], high[rough])
        whole, which = np.append(left[rough], right[rough]), np.append(which[rough], which[rough])
    return done + float(whole.sum())
