"""Return laws as weighted samples."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, float_array
from distrl.returns.base import Returns, check_weights, read_only, state_index


class ParticleReturns(Returns):
    """Laws sum_i w_i delta(v_i), each with its own n values: empirical laws, for example.

    Parameters
    ----------
    values : array, (n,), (S, n) or (S, A, n)
        Finite, in any order; they are copied and sorted along the last axis (O(B n log n)).
    weights : array of the same shape, optional
        Probabilities in the order of `values`: >= 0, each law's sum 1 within 1e-9; 1/n when left out.

    Attributes
    ----------
    values, weights : batch + (n,), read-only
        Sorted by value.

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, or naming the state and the number that is wrong.
    """

    def __init__(self, values: ArrayLike, weights: ArrayLike | None = None) -> None:
        raw = float_array(values, "values", ndim=(1, 2, 3))
        if not raw.shape[-1]:
            raise ValueError(f"values has shape {raw.shape}; a law needs at least one value")
        if weights is None:
            self._values = read_only(np.sort(raw, axis=-1))
            self._weights = read_only(np.full(raw.shape[-1], 1.0 / raw.shape[-1]))  # one row serves every law
            return
        masses = float_array(weights, "weights")
        if masses.shape != raw.shape:
            raise ValueError(f"weights has shape {masses.shape}, values {raw.shape}; they must be equal")
        check_weights(masses, "weights")
        order = np.argsort(raw, axis=-1, kind="stable")
        self._values = read_only(np.take_along_axis(raw, order, axis=-1))
        self._weights = read_only(np.take_along_axis(masses, order, axis=-1))

    @property
    def values(self) -> FloatArray:
        """batch + (n,) sorted values, in units of reward."""
        return self._values

    @property
    def weights(self) -> FloatArray:
        """batch + (n,) their probabilities."""
        return np.broadcast_to(self._weights, self._values.shape)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self._values.shape[:-1]

    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        return self._values, self._weights

    def arrays(self) -> dict[str, FloatArray]:
        return {"particles": self.values, "weights": self.weights}

    def __getitem__(self, index: Any) -> Self:
        selected = state_index(index, self.batch_shape)
        returns = type(self).__new__(type(self))
        returns._values = read_only(self._values[selected])
        shared = self._weights.ndim < self._values.ndim
        returns._weights = self._weights if shared else read_only(self._weights[selected])
        return returns

    def _describe(self) -> str:
        return f"{self._values.shape[-1]} values each"
