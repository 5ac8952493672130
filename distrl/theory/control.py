"""Bounds on the best policies for a risk."""

import numpy as np

from distrl._validation import FloatArray, real_number


def rounded_target_gap(spacing: float, discount: float) -> float:
    """Between the least E (b - G)+ with targets rounded down at every step, and rounded up: 2 s g / (1 - g).

    Parameters
    ----------
    spacing : float
        s of the targets, in units of reward.
    discount : float in [0, 1)
        g.

    Returns
    -------
    float, in units of reward, of single numbers; for CVaR divide it by the level

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Rounding moves the target of a step by s at most, and what is lost t steps ahead counts g^t times. The least loss
    lies between the two. Claim `target-rounding-gap`. Source: an own result; the scheme is that of the code of Hau,
    Delage, Derman, Ghavamzadeh and Petrik 2025.
    """
    s, g = real_number(spacing, "spacing", low=0.0), real_number(discount, "discount", low=0.0)
    if g >= 1.0:
        raise ValueError(f"discount must be below 1, got {g:g}; rounding at every step adds up without end there")
    return 2.0 * s * g / (1.0 - g)


def entropic_mean_gap(beta: float | FloatArray, width: float | FloatArray) -> FloatArray:
    """How far entropic risk can be from the mean: |beta| w^2 / 8 (below it for beta < 0, above it for beta > 0).

    Parameters
    ----------
    beta : float or array
        In 1/units of reward.
    width : float or array
        w of an interval that holds the return.

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of reward

    Notes
    -----
    Claim `entropic-near-mean`. Source: Hoeffding's lemma, and Jensen's inequality for the other side; Hau, Petrik and
    Ghavamzadeh 2023, Theorem 3.4, for its use.
    """
    return np.asarray(np.abs(beta) * np.square(width) / 8.0)
