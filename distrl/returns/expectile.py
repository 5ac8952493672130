"""Return laws imputed from expectiles: what expectile learners know."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels.expectile import impute
from distrl._validation import FloatArray
from distrl.returns.arrays import StateIndex, read_only
from distrl.returns.finite import ParticleReturns


class ExpectileReturns(ParticleReturns):
    """Laws imputed from expectiles, and the expectiles themselves.

    Attributes
    ----------
    taus : (n,) levels, 1/2 among them
    expectiles : batch + (n,)
        As learnt; `expectile(taus)` gives the same where they are the expectiles of any law.
    values, weights : batch + (max(n, 2),)
        The law that convex interpolation of the stop-loss transform gives them.
    """

    def __init__(
        self,
        values: ArrayLike,
        weights: ArrayLike,
        taus: FloatArray,
        expectiles: FloatArray,
        *,
        check: bool = True,
    ) -> None:
        super().__init__(values, weights, check=check)
        self.taus, self.expectiles = read_only(taus), read_only(expectiles)

    @classmethod
    def of(cls, taus: FloatArray, expectiles: FloatArray) -> "ExpectileReturns":
        """The laws of `expectiles`, batch + (n,), at the levels `taus` (n,): taken as they are, unchecked.

        Time O(B n log n).
        """
        n = len(taus)
        rows = np.ascontiguousarray(expectiles).reshape(-1, n)
        values, weights = np.empty((len(rows), max(n, 2))), np.empty((len(rows), max(n, 2)))
        impute(rows, rows[:, n // 2].copy(), taus, values, weights)
        shape = (*expectiles.shape[:-1], max(n, 2))
        return cls(values.reshape(shape), weights.reshape(shape), taus, expectiles, check=False)

    def arrays(self) -> dict[str, FloatArray]:
        return {**super().arrays(), "taus": self.taus, "expectiles": self.expectiles}

    def __getitem__(self, index: StateIndex) -> Self:
        return type(self)(*self._rows_of(index), self.taus, self.expectiles[index], check=False)
