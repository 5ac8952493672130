"""What rounding to float64 costs."""

import math

from distrl._tolerances import EPS


def elimination_relative_error(states: int, lower: int, upper: int, rounding: float) -> float:
    """The relative error of every entry of (I - A)^{-1} b, b >= 0, by elimination without subtraction.

    (5 lower + upper / 2 + 5 states + rounding) eps, and a hundredth of it for terms of second order; inf if above 1%.
    All arguments are single numbers. By the matrix-tree theorem entries of the inverse are quotients of sums of
    products of data, one factor from each row: an error of d in the c rows that one elimination step touches changes
    them by 2 c d. A step errs by 5 units (eps / 2) in what it touches, the pivot being a compensated sum; the c's add
    up to `lower`. Source: derived in docs/proofs.md. Claim `elimination-relative-accuracy`.

    Parameters
    ----------
    states : int
        The number of rows.
    lower, upper : int
        The numbers of entries of the two factors off the diagonal.
    rounding : float
        The sum over the rows of the relative error of their data (entries off the diagonal and the row's excess), in
        units of eps / 2.

    Returns
    -------
    float, without a unit
    """
    bound = 1.01 * (5.0 * lower + 0.5 * upper + 5.0 * states + rounding) * EPS
    return bound if bound <= 0.01 else math.inf
