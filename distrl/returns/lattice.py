"""Return laws on a lattice, cut where hardly any mass is left."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray
from distrl.returns.arrays import StateIndex, read_only, state_index
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid


class LatticeReturns(CategoricalReturns):
    """Laws on the levels 0, d, 2 d, ... of a lattice, or on their negatives, and the mass beyond the last of them.

    Parameters
    ----------
    grid, probs, check
        As for `CategoricalReturns`; the last level (the first of a lattice of negative rewards) holds its own mass and
        all that lies beyond.
    tail : array, the batch's shape, optional
        The mass beyond the last level, which is counted in the certificate; by default none.

    Attributes
    ----------
    tail : the batch's shape, read-only
    """

    def __init__(self, grid: Grid, probs: ArrayLike, *, check: bool = True, tail: ArrayLike = 0.0) -> None:
        super().__init__(grid, probs, check=check)
        self._tail = read_only(np.broadcast_to(np.asarray(tail, dtype=np.float64), self.batch_shape).copy())

    @property
    def tail(self) -> FloatArray:
        """The mass beyond the last level, of the batch's shape."""
        return self._tail

    def __getitem__(self, index: StateIndex) -> Self:
        chosen = state_index(index, self.batch_shape)
        return type(self)(self.grid, self.probs[chosen], check=False, tail=self.tail[chosen])

    def arrays(self) -> dict[str, FloatArray]:
        return {**super().arrays(), "tail": self.tail}
