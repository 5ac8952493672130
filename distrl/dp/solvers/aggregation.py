"""Slow differences between states, solved on small groups of neighbouring states, and Gauss-Seidel for the rest.

Where a chain moves slowly over its states (walks, drifts, rooms), what sweeps leave of the error varies slowly from
a state to its neighbours, but differently at each atom: no few vectors capture it. Groups of 4 to 32 states that lead
to each other, all atoms kept, do: a small system, solved by sparse LU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distrl._kernels.graph import match_neighbours
from distrl._lazy import linalg, sparse
from distrl._validation import FloatArray, IntArray
from distrl.dp.solvers.base import ByValue
from distrl.operators.kernel_plan import KernelPlan, plan_matrix
from distrl.operators.system import System

#: Most unknowns of the coarse system: with twice as many, solves with its LU take longer than the rounds they save.
GROUP_UNKNOWNS = 6_500
_PARTS = 16  # pieces of a cell to which reward positions are rounded in the coarse system


class Aggregation:
    """z = G G' P (R (I - A) P)^-1 R r: a coarse solve, then two Gauss-Seidel sweeps, opposite ways, for z = A z + r.

    R averages over a group's states, atom by atom, P copies to them. The reward positions that enter R A P are split
    between multiples of 1/16 of a cell: it is a preconditioner, never the answer.

    Parameters
    ----------
    system : System
        Without blocks of reward laws.
    labels : (n,) group of each state, see `groups_of`

    Notes
    -----
    Set-up O(outcomes log(outcomes)) and an LU of groups * (m - 1) unknowns, never singular where I - A is not; a
    correction takes two sweeps and a solve with the factors. One array of n * m. Source: Notay 2010, "An
    aggregation-based algebraic multigrid method", for pairs of pairs; keeping the atoms apart is this library's.
    """

    applications = 2  # in a correction

    def __init__(self, system: System, labels: IntArray) -> None:
        self.system, self.labels = system, labels
        atoms = system.grid.atoms
        size = np.bincount(labels)
        share = 1.0 / size[labels]
        self._average = sparse.csr_array((share, (labels, np.arange(system.n))), shape=(len(size), system.n))
        coarse = plan_matrix(_group_plan(system, labels, share), atoms, len(size))
        self._factors = linalg.splu(sparse.csc_matrix(sparse.eye_array(coarse.shape[0], format="csr") - coarse))
        self._scratch = np.empty((system.n, atoms))

    def correct(self, vector: FloatArray, out: FloatArray) -> FloatArray:
        """Write the preconditioned `vector` (float64) to `out`, and return `out`."""
        average = self._average @ vector
        coarse = np.zeros_like(average)
        coarse[:, :-1] = self._factors.solve(average[:, :-1].ravel()).reshape(len(average), -1)
        np.take(coarse, self.labels, axis=0, out=out)
        forward = not self.system.uphill
        self.system.linear_sweep(out, vector, self._scratch, forward)
        self.system.linear_sweep(self._scratch, vector, out, not forward)
        return out


@dataclass(frozen=True, eq=False)
class Grouped(ByValue):
    """The `Aggregation` of whatever system it is called with, as `Krylov` takes it: `Krylov(Grouped(labels))`.

    Parameters
    ----------
    labels : (n,) group of each state
    """

    labels: IntArray

    def __call__(self, system: System) -> Aggregation:
        """The preconditioner of `system`; ValueError where there is not one label for each of its states."""
        if len(self.labels) != system.n:
            raise ValueError(f"labels has {len(self.labels)} entries for a system of {system.n} states")
        return Aggregation(system, self.labels)


def groups_of(matrix: sparse.csr_array, atoms: int) -> tuple[IntArray, float]:
    """Labels (n,) of groups of states that lead to each other, and how many groups a group leads to on average.

    Strongest neighbours are paired, then pairs, until an LU of the groups' system is cheap or few find a partner; the
    strength is the probability of a step either way, added up between groups. Time O(nnz) a round.

    Parameters
    ----------
    matrix : (n, n) sparse probabilities of going on
    atoms : int
    """
    n = matrix.shape[0]
    most = min(GROUP_UNKNOWNS // (atoms - 1), n // 4)
    strength = sparse.csr_array(matrix + matrix.T)
    labels = np.arange(n)
    while n > max(most, 1):
        pair = np.empty(n, dtype=np.int64)
        count = match_neighbours(strength.indptr, strength.indices, strength.data, pair)
        if count > 0.9 * n:
            break
        labels = pair[labels]
        members = sparse.csr_array((np.ones(n), (np.arange(n), pair)), shape=(n, count))
        strength = sparse.csr_array(members.T @ strength @ members)
        n = count
    return labels, strength.nnz / n


def _group_plan(system: System, labels: IntArray, share: FloatArray) -> KernelPlan:
    """The plan of R A P: from each group, a read of each group it leads to at each rounded position and discount."""
    pointers, successor, weight, at, discount = system.reads()
    source = np.repeat(np.arange(system.n), np.diff(pointers))
    count = int(labels.max()) + 1
    below = np.floor(_PARTS * at).astype(np.int64)
    above = _PARTS * at - below
    first = int(below.min(initial=0))
    bins = int(below.max(initial=0)) - first + 2
    discounts, which = np.unique(discount, return_inverse=True)
    key = ((labels[source] * count + labels[successor]) * len(discounts) + which) * bins + below - first
    mass = weight * share[source]
    found, place = np.unique(np.concatenate([key, key + 1]), return_inverse=True)
    parts = np.concatenate([mass * (1.0 - above), mass * above])
    probability = np.asarray(np.bincount(place, weights=parts), dtype=np.float64)
    pair, step = np.divmod(found, bins)
    pair, which = np.divmod(pair, len(discounts))
    heads, tails = np.divmod(pair, count)
    one_each = np.arange(len(found) + 1)
    return KernelPlan(
        discount=discounts[which],
        group_ptr=np.searchsorted(heads, np.arange(count + 1)).astype(np.int64),
        successor_ptr=one_each,
        successor_prob=probability,
        successor=tails,
        read_ptr=one_each,
        read_prob=np.ones(len(found)),
        read_at=(first + step) / _PARTS,
        end_ptr=np.zeros(count + 1, dtype=np.int64),
        end_prob=np.empty(0),
        end_at=np.empty(0),
    )
