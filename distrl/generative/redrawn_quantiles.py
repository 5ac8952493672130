"""Quantiles of redrawn models whose rewards have densities, from those of the estimate on by Newton's steps.

Definitions. v = T v are the estimate's quantiles, v* = T* v* those of a redrawn model. An application of T inverts the
CDF of a mixture of as many laws as there are particles, for every quantile: much work, and a search from the start
takes dozens of them. J is the derivative of T at v: a quantile of a target moves with the target's particles in
proportion to the densities there, a quantile that is a particle moves with that one.

Iteration. From v on, v <- v + (I - J)^{-1} (T* v - v), which is Newton's step with the derivative of the estimate. J is
substochastic times the discount, so that I - J has an inverse; a step after which the residual has not fallen as far as
by T*, which contracts by the discount, is replaced by T*. So it converges whatever J is. It ends where what the next
step would move is, by the fall of the steps so far, a thousandth of the deviation from v.
"""

import math
from typing import Self

import numpy as np

from distrl._lazy import lapack
from distrl._validation import FloatArray
from distrl.dp.quantile import QuantileDP
from distrl.models.mrp import MRP
from distrl.operators.quantile import QuantileBellman
from distrl.returns.quantile import QuantileReturns

_LARGEST = 2500  # quantiles of all states together: 50 MB, and some seconds for the factors
_TOL = 1e-3  # of the deviation: far below what some hundred redrawn models say of a percentile
_INNER = 1e-2  # of the last step, a tenth or so of which the next one is: how well a target is inverted
_ROUNDS = 500  # many more than contraction needs where a step helps at all


class QuantileDeviations:
    """Quantiles of redrawn models, solved for as deviations from those of the estimate.

    Parameters
    ----------
    method : QuantileDP
        That made `values` (S, m), the quantiles of the operator's model.
    """

    def __init__(self, operator: QuantileBellman, method: QuantileDP, values: FloatArray) -> None:
        self._method, self._values = method, values
        size = values.size
        system = np.eye(size) - _derivative(operator, values).reshape(size, size)
        self._factors, self._pivots, _ = lapack.dgetrf(system)
        self._scale = float(np.ptp(values, axis=1).max())

    @classmethod
    def of(cls, model: MRP, method: object, returns: object) -> Self | None:
        """For an empirical model and what a method made of it; None where Newton steps do not apply or do not pay."""
        if not isinstance(method, QuantileDP) or not isinstance(returns, QuantileReturns):
            return None
        if model.largest_discount >= 1.0 or returns.values.size > _LARGEST:
            return None
        operator = QuantileBellman(model, method.quantiles, method.flat, 1)
        return cls(operator, method, np.array(returns.values)) if operator.targets.with_laws else None

    def redraw(self, model: MRP) -> QuantileReturns | None:
        """The quantiles of a redrawn model; None if they were not found."""
        operator = QuantileBellman(model, self._method.quantiles, self._method.flat, 1)
        g, choices = model.largest_discount, operator.empty_choices()
        values, image = self._values.copy(), np.empty_like(self._values)
        moved, stepped = np.empty(len(values)), math.inf
        residual, deviation = math.inf, 0.0
        for _ in range(_ROUNDS):
            inner = max(_INNER * min(stepped, _INNER * self._scale), 1e-2 * _TOL * deviation)
            error = operator.apply(values, choices, image, moved, inner)
            before, residual = residual, float(moved.max()) + error
            newton = residual <= max(g, 0.5) * before
            step = image - values if not newton else self._solved(image - values)
            values = np.sort(values + step, axis=1)
            last, stepped = stepped, float(np.abs(step).max())
            deviation = float(np.abs(values - self._values).max())
            fall = stepped / last if math.isfinite(last) and last > 0.0 else 1.0
            if not math.isfinite(deviation):
                return None
            if (fall < 0.5 and fall * stepped <= _TOL * deviation) or stepped <= _TOL**2 * deviation or stepped == 0.0:
                return QuantileReturns.trusted(values)
        return None

    def _solved(self, rhs: FloatArray) -> FloatArray:
        # SciPy's getrs shifts the pivots by one for the time of the call: threads must not share them
        return np.asarray(lapack.dgetrs(self._factors, self._pivots.copy(), rhs.ravel())[0]).reshape(rhs.shape)


def _derivative(operator: QuantileBellman, values: FloatArray) -> FloatArray:
    """(S, m, S, m) how fast each quantile of an image moves with each quantile of `values`, all others held."""
    n, m = values.shape
    choices, image = operator.empty_choices(), np.empty_like(values)
    operator.apply(values, choices, image)
    found = np.zeros((n, m, n, m))
    nothing, rows = np.zeros_like(values), np.zeros_like(values)
    operator.read(nothing, choices, rows)  # rewards alone
    lists = np.ones(n, dtype=np.bool_)
    lists[[target.source for target in operator.targets.with_laws]] = False
    if lists.any():
        for y in range(n):
            for j in range(m):
                unit, out = nothing.copy(), np.zeros_like(values)
                unit[y, j] = 1.0
                operator.read(unit, choices, out)
                found[lists, :, y, j] = (out - rows)[lists]
    for target in operator.targets.with_laws:
        found[target.source] = target.derivative(values, image[target.source])
    return found
