"""Return laws on a common grid of atoms."""

from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, float_array
from distrl.returns.arrays import StateIndex, check_weights, mixing_weights, read_only, state_index
from distrl.returns.base import Returns
from distrl.returns.finite import FiniteReturns
from distrl.returns.grid import Grid


class CategoricalReturns(FiniteReturns):
    """Laws sum_j p_j delta(z_j) on the atoms z_1 < ... < z_m of one grid.

    Parameters
    ----------
    grid : Grid
        The m atoms.
    probs : array, (m,), (S, m) or (S, A, m)
        Probabilities: >= 0, each law's sum 1 within 1e-9. They are copied, never renormalised.
    check : bool
        False takes the array as it is: see `trusted`.

    Attributes
    ----------
    grid : Grid
    atoms : (m,), read-only
    probs : batch + (m,), read-only
    cdf_values : batch + (m,), read-only
        F(z_j) = p_1 + ... + p_j.

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, or naming the state and the number that is wrong.

    Examples
    --------
    >>> coin = CategoricalReturns(Grid(0, 1, 2), [[0.5, 0.5], [0.1, 0.9]])
    >>> coin.mean()
    array([0.5, 0.9])
    """

    def __init__(self, grid: Grid, probs: ArrayLike, *, check: bool = True) -> None:
        self.grid = grid
        self.probs = read_only(_checked(grid, probs) if check else np.asarray(probs))

    @classmethod
    def trusted(cls, grid: Grid, probs: FloatArray) -> Self:
        """Laws of `probs`, batch + (m,), on `grid`: the array is taken as it is, neither checked nor copied.

        Entries of -1e-16 count as 0 in every functional.
        """
        return cls(grid, probs, check=False)

    @property
    def atoms(self) -> FloatArray:
        """(m,) the grid's points, in units of reward."""
        return self.grid.points

    @cached_property
    def cdf_values(self) -> FloatArray:
        """batch + (m,) the CDF at the atoms."""
        return read_only(np.cumsum(self.probs, axis=-1))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.probs.shape[:-1]

    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        return self.grid.points, self.probs

    def arrays(self) -> dict[str, FloatArray]:
        return {"atoms": self.atoms, "probs": self.probs}

    def __getitem__(self, index: StateIndex) -> Self:
        return self.trusted(self.grid, self.probs[state_index(index, self.batch_shape)])

    @property
    def spacing(self) -> float:
        return self.grid.spacing

    def mix(self, weights: ArrayLike) -> "CategoricalReturns":
        return CategoricalReturns.trusted(self.grid, mixing_weights(weights, self.batch_shape) @ np.asarray(self.probs))

    def describe(self) -> str:
        return f"{self.grid.atoms} atoms on [{self.grid.low:.6g}, {self.grid.high:.6g}]"


def as_categorical(returns: Returns) -> CategoricalReturns | None:
    """`returns`, if they are laws on one grid, else None: what operators and the delta method on grids ask."""
    return returns if isinstance(returns, CategoricalReturns) else None


def _checked(grid: Grid, probs: ArrayLike) -> FloatArray:
    """A copy of `probs`, which fits the grid."""
    if not isinstance(grid, Grid):
        raise TypeError(f"grid must be a distrl.Grid, got {grid!r}")
    masses = float_array(probs, "probs", ndim=(1, 2, 3))
    if masses.shape[-1] != grid.atoms:
        raise ValueError(f"probs has shape {masses.shape}; its last axis must be the grid's {grid.atoms} atoms")
    check_weights(masses, "probs")
    return masses
