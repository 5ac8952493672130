"""Finite-sample bounds for model-based estimates, with their proof."""

import math

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.dp.resolvent import Resolvent
from distrl.models.mrp import MRP


def w1_radius(model: MRP, policy: FloatArray, totals: IntArray, width: float, level: float) -> FloatArray:
    """(S,) r with P(W1(eta_hat(x), eta(x)) <= r(x) at every state x) >= level, eta_hat the exact law of `model`.

    r = (I - g P_hat)^{-1} u,  u(x) = width / sqrt(n(x)) * (1/2 + sqrt(log(S / (1 - level)) / 2)),
    1 / n(x) = sum_a policy(a|x)^2 / N(x, a).

    Parameters
    ----------
    model : the empirical model under the policy
    policy : (S, A) weight of each action in its state; (S,) ones for an MRP
    totals : as `policy`, number of samples N, 0 where the outcomes are known or an action is not available
    width : of an interval known to hold every return of the true model
    level : in (0, 1)

    Notes
    -----
    Premise: N is fixed beforehand, and all samples at one state are independent draws. Proof. T_hat, the empirical
    Bellman operator, contracts W1 with the matrix g P_hat, so the vector of distances satisfies d <= g P_hat d +
    W1(T_hat eta, eta), componentwise; solve. eta is not random, so (T_hat eta)(x) is a weighted mean of independent
    random laws, of r + g G(y) for a sampled outcome each, with expectation eta(x), all on an interval of the given
    width. Replacing one of the N(x, a) moves W1(T_hat eta(x), eta(x)) by at most
    policy(a|x) width / N(x, a), and its expectation is at most int sqrt(Var (T_hat eta)(x, (-inf, z])) dz, where each
    term of the variance is at most 1/4: width / (2 sqrt(n(x))). McDiarmid's inequality and a union over states.
    """
    unit = _unit(policy, totals, model.n_states)
    spread = 0.5 + math.sqrt(math.log(model.n_states / (1.0 - level)) / 2.0)
    return Resolvent.of(model).upper(width * unit * spread)


def mean_radius(model: MRP, policy: FloatArray, totals: IntArray, width: float, level: float) -> FloatArray:
    """(S,) the same for |V_hat - V|: u(x) = width / sqrt(n(x)) * sqrt(log(2 S / (1 - level)) / 2).

    Proof. V_hat - V = (I - g P_hat)^{-1} (T_hat V - V), and Hoeffding's inequality for (T_hat V)(x), whose terms
    r + g V(y) lie in an interval of the given width.
    """
    unit = _unit(policy, totals, model.n_states)
    spread = math.sqrt(math.log(2.0 * model.n_states / (1.0 - level)) / 2.0)
    return Resolvent.of(model).upper(width * unit * spread)


def _unit(policy: FloatArray, totals: IntArray, n_states: int) -> FloatArray:
    """(S,) 1 / sqrt(n(x))."""
    shares = np.where(totals > 0, policy**2 / np.maximum(totals, 1), 0.0)
    return np.asarray(np.sqrt(shares.reshape(n_states, -1).sum(axis=1)))
