"""What m mid-point quantiles cost, in one step and at the fixed point.

All functions are pure. An argument may be a number or an array, arrays broadcast against each other, and the answer has
their shape. Derivations: docs/quantiles.md and docs/proofs.md.
"""

import math
from typing import overload

from numpy.typing import ArrayLike

from distrl._validation import FloatArray, real_number, whole_number
from distrl.theory.elementwise import each


@overload
def quantile_projection_w1(width: float, quantiles: int) -> float: ...
@overload
def quantile_projection_w1(width: ArrayLike, quantiles: ArrayLike) -> FloatArray: ...
def quantile_projection_w1(width: ArrayLike, quantiles: ArrayLike) -> float | FloatArray:
    """A bound on W1 between a law on an interval and its m mid-point quantiles, equally weighted: width / (2 m).

    On each cell of levels ((i - 1)/m, i/m) the integral of |F^{-1}(u) - v_i| is at most the width of F^{-1} on the cell
    times 1 / (2 m), as tau_i is its middle; at a flat region any v_i in it will do. The bound is attained by mass 1/2
    at either end and m = 1. Source: derived in docs/quantiles.md. Claim `quantile-projection-w1`.

    Parameters
    ----------
    width : float or array
        Of the interval, in units of reward, at least 0.
    quantiles : int or array
        Their number m, at least 1.

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; in units of reward

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    """

    def bound(width: float, quantiles: int) -> float:
        return real_number(width, "width", low=0.0) / (2.0 * whole_number(quantiles, "quantiles", low=1))

    return each(bound, width, quantiles)


@overload
def quantile_w1(width: float, quantiles: int, discount: float) -> float: ...
@overload
def quantile_w1(width: ArrayLike, quantiles: ArrayLike, discount: ArrayLike) -> FloatArray: ...
def quantile_w1(width: ArrayLike, quantiles: ArrayLike, discount: ArrayLike) -> float | FloatArray:
    """A bound on W1 between the quantile fixed point and the true return, any `flat`: width / (2 m (1 - discount)).

    One step errs by at most `quantile_projection_w1`, and steps add up by (I - discount P)^{-1}. It also bounds the
    error of the mean. State by state, w(x) the state's own width, 0 where the successor's law is deterministic, it is
    [(I - discount P)^{-1} w](x) / (2 m). Source: derived in docs/quantiles.md. Claim `quantile-fixed-point-w1`.

    Parameters
    ----------
    width : float or array
        It bounds the width of every state's range of returns, in units of reward.
    quantiles : int or array
        Their number m, at least 1.
    discount : float or array
        In [0, 1]; the bound is infinite at 1.

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; in units of reward

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    """

    def bound(width: float, quantiles: int, discount: float) -> float:
        g = real_number(discount, "discount", low=0.0, high=1.0)
        return quantile_projection_w1(width, quantiles) / (1.0 - g) if g < 1.0 else math.inf

    return each(bound, width, quantiles, discount)


@overload
def quantile_w1_between(
    width: float, quantiles: int, discount: float, first: float = 0.0, last: float = math.inf
) -> float: ...
@overload
def quantile_w1_between(
    width: ArrayLike, quantiles: ArrayLike, discount: ArrayLike, first: ArrayLike = 0.0, last: ArrayLike = math.inf
) -> FloatArray: ...
def quantile_w1_between(
    width: ArrayLike, quantiles: ArrayLike, discount: ArrayLike, first: ArrayLike = 0.0, last: ArrayLike = math.inf
) -> float | FloatArray:
    """A bound on W1, and on the mean's error, where only steps `first` <= k < `last` of a trajectory are random.

        (discount^first - discount^last) * quantile_w1(width, quantiles, discount)

    A deterministic step moves m particles to m particles and costs nothing. Source: derived in docs/quantiles.md.
    Claim `quantile-deterministic-steps`.

    Parameters
    ----------
    width : float or array
        It bounds the width of every state's range of returns, in units of reward.
    quantiles : int or array
        Their number m, at least 1.
    discount : float or array
        In [0, 1).
    first : float or array
        The number of deterministic steps at the start.
    last : float or array
        The step from which on all are deterministic; inf where none is known.

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; in units of reward

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    """

    def bound(width: float, quantiles: int, discount: float, first: float, last: float) -> float:
        g = real_number(discount, "discount", low=0.0, high=1.0)
        return max(float(g**first - g**last), 0.0) * quantile_w1(width, quantiles, g)

    return each(bound, width, quantiles, discount, first, last)
