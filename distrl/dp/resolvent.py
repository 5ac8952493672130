"""Solving u = b + factor * P u over states, and bounding its solution from above for certain."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse import csgraph, linalg

from distrl._kernels.resolvent import bicgstab
from distrl._validation import FloatArray, IntArray

_SMALL = 150  # states up to which a sparse LU is the cheapest way
_DIRECT = 1500  # states up to which it is never expensive
_NARROW = 32  # places along an order up to which a sparse LU costs less than iterating
_ORDERED = 200_000  # states up to which such an order is looked for
_QUICK = 40  # BiCGSTAB iterations before a sparse LU is tried
_SWEEPS = 1_000_000


class Resolvent:
    """(I - factor * P)^{-1} for a substochastic sparse P; factor < 1, or 1 where every state surely ends.

    Time: a dense LU up to 150 states; above it BiCGSTAB, which is done in a few products where differences between
    states die out fast; where it is not, a sparse LU after all up to 1,500 states, else more BiCGSTAB and then sweeps,
    which contract. (The sparse LU of a random graph fills in: 100 ms for 1,000 states, against half of one; that of a
    chain or of a graph without cycles does not, and is taken at once.)
    """

    def __init__(self, continuation: sparse.csr_array, factor: float) -> None:
        self.matrix = sparse.csr_array(continuation * factor)
        self.factor = factor
        self.n = continuation.shape[0]

    @cached_property
    def _lu(self) -> Callable[[FloatArray], FloatArray]:
        """Solve by LU factors; RuntimeError if the system is singular."""
        if self.n <= _SMALL:
            factors, pivots, info = lapack.dgetrf(np.eye(self.n) - self.matrix.toarray())
            if info > 0:
                raise RuntimeError("an exact zero pivot")
            # SciPy's dgetrs shifts the pivots by one for the time of the call: threads must not share them
            return lambda rhs: np.asarray(lapack.dgetrs(factors, pivots.copy(), rhs)[0])
        system = sparse.eye_array(self.n, format="csc") - self.matrix.tocsc()
        return linalg.splu(sparse.csc_matrix(system)).solve  # type: ignore[no-any-return]

    @cached_property
    def _thin(self) -> bool:
        """Whether a sparse LU does not fill in: states lead few places along some order, or are on no cycle at all."""
        graph = sparse.csr_matrix(self.matrix)
        if bandwidth(graph, np.arange(self.n)) <= _NARROW:
            return True
        if self.n <= _ORDERED and bandwidth(graph, csgraph.reverse_cuthill_mckee(graph)) <= _NARROW:
            return True
        return bool(csgraph.connected_components(graph, connection="strong", return_labels=False) == self.n)

    def solve(self, rhs: FloatArray) -> FloatArray:
        """Solution for one right-hand side (S,), to rounding where the solver allows; check with `upper` if it matters.

        Raises
        ------
        ValueError
            If the system is singular to working precision (discount 1 and an end too improbable to matter).
        """
        if self.matrix.nnz == 0:
            return rhs.copy()
        if self.n > _SMALL and "_lu" not in self.__dict__ and not self._thin:
            quick = self._iterate(rhs, quick=self.n <= _DIRECT)
            if quick is not None:
                return quick
        if self.n <= _DIRECT or self._thin:
            try:
                solution = self._lu(rhs)
            except RuntimeError as error:
                raise ValueError(
                    "the states' linear system is singular to working precision: some state ends with a probability "
                    "too small for float64; use a discount below 1"
                ) from error
            return np.asarray(solution + self._lu(rhs + self.matrix @ solution - solution))
        raise AssertionError("unreachable: sweeps always end")

    def _iterate(self, rhs: FloatArray, quick: bool) -> FloatArray | None:
        """BiCGSTAB with restarts; then None if `quick`, else sweeps."""
        matrix = self.matrix
        pointers, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
        solution, step = rhs.copy(), np.empty_like(rhs)
        for _ in range(3 if quick else 4):  # restarts double as refinement
            defect = rhs + matrix @ solution - solution
            size, goal = float(np.abs(defect).max()), _rounding(rhs, solution)
            if size <= goal:
                return solution
            most = _QUICK if quick else 500
            done = bicgstab(pointers, columns, matrix.data, defect / size, 1e-10, most, step)
            if quick and not done:
                return None
            better = solution + size * step
            if not np.abs(rhs + matrix @ better - better).max() < size:
                break
            solution = better
        defect = rhs + self.matrix @ solution - solution
        if np.abs(defect).max() <= 4.0 * _rounding(rhs, solution):
            return solution
        if quick:
            return None
        size, goal = np.inf, _rounding(rhs, solution)
        for _ in range(_SWEEPS):
            defect = rhs + self.matrix @ solution - solution
            previous, size = size, float(np.abs(defect).max())
            solution = solution + defect
            if size <= goal or (size <= 1e-11 * float(np.abs(rhs).max()) and size >= previous):
                break
        return solution

    @cached_property
    def gain(self) -> FloatArray:
        """h (S,) with (I - factor * P) h >= 1: what a unit error made at every step can add up to.

        The expected discounted number of steps, scaled up until the inequality holds in floating point; at worst the
        constant 1 / (1 - factor). inf where nothing can be certified (discount 1 and a hopeless system).
        """
        plain = np.full(self.n, np.inf)
        largest_row = float(self.matrix.sum(axis=1).max()) if self.matrix.nnz else 0.0
        if largest_row < 1.0:
            plain = np.full(self.n, 1.0 / (1.0 - largest_row))
        try:
            steps = np.maximum(self.solve(np.ones(self.n)), 1.0)
        except ValueError:
            return plain
        achieved = steps - self.matrix @ steps
        worst = float(achieved.min()) - 8 * np.finfo(float).eps * float(steps.max())
        return np.minimum(steps / worst, plain) if worst > 0.0 else plain

    def upper(self, rhs: FloatArray) -> FloatArray:
        """A certain upper bound of the solution for rhs >= 0: any u with u >= rhs + factor * P u is one."""
        if not rhs.any():
            return np.zeros(self.n)
        guess = np.maximum(self.solve(rhs), rhs)
        defect = float((rhs + self.matrix @ guess - guess).max()) + 8 * np.finfo(float).eps * float(guess.max())
        return guess + max(defect, 0.0) * self.gain


def bandwidth(matrix: sparse.csr_array | sparse.csr_matrix, order: IntArray) -> int:
    """How many places along `order` a state leads at most, in the pattern of `matrix`."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    source = np.repeat(np.arange(len(order)), np.diff(matrix.indptr))
    return int(np.abs(rank[source] - rank[matrix.indices]).max(initial=0))


def _rounding(rhs: FloatArray, solution: FloatArray) -> float:
    """A residual that float64 can reach."""
    return max(1e-14 * float(np.abs(rhs).max()), 4e-15 * float(np.abs(solution).max()), 1e-300)
