"""A CDF and a survival function as they are asked for: clipped by the support, checked, counted and timed."""

import time

import numpy as np

from distrl._tolerances import LEVEL
from distrl._validation import FloatArray, IntArray
from distrl.models.laws.describe import Function

LARGEST = float(np.finfo(np.float64).max)
_LONGEST = 5.0  # seconds of CPU that a CDF may take in all


class Sides:
    """F and S as they are used: clipped by the support, checked, counted."""

    def __init__(self, cdf: Function, survival: Function | None, support: tuple[float, float], name: str) -> None:
        self._cdf, self._survival, self.name = cdf, survival, name
        self.low, self.high = support
        self.evaluations, self._seconds = 0, 0.0

    def lower(self, x: FloatArray) -> FloatArray:
        """F, 0 below the support and 1 from its end on."""
        values = self._checked(self._cdf, x, "CDF")
        return np.where(x < self.low, 0.0, np.where(x >= self.high, 1.0, values))

    def somewhere(self, x: FloatArray) -> FloatArray:
        """F for a search over all floats, at the far ends of which some CDFs are NaN."""
        values = self._values(self._cdf, x)
        values = np.where(np.isnan(values), x > 0.0, values)
        return np.where(x < self.low, 0.0, np.where(x >= self.high, 1.0, values))

    def median(self) -> float:
        """A point near which F passes 1/2, by sixteenths of the floats between the ends of the support.

        Raises
        ------
        ValueError
            If F is too slow.
        """
        # arcsinh makes parts of a line without ends about parts of the exponents
        low, high = (float(np.arcsinh(np.clip(end, -LARGEST, LARGEST))) for end in (self.low, self.high))
        with np.errstate(over="ignore"):
            for _ in range(12):
                edges = np.linspace(low, high, 17)
                below = int((self.somewhere(np.sinh(edges[1:-1])) < 0.5).sum())
                low, high = edges[below], edges[below + 1]
            return float(np.sinh(high))

    def upper(self, x: FloatArray) -> FloatArray:
        """S, from a survival function where there is one: it keeps its digits where 1 - F has none."""
        if self._survival is None:
            return np.asarray(1.0 - self.lower(x))
        values = self._checked(self._survival, x, "survival function")
        return np.where(x < self.low, 1.0, np.where(x >= self.high, 0.0, values))

    def agree(self, x: FloatArray) -> bool:
        """Whether F + S = 1 at the points."""
        return bool((np.abs(self.lower(x) + self.upper(x) - 1.0) <= LEVEL).all())

    def without_survival(self) -> None:
        """Go by the CDF alone from now on."""
        self._survival = None

    def _values(self, function: Function, x: FloatArray) -> FloatArray:
        points = self._inside(x).ravel()
        parts = [self._timed(function, points[start : start + 512]) for start in range(0, max(len(points), 1), 512)]
        return np.concatenate(parts).reshape(x.shape)

    def _timed(self, function: Function, points: FloatArray) -> FloatArray:
        started = time.thread_time()
        with np.errstate(all="ignore"):
            values = np.asarray(function(points), dtype=np.float64)
        self.evaluations += len(points)
        self._seconds += time.thread_time() - started
        each = self._seconds / max(self.evaluations, 1)
        if self._seconds > _LONGEST or (self.evaluations >= 3 and 1000 * each > _LONGEST):
            raise ValueError(
                f"{self.name}: a value of its CDF takes {1e3 * each:.3g} ms, and about 1,000 to 10,000 are needed; use "
                "a distrl.FiniteLaw of some hundred quantiles, or of a sample"
            )
        return values

    def _inside(self, x: FloatArray) -> FloatArray:
        return np.asarray(np.clip(x, max(self.low, -LARGEST), min(self.high, LARGEST)))

    def _checked(self, function: Function, x: FloatArray, what: str) -> FloatArray:
        values = self._values(function, x)
        wrong = ~((values >= -LEVEL) & (values <= 1.0 + LEVEL))
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0])
            raise ValueError(
                f"{self.name}: its {what} is {values[at]:g} at {self._inside(x)[at]:.17g}, which is no probability; "
                "use a distrl.FiniteLaw of its quantiles or of a sample"
            )
        return np.asarray(np.clip(values, 0.0, 1.0))


def search(cdf: Function, levels: FloatArray, support: tuple[float, float]) -> FloatArray:
    """inf{x : F(x) >= level}, by bisection over all floats between the ends of the support: 64 steps."""
    low = np.full(len(levels), _number(max(support[0], -LARGEST)))
    high = np.full(len(levels), _number(min(support[1], LARGEST)))
    for _ in range(66):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        reached = cdf(_float(middle)) >= levels
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    return _float(high)


def _number(x: float) -> np.int64:
    """The floats in order, as integers."""
    bits = np.float64(x + 0.0).view(np.int64)
    return bits if bits >= 0 else np.int64(np.iinfo(np.int64).min) - bits


def _float(number: IntArray) -> FloatArray:
    return np.where(number >= 0, number, np.iinfo(np.int64).min - number).view(np.float64)
