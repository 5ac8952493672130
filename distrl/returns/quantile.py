"""Return laws as equally weighted values at the mid-point levels: what quantile methods compute."""

from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, float_array, whole_number
from distrl.returns.arrays import StateIndex, read_only, state_index
from distrl.returns.finite import FiniteReturns

_LEVEL_ERROR = 1e-12  # levels may be written as fractions of any form


def midpoint_levels(quantiles: int) -> FloatArray:
    """(m,) the levels tau_i = (2 i - 1) / (2 m), i = 1..m, at which m equal weights approximate a law best in W1."""
    m = whole_number(quantiles, "quantiles", low=1)
    return np.asarray((2.0 * np.arange(m) + 1.0) / (2.0 * m))


class QuantileReturns(FiniteReturns):
    """Laws (1/m) sum_i delta(v_i), the value v_i meant for the level tau_i = (2 i - 1) / (2 m).

    Parameters
    ----------
    levels : array (m,)
        The mid-point levels tau_i; `midpoint_levels(m)` gives them. Others are refused: equal weights do not fit them.
    values : array, (m,), (S, m) or (S, A, m)
        Finite. They are copied and kept in the order given, since the values of a quantile learner need not be sorted
        by their level; every functional and metric reads a copy that is sorted once (O(B m log m)).
    check : bool
        False takes the values as they are and does not look at the levels: see `trusted`.

    Attributes
    ----------
    levels : (m,), read-only
    values : batch + (m,), read-only, as given, in units of reward

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, naming the entry that is not finite, or the level that is not a mid-point.

    Examples
    --------
    >>> returns = QuantileReturns([0.25, 0.75], [[0.0, 1.0], [5.0, 3.0]])
    >>> returns.mean().tolist(), returns.quantile(0.25).tolist(), returns.values[1].tolist()
    ([0.5, 4.0], [0.0, 3.0], [5.0, 3.0])
    """

    def __init__(self, levels: ArrayLike, values: ArrayLike, *, check: bool = True) -> None:
        self.values = read_only(_checked(levels, values) if check else np.asarray(values))

    @classmethod
    def trusted(cls, values: FloatArray) -> Self:
        """Laws of `values`, batch + (m,) by level: the array is taken as it is, neither checked nor copied."""
        return cls((), values, check=False)

    @cached_property
    def levels(self) -> FloatArray:
        """(m,) the mid-point levels."""
        return read_only(midpoint_levels(self.values.shape[-1]))

    @cached_property
    def _sorted(self) -> FloatArray:
        return read_only(np.sort(self.values, axis=-1))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.values.shape[:-1]

    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        m = self.values.shape[-1]
        return self._sorted, np.full(m, 1.0 / m)  # one row of weights serves every law

    def arrays(self) -> dict[str, FloatArray]:
        return {"levels": self.levels, "quantiles": self.values}

    def __getitem__(self, index: StateIndex) -> Self:
        return self.trusted(self.values[state_index(index, self.batch_shape)])

    def describe(self) -> str:
        return f"{self.values.shape[-1]} quantiles"


def _checked(levels: ArrayLike, values: ArrayLike) -> FloatArray:
    """A copy of `values`, whose levels are the mid-points."""
    given = float_array(levels, "levels", ndim=1)
    particles = float_array(values, "values", ndim=(1, 2, 3))
    if not given.size or particles.shape[-1] != given.size:
        raise ValueError(
            f"values has shape {particles.shape}; its last axis must be the {given.size} levels, at least one"
        )
    wrong = np.abs(given - midpoint_levels(given.size)) > _LEVEL_ERROR
    if wrong.any():
        index = int(np.argmax(wrong))
        raise ValueError(
            f"levels[{index}] is {given[index]:.12g}, not the mid-point {2 * index + 1}/{2 * given.size}; "
            "values at other levels need weights: use ParticleReturns(values, weights)"
        )
    return particles
