"""Bounds on what learners do, and on what samples can tell.

All functions are pure and vectorised: an argument may be a number or an array, arrays broadcast against each other, and
the answer has their shape.
"""

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray


def quantile_step(step_size: ArrayLike, quantiles: ArrayLike) -> FloatArray:
    """The longest step of quantile TD, whatever the rewards: step_size (1 - 1 / (2 m)).

    A particle at level tau_i moves by step_size |tau_i - k / m| for some k of 0..m. Source: derived in
    docs/quantiles.md. Claim `qtd-step-bounded`.

    Parameters
    ----------
    step_size : float or array
        In units of reward.
    quantiles : int or array
        Their number m.

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of reward
    """
    return np.asarray(np.multiply(step_size, 1.0 - 1.0 / (2.0 * np.asarray(quantiles, dtype=np.float64))))


def quantile_shortest_step(step_size: ArrayLike, quantiles: ArrayLike) -> FloatArray:
    """The shortest step of quantile TD, which is never 0: step_size / (2 m).

    It is so because tau_i is an odd multiple of 1 / (2 m). Source: derived in docs/quantiles.md.
    Claim `qtd-step-bounded`.

    Parameters
    ----------
    step_size : float or array
        In units of reward.
    quantiles : int or array
        Their number m.

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of reward
    """
    return np.asarray(np.divide(step_size, 2.0 * np.asarray(quantiles, dtype=np.float64)))


def td_stationary_variance(step_size: ArrayLike, discount: ArrayLike, reward_variance: ArrayLike) -> FloatArray:
    """The variance in which TD(0) with a constant step ends on one state: a v / ((1 - g) (2 - a (1 - g))).

    Source: derived in docs/proofs.md, since V' = (1 - a (1 - g)) V + a r is autoregressive.
    Claim `td-stationary-variance`.

    Parameters
    ----------
    step_size : float or array
        The step a, in (0, 1].
    discount : float or array
        The discount g, in [0, 1).
    reward_variance : float or array
        The variance v of the reward, in squared units of reward.

    Returns
    -------
    array of the shape to which the arguments broadcast, in squared units of reward
    """
    a, rest = np.asarray(step_size, dtype=np.float64), 1.0 - np.asarray(discount, dtype=np.float64)
    return np.asarray(a * np.asarray(reward_variance, dtype=np.float64) / (rest * (2.0 - a * rest)))


def td_deterministic_error(step_size: ArrayLike, discount: ArrayLike, updates: ArrayLike) -> FloatArray:
    """The share of its first error that synchronous TD has left after n updates without noise: (1 - a (1 - g))^n.

    The error is that in the sup norm over states. Source: derived in docs/proofs.md, since each update is a contraction
    with modulus 1 - a + a g. Claim `td-deterministic-rate`.

    Parameters
    ----------
    step_size : float or array
        The step a, in [0, 1].
    discount : float or array
        The discount g, in [0, 1].
    updates : int or array
        Their number n.

    Returns
    -------
    array of the shape to which the arguments broadcast, without a unit
    """
    return np.asarray(np.power(1.0 - np.multiply(step_size, 1.0 - np.asarray(discount)), updates))


def simulation_w1(width: ArrayLike, discount: ArrayLike, total_variation: ArrayLike) -> FloatArray:
    """How far the returns of two models with similar outcomes can be apart: total_variation * width / (1 - discount).

    It bounds sup-W1. Source: derived in docs/proofs.md: on laws within the interval the operators differ by
    total_variation * width at most, and the first one contracts. Claim `simulation-w1`.

    Parameters
    ----------
    width : float or array
        Of an interval that holds the returns of both models, in units of reward.
    discount : float or array
        In [0, 1).
    total_variation : float or array
        The largest distance, over states, between the laws of an outcome (reward, next state, end), in [0, 1].

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of reward
    """
    return np.asarray(np.multiply(total_variation, width) / (1.0 - np.asarray(discount)))


def stochastic_variation(width: ArrayLike) -> FloatArray:
    """A bound on the squared-Cramer variation of the stochastic categorical CDF equation: width / 4.

    Premise: the grid clips nothing. Source: derived in docs/proofs.md. Claim `variance-corollary`.

    Parameters
    ----------
    width : float or array
        Of the grid, in units of reward.

    Returns
    -------
    array of the shape of `width`, in units of reward
    """
    return np.asarray(width, dtype=np.float64) / 4.0


def mean_difference_near_absorbing(discount: ArrayLike, stay: ArrayLike, shift: ArrayLike) -> FloatArray:
    """|V - V'| of two near-absorbing processes, which few samples cannot tell apart: a lower bound on W1.

    Each has one state and the reward 1, and ends with probability 1 - q, so that V = 1 / (1 - g q). With q' = q + shift
    the values differ by g |shift| / ((1 - g q)(1 - g q')). Source: the family of Azar et al. 2013 in its smallest form;
    derived. Claim `near-absorbing-difference`.

    Parameters
    ----------
    discount : float or array
        The discount g, in [0, 1).
    stay : float or array
        The probability q of going on, in [0, 1].
    shift : float or array
        What the second process has more of it; q + shift is in [0, 1].

    Returns
    -------
    array of the shape to which the arguments broadcast, in units of the reward
    """
    g, q, step = (np.asarray(given, dtype=np.float64) for given in (discount, stay, shift))
    return np.asarray(g * np.abs(step) / ((1.0 - g * q) * (1.0 - g * (q + step))))


def power_tail_constant(discount: ArrayLike, index: ArrayLike) -> FloatArray:
    """The limit of P(G > x) / P(R > x) as x grows, on one state with rewards of tail index a: 1 / (1 - discount^a).

    A return is far out because one of its rewards is, and that may be the reward of any step. Source: Gerstenberg,
    Neininger, Spiegel 2023; the constant is derived in docs/proofs.md. Claim `tail-index-kept`.

    Parameters
    ----------
    discount : float or array
        In [0, 1).
    index : float or array
        The exponent a > 0 in P(R > x) ~ x^-a.

    Returns
    -------
    array of the shape to which the arguments broadcast, without a unit
    """
    return np.asarray(1.0 / (1.0 - np.power(discount, index)))
