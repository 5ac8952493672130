"""Bounds on what learners do, and on what samples can tell. Pure functions, vectorised."""

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray


def quantile_step(step_size: ArrayLike, quantiles: ArrayLike) -> FloatArray:
    """Longest step of quantile TD, whatever the rewards: step_size (1 - 1 / (2 m)). Derived: tau_i - rank / m."""
    return np.asarray(np.multiply(step_size, 1.0 - 1.0 / (2.0 * np.asarray(quantiles, dtype=np.float64))))


def quantile_shortest_step(step_size: ArrayLike, quantiles: ArrayLike) -> FloatArray:
    """Shortest step of quantile TD, never 0: step_size / (2 m). Derived: tau_i is an odd multiple of 1 / (2 m)."""
    return np.asarray(np.divide(step_size, 2.0 * np.asarray(quantiles, dtype=np.float64)))


def td_stationary_variance(step_size: ArrayLike, discount: ArrayLike, reward_variance: ArrayLike) -> FloatArray:
    """Variance of TD(0) with a constant step on one state: a v / ((1 - g) (2 - a (1 - g))).

    Derived: V' = (1 - a (1 - g)) V + a r is autoregressive.
    """
    a, rest = np.asarray(step_size, dtype=np.float64), 1.0 - np.asarray(discount, dtype=np.float64)
    return np.asarray(a * np.asarray(reward_variance, dtype=np.float64) / (rest * (2.0 - a * rest)))


def td_deterministic_error(step_size: ArrayLike, discount: ArrayLike, updates: ArrayLike) -> FloatArray:
    """Share of the first error that synchronous TD has left after n updates without noise: (1 - a (1 - g))^n.

    In the sup norm over states. Derived: each update is a contraction with modulus 1 - a + a g.
    """
    return np.asarray(np.power(1.0 - np.multiply(step_size, 1.0 - np.asarray(discount)), updates))


def simulation_w1(width: ArrayLike, discount: ArrayLike, total_variation: ArrayLike) -> FloatArray:
    """sup-W1 between the returns of two models whose outcome laws differ by `total_variation` at most.

    total_variation * width / (1 - discount), width that of an interval that holds the returns of both. Derived: the
    operators differ by at most total_variation * width on such laws, and the first one contracts.
    """
    return np.asarray(np.multiply(total_variation, width) / (1.0 - np.asarray(discount)))


def stochastic_variation(width: ArrayLike) -> FloatArray:
    """Squared-Cramer variation of the stochastic categorical CDF equation: width / 4, on grids that clip nothing.

    Derived in docs/proofs.md (claim `variance-corollary`).
    """
    return np.asarray(width, dtype=np.float64) / 4.0


def mean_difference_near_absorbing(discount: ArrayLike, stay: ArrayLike, shift: ArrayLike) -> FloatArray:
    """|V - V'| of two near-absorbing processes: a lower bound on W1 that no estimator can tell apart.

    One state, reward 1, ended with probability 1 - q; V = 1 / (1 - g q). With q' = q + shift the values differ by
    g shift / ((1 - g q)(1 - g q')). The family of Azar et al. 2013 in its smallest form; derived.
    """
    g, q, step = (np.asarray(given, dtype=np.float64) for given in (discount, stay, shift))
    return np.asarray(g * np.abs(step) / ((1.0 - g * q) * (1.0 - g * (q + step))))


def power_tail_constant(discount: ArrayLike, index: ArrayLike) -> FloatArray:
    """P(G > x) / P(R > x) as x grows, one state with rewards of tail index a: 1 / (1 - discount^a).

    Derived: one big reward makes a big return, at any of the steps.
    """
    return np.asarray(1.0 / (1.0 - np.power(discount, index)))
