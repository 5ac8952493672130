"""A pair of laws that encloses the true one in stochastic order."""

import numpy as np

from distrl._kernels import enclosure
from distrl._tolerances import LEVEL
from distrl._validation import FloatArray
from distrl.returns.brackets.base import BracketReturns, relative_error
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.finite import each
from distrl.returns.functionals.enclosing import Ends
from distrl.returns.functionals.objectives import Shortfall


class StochasticBrackets(BracketReturns):
    """Laws between two others in stochastic order: F_upper <= F <= F_lower. Widths O(s / (1 - discount)).

    `slack_mass` (S,) is the probability that floating point, or a reward off the grid, can have put elsewhere;
    `slack_far` (S,) the expected distance by which they can have moved the return.
    """

    order = "stochastic"
    lower: CategoricalReturns
    upper: CategoricalReturns
    _parts = (*BracketReturns._parts, "slack_mass", "slack_far")

    def __init__(
        self,
        lower: CategoricalReturns,
        upper: CategoricalReturns,
        mean: FloatArray,
        mean_error: FloatArray,
        slack_lower: FloatArray,
        slack_upper: FloatArray,
        least: FloatArray,
        most: FloatArray,
        slack_mass: FloatArray,
        slack_far: FloatArray,
    ) -> None:
        self.slack_mass, self.slack_far = slack_mass, slack_far
        super().__init__(lower, upper, mean, mean_error, slack_lower, slack_upper, least, most)

    @property
    def _shift(self) -> Ends:
        """How far either law's mean, or its stop-loss at a point, may lie beyond the truth."""
        return self.slack_lower + self.slack_far, self.slack_upper + self.slack_far

    def variance_ends(self) -> Ends:
        # (G - m)+^2 grows with the law, (m - G)+^2 falls: each side takes the law that makes it large, or small. A
        # square moves by twice the range times what its argument moves by
        m = np.asarray(self._mean)[..., None]
        parts = []
        for law in (self.lower, self.upper):
            values, weights = law.support_weights()
            gap = values - m
            parts.append(((weights * np.maximum(gap, 0.0) ** 2).sum(-1), (weights * np.minimum(gap, 0.0) ** 2).sum(-1)))
        (low_right, low_left), (high_right, high_left) = parts
        grid = self.upper.grid
        reach = np.maximum(self.most, grid.high) - np.minimum(self.least, grid.low)
        moved = self._mean_error + sum(self._shift)
        slack = 2.0 * np.where(moved > 0.0, reach, 0.0) * moved
        low, high = low_right + high_left, high_right + low_left
        room = relative_error(self.upper) + relative_error(self.lower)
        return np.maximum(low * (1.0 - room) - slack, 0.0), high * (1.0 + room) + slack

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        below, above = self._shift
        low = self.lower.stop_loss(points) * (1.0 - relative_error(self.lower)[..., None]) - below[..., None]
        high = self.upper.stop_loss(points) * (1.0 + relative_error(self.upper)[..., None]) + above[..., None]
        return self._known_stop_loss(points, low, high)

    def put_ends(self, points: FloatArray) -> Ends:
        below, above = self._shift  # it falls where the law rises
        put = Shortfall(tuple(points.tolist())).value
        low = put(self.upper) * (1.0 - relative_error(self.upper)[..., None]) - above[..., None]
        high = put(self.lower) * (1.0 + relative_error(self.lower)[..., None]) + below[..., None]
        return self._known_put(points, low, high)

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        size = max(abs(self.upper.grid.low), abs(self.upper.grid.high))
        moved = (
            self.slack_far[..., None] / levels
            + (relative_error(self.lower) + relative_error(self.upper))[..., None] * size
        )
        low = self.lower.cvar(levels, tail) - self.slack_lower[..., None] - moved
        return self._in_range(low, self.upper.cvar(levels, tail) + self.slack_upper[..., None] + moved)

    def cdf_ends(self, points: FloatArray) -> Ends:
        low = each(self.upper, enclosure.cdf_each, points - self.slack_upper[..., None]) - self.slack_mass[..., None]
        high = each(self.lower, enclosure.cdf_each, points + self.slack_lower[..., None]) + self.slack_mass[..., None]
        return self._known_cdf(points, low, high)

    def below_ends(self, points: FloatArray) -> Ends:
        x = points - self.slack_upper[..., None], points + self.slack_lower[..., None]
        below, above = (np.nextafter(end, -np.inf) for end in x)
        low = each(self.upper, enclosure.cdf_each, below) - self.slack_mass[..., None]
        high = each(self.lower, enclosure.cdf_each, above) + self.slack_mass[..., None]
        low = np.where((points > self.most[..., None]) | (points == np.inf), 1.0, np.maximum(low, 0.0))
        return low, np.where((points <= self.least[..., None]) | (points == -np.inf), 0.0, np.minimum(high, 1.0))

    def quantile_ends(self, levels: FloatArray) -> Ends:
        mass, atoms = self.slack_mass[..., None], self.upper.grid.points
        low, _ = self._quantiles_of(levels, atoms, np.zeros(1), _cumulated(self.lower) + mass)
        _, high = self._quantiles_of(levels, atoms, _cumulated(self.upper) - mass, np.ones(1))
        return self._in_range(low - self.slack_lower[..., None], high + self.slack_upper[..., None])

    def _quantiles_of(self, levels: FloatArray, atoms: FloatArray, low: FloatArray, high: FloatArray) -> Ends:
        """Quantiles from ends of the CDF at `atoms` (n,): (..., n) each.

        Where the CDF is surely below the level, the quantile lies beyond; where it surely reaches it, not beyond.
        """
        shape = (*self.batch_shape, len(levels))
        below, above = np.empty(shape), np.empty(shape)
        for k, level in enumerate(levels):
            short = high < level - LEVEL
            last = len(atoms) - 1 - short[..., ::-1].argmax(axis=-1)
            below[..., k] = np.where(short.any(axis=-1), atoms[last], -np.inf)
            reached = low >= max(level, LEVEL)
            above[..., k] = np.where(reached.any(axis=-1), atoms[reached.argmax(axis=-1)], np.inf)
        return self._in_range(below, above)

    def _exponential_ends(self, betas: FloatArray, m: FloatArray) -> Ends:
        # increasing with the law for beta > 0 and falling for beta < 0; of slope |beta| exp(beta (x - m)) at most
        grid = self.upper.grid
        low = np.minimum(self.least, grid.low)[..., None]
        high = np.maximum(self.most, grid.high)[..., None]
        steep = np.abs(betas) * np.exp(np.maximum(betas * (high - m), betas * (low - m)))
        moved = steep * self.slack_far[..., None]
        falls = np.where(betas > 0.0, 1.0, -1.0)
        ends = []
        for law, shift, side in ((self.lower, -self.slack_lower, -falls), (self.upper, self.slack_upper, falls)):
            moment = self._exponential(law, betas, m, 0.0) * np.exp(betas * shift[..., None])
            size = np.maximum(np.abs(low), np.abs(high))
            room = 4.0 * relative_error(law)[..., None] * (1.0 + np.abs(betas) * size)
            ends.append(moment * (1.0 + side * room) + side * moved)
        return np.where(betas > 0.0, ends[0], ends[1]), np.where(betas > 0.0, ends[1], ends[0])

    def expectile_ends(self, taus: FloatArray) -> Ends:
        # increasing with the law, and moves by at most max(tau, 1 - tau) / min(tau, 1 - tau) times the distance
        steep = np.maximum(taus, 1.0 - taus) / np.minimum(taus, 1.0 - taus)
        moved = self.slack_far[..., None] * steep
        low = np.asarray(self.lower.expectile(taus)) - self.slack_lower[..., None] - moved
        return low, np.asarray(self.upper.expectile(taus)) + self.slack_upper[..., None] + moved


def _cumulated(law: CategoricalReturns) -> FloatArray:
    return np.asarray(np.cumsum(np.maximum(law.probs, 0.0), axis=-1))
