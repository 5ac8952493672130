"""A law on finitely many values."""

import math
from collections.abc import Hashable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._tolerances import EPS, LARGEST_NUMBER, LEVEL
from distrl._validation import FloatArray, distribution, float_array, whole_number
from distrl.models.laws.base import Law

_BLOCK = 1024


class FiniteLaw(Law):
    """A law on finitely many values.

    Parameters
    ----------
    values : array (n,)
        The values, finite, in any order; repeated values add up.
    probs : array (n,), optional
        Their probabilities, >= 0, sum 1 within 1e-9; uniform when left out.

    Raises
    ------
    ValueError, TypeError
        Naming the offending entry.

    Examples
    --------
    >>> coin = FiniteLaw([0, 1], [0.5, 0.5])
    >>> coin.mean
    0.5
    """

    @steady
    def __init__(self, values: ArrayLike, probs: ArrayLike | None = None) -> None:
        raw = float_array(values, "FiniteLaw values", ndim=1)
        if not raw.size:
            raise ValueError("FiniteLaw needs at least one value")
        weights = (
            np.full(len(raw), 1.0 / len(raw))
            if probs is None
            else distribution(probs, "FiniteLaw probs", length=len(raw))
        )
        self.values, inverse = np.unique(raw, return_inverse=True)
        self.probs = np.asarray(np.bincount(inverse, weights=weights, minlength=len(self.values)), dtype=np.float64)
        kept = self.probs > 0
        self.values, self.probs = self.values[kept], self.probs[kept]
        self._cumulative = running_sums(self.probs)
        self._partial = running_sums(self.probs * self.values)
        self.mean = math.fsum(self.probs * self.values)  # rounded once, however many values there are
        with np.errstate(over="ignore"):
            self.variance = float(self.probs @ (self.values - self.mean) ** 2)
        self.support = (float(self.values[0]), float(self.values[-1]))
        if np.abs(self.values).max() > LARGEST_NUMBER:
            raise ValueError(f"FiniteLaw values go beyond {LARGEST_NUMBER:g} in size; scale them down")

    def __repr__(self) -> str:
        return f"FiniteLaw({self.values.tolist()}, {self.probs.tolist()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FiniteLaw) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> Hashable:
        return ("finite", self.values.tobytes(), self.probs.tobytes())

    def cdf(self, x: ArrayLike) -> FloatArray:
        return self._cdf(x, "right")

    def cdf_left(self, x: ArrayLike) -> FloatArray:
        return self._cdf(x, "left")

    def _cdf(self, x: ArrayLike, side: Literal["left", "right"]) -> FloatArray:
        count = np.searchsorted(self.values, x, side=side)
        return np.where(count > 0, self._cumulative[np.maximum(count - 1, 0)], 0.0)

    def put(self, k: ArrayLike) -> FloatArray:
        points = np.asarray(k, dtype=np.float64)
        count = np.searchsorted(self.values, points, side="right")
        last = np.maximum(count - 1, 0)
        return np.where(count > 0, np.maximum(points * self._cumulative[last] - self._partial[last], 0.0), 0.0)

    def rounding(self, reach: float) -> float:
        # running sums of the masses, and of masses times values
        terms = min(len(self.values), _BLOCK + len(self.values) // _BLOCK + 1) + 4
        return terms * EPS * (reach + self.absolute_mean())

    def quantile(self, q: ArrayLike) -> FloatArray:
        index = np.searchsorted(self._cumulative, np.asarray(q, dtype=np.float64) - LEVEL)
        return self.values[np.minimum(index, len(self.values) - 1)]

    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        return rng.choice(self.values, size=size, p=self.probs / self.probs.sum())

    @steady
    def moment(self, order: int) -> float:
        with np.errstate(over="ignore"):
            return float(self.probs @ self.values ** whole_number(order, "order"))

    @steady
    def central_moment(self, order: int) -> float:
        with np.errstate(over="ignore"):
            return float(self.probs @ (self.values - self.mean) ** order)


def running_sums(terms: FloatArray) -> FloatArray:
    """Like `numpy.cumsum`, with the rounding of some 2,000 additions however many terms there are; in order."""
    if len(terms) <= _BLOCK:
        return np.cumsum(terms)
    blocks = np.cumsum(np.pad(terms, (0, -len(terms) % _BLOCK)).reshape(-1, _BLOCK), axis=1)
    blocks[1:] += np.cumsum(blocks[:-1, -1])[:, None]
    return np.asarray(blocks.ravel()[: len(terms)])
