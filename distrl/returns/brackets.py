"""A pair of laws that encloses the true one, and intervals for what can be read from it."""

from abc import abstractmethod
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import enclosure
from distrl._kernels import functionals as kernels
from distrl._steady import steady
from distrl._tolerances import LEVEL
from distrl._validation import LARGEST_NUMBER, FloatArray
from distrl.returns.base import Returns, as_rows, state_index
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import Enclosing, Ends, each, intersection, parse
from distrl.returns.particles import ParticleReturns

_STEPS = 40  # widths h tried for a CDF interval from stop-loss transforms
_EPS = float(np.finfo(np.float64).eps)


class BracketReturns(Returns, Enclosing):
    """Return laws known to lie between two others: in convex or in stochastic order.

    Attributes
    ----------
    lower, upper : Returns
        The enclosing laws. In convex order `upper` is the wider one: it has the larger stop-loss and variance, and the
        *smaller* lower-tail CVaR. In stochastic order `upper` is the better one.
    order : "convex" or "stochastic"
    slack_lower, slack_upper : (S,)
        What iteration, clipping and floating point can have cost: in convex order, in the stop-loss transform at any
        point; in stochastic order, a shift of the law along the axis. Intervals include it.
    least, most : (S,)
        Ends that no return goes beyond; infinite where none is known.
    """

    order: str
    _parts: tuple[str, ...] = ("_mean", "_mean_error", "slack_lower", "slack_upper", "least", "most")

    def __init__(
        self,
        lower: Returns,
        upper: Returns,
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

    def __getitem__(self, index: Any) -> Self:
        where = state_index(index, self.batch_shape)
        return type(self)(self.lower[where], self.upper[where], *(getattr(self, name)[where] for name in self._parts))

    def support_weights(self) -> Any:
        raise TypeError(
            "the law is only known to lie between .lower and .upper; ask .interval(functional, at), or either of them"
        )

    def arrays(self) -> dict[str, FloatArray]:
        ends = (("lower", self.lower), ("upper", self.upper))
        laws = {f"{side}_{name}": array for side, law in ends for name, array in law.arrays().items()}
        # the means are saved with every solution, as its values
        return {**laws, **{name.lstrip("_"): getattr(self, name) for name in self._parts if name != "_mean"}}

    def _describe(self) -> str:
        return f"{self.order} order"

    def mean(self) -> FloatArray:
        """The exact means, by a linear solve; `interval("mean")` has the solve's error."""
        return self._mean

    @steady
    def interval(self, functional: Any, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """Certified interval of a functional of the true law, numerical error included: what these two laws say.

        Parameters
        ----------
        functional : a `Functional`, or "mean", "variance", "std", "stop_loss", "cvar", "cdf", "quantile", "expectile"
            or "entropic_risk"
        at : scalar or (K,)
            The point of "stop_loss" and "cdf", the level of "cvar", "quantile" and "expectile", the beta of
            "entropic_risk"; none for the others.
        tail : "lower" or "upper", for "cvar"

        Returns
        -------
        array, batch + (2,) or batch + (K, 2)
            Lower and upper end. `Solution.interval` intersects them with what else is known. As `Returns.quantile`
            compares levels up to 1e-9, the interval of a quantile holds those of all levels from q - 1e-9 to q; that of
            level 0 those up to the level 1e-9.

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

    def variance_ends(self) -> Ends:
        return self._variance()

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        return self._stop_loss(points)

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        return self._cvar(levels, tail)

    def cdf_ends(self, points: FloatArray) -> Ends:
        return self._cdf(points)

    def quantile_ends(self, levels: FloatArray) -> Ends:
        return self._quantile(levels)

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

    def _exponential(self, law: Returns, betas: FloatArray, m: FloatArray, side: float) -> FloatArray:
        """E exp(beta (Z - m)) of one of the laws, moved to the given side by what rounding can have cost."""
        size = np.abs(_hull(law)).max(axis=0)[..., None]
        value = np.exp(betas * (law.entropic_risk(betas) - m))
        value = np.where(np.abs(betas) <= LARGEST_NUMBER, value, np.nan)  # beyond it laws are read at that number
        return np.asarray(value * (1.0 + side * 4.0 * _relative(law)[..., None] * (1.0 + np.abs(betas) * size)))

    @abstractmethod
    def _variance(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _stop_loss(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _cvar(self, levels: FloatArray, tail: str) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _cdf(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    @abstractmethod
    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends, batch or batch + (K,)."""

    # -- what both orders know ------------------------------------------------------------------------------------

    def _in_range(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Ends of a value that lies among the returns, (..., K)."""
        return np.maximum(low, self.least[..., None]), np.minimum(high, self.most[..., None])

    def _known_cdf(self, points: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """0 below every return and 1 from the largest on."""
        below = (points < self.least[..., None]) | (points == -np.inf)
        beyond = (points >= self.most[..., None]) | (points == np.inf)
        return np.where(beyond, 1.0, np.maximum(low, 0.0)), np.where(below, 0.0, np.minimum(high, 1.0))

    def _known_stop_loss(self, points: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """E(G - k)+ is at least 0 and E G - k, and that is what it is beyond the returns."""
        least, most = self.least[..., None], self.most[..., None]
        forward = self._mean[..., None] - points
        room = self._mean_error[..., None] + 2.0 * _EPS * (np.abs(self._mean)[..., None] + np.abs(points))
        high = np.where(points <= least, np.minimum(high, np.maximum(forward, 0.0) + room), high)
        return np.maximum(low, np.maximum(forward - room, 0.0)), np.where(points >= most, 0.0, high)

    def _quantiles_of(
        self, levels: FloatArray, atoms: FloatArray, low: FloatArray, high: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
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


class ConvexBrackets(BracketReturns):
    """Laws between two others of the same mean in convex order: stop-loss transforms C_lower <= C <= C_upper.

    Widths: variance O(s^2) always; CVaR and stop-loss O(s^2) for a bounded density, O(s) with atoms; CDF O(s), O(1) at
    atoms, and quantiles as the CDF is steep. Where the grid clips, the overshoot is part of `slack_upper`, and the
    variance is bounded from above as far as the range of the returns is known.
    """

    order = "convex"
    lower: ParticleReturns
    upper: CategoricalReturns

    def _variance(self) -> tuple[FloatArray, FloatArray]:
        # with P the put transform, E (G - a)^2 = 2 int_a C(k) dk + 2 int^a P(k) dk over the range of G, whatever a is:
        # a slack in C and P counts twice the range; where G may go beyond the laws' ends, these are 0 there
        narrow, wide = _hull(self.lower), _hull(self.upper)
        reach = np.maximum(narrow[1], self._mean) - np.minimum(narrow[0], self._mean)
        error = _relative(self.lower)
        low = self.lower.var() * (1.0 - error) - (error * np.abs(narrow).max(axis=0)) ** 2
        low = low - 2.0 * (reach + self._mean_error) * self.slack_lower
        reach = np.maximum(wide[1], self.most) - np.minimum(wide[0], self.least)
        beyond = np.where(self.slack_upper > 0.0, 2.0 * reach, 0.0) * self.slack_upper
        return np.maximum(low, 0.0), self.upper.var() * (1.0 + _relative(self.upper)) + beyond

    def _stop_loss(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._known_stop_loss(points, *self._transforms(points, put=False))

    @cached_property
    def _sides(self) -> dict[bool, list[tuple[FloatArray, FloatArray, FloatArray]]]:
        """For the stop-loss transform, and for the put as that of mirrored laws: values, weights, relative errors."""
        plain = [(*law._rows(), np.ravel(_relative(law))[:, None]) for law in (self.lower, self.upper)]
        return {False: plain, True: [(as_rows(-v[:, ::-1]), as_rows(w[:, ::-1]), error) for v, w, error in plain]}

    def _transforms(self, points: FloatArray, put: bool) -> tuple[FloatArray, FloatArray]:
        """Ends of E(G - k)+, or of E(k - G)+, at the points (K,), or at each law's own, batch + (K,)."""
        both, count, asked = [], points.shape[-1], -points if put else points
        for side, sign in enumerate((-1.0, 1.0)):
            values, weights, error = self._sides[put][side]
            out = np.empty((self._size, count))
            if points.ndim == 1:
                kernels.stop_loss(values, weights, asked, out)
            else:
                enclosure.stop_loss_each(values, *self._tails[put][side], asked.reshape(self._size, count), out)
            both.append((out * (1.0 + sign * error)).reshape(*self.batch_shape, count))
        return np.maximum(both[0] - self.slack_lower[..., None], 0.0), both[1] + self.slack_upper[..., None]

    @cached_property
    def _tails(self) -> dict[bool, list[tuple[FloatArray, FloatArray]]]:
        """Tail sums of all laws of `_sides`: a read at one point costs a search then."""
        found: dict[bool, list[tuple[FloatArray, FloatArray]]] = {}
        for put, sides in self._sides.items():
            found[put] = []
            for values, weights, _ in sides:
                at, above = np.empty((self._size, values.shape[1])), np.empty((self._size, values.shape[1] + 1))
                enclosure.tail_sums(values, weights, at, above)
                found[put].append((at, above))
        return found

    def _cvar(self, levels: FloatArray, tail: str) -> tuple[FloatArray, FloatArray]:
        narrow, wide = self.lower.cvar(levels, tail), self.upper.cvar(levels, tail)
        narrow_room, wide_room = (
            _relative(law)[..., None] * np.abs(_hull(law)).max(axis=0)[..., None] for law in (self.lower, self.upper)
        )
        narrow_slack = self.slack_lower[..., None] / levels + narrow_room
        wide_slack = self.slack_upper[..., None] / levels + wide_room
        if tail == "lower":  # max over k of k - E(k - G)+ / level: the wider law has the smaller value
            return self._in_range(wide - wide_slack, narrow + narrow_slack)
        return self._in_range(narrow - narrow_slack, wide + wide_slack)

    def _cdf(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """For every h > 0: 1 + (C_L(x) - C_U(x - h)) / h <= F(x-) and F(x) <= 1 + (C_U(x + h) - C_L(x)) / h.

        `points` (K,), or each law's own, batch + (K,). And so for the put transform P = C + k - E G, whose quotients
        are F's: far below the grid it does not cancel.
        """
        grid = self.upper.grid
        x = np.clip(points, -_FARTHEST, _FARTHEST)
        shape = (*self.batch_shape, x.shape[-1])
        low, high = np.zeros(shape), np.ones(shape)
        steps = [np.full(x.shape, h) for h in np.geomspace(grid.spacing / 4, 2 * grid.width, _STEPS)]
        forms = [(False, 1.0)]
        far = (points < grid.low) | (points > grid.high)
        if far.any():  # from there Markov's inequality too; a point's answer does not depend on its company
            steps += [np.where(far, np.abs(x - end), 0.0) for end in (grid.low, grid.high)]
            forms += [(True, 0.0)]
        for put, whole in forms:
            floor = self._transforms(x, put)[0]
            for step in steps:
                for side in (1.0, -1.0):
                    other = x + side * step
                    h = np.abs(other - x)  # exact, or rounded relatively
                    with np.errstate(divide="ignore", invalid="ignore"):
                        quotient = (self._transforms(other, put)[1] - floor) / h
                    quotient = np.where((h > 0.0) & (far | (not put)), quotient, np.inf)
                    room = 8.0 * _EPS * (1.0 + np.abs(quotient))
                    if side > 0.0:
                        high = np.minimum(high, whole + quotient + room)
                    else:
                        low = np.maximum(low, whole - quotient - room)
        return self._known_cdf(points, low, high)

    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        ends = [self._bisected(level) for level in levels]
        low, high = (np.stack(side, axis=-1) for side in zip(*ends, strict=True))
        return self._in_range(low, high)

    def _bisected(self, level: float) -> tuple[FloatArray, FloatArray]:
        """An atom where the CDF is surely below the level, and one where it surely reaches it, as near as bisection
        finds them: of every state, in log m reads of its CDF."""
        atoms, tolerance = self.upper.grid.points, LEVEL
        m = len(atoms)
        found = []
        for upper in (False, True):
            before, after = np.full(self.batch_shape, -1), np.full(self.batch_shape, m)
            for _ in range(m.bit_length() + 1):
                middle = np.clip((before + after) // 2, 0, m - 1)
                low, high = (end[..., 0] for end in self._cdf(np.asarray(atoms[middle])[..., None]))
                beyond = low < max(level, tolerance) if upper else high < level - tolerance
                before, after = np.where(beyond, middle, before), np.where(beyond, after, middle)
            found.append((before, after))
        below, above = found[0][0], found[1][1]
        low = np.where(below >= 0, atoms[np.maximum(below, 0)], -np.inf)
        return low, np.where(above < m, atoms[np.minimum(above, m - 1)], np.inf)

    def _exponential_ends(self, betas: FloatArray, m: FloatArray) -> Ends:
        # exp(beta (x - m)) is its tangent at m and beta^2 int exp(beta (k - m)) (x - k)+ dk, a put below: convex
        found = []
        for law, slack, side in ((self.lower, self.slack_lower, -1.0), (self.upper, self.slack_upper, 1.0)):
            low, high = (end[..., None] for end in _hull(law))
            if side > 0.0:
                low, high = np.minimum(low, self.least[..., None]), np.maximum(high, self.most[..., None])
            off = (np.abs(law.mean() - self._mean) + self._mean_error)[..., None]
            rise = np.abs(np.exp(betas * (high - m)) - np.exp(betas * (low - m)))
            moved = np.abs(betas) * (slack[..., None] * rise + off)
            found.append(self._exponential(law, betas, m, side) + side * moved)
        return found[0], found[1]

    def expectile_ends(self, taus: FloatArray) -> Ends:
        # the root of (2 tau - 1) E (G - e)+ - (1 - tau) (e - E G), which has a slope of at least min(tau, 1 - tau)
        narrow, wide = np.asarray(self.lower.expectile(taus)), np.asarray(self.upper.expectile(taus))
        pull, slope = np.abs(2.0 * taus - 1.0), np.minimum(taus, 1.0 - taus)
        lower_slack, upper_slack = self.slack_lower[..., None], self.slack_upper[..., None]
        off = [np.abs(law.mean() - self._mean) + self._mean_error for law in (self.lower, self.upper)]
        room = [(_relative(law) * np.abs(_hull(law)).max(axis=0))[..., None] for law in (self.lower, self.upper)]
        less = (pull * lower_slack + (1.0 - taus) * off[0][..., None] + room[0]) / slope
        more = (pull * upper_slack + (1.0 - taus) * off[1][..., None] + room[1]) / slope
        return np.where(taus >= 0.5, narrow - less, wide - more), np.where(taus >= 0.5, wide + more, narrow + less)


class StochasticBrackets(BracketReturns):
    """Laws between two others in stochastic order: F_upper <= F <= F_lower. Widths O(s / (1 - discount)).

    `slack_mass` (S,) is the probability that floating point, or a reward off the grid, can have put elsewhere;
    `slack_far` (S,) the expected distance by which they can have moved the return.
    """

    order = "stochastic"
    lower: CategoricalReturns
    upper: CategoricalReturns
    _parts = (*BracketReturns._parts, "slack_mass", "slack_far")

    def __init__(self, *arguments: Any) -> None:
        *common, self.slack_mass, self.slack_far = arguments
        super().__init__(*common)

    @property
    def _shift(self) -> tuple[FloatArray, FloatArray]:
        """How far either law's mean, or its stop-loss at a point, may lie beyond the truth."""
        return self.slack_lower + self.slack_far, self.slack_upper + self.slack_far

    def _variance(self) -> tuple[FloatArray, FloatArray]:
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
        room = _relative(self.upper) + _relative(self.lower)
        return np.maximum(low * (1.0 - room) - slack, 0.0), high * (1.0 + room) + slack

    def _stop_loss(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        below, above = self._shift
        low = self.lower.stop_loss(points) * (1.0 - _relative(self.lower)[..., None]) - below[..., None]
        high = self.upper.stop_loss(points) * (1.0 + _relative(self.upper)[..., None]) + above[..., None]
        return self._known_stop_loss(points, low, high)

    def _cvar(self, levels: FloatArray, tail: str) -> tuple[FloatArray, FloatArray]:
        size = max(abs(self.upper.grid.low), abs(self.upper.grid.high))
        moved = self.slack_far[..., None] / levels + (_relative(self.lower) + _relative(self.upper))[..., None] * size
        low = self.lower.cvar(levels, tail) - self.slack_lower[..., None] - moved
        return self._in_range(low, self.upper.cvar(levels, tail) + self.slack_upper[..., None] + moved)

    def _cdf(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        low = each(self.upper, enclosure.cdf_each, points - self.slack_upper[..., None]) - self.slack_mass[..., None]
        high = each(self.lower, enclosure.cdf_each, points + self.slack_lower[..., None]) + self.slack_mass[..., None]
        return self._known_cdf(points, low, high)

    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        mass, atoms = self.slack_mass[..., None], self.upper.grid.points
        low, _ = self._quantiles_of(levels, atoms, np.zeros(1), _cumulated(self.lower) + mass)
        _, high = self._quantiles_of(levels, atoms, _cumulated(self.upper) - mass, np.ones(1))
        return self._in_range(low - self.slack_lower[..., None], high + self.slack_upper[..., None])

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
            room = 4.0 * _relative(law)[..., None] * (1.0 + np.abs(betas) * size)
            ends.append(moment * (1.0 + side * room) + side * moved)
        return np.where(betas > 0.0, ends[0], ends[1]), np.where(betas > 0.0, ends[1], ends[0])

    def expectile_ends(self, taus: FloatArray) -> Ends:
        # increasing with the law, and moves by at most max(tau, 1 - tau) / min(tau, 1 - tau) times the distance
        steep = np.maximum(taus, 1.0 - taus) / np.minimum(taus, 1.0 - taus)
        moved = self.slack_far[..., None] * steep
        low = np.asarray(self.lower.expectile(taus)) - self.slack_lower[..., None] - moved
        return low, np.asarray(self.upper.expectile(taus)) + self.slack_upper[..., None] + moved


_FARTHEST = 1e300  # infinite points are asked here; what is known of them is known anyway


def _cumulated(law: CategoricalReturns) -> FloatArray:
    return np.asarray(np.cumsum(np.maximum(law.probs, 0.0), axis=-1))


def _hull(law: Returns) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest value with mass, each of the batch's shape."""
    values, weights = law.support_weights()
    low = np.where(weights > 0, values, np.inf).min(axis=-1)
    return np.asarray(low), np.asarray(np.where(weights > 0, values, -np.inf).max(axis=-1))


def _relative(law: Returns) -> FloatArray:
    """Relative error of a sum of terms of one sign over a law, batch: additions, and masses that do not sum to 1."""
    values, weights = law.support_weights()
    return np.asarray((values.shape[-1] + 16) * _EPS + np.abs(weights.sum(axis=-1) - 1.0))
