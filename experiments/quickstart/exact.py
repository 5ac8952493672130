"""Exact return laws of FrozenLake and CliffWalking, straight from Gymnasium's tables.

Nothing here comes from distrl: the laws are the oracle that its answers are checked against.
"""

from typing import Any

import numpy as np


def frozen_lake_law(
    table: dict[int, dict[int, list[tuple[float, int, float, bool]]]],
    policy: np.ndarray,
    discount: float,
    tail: float = 1e-14,
) -> tuple[np.ndarray, np.ndarray]:
    """(values (n,), weights (S, n)) of the return from every state: discount^(T-1) on success at step T, 0 else.

    The law of T by powers of the transition matrix, until less than `tail` can still succeed or what it adds,
    discount^T, is below `tail`; what is left counts as 0.
    """
    states, actions = len(table), len(table[0])
    going_on = np.zeros((states, states))
    success = np.zeros(states)
    for s in range(states):
        for a in range(actions):
            for probability, successor, reward, ends in table[s][a]:
                weight = policy[s, a] * probability
                if reward:
                    success[s] += weight
                elif not ends:
                    going_on[s, successor] += weight
    weights, alive, steps = [success], np.ones(states), 1
    while alive.max() > tail and discount**steps > tail:
        weights.append(going_on @ weights[-1])
        alive = going_on @ alive
        steps += 1
    values = discount ** np.arange(steps)
    by_step = np.array(weights[:steps]).T
    failure = 1.0 - by_step.sum(axis=1, keepdims=True)
    return np.append(0.0, values[::-1]), np.hstack([failure, by_step[:, ::-1]])


def cliff_walking_law(
    table: dict[int, dict[int, list[tuple[float, int, float, bool]]]], policy: np.ndarray, lowest: int
) -> np.ndarray:
    """weights (S, -lowest + 1): P(return = lowest + k) from every state, undiscounted; rows sum to 1 minus the rest.

    Every reward is a negative integer, so the law at return -n follows from those at smaller n.
    """
    states, actions = len(table), len(table[0])
    by_cost: dict[int, np.ndarray] = {}
    ending: dict[int, np.ndarray] = {}
    for s in range(states):
        for a in range(actions):
            for probability, successor, reward, ends in table[s][a]:
                cost, weight = round(-reward), policy[s, a] * probability
                if ends:
                    ending.setdefault(cost, np.zeros(states))[s] += weight
                else:
                    by_cost.setdefault(cost, np.zeros((states, states)))[s, successor] += weight
    law = np.zeros((states, -lowest + 1))  # column n: P(return = -n)
    for n in range(1, law.shape[1]):
        law[:, n] = ending.get(n, 0.0)
        for cost, matrix in by_cost.items():
            if cost <= n:
                law[:, n] += matrix @ law[:, n - cost]
    return law[:, ::-1]


def categorical_w1(points: np.ndarray, probs: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(S,) W1 = int |F - G| between laws on `points` and on `values`, by a plain merge of the two supports."""
    support = np.unique(np.concatenate([points, values]))
    first = _cdf(points, probs, support)
    second = _cdf(values, weights, support)
    distance: Any = np.abs(first - second)[:, :-1] @ np.diff(support)
    return np.asarray(distance)


def _cdf(values: np.ndarray, weights: np.ndarray, support: np.ndarray) -> np.ndarray:
    cumulative = np.hstack([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)])
    return cumulative[:, np.searchsorted(values, support, side="right")]


def moments(
    table: dict[int, dict[int, list[tuple[float, int, float, bool]]]], policy: np.ndarray, discount: float
) -> tuple[np.ndarray, np.ndarray]:
    """(S,) mean and standard deviation of the return: two dense linear solves.

    m = E r + g P m,  c = E (r + g m(y) - m)^2 + g^2 P c,  c the variance, P the probabilities of going on.
    """
    states, actions = len(table), len(table[0])
    going_on, reward = np.zeros((states, states)), np.zeros(states)
    outcomes = [
        (s, policy[s, a] * probability, successor, reward_of, ends)
        for s in range(states)
        for a in range(actions)
        for probability, successor, reward_of, ends in table[s][a]
    ]
    for s, weight, successor, reward_of, ends in outcomes:
        reward[s] += weight * reward_of
        going_on[s, successor] += 0.0 if ends else weight
    mean = np.linalg.solve(np.eye(states) - discount * going_on, reward)
    spread = np.zeros(states)
    for s, weight, successor, reward_of, ends in outcomes:
        spread[s] += weight * (reward_of + (0.0 if ends else discount * mean[successor]) - mean[s]) ** 2
    variance = np.linalg.solve(np.eye(states) - discount**2 * going_on, spread)
    return mean, np.sqrt(np.maximum(variance, 0.0))


def lower_tail(values: np.ndarray, weights: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """(S,) lower quantile and mean of the worst mass `level`, laws on sorted `values`."""
    quantiles, means = [], []
    for row in weights:  # one at a time: a law may have a million values
        cumulative = np.cumsum(row)
        quantiles.append(values[np.argmax(cumulative >= level - 1e-9)])
        means.append(np.diff(np.minimum(cumulative, level), prepend=0.0) @ values / level)
    return np.array(quantiles), np.array(means)
