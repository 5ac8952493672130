"""What is known of a law that lies between two others, and intervals for what can be read from it."""

from abc import abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._tolerances import EPS, LARGEST_NUMBER
from distrl._validation import FloatArray
from distrl.returns.arrays import StateIndex, state_index
from distrl.returns.base import Returns
from distrl.returns.finite import FiniteReturns
from distrl.returns.functionals.base import Functional
from distrl.returns.functionals.enclosing import Enclosing, Ends
from distrl.returns.functionals.intervals import intersection
from distrl.returns.functionals.parsing import parse


class BracketReturns(Returns, Enclosing):
    """Return laws known to lie between two others, in convex or in stochastic order, and their exact means.

    The law itself is not known: a question other than `mean` is `NotKnown`; `interval` answers it, or `lower` and
    `upper` do.

    Attributes
    ----------
    lower, upper : FiniteReturns
        The enclosing laws. In convex order `upper` is the wider one: it has the larger stop-loss and variance, and the
        *smaller* lower-tail CVaR. In stochastic order `upper` is the better one.
    order : "convex" or "stochastic"
    slack_lower, slack_upper : (S,)
        What iteration, clipping and floating point can have cost: in convex order, in the stop-loss transform at any
        point; in stochastic order, a shift of the law along the axis. Intervals include it.
    mean, mean_error : (S,)
        Of the true law, known exactly up to the error; as `mean()` gives it.
    least, most : (S,)
        Ends that no return goes beyond; infinite where none is known.
    """

    order: ClassVar[str]
    why_not = "the law is only known to lie between .lower and .upper; ask .interval(functional, at), or either of them"
    _parts: ClassVar[tuple[str, ...]] = ("_mean", "_mean_error", "slack_lower", "slack_upper", "least", "most")

    def __init__(
        self,
        lower: FiniteReturns,
        upper: FiniteReturns,
        mean: FloatArray,
        mean_error: FloatArray,
        slack_lower: FloatArray,
        slack_upper: FloatArray,
        least: FloatArray,
        most: FloatArray,
    ) -> None:
        self.lower, self.upper = lower, upper
        self._mean, self._mean_error = mean, mean_error
        self.slack_lower, self.slack_upper = slack_lower, slack_upper
        self.least, self.most = least, most

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.upper.batch_shape

    def __getitem__(self, index: StateIndex) -> Self:
        where = state_index(index, self.batch_shape)
        return type(self)(self.lower[where], self.upper[where], *(getattr(self, name)[where] for name in self._parts))

    def arrays(self) -> dict[str, FloatArray]:
        ends = (("lower", self.lower), ("upper", self.upper))
        laws = {f"{side}_{name}": array for side, law in ends for name, array in law.arrays().items()}
        # the means are saved with every solution, as its values
        return {**laws, **{name.lstrip("_"): getattr(self, name) for name in self._parts if name != "_mean"}}

    def describe(self) -> str:
        return f"{self.order} order"

    def mean(self) -> FloatArray:
        """The exact means, by a linear solve; `interval("mean")` has the solve's error."""
        return self._mean

    @steady
    def interval(self, functional: Functional | str, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """Certified interval of a functional of the true law, numerical error included: what these two laws say.

        Parameters
        ----------
        functional : a `Functional`, or "mean", "variance", "std", "stop_loss", "cvar", "cdf", "quantile", "expectile",
            "entropic_risk", "shortfall", "evar", "mean_variance" or "probability_above"
        at : scalar or (K,)
            The point of "stop_loss", "shortfall", "probability_above" and "cdf", the level of "cvar", "evar",
            "quantile" and "expectile", the beta of "entropic_risk", the weight of "mean_variance"; none for the others.
        tail : "lower" or "upper", for "cvar"

        Returns
        -------
        array, batch + (2,) or batch + (K, 2)
            The lower and the upper end. `Solution.interval` intersects them with what else is known. As
            `Returns.quantile` compares levels up to 1e-9, the interval of a quantile holds those of all levels from
            q - 1e-9 to q; that of level 0 those up to the level 1e-9.

        Raises
        ------
        ValueError, TypeError
            If the functional is not known, or `at` is missing or out of range.
        CrossedEnds
            If the ends come out in the wrong order: a fault of this library, please report it.
        """
        return intersection([self], parse(functional, at, tail))

    def mean_ends(self) -> Ends:
        return self._mean - self._mean_error, self._mean + self._mean_error

    def entropic_ends(self, betas: FloatArray) -> Ends:
        """From the laws, Jensen's inequality and the range; `Solution.interval` has a recursion that is sharper."""
        mean_low, mean_high = (end[..., None] for end in self.mean_ends())
        m, least, most = (np.asarray(end)[..., None] for end in (self._mean, self.least, self.most))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            small, large = self._exponential_ends(betas, m)
            small, large = (m + np.log(np.maximum(end, 0.0)) / betas for end in (small, large))
        small, large = (np.where(betas > 0.0, *pair) for pair in ((small, large), (large, small)))
        low = np.maximum(np.where(betas >= 0.0, mean_low, least), np.where(np.isnan(small), -np.inf, small))
        high = np.minimum(np.where(betas <= 0.0, mean_high, most), np.where(np.isnan(large), np.inf, large))
        return np.where(betas == 0.0, mean_low, low), np.where(betas == 0.0, mean_high, high)

    @abstractmethod
    def _exponential_ends(self, betas: FloatArray, m: FloatArray) -> Ends:
        """Ends of E exp(beta (G - m)), batch + (K,); NaN or infinite where floating point does not hold them."""

    def _exponential(self, law: FiniteReturns, betas: FloatArray, m: FloatArray, side: float) -> FloatArray:
        """E exp(beta (Z - m)) of one of the laws, moved to the given side by what rounding can have cost."""
        size = np.abs(hull(law)).max(axis=0)[..., None]
        value = np.exp(betas * (law.entropic_risk(betas) - m))
        value = np.where(np.abs(betas) <= LARGEST_NUMBER, value, np.nan)  # beyond it laws are read at that number
        return np.asarray(value * (1.0 + side * 4.0 * relative_error(law)[..., None] * (1.0 + np.abs(betas) * size)))

    # -- what both orders know ------------------------------------------------------------------------------------

    def _in_range(self, low: FloatArray, high: FloatArray) -> Ends:
        """Ends of a value that lies among the returns, (..., K)."""
        return np.maximum(low, self.least[..., None]), np.minimum(high, self.most[..., None])

    def _known_cdf(self, points: FloatArray, low: FloatArray, high: FloatArray) -> Ends:
        """0 below every return and 1 from the largest on."""
        below = (points < self.least[..., None]) | (points == -np.inf)
        beyond = (points >= self.most[..., None]) | (points == np.inf)
        return np.where(beyond, 1.0, np.maximum(low, 0.0)), np.where(below, 0.0, np.minimum(high, 1.0))

    def _known_stop_loss(self, points: FloatArray, low: FloatArray, high: FloatArray) -> Ends:
        """E(G - k)+ is at least 0 and E G - k, and that is what it is beyond the returns."""
        least, most = self.least[..., None], self.most[..., None]
        forward = self._mean[..., None] - points
        room = self._mean_error[..., None] + 2.0 * EPS * (np.abs(self._mean)[..., None] + np.abs(points))
        high = np.where(points <= least, np.minimum(high, np.maximum(forward, 0.0) + room), high)
        return np.maximum(low, np.maximum(forward - room, 0.0)), np.where(points >= most, 0.0, high)

    def _known_put(self, points: FloatArray, low: FloatArray, high: FloatArray) -> Ends:
        """E(k - G)+ is at least 0 and k - E G, and that is what it is beyond the returns."""
        least, most = self.least[..., None], self.most[..., None]
        ahead = points - self._mean[..., None]
        room = self._mean_error[..., None] + 2.0 * EPS * (np.abs(self._mean)[..., None] + np.abs(points))
        high = np.where(points >= most, np.minimum(high, np.maximum(ahead, 0.0) + room), high)
        return np.maximum(low, np.maximum(ahead - room, 0.0)), np.where(points <= least, 0.0, high)


def hull(law: FiniteReturns) -> Ends:
    """The smallest and the largest value with mass, each batch."""
    values, weights = law.support_weights()
    low = np.where(weights > 0, values, np.inf).min(axis=-1)
    return np.asarray(low), np.asarray(np.where(weights > 0, values, -np.inf).max(axis=-1))


def relative_error(law: FiniteReturns) -> FloatArray:
    """Relative error of a sum of terms of one sign over a law, batch: additions, and masses that do not sum to 1."""
    values, weights = law.support_weights()
    return np.asarray((values.shape[-1] + 16) * EPS + np.abs(weights.sum(axis=-1) - 1.0))
