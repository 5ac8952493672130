"""Linear systems over states whose every solution keeps its relative accuracy: elimination without a subtraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distrl._kernels.elimination import eliminate_dense, eliminate_sparse, substitute
from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray
from distrl.theory import elimination_relative_error

_DENSE_STATES = 150  # states up to which no order is looked for
_SHARE = 3  # nor where a third of the entries is there


@dataclass(frozen=True, eq=False)
class Elimination:
    """Triangular factors of M = I - A, A >= 0 with row excesses e > 0; read-only, so threads may share them.

    M(x, y) = -A(x, y) off the diagonal, M(x, x) = e(x) + sum_{y not x} A(x, y): A and e are data, no step subtracts.
    Every entry of M^{-1} then has a relative error of at most `relative_error` however ill-conditioned M is, so that
    a computed solution of M u = b is within relative_error * M^{-1} |b| of the exact one, signed b included.

    Attributes
    ----------
    relative_error : float
        `theory.elimination_relative_error` of the factors' sizes and of the data's own rounding; inf where numbers
        below 2^-960 turned up, whose relative accuracy float64 does not keep.
    fill : int
        Entries of both factors off the diagonal.

    Notes
    -----
    Time: of the factors, entries touched (S^3 / 3 if dense); of a solve, O(S + fill). Claim:
    `elimination-relative-accuracy`. Source: Grassmann, Taksar, Heyman 1985; the bound is derived in docs/proofs.md.
    """

    order: IntArray
    pivots: FloatArray
    entries: tuple[IntArray, IntArray, FloatArray]
    rest: FloatArray
    relative_error: float
    fill: int

    @classmethod
    def of(cls, matrix: sparse.csr_array, excess: FloatArray, rounding: float, budget: int) -> Elimination | None:
        """The factors, or None if they take more than `budget` entries touched.

        Parameters
        ----------
        matrix : (S, S) A, its diagonal empty or not looked at
        excess : (S,) e
        rounding : sum over rows of the relative error of their data, in units of eps / 2
        budget : see `eliminate_sparse`
        """
        n, e, order = matrix.shape[0], excess.copy(), np.arange(matrix.shape[0])
        safe = not _tiny(matrix.data, e)
        if n <= _DENSE_STATES or _SHARE * matrix.nnz > n * n:
            if n**3 // 300 > budget:
                return None
            done, pivots, rest = 0, np.empty(n), matrix.toarray()
            at, states, factors = np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
        else:
            pointers, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
            found = eliminate_sparse(pointers, columns, matrix.data, e, budget, order)
            done, sound, pivots, at, states, factors = found
            if done < 0:
                return None
            safe, rest = safe and sound, _left_over(order, done, at, states, factors)
        ends = np.empty(n - done)
        safe = eliminate_dense(rest, np.ascontiguousarray(e[order[done:]]), ends) and safe
        pivots[done:] = ends
        sizes = np.diff(at[: 2 * done + 1])
        lower = int(sizes[1::2].sum()) + int(np.count_nonzero(np.tril(rest)))
        upper = int(sizes[0::2].sum()) + int(np.count_nonzero(np.triu(rest)))
        error = elimination_relative_error(n, lower, upper, rounding) if safe else np.inf
        return cls(order, pivots, (at, states, factors), rest, error, lower + upper)

    def solve(self, rhs: FloatArray) -> FloatArray:
        """M^{-1} rhs for one right-hand side (S,)."""
        vector = np.array(rhs, dtype=np.float64)
        substitute(self.order, self.pivots, *self.entries, self.rest, vector)
        return vector


def _left_over(order: IntArray, done: int, at: IntArray, states: IntArray, factors: FloatArray) -> FloatArray:
    """The dense matrix of the states that the sparse elimination left."""
    left = len(order) - done
    place = np.empty(len(order), dtype=np.int64)
    place[order[done:]] = np.arange(left)
    begin, end = at[2 * done], at[2 * done + left]
    rows = np.repeat(np.arange(left), np.diff(at[2 * done : 2 * done + left + 1]))
    rest = np.zeros((left, left))
    rest[rows, place[states[begin:end]]] = factors[begin:end]
    return rest


def _tiny(*arrays: FloatArray) -> bool:
    """Whether a positive number is too small for its rounding error to be a relative one."""
    return any(bool(((array > 0.0) & (array < 2.0**-960)).any()) for array in arrays)
