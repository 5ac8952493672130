"""The linear part of the categorical operator, for SciPy."""

from typing import Protocol

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from distrl._validation import FloatArray
from distrl.models.outcomes import OutcomeTable
from distrl.returns.grid import Grid


class Affine(Protocol):
    """What is asked of the operator: `CategoricalBellman` is one."""

    table: OutcomeTable
    grid: Grid

    def apply_cdf(self, cdf: FloatArray, out: FloatArray, *, affine: bool = True) -> None:
        """out = A cdf, and b if `affine`."""

    def matrix(self) -> sparse.csr_array:
        """A as a sparse matrix."""


class LinearPart(LinearOperator):  # type: ignore[misc]
    """v -> A v without a matrix; a class, so that it can be pickled."""

    def __init__(self, operator: Affine) -> None:
        self.operator = operator
        last = operator.grid.atoms - 1
        super().__init__(np.dtype(np.float64), (operator.table.n_sources * last, operator.table.n_states * last))

    def _matvec(self, vector: FloatArray) -> FloatArray:
        operator = self.operator
        n, m = operator.table.n_states, operator.grid.atoms
        padded, out = np.zeros((n, m)), np.empty((operator.table.n_sources, m))
        padded[:, :-1] = vector.reshape(n, m - 1)
        operator.apply_cdf(padded, out, affine=False)
        return out[:, :-1].ravel()

    def _rmatvec(self, vector: FloatArray) -> FloatArray:
        return np.asarray(self.operator.matrix().T @ vector.ravel())
