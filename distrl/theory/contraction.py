"""Contraction moduli, and what they say of an iterate. Pure functions, vectorised."""

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray


def wasserstein_modulus(discount: ArrayLike) -> FloatArray:
    """Modulus of the Bellman operator in sup-W_p, every p, and of the categorical one in sup-W1: the discount.

    Source: Bellemare, Dabney, Rowland 2023; for the projected operator, projection does not expand W1 (docs/proofs.md).
    """
    return np.asarray(discount, dtype=np.float64)


def cramer_modulus(discount: ArrayLike) -> FloatArray:
    """Modulus in sup-Cramer, projected or not: sqrt(discount). Source: Rowland et al. 2018, Proposition 2."""
    return np.asarray(np.sqrt(discount))


def grid_wasserstein_modulus(discount: ArrayLike, p: float) -> FloatArray:
    """Modulus of the categorical operator in sup-W_p between laws on its own uniform grid: discount^(1/p).

    On laws off the grid it need not contract. Derived in docs/proofs.md.
    """
    return np.asarray(np.power(discount, 1.0 / p))


def quantile_modulus(discount: ArrayLike) -> FloatArray:
    """Modulus of the quantile operator in sup-W_inf, for every `flat`: the discount.

    Source: Rowland et al. 2024, "An Analysis of Quantile Temporal-Difference Learning", Propositions 5 to 7.
    """
    return np.asarray(discount, dtype=np.float64)


def second_moment_modulus(discount: ArrayLike) -> FloatArray:
    """Modulus of the covariance equation of the stochastic categorical CDF operator in sup-trace: the discount.

    Derived in docs/proofs.md, from |B|_2^2 <= |B|_1 |B|_inf <= discount.
    """
    return np.asarray(discount, dtype=np.float64)


def iteration_w1(residual: ArrayLike, discount: ArrayLike) -> FloatArray:
    """sup-W1(F, F*) <= residual / (1 - discount), residual = sup-W1(F, T F), T the operator with fixed point F*."""
    return np.asarray(np.divide(residual, 1.0 - np.asarray(discount)))


def iteration_cramer(residual: ArrayLike, discount: ArrayLike) -> FloatArray:
    """sup-l2(F, F*) <= residual / (1 - sqrt(discount)), residual = sup-l2(F, T F)."""
    return np.asarray(np.divide(residual, 1.0 - np.sqrt(discount)))


def expectile_lipschitz(level: ArrayLike) -> FloatArray:
    """|e(mu) - e(nu)| <= this * W1(mu, nu) for the expectile at `level`: max(level, 1 - level) / min(level, 1 - level).

    In W_inf the constant is 1. Derived in docs/proofs.md.
    """
    tau = np.asarray(level, dtype=np.float64)
    return np.asarray(np.maximum(tau, 1.0 - tau) / np.minimum(tau, 1.0 - tau))
