"""How fast a chain forgets its state, and the clusters of states within which it does."""

from __future__ import annotations

import math

import numpy as np

from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray


def long_run_weights(matrix: sparse.csr_array, steps: int = 60) -> FloatArray:
    """(n,) positive weights that sum to 1: the average share of a walk's time, over `steps` steps from anywhere.

    Where walks end, the share of those still going on.
    """
    n = matrix.shape[0]
    backward = sparse.csr_array(matrix.T)
    share = np.full(n, 1.0 / n)
    total = share.copy()
    for _ in range(steps):
        share = backward @ share
        mass = float(share.sum())
        if mass <= 0.0:
            break
        share /= mass
        total += share
    return np.asarray(total / total.sum())


def mixing(
    matrix: sparse.csr_array, weights: FloatArray, labels: IntArray, steps: int = 24
) -> tuple[float, FloatArray]:
    """How much of a difference between states of one cluster a step keeps, and the difference that lasts, (n,).

    Power steps from a fixed start, the part that is constant on each cluster taken out.
    """
    n = matrix.shape[0]
    mass = np.bincount(labels, weights=weights)
    vector = np.sin(np.arange(n) * 2.399963) + np.linspace(-1.0, 1.0, n)
    sizes = []
    for _ in range(steps):
        vector = matrix @ vector
        vector -= (np.bincount(labels, weights=weights * vector) / mass)[labels]
        size = math.sqrt(float((weights * np.square(vector)).sum()))  # no BLAS, whose threads wait for each other
        if size <= 1e-30:
            return 0.0, vector
        vector /= size
        sizes.append(size)
    return float(np.exp(np.mean(np.log(sizes[-8:])))), vector


def clusters_of(vector: FloatArray, weights: FloatArray, most: int = 4) -> IntArray | None:
    """Labels (n,) of the 2 to `most` groups of values that explain 95% of the variance of `vector`; None if none do.

    k-means on a line, from evenly spaced centres, ten rounds.
    """
    for count in range(2, most + 1):
        centres = np.linspace(vector.min(), vector.max(), count)
        labels = np.zeros(len(vector), dtype=np.int64)
        for _ in range(10):
            labels = np.searchsorted(0.5 * (centres[1:] + centres[:-1]), vector)
            mass = np.bincount(labels, weights=weights, minlength=len(centres))
            sums = np.bincount(labels, weights=weights * vector, minlength=len(centres))
            if not (mass > 0.0).all():
                break
            centres = sums / mass
        else:
            left = weights @ np.square(vector - centres[labels])
            if left <= 0.05 * (weights @ np.square(vector)):
                return labels.astype(np.int64)
    return None
