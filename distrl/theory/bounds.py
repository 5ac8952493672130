"""Bounds as pure functions, each with its source."""

import math

from distrl._validation import real_number, whole_number


def dkw_halfwidth(samples: int, confidence: float) -> float:
    """sup |F_n - F| is at most this with probability `confidence`: sqrt(log(2 / (1 - confidence)) / (2 n)).

    Source: Dvoretzky, Kiefer, Wolfowitz 1956, with Massart's (1990) constant.
    """
    n = whole_number(samples, "samples", low=1)
    level = real_number(confidence, "confidence", low=0.0, high=1.0)
    return math.sqrt(math.log(2.0 / (1.0 - level)) / (2.0 * n)) if level < 1.0 else math.inf


def fixed_point_w1(spacing: float, discount: float) -> float:
    """W1 between the categorical fixed point and the true return: spacing / (2 sqrt(1 - discount^2)).

    Premise: nothing is clipped (`Grid.covering`). Derived here: rounding errors are martingale differences of variance
    at most spacing^2 / 4, so they add in squares along a trajectory.
    """
    g = real_number(discount, "discount", low=0.0, high=1.0)
    return spacing / (2.0 * math.sqrt(1.0 - g * g)) if g < 1.0 else math.inf


def fixed_point_cramer_squared(spacing: float, discount: float) -> float:
    """Squared Cramer distance between the categorical fixed point and the true return: spacing / (1 - discount).

    Premise: the true returns lie on the grid's range. Source: Rowland et al. 2018, Proposition 3.
    """
    g = real_number(discount, "discount", low=0.0, high=1.0)
    return spacing / (1.0 - g) if g < 1.0 else math.inf


def quantile_projection_w1(width: float, quantiles: int) -> float:
    """W1 between a law on an interval of `width` and its m mid-point quantiles, equally weighted: width / (2 m).

    Derived here: on each cell of levels ((i - 1)/m, i/m) the integral of |F^{-1}(u) - v_i| is at most the width of
    F^{-1} on the cell times 1 / (2 m), as tau_i is its middle; at a flat region any v_i in it will do. Attained by mass
    1/2 at either end and m = 1.
    """
    return real_number(width, "width", low=0.0) / (2.0 * whole_number(quantiles, "quantiles", low=1))


def quantile_w1(width: float, quantiles: int, discount: float) -> float:
    """W1 between the quantile fixed point and the true return, any `flat`: width / (2 m (1 - discount)).

    `width` bounds the width of every state's range of returns. Derived here: one step errs by at most
    `quantile_projection_w1`, and steps add up by (I - discount P)^{-1}. It also bounds the error of the mean. Per
    state, w(x) its own width, 0 where the successor law is deterministic: [(I - discount P)^{-1} w](x) / (2 m).
    """
    g = real_number(discount, "discount", low=0.0, high=1.0)
    return quantile_projection_w1(width, quantiles) / (1.0 - g) if g < 1.0 else math.inf
