"""What a law of a random reward offers: its CDF, its integrated CDF and their errors."""

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable

import numpy as np
from numpy.typing import ArrayLike

from distrl._tolerances import EPS
from distrl._validation import FloatArray


def is_law(value: object) -> bool:
    """Whether `value` may be given as a law: it has a CDF, as a `Law` and what `scipy.stats` freezes have.

    Of those that have one and are no law, `as_law` says what is wrong.
    """
    return hasattr(value, "cdf")


class Law(ABC):
    """A law on the real line with a finite mean: what reward laws and scipy.stats laws have in common here."""

    mean: float
    variance: float  # may be inf
    support: tuple[float, float]  # may be infinite
    tail_index: float = math.inf  # E|R|^p is finite for p below it; inf: for every p
    error: float = 0.0  # bound on W1 between this law and the one that was given: quadrature, a tail that was cut
    cdf_error: float = 0.0  # largest difference of their CDFs

    @abstractmethod
    def cdf(self, x: ArrayLike) -> FloatArray:
        """P(R <= x), elementwise."""

    @abstractmethod
    def cdf_left(self, x: ArrayLike) -> FloatArray:
        """P(R < x), elementwise; differs from `cdf` at atoms only."""

    @abstractmethod
    def put(self, k: ArrayLike) -> FloatArray:
        """E[(k - R)+], elementwise."""

    @abstractmethod
    def quantile(self, q: ArrayLike) -> FloatArray:
        """Lower quantile inf{x : F(x) >= q}, elementwise."""

    def survival(self, x: ArrayLike) -> FloatArray:
        """P(R > x), elementwise; where a law can, without the cancellation of 1 - cdf."""
        return 1.0 - self.cdf(x)

    def upper_quantile(self, t: ArrayLike) -> FloatArray:
        """Quantile at level 1 - t, elementwise; where a law can, for t far below rounding of 1 too."""
        return self.quantile(1.0 - np.asarray(t, dtype=np.float64))

    @abstractmethod
    def sample(self, size: int, rng: np.random.Generator) -> FloatArray:
        """`size` independent draws, made with `rng`."""

    def standard_form(self) -> tuple["Law", float, float]:
        """(law, location, scale) with R = location + scale * Z, Z ~ law: a location-scale family shares one law."""
        return self, 0.0, 1.0

    @abstractmethod
    def moment(self, order: int) -> float:
        """E[R^order]; may be inf."""

    def central_moment(self, order: int) -> float:
        """E[(R - E R)^order]; may be inf."""
        if order < 3:
            return (1.0, 0.0, self.variance)[order]
        terms = [math.comb(order, j) * self.moment(j) * (-self.mean) ** (order - j) for j in range(order + 1)]
        return math.fsum(terms) if all(map(math.isfinite, terms)) else math.inf

    def absolute_mean(self) -> float:
        """E|R|."""
        return float(2.0 * self.put(0.0) + self.mean)

    @property
    def mean_error(self) -> float:
        """Bound on the distance of `mean` to the mean of the law that was given."""
        return self.error + 4.0 * EPS * abs(self.mean)

    def rounding(self, reach: float) -> float:
        """Bound on the rounding error of `put` at |k| <= reach."""
        return 4.0 * EPS * (reach + abs(self.mean))

    def put_error(self, reach: float) -> float:
        """Bound on the distance of `put` at |k| <= reach to that of the law that was given."""
        return self.error + self.rounding(reach)

    def resolution(self, reach: float) -> float:
        """Points |x| <= reach this close to a value may be taken for it: 0 where the CDF compares exactly."""
        return 0.0

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Equal keys mean equal laws; operators share work between them."""

    def stop_loss(self, k: ArrayLike) -> FloatArray:
        """E[(R - k)+], elementwise; rounding of the order of the spacing of floats at |k|."""
        points = np.asarray(k, dtype=np.float64)
        return np.maximum(self.put(points) - (points - self.mean), 0.0)
