"""The slow part of the fixed point's error, solved in a small space: one vector a cluster of states.

Where the chain forgets its state fast, errors that sweeps leave behind look the same from every state once laws are
aligned at their means: F(x, .) is off by w(. - V(x)). One coarse vector w of m - 1 entries, shared by all states and
shifted by round((V(x) - middle)/spacing) cells, captures them all; where there are clusters, one vector a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distrl._kernels import krylov as kernels
from distrl._validation import FloatArray, IntArray
from distrl.dp.solvers.base import ByValue
from distrl.operators.system import System

#: Most coarse unknowns: all atoms that are ever chosen by default. A dense inverse of this size takes some seconds.
COARSE_UNKNOWNS = 2_000
_PARTS = 16  # pieces of a cell to which reward positions are rounded in the coarse system
_CHUNKS = 16  # fixed, so that sums over states do not depend on the threads


class ShiftedCoarse:
    """z = r + P (E^-1 - I) R r with E = I - R A P, P the shifted copies and R the weighted sums of shifted-back rows.

    The inverse of I - A on the coarse space, the identity on what R does not see. The reward positions that enter E
    are rounded to 1/16 of a cell, and the grid's ends are ignored: it is a preconditioner, never the answer.

    Parameters
    ----------
    system : System
    mean : (n,) exact means of the returns
    weights : (n,) positive, how much a state counts: its long-run share
    labels : (n,) cluster of each state

    Raises
    ------
    numpy.linalg.LinAlgError, a ValueError
        If the coarse system is singular.

    Notes
    -----
    Set-up O(outcomes + clusters^2 m reads) and an inverse of (clusters * (m - 1))^2; a correction passes twice.
    """

    applications = 0  # in a correction

    def __init__(self, system: System, mean: FloatArray, weights: FloatArray, labels: IntArray) -> None:
        grid, n = system.grid, system.n
        last = grid.atoms - 1
        self.system, self.labels = system, labels
        middle = (mean - 0.5 * (grid.low + grid.high)) / grid.spacing
        self.shift = np.clip(np.rint(middle), 1 - last, last - 1).astype(np.int64)
        clusters = int(labels.max()) + 1
        self.weights = weights / np.bincount(labels, weights=weights)[labels]
        self._edges = np.array([n * k // _CHUNKS for k in range(_CHUNKS + 1)])
        self._partial = np.empty((_CHUNKS, clusters, last))
        self._coarse = np.empty((clusters, last))
        self._matrix = self._inverse(clusters, last)

    def _inverse(self, clusters: int, last: int) -> FloatArray:
        system, shift = self.system, self.shift
        pointers, successor, weights, at, discount = system.reads()
        source = np.repeat(np.arange(system.n), np.diff(pointers))
        place = _PARTS * (at - shift[source] + discount * shift[successor])
        below = np.floor(place).astype(np.int64)
        above = place - below
        first = int(below.min(initial=0))
        bins = int(below.max(initial=0)) - first + 2
        key = (self.labels[source] * clusters + self.labels[successor]) * bins + below - first
        share = weights * self.weights[source]
        # one number shrinks all laws here: where discounts differ, the mean one
        typical = system.largest_discount
        if discount.min(initial=typical) < typical:
            typical = float(np.average(discount, weights=share))
        size = clusters * clusters * bins
        shares = np.zeros(size)
        shares += np.bincount(key, weights=share * (1.0 - above), minlength=size)
        shares += np.bincount(key + 1, weights=share * above, minlength=size)
        matrix = np.eye(clusters * last)
        kernels.coarse_entries(shares.reshape(clusters, clusters, bins), first, _PARTS, typical, matrix)
        inverse = np.empty_like(matrix)
        if not kernels.invert(matrix, inverse) or not np.isfinite(inverse).all():
            raise np.linalg.LinAlgError("the coarse system is singular")
        inverse[np.diag_indices_from(inverse)] -= 1.0
        return inverse

    def correct(self, vector: FloatArray, out: FloatArray) -> FloatArray:
        """Write the preconditioned `vector` to `out`, and return `out`."""
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


@dataclass(frozen=True, eq=False)
class Clustered(ByValue):
    """The `ShiftedCoarse` of whatever system it is called with, as `TwoGrid` and `Krylov` take it.

    Parameters
    ----------
    mean, weights, labels : (n,)
        As for `ShiftedCoarse`.
    """

    mean: FloatArray
    weights: FloatArray
    labels: IntArray

    def __call__(self, system: System) -> ShiftedCoarse:
        """The coarse correction of `system`; ValueError where that has not as many states, or is singular."""
        for name in ("mean", "weights", "labels"):
            if (found := len(getattr(self, name))) != system.n:
                raise ValueError(f"{name} has {found} entries for a system of {system.n} states")
        return ShiftedCoarse(system, self.mean, self.weights, self.labels)
