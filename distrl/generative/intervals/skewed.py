"""How far from the truth, in units of its standard error, an estimate with skewed errors is at most."""

import numpy as np

from distrl._lazy import special
from distrl._validation import FloatArray
from distrl.generative.influence import Spread

_NONE = 1e-8  # a skewness below which the formula is its limit


def factors(spread: Spread, alpha: float) -> FloatArray:
    """(K,) Student's t quantiles at 1 - alpha / 2, of the degrees of freedom that the variances have."""
    return np.asarray(-special.stdtrit(np.minimum(spread.freedom, 1e12), alpha / 2.0))


def studentised(spread: Spread, alpha: float) -> tuple[FloatArray, FloatArray]:
    """(K,) quantiles at alpha / 2 and 1 - alpha / 2 of T = (estimate - truth) / standard error.

    Where errors are skewed to the right, a small estimate comes with a small standard error: T is skewed to the left.
    With g the skewness of the estimate, T + g T^2 / 3 + g^2 T^3 / 27 + g / 6 is normal to second order, and rises with
    T (Hall 1992, "On the Removal of Skewness by Transformation"); its inverse at the t quantile x is
    3 / g ((1 + g (x - g / 6))^(1/3) - 1).
    """
    x = factors(spread, alpha)
    return curved(-x, spread.skewness), curved(x, spread.skewness)


def curved(x: FloatArray, skewness: FloatArray) -> FloatArray:
    """(K,) where Hall's transformation is x, see `studentised`."""
    small = np.abs(skewness) < _NONE
    divisor = np.where(small, 1.0, skewness)
    inverse = 3.0 / divisor * (np.cbrt(1.0 + skewness * (x - skewness / 6.0)) - 1.0)
    return np.where(small, x, inverse)
