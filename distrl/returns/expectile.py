"""Return laws imputed from expectiles: what expectile learners know."""

from typing import Any

import numpy as np

from distrl._kernels.expectile import impute
from distrl._validation import FloatArray
from distrl.returns.base import read_only
from distrl.returns.particles import ParticleReturns


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

    taus: FloatArray
    expectiles: FloatArray

    @classmethod
    def of(cls, taus: FloatArray, expectiles: FloatArray) -> "ExpectileReturns":
        """The laws of `expectiles`, batch + (n,)."""
        n = len(taus)
        rows = np.ascontiguousarray(expectiles).reshape(-1, n)
        values, weights = np.empty((len(rows), max(n, 2))), np.empty((len(rows), max(n, 2)))
        impute(rows, rows[:, n // 2].copy(), taus, values, weights)
        shape = (*expectiles.shape[:-1], max(n, 2))
        returns = cls.__new__(cls)
        returns._values, returns._weights = read_only(values.reshape(shape)), read_only(weights.reshape(shape))
        returns.taus, returns.expectiles = read_only(taus), read_only(expectiles)
        return returns

    def arrays(self) -> dict[str, FloatArray]:
        return {**super().arrays(), "taus": self.taus, "expectiles": self.expectiles}

    def __getitem__(self, index: Any) -> "ExpectileReturns":
        returns = super().__getitem__(index)
        returns.taus, returns.expectiles = self.taus, self.expectiles[index]
        return returns
