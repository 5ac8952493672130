"""True return laws in floats, with a bound on their error."""

from collections.abc import Sequence

import numpy as np

from distrl._validation import FloatArray
from proofs_check.case import Case


def true_laws(
    case: Case, bins: int = 4000, factors: Sequence[float] | None = None
) -> tuple[list[FloatArray], list[FloatArray], float]:
    """(values, weights) of each state's return, and a bound on their W1 error.

    Particles are pushed through the definition from the Diracs of the exact means; after each sweep those in one of
    `bins` cells are merged to their mean. The merges are martingale differences of at most a quarter of a cell's width
    squared, so they add in squares: error at most h / (2 sqrt(1 - g^2)), plus g^n times the range for the start. With
    `factors`, a discount for each row, g is the largest of them.
    """
    n, own = case.states, [case.discount] * len(case.rows) if factors is None else list(factors)
    g = max(own)
    p, r = np.zeros((n, n)), np.zeros(n)
    for (state, probability, successor, reward, terminal), factor in zip(case.rows, own, strict=True):
        r[state] += probability * reward
        if not terminal:
            p[state, successor] += probability * factor
    v = np.linalg.solve(np.eye(n) - p, r)
    rewards = [row[3] for row in case.rows]
    ends = [row[3] / (1.0 if row[4] else 1.0 - factor) for row, factor in zip(case.rows, own, strict=True)]
    high, low = max(*ends, *rewards), min(*ends, *rewards)
    width = max(high - low, 1e-300)
    h = width / bins
    values_, weights_ = [np.array([v[x]]) for x in range(n)], [np.ones(1) for _ in range(n)]
    sweeps = 1 if g == 0.0 else int(np.ceil(np.log(1e-6) / np.log(g))) + 1 if g < 1 else 10_000
    for _ in range(sweeps):
        pairs: list[list[tuple[FloatArray, FloatArray]]] = [[] for _ in range(n)]
        for (state, probability, successor, reward, terminal), factor in zip(case.rows, own, strict=True):
            if terminal:
                pairs[state].append((np.array([reward]), np.array([probability])))
            else:
                pairs[state].append((reward + factor * values_[successor], probability * weights_[successor]))
        merged = [
            _merge(np.concatenate([a for a, _ in part]), np.concatenate([b for _, b in part]), low, h) for part in pairs
        ]
        values_, weights_ = [a for a, _ in merged], [b for _, b in merged]
    error = h / 2.0 / np.sqrt(1.0 - g * g) + g**sweeps * width + 1e-12 * (abs(low) + abs(high))
    return values_, weights_, float(error)


def _merge(values_: FloatArray, weights: FloatArray, low: float, h: float) -> tuple[FloatArray, FloatArray]:
    cell = np.floor((values_ - low) / h).astype(np.int64)
    cell -= cell.min()
    mass = np.bincount(cell, weights=weights)
    sums = np.bincount(cell, weights=weights * values_)
    kept = mass > 0
    return sums[kept] / mass[kept], mass[kept]


def w1_floats(first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray], power: int = 1) -> float:
    """int |F - G|^power of two weighted samples."""
    support = np.concatenate([first[0], second[0]])
    steps = np.concatenate([first[1], -second[1]])
    order = np.argsort(support, kind="stable")
    gaps = np.cumsum(steps[order])[:-1]
    return float((np.abs(gaps) ** power) @ np.diff(support[order]))
