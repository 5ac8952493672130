"""What projection on a grid costs, in one step and at the fixed point. Pure functions, vectorised.

`spacing` is the grid's. Derivations: docs/proofs.md and docs/certificate.md.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, real_number
from distrl.theory.bounds import quantile_w1


def projection_w1(spacing: ArrayLike) -> FloatArray:
    """W1 between a law on the grid's range and its hat projection: spacing / 2."""
    return np.asarray(spacing, dtype=np.float64) / 2.0


def projection_cramer_squared(spacing: ArrayLike) -> FloatArray:
    """Squared Cramer distance between a law on the grid's range and its hat projection: spacing / 4."""
    return np.asarray(spacing, dtype=np.float64) / 4.0


def projection_variance(spacing: ArrayLike) -> FloatArray:
    """Variance that the hat projection adds: spacing^2 / 4."""
    return np.square(np.asarray(spacing, dtype=np.float64)) / 4.0


def fixed_point_cramer_squared_sharp(spacing: ArrayLike, discount: ArrayLike) -> FloatArray:
    """Squared Cramer distance between the categorical fixed point and the true return: spacing / (4 (1 - discount)).

    Premise: the true returns lie on the grid's range. A quarter of Rowland et al. 2018, Proposition 3.
    """
    return np.asarray(projection_cramer_squared(spacing) / (1.0 - np.asarray(discount)))


def fixed_point_w1_absolute(spacing: ArrayLike, discount: ArrayLike) -> FloatArray:
    """W1 between the categorical fixed point and the true return: spacing / (2 (1 - discount)).

    Premise: the true returns lie on the grid's range; with `fixed_point_w1`'s premise that one is sharper.
    """
    return np.asarray(projection_w1(spacing) / (1.0 - np.asarray(discount)))


def fixed_point_w2(variance: ArrayLike, inflated: ArrayLike) -> FloatArray:
    """W2, so W1 too, between categorical fixed point and true return: sqrt(inflated - variance), state by state.

    `inflated` is the fixed point's variance. Premise: nothing is clipped. The difference cancels in floats; the
    certificate computes it as [(I - g^2 P)^{-1} delta] instead.
    """
    return np.asarray(np.sqrt(np.maximum(np.subtract(inflated, variance), 0.0)))


def atoms_for_w1(target: float, width: float, discount: float) -> int:
    """Atoms with which the categorical fixed point on a grid of this width is within `target` of the truth in W1.

    m - 1 >= width / (2 target sqrt(1 - discount^2)). Premise: nothing is clipped.
    """
    if not target > 0.0 or not 0.0 <= discount < 1.0:
        raise ValueError(f"target must be positive and discount in [0, 1), got {target:g} and {discount:g}")
    return max(2, 1 + math.ceil(width / (2.0 * target * math.sqrt(1.0 - discount * discount)) * (1.0 - 1e-12)))


def quantile_w1_between(
    width: float, quantiles: int, discount: float, first: float = 0.0, last: float = math.inf
) -> float:
    """W1, and the mean's error, of the quantile fixed point where only steps `first` <= k < `last` are random.

        (discount^first - discount^last) * quantile_w1(width, quantiles, discount)

    for trajectories whose first `first` steps are deterministic, and all from step `last` on; `width` bounds the
    ranges of returns. Derived: a deterministic step moves m particles to m particles and costs nothing.
    """
    g = real_number(discount, "discount", low=0.0, high=1.0)
    return max(float(g**first - g**last), 0.0) * quantile_w1(width, quantiles, g)
