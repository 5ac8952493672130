"""The slow part of the fixed point's error, solved in a small space: one vector a cluster of states.

Where the chain forgets its state fast, errors that sweeps leave behind look the same from every state once laws are
aligned at their means: F(x, .) is off by w(. - V(x)). One coarse vector w of m - 1 entries, shared by all states and
shifted by round((V(x) - middle)/spacing) cells, captures them all; where there are clusters, one vector a cluster.
"""

import numpy as np
from scipy import linalg, sparse

from distrl._kernels import krylov as kernels
from distrl._validation import FloatArray, IntArray
from distrl.operators.system import System

#: Most coarse unknowns: a dense inverse of this size takes a fifth of a second.
COARSE_UNKNOWNS = 1_500
_CHUNKS = 16  # fixed, so that sums over states do not depend on the threads


class Coarse:
    """z = r + P (E^-1 - D^-1) R r with E = R (I - A) P and D = R P, P the shifted copies and R their weighted sums.

    The inverse of I - A on the coarse space, the identity on what R does not see.

    Parameters
    ----------
    system : System
    mean : (n,) exact means of the returns
    weights : (n,) positive, how much a state counts: its long-run share
    labels : (n,) cluster of each state

    Notes
    -----
    Set-up O(outcomes * m) and a dense inverse of (clusters * (m - 1))^2; a correction reads the array twice.
    """

    def __init__(self, system: System, mean: FloatArray, weights: FloatArray, labels: IntArray) -> None:
        grid, n = system.grid, system.n
        last = grid.atoms - 1
        self.system, self.labels = system, labels
        middle = (mean - 0.5 * (grid.low + grid.high)) / grid.spacing
        self.shift = np.clip(np.rint(middle), 1 - last, last - 1).astype(np.int64)
        self.weights = weights
        clusters = int(labels.max()) + 1
        self._edges = np.array([n * k // _CHUNKS for k in range(_CHUNKS + 1)])
        self._partial = np.empty((_CHUNKS, clusters, last))
        self._coarse = np.empty((clusters, last))
        self._matrix = self._invert(clusters, last)

    def _invert(self, clusters: int, last: int) -> FloatArray:
        system = self.system
        diagonal = np.zeros((clusters, last))
        # R P: how much of a cluster has cell j + shift inside the grid
        for cluster in range(clusters):
            chosen = self.labels == cluster
            shares = np.bincount(self.shift[chosen] + last, weights=self.weights[chosen], minlength=2 * last + 1)
            total = np.concatenate([[0.0], np.cumsum(shares)])
            j = np.arange(last)
            diagonal[cluster] = total[2 * last - j] - total[last - j]
        matrix = np.zeros((clusters * last, clusters * last))
        pointers, successor, weights, at = system.reads()
        source = np.repeat(np.arange(system.n), np.diff(pointers))
        kernels.coarse_entries(
            pointers,
            system.plan.discount,
            successor,
            weights * self.weights[source],
            at,
            self.shift,
            self.labels,
            matrix,
            last + 1,
        )
        flat = diagonal.ravel()
        seen = flat > 1e-9
        matrix[np.diag_indices_from(matrix)] += np.where(seen, flat, 1.0)
        inverse = linalg.inv(matrix, overwrite_a=True, check_finite=False)
        inverse[~seen] = 0.0
        inverse[:, ~seen] = 0.0
        inverse[np.diag_indices_from(inverse)] -= np.where(seen, 1.0 / np.where(seen, flat, 1.0), 0.0)
        return np.ascontiguousarray(inverse)

    def correct(self, vector: FloatArray, out: FloatArray) -> FloatArray:
        """out = the preconditioned `vector`; gives `out`."""
        rows = self.system.workers.rows
        rows(_CHUNKS, kernels.restrict, vector, self.shift, self.labels, self.weights, self._edges, self._partial)
        kernels.multiply(self._matrix, self._partial.sum(axis=0).ravel(), self._coarse.ravel())
        rows(len(vector), kernels.prolong, self._coarse, self.shift, self.labels, vector, out)
        return out

    def correct_step(self, image: FloatArray, cdf: FloatArray) -> None:
        """Add the slow part of what `image` - `cdf` leaves to go to `image`."""
        rows, before = self.system.workers.rows, np.empty_like(self._partial)
        rows(_CHUNKS, kernels.restrict, image, self.shift, self.labels, self.weights, self._edges, self._partial)
        rows(_CHUNKS, kernels.restrict, cdf, self.shift, self.labels, self.weights, self._edges, before)
        kernels.multiply(self._matrix, (self._partial - before).sum(axis=0).ravel(), self._coarse.ravel())
        rows(len(image), kernels.prolong, self._coarse, self.shift, self.labels, image, image)


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


def mixing(matrix: sparse.csr_array, weights: FloatArray, steps: int = 24) -> tuple[float, FloatArray]:
    """How much of a difference between states a step keeps, in the long run, and the difference that lasts.

    Power steps from a fixed start, the constant part taken out.
    """
    n = matrix.shape[0]
    vector = np.sin(np.arange(n) * 2.399963) + np.linspace(-1.0, 1.0, n)
    sizes = []
    for _ in range(steps):
        vector = matrix @ vector
        vector -= weights @ vector
        size = float(np.sqrt(weights @ np.square(vector)))
        if size <= 1e-30:
            return 0.0, vector
        vector /= size
        sizes.append(size)
    half = len(sizes) // 2
    return float(np.exp(np.mean(np.log(sizes[half:])))), vector


def clusters_of(vector: FloatArray, count: int) -> IntArray:
    """Labels 0 to count - 1 (fewer if some are empty): k-means on a line, from quantiles, ten rounds."""
    centres = np.unique(np.quantile(vector, (np.arange(count) + 0.5) / count))
    labels = np.zeros(len(vector), dtype=np.int64)
    for _ in range(10):
        labels = np.searchsorted(0.5 * (centres[1:] + centres[:-1]), vector)
        counts = np.bincount(labels, minlength=len(centres))
        sums = np.bincount(labels, weights=vector, minlength=len(centres))
        centres = sums[counts > 0] / counts[counts > 0]
    labels = np.searchsorted(0.5 * (centres[1:] + centres[:-1]), vector)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
