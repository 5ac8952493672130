"""Contraction moduli of the operators, and what they say of an iterate.

An operator T with modulus g in a distance d satisfies d(T F, T G) <= g d(F, G) for all F and G. Distances are the
largest over the states. All functions are pure and vectorised: an argument may be a number or an array, arrays
broadcast against each other, and the answer has their shape. Moduli have no unit.
"""

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray


def wasserstein_modulus(discount: ArrayLike) -> FloatArray:
    """The modulus of the Bellman operator in sup-W_p, for every p, and of the categorical operator in sup-W1: discount.

    Source: Bellemare, Dabney, Rowland 2023, chapter 4; for the projected operator docs/proofs.md, since the projection
    does not expand W1. Claims `bellman-w1-contraction`, `bellman-winf-contraction`, `categorical-w1-contraction`.

    Parameters
    ----------
    discount : float or array
        In [0, 1].

    Returns
    -------
    array of the shape of `discount`
    """
    return np.asarray(discount, dtype=np.float64)


def cramer_modulus(discount: ArrayLike) -> FloatArray:
    """The modulus of the Bellman and of the categorical operator in the sup-Cramer distance: sqrt(discount).

    Source: Rowland et al. 2018, Proposition 2. Claims `bellman-cramer-contraction`, `categorical-cramer-contraction`.

    Parameters
    ----------
    discount : float or array
        In [0, 1].

    Returns
    -------
    array of the shape of `discount`
    """
    return np.asarray(np.sqrt(discount))


def grid_wasserstein_modulus(discount: ArrayLike, p: float) -> FloatArray:
    """The modulus of the categorical operator in sup-W_p between laws on its own uniform grid: discount^(1/p).

    On laws off the grid it need not contract. Source: derived in docs/proofs.md. Claim `grid-w2-contraction`.

    Parameters
    ----------
    discount : float or array
        In [0, 1].
    p : float
        The order of the distance, at least 1.

    Returns
    -------
    array of the shape of `discount`
    """
    return np.asarray(np.power(discount, 1.0 / p))


def quantile_modulus(discount: ArrayLike) -> FloatArray:
    """The modulus of the quantile operator in sup-W_inf, for every `flat`: discount.

    Source: Rowland et al. 2024, "An Analysis of Quantile Temporal-Difference Learning", Propositions 5 to 7. Claims
    `quantile-winf-contraction-flat-0`, `quantile-winf-contraction-flat-half`, `quantile-winf-contraction-flat-1`.

    Parameters
    ----------
    discount : float or array
        In [0, 1].

    Returns
    -------
    array of the shape of `discount`
    """
    return np.asarray(discount, dtype=np.float64)


def second_moment_modulus(discount: ArrayLike) -> FloatArray:
    """The modulus of the covariance equation of the stochastic categorical CDF operator in sup-trace: discount.

    Source: derived in docs/proofs.md, from |B|_2^2 <= |B|_1 |B|_inf <= discount. Claim `second-moment-contraction`.

    Parameters
    ----------
    discount : float or array
        In [0, 1].

    Returns
    -------
    array of the shape of `discount`
    """
    return np.asarray(discount, dtype=np.float64)


def iteration_w1(residual: ArrayLike, discount: ArrayLike) -> FloatArray:
    """How far an iterate F is from the fixed point F* of T: sup-W1(F, F*) <= residual / (1 - discount).

    Source: the contraction of T. Claim `iteration-error-w1`.

    Parameters
    ----------
    residual : float or array
        sup-W1(F, T F), in units of reward.
    discount : float or array
        In [0, 1); the bound is infinite at 1.

    Returns
    -------
    array of the shape to which `residual` and `discount` broadcast, in units of reward
    """
    return np.asarray(np.divide(residual, 1.0 - np.asarray(discount)))


def iteration_cramer(residual: ArrayLike, discount: ArrayLike) -> FloatArray:
    """How far an iterate F is from the fixed point F* of T: sup-l2(F, F*) <= residual / (1 - sqrt(discount)).

    Source: Rowland et al. 2018, Proposition 2. Claim `iteration-error-cramer`.

    Parameters
    ----------
    residual : float or array
        sup-l2(F, T F), the Cramer distance with its root, in units of the root of reward.
    discount : float or array
        In [0, 1); the bound is infinite at 1.

    Returns
    -------
    array of the shape to which `residual` and `discount` broadcast, in units of the root of reward
    """
    return np.asarray(np.divide(residual, 1.0 - np.sqrt(discount)))


def expectile_lipschitz(level: ArrayLike) -> FloatArray:
    """The constant K of |e(mu) - e(nu)| <= K W1(mu, nu) for an expectile e of level t: max(t, 1 - t) / min(t, 1 - t).

    In W_inf the constant is 1. Source: derived in docs/proofs.md. Claims `expectile-w1-lipschitz`,
    `expectile-winf-lipschitz`.

    Parameters
    ----------
    level : float or array
        The level t of the expectile, in (0, 1).

    Returns
    -------
    array of the shape of `level`, without a unit
    """
    tau = np.asarray(level, dtype=np.float64)
    return np.asarray(np.maximum(tau, 1.0 - tau) / np.minimum(tau, 1.0 - tau))
