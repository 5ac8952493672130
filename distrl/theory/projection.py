"""What projection on a grid costs, in one step and at the fixed point.

`spacing` is the distance between two atoms of the grid, in units of reward. All functions are pure. An argument may be
a number or an array, arrays broadcast against each other, and the answer has their shape. Derivations: docs/proofs.md
and docs/certificate.md.
"""

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, real_number
from distrl.theory.elementwise import each


def projection_w1(spacing: ArrayLike) -> FloatArray:
    """A bound on W1 between a law on the grid's range and its hat projection: spacing / 2.

    Source: derived in docs/proofs.md. Claim `projection-w1-error`.

    Parameters
    ----------
    spacing : float or array
        Of the grid, in units of reward.

    Returns
    -------
    array of the shape of `spacing`, in units of reward
    """
    return np.asarray(spacing, dtype=np.float64) / 2.0


def projection_cramer_squared(spacing: ArrayLike) -> FloatArray:
    """A bound on the squared Cramer distance between a law on the grid's range and its hat projection: spacing / 4.

    Source: derived in docs/proofs.md. Claim `projection-cramer_squared-error`.

    Parameters
    ----------
    spacing : float or array
        Of the grid, in units of reward.

    Returns
    -------
    array of the shape of `spacing`, in units of reward
    """
    return np.asarray(spacing, dtype=np.float64) / 4.0


def projection_variance(spacing: ArrayLike) -> FloatArray:
    """A bound on the variance that the hat projection of a law on the grid's range adds: spacing^2 / 4.

    Source: derived in docs/proofs.md. Claim `projection-variance-error`.

    Parameters
    ----------
    spacing : float or array
        Of the grid, in units of reward.

    Returns
    -------
    array of the shape of `spacing`, in squared units of reward
    """
    return np.square(np.asarray(spacing, dtype=np.float64)) / 4.0


@overload
def fixed_point_w1(spacing: float, discount: float) -> float: ...
@overload
def fixed_point_w1(spacing: ArrayLike, discount: ArrayLike) -> FloatArray: ...
def fixed_point_w1(spacing: ArrayLike, discount: ArrayLike) -> float | FloatArray:
    """A bound on W1 between the categorical fixed point and the true return: spacing / (2 sqrt(1 - discount^2)).

    Premise: nothing is clipped (`Grid.covering`). Source: an own result, docs/certificate.md. What one projection moves
    is a martingale difference of variance spacing^2 / 4 at most, so that these add in squares along a trajectory.
    Claim `fixed-point-w1`.

    Parameters
    ----------
    spacing : float or array
        Of the grid, in units of reward.
    discount : float or array
        In [0, 1]; the bound is infinite at 1.

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; in units of reward

    Raises
    ------
    ValueError, TypeError
        If `discount` is not in [0, 1].
    """

    def bound(spacing: float, discount: float) -> float:
        g = real_number(discount, "discount", low=0.0, high=1.0)
        return spacing / (2.0 * math.sqrt(1.0 - g * g)) if g < 1.0 else math.inf

    return each(bound, spacing, discount)


@overload
def fixed_point_cramer_squared(spacing: float, discount: float) -> float: ...
@overload
def fixed_point_cramer_squared(spacing: ArrayLike, discount: ArrayLike) -> FloatArray: ...
def fixed_point_cramer_squared(spacing: ArrayLike, discount: ArrayLike) -> float | FloatArray:
    """The published bound on the squared Cramer distance of fixed point and truth: spacing / (1 - discount).

    Premise: the true returns lie on the grid's range. Source: Rowland et al. 2018, Proposition 3.
    `fixed_point_cramer_squared_sharp` is a quarter of it. Claim `categorical-fixed-point-cramer`.

    Parameters
    ----------
    spacing : float or array
        Of the grid, in units of reward.
    discount : float or array
        In [0, 1]; the bound is infinite at 1.

    Returns
    -------
    float, or an array of the shape to which the arguments broadcast; in units of reward

    Raises
    ------
    ValueError, TypeError
        If `discount` is not in [0, 1].
    """

    def bound(spacing: float, discount: float) -> float:
        g = real_number(discount, "discount", low=0.0, high=1.0)
        return spacing / (1.0 - g) if g < 1.0 else math.inf

    return each(bound, spacing, discount)


def fixed_point_cramer_squared_sharp(spacing: ArrayLike, discount: ArrayLike) -> FloatArray:
    """A bound on the squared Cramer distance of categorical fixed point and truth: spacing / (4 (1 - discount)).

    Premise: the true returns lie on the grid's range. Source: derived in docs/proofs.md; it is a quarter of Rowland et
    al. 2018, Proposition 3. Claim `fixed-point-cramer-sharp`.

    Parameters
    ----------
    spacing : float or array
        Of the grid, in units of reward.
    discount : float or array
        In [0, 1).

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of reward
    """
    return np.asarray(projection_cramer_squared(spacing) / (1.0 - np.asarray(discount)))


def fixed_point_w1_absolute(spacing: ArrayLike, discount: ArrayLike) -> FloatArray:
    """A bound on W1 between the categorical fixed point and the true return: spacing / (2 (1 - discount)).

    Premise: the true returns lie on the grid's range. Where nothing is clipped `fixed_point_w1` is sharper. Source:
    derived in docs/proofs.md. Claim `fixed-point-w1-absolute`.

    Parameters
    ----------
    spacing : float or array
        Of the grid, in units of reward.
    discount : float or array
        In [0, 1).

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of reward
    """
    return np.asarray(projection_w1(spacing) / (1.0 - np.asarray(discount)))


def fixed_point_w2(variance: ArrayLike, inflated: ArrayLike) -> FloatArray:
    """A bound on W2, and so on W1, of categorical fixed point and truth: sqrt(inflated - variance), state by state.

    Premise: nothing is clipped. The difference cancels in floats; the certificate computes it as
    [(I - g^2 P)^{-1} delta] instead. Source: an own result, docs/proofs.md. Claim `fixed-point-w2`.

    Parameters
    ----------
    variance : float or array, such as (S,)
        Of the true return, in squared units of reward.
    inflated : float or array, such as (S,)
        The variance of the fixed point, which is at least that.

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of reward
    """
    return np.asarray(np.sqrt(np.maximum(np.subtract(inflated, variance), 0.0)))


def atoms_for_w1(target: float, width: float, discount: float) -> int:
    """The number m of atoms with which the categorical fixed point is within `target` of the truth in W1.

    m - 1 >= width / (2 target sqrt(1 - discount^2)). Premise: nothing is clipped. Source: an own result,
    docs/proofs.md. Claim `atom-count`.

    Parameters
    ----------
    target : float > 0
        The bound on W1 that is asked for, in units of reward.
    width : float
        Of the grid, in units of reward.
    discount : float in [0, 1)

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If `target` is not positive, or `discount` not in [0, 1).
    """
    if not target > 0.0 or not 0.0 <= discount < 1.0:
        raise ValueError(f"target must be positive and discount in [0, 1), got {target:g} and {discount:g}")
    return max(2, 1 + math.ceil(width / (2.0 * target * math.sqrt(1.0 - discount * discount)) * (1.0 - 1e-12)))
