"""What is looked at to choose a solver, and the thresholds that it is held against.

The thresholds were chosen by timing the solvers on the problems `CHOSEN_ON` of `benchmarks/problems.py`; `HELD_OUT`
there holds the problems that they never saw, on which the choice is measured against sweeps. Those that concern reward
laws were chosen and held out likewise in `benchmarks/continuous_rewards.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray
from distrl.dp.solvers.aggregation import GROUP_UNKNOWNS, groups_of
from distrl.dp.solvers.banded import narrow_order
from distrl.dp.solvers.clusters import clusters_of, long_run_weights, mixing
from distrl.dp.solvers.shifted_coarse import COARSE_UNKNOWNS

#: A step keeps at most this much of the differences between states, discount included: fast mixing.
FAST_MIXING = 0.8
#: A coarse correction is worth its inverse if that costs at most this share of what iterating would ...
INVERSE = 0.1
#: ... or this one from so many non-zeros on, where iterations wait for memory, and an inverse does not.
LARGE_INVERSE, LARGE = 0.6, 15_000_000
#: Elimination along a chain pays while (width * (atoms - 1))^2 is at most this times an iteration's cost an entry ...
NARROW = 3.0
#: ... and while it keeps at most so many numbers.
NARROW_ENTRIES = 25_000_000
_MOST_STATES = 32  # in a group on average; with twice as many BiCGSTAB alone is as fast at a horizon of 100
_NEIGHBOURS = 12.0  # groups that a group leads to: more is a random graph, whose groups are no neighbourhoods
_CLUSTER = 100  # states that a cluster must have on average for its own coarse vector to pay
_DENSE_STATES = 150  # states up to which a dense array is quicker


@dataclass(frozen=True, eq=False)
class Traits:
    """What `select_solver` looks at: a system of states that lead to each other.

    Attributes
    ----------
    matrix : (n, n) sparse
        Probabilities of going on within the system.
    discount : float
        The largest where outcomes have their own.
    atoms : int
    gain : float
        The effective horizon: how many steps a return goes on for, discounted.
    laws : bool
        Whether reward laws apply as matrices, which Gauss-Seidel and coarse corrections cannot use.
    mean : (n,) or None
        Exact means of the returns, by which a coarse correction aligns the laws; None leaves them where they are.
    """

    matrix: sparse.csr_array
    discount: float
    atoms: int
    gain: float
    laws: bool = False
    mean: FloatArray | None = None

    @property
    def nonzeros(self) -> int:
        """About how many the matrix of the linear system has, in pairs."""
        return int(self.matrix.nnz) * (self.atoms - 1)

    @cached_property
    def weights(self) -> FloatArray:
        """(n,) how much a state counts: its long-run share of a walk's time."""
        return long_run_weights(self.matrix)

    @cached_property
    def _clusters(self) -> tuple[IntArray, float]:
        one = np.zeros(self.matrix.shape[0], dtype=np.int64)
        keeps, lasting = mixing(self.matrix, self.weights, one)
        most = min(4, COARSE_UNKNOWNS // (self.atoms - 1), self.matrix.shape[0] // _CLUSTER)
        while most > 1 and not self.invertible(most):
            most -= 1
        if self.discount * keeps > FAST_MIXING and most > 1:
            clusters = clusters_of(lasting, self.weights, most)
            if clusters is not None:
                within, _ = mixing(self.matrix, self.weights, clusters)
                if self.discount * within <= FAST_MIXING:
                    return clusters, within
        return one, keeps

    @property
    def labels(self) -> IntArray:
        """(n,) cluster of each state: all 0, or 0 to at most 3 where that leaves only differences that fade fast."""
        return self._clusters[0]

    @property
    def keeps(self) -> float:
        """How much is left after one step of the slowest difference between two states of one cluster.

        The factor per step, discount included: 0 where a step forgets the state it came from, 1 where it never does.
        """
        return self.discount * self._clusters[1]

    @property
    def iteration(self) -> float:
        """About what the better of Gauss-Seidel and BiCGSTAB costs an entry of F, in multiplications."""
        outcomes = int(self.matrix.nnz) / self.matrix.shape[0]
        return float(outcomes * min(10.0 * self.gain, 80.0 * math.sqrt(self.gain)))

    def inverse(self, clusters: int) -> float:
        """About what the inverse for coarse vectors costs, one for each of `clusters`, as a share of iterating."""
        return float(clusters**3 * (self.atoms - 1) ** 2 / (self.matrix.shape[0] * self.iteration))

    def invertible(self, clusters: int) -> bool:
        """Whether the inverse for the coarse vectors of so many `clusters` pays."""
        return self.inverse(clusters) <= (LARGE_INVERSE if self.nonzeros >= LARGE else INVERSE)

    @cached_property
    def narrow(self) -> tuple[IntArray, int] | None:
        """An order in which states lead few places only, and how many; None where elimination along it is no gain."""
        last, n = self.atoms - 1, self.matrix.shape[0]
        if last**2 > NARROW * self.iteration or n * last**2 > NARROW_ENTRIES:
            return None  # not even for a width of 1
        order, width = narrow_order(self.matrix)
        pays = (width * last) ** 2 <= NARROW * self.iteration and n * width * last**2 <= NARROW_ENTRIES
        return (order, width) if pays else None

    @cached_property
    def groups(self) -> IntArray | None:
        """Groups of neighbouring states, None where there are no neighbourhoods or the groups would be too large."""
        n = self.matrix.shape[0]
        if n * (self.atoms - 1) > _MOST_STATES * GROUP_UNKNOWNS:
            return None
        labels, neighbours = groups_of(self.matrix, self.atoms)
        count = int(labels.max()) + 1
        few = count <= n // 2 and count * (self.atoms - 1) <= GROUP_UNKNOWNS
        return labels if few and neighbours <= _NEIGHBOURS else None

    @property
    def means(self) -> FloatArray:
        """(n,) where a coarse correction takes the laws to lie."""
        return np.zeros(self.matrix.shape[0]) if self.mean is None else self.mean

    @property
    def unknowns(self) -> int:
        """Unknowns of the linear system."""
        return int(self.matrix.shape[0]) * (self.atoms - 1)

    @cached_property
    def directed(self) -> float:
        """sum |P(x, y) - P(y, x)| over sum P(x, y) + P(y, x), x != y: 0 for walks both ways alike, 1 for one way."""
        # a dense array is quicker to make and to subtract from its transpose where there are few states
        matrix = self.matrix.toarray() if self.matrix.shape[0] <= _DENSE_STATES else self.matrix
        total = 2.0 * float(matrix.sum() - matrix.diagonal().sum())
        return float(abs(matrix - matrix.T).sum()) / total if total > 0.0 else 0.0
