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
