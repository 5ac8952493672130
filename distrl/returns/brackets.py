"""A pair of laws that encloses the true one, and intervals for what can be read from it."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import functionals as kernels
from distrl._validation import FloatArray, float_array, fraction
from distrl.returns.base import Returns, as_rows, state_index
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.particles import ParticleReturns

_FUNCTIONALS = ("mean", "variance", "std", "stop_loss", "cvar", "cdf", "quantile")
_STEPS = 40  # widths h tried for a CDF interval from stop-loss transforms
_EPS = float(np.finfo(np.float64).eps)


class CrossedEnds(AssertionError):
    """A certified interval's lower end came out above its upper one: a fault of this library, never of the model."""


def check_question(functional: str, at: ArrayLike | None, tail: str) -> FloatArray | None:
    """The points or levels of a question to `BracketReturns.interval`, None where it has none; raises as that does."""
    if functional not in _FUNCTIONALS:
        raise ValueError(f"functional must be one of {', '.join(_FUNCTIONALS)}; got {functional!r}")
    if tail not in ("lower", "upper"):
        raise ValueError(f"tail must be 'lower' or 'upper', got {tail!r}")
    if functional in ("mean", "variance", "std"):
        if at is not None:
            raise ValueError(f"{functional} takes no point or level; leave `at` out")
        return None
    if at is None:
        raise ValueError(f"{functional} needs a {'level' if functional in ('cvar', 'quantile') else 'point'}: at=")
    if functional in ("cvar", "quantile"):
        return fraction(at, "at", open_low=functional == "cvar")
    points = float_array(at, "at", ndim=(0, 1), finite=functional != "cdf")
    if np.isnan(points).any():
        raise ValueError("at is NaN; the CDF is asked at numbers")
    return points


class BracketReturns(Returns):
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

    def interval(self, functional: str, at: ArrayLike | None = None, *, tail: str = "lower") -> FloatArray:
        """Certified interval of a functional of the true law, numerical error included.

        Parameters
        ----------
        functional : "mean", "variance", "std", "stop_loss", "cvar", "cdf" or "quantile"
        at : scalar or (K,)
            The point of "stop_loss" and "cdf" (infinite for the latter, if you like), the level of "cvar" and
            "quantile"; none for the others.
        tail : "lower" or "upper", for "cvar"

        Returns
        -------
        array, batch + (2,) or batch + (K, 2)
            Lower and upper end. As `Returns.quantile` compares levels up to 1e-9, the interval of a quantile holds
            those of all levels from q - 1e-9 to q; that of level 0 the quantiles up to the level 1e-9.

        Raises
        ------
        ValueError, TypeError
            If the functional is not known, or `at` is missing or out of range.
        CrossedEnds
            If the ends are in the wrong order, beyond what their rounding is counted for: please report it.
        """
        points = check_question(functional, at, tail)
        if points is None:
            if functional == "mean":
                low, high = self._mean - self._mean_error, self._mean + self._mean_error
            else:
                low, high = self._variance()
                if functional == "std":
                    low, high = np.sqrt(low), np.sqrt(high)
            return self._ordered(low, high, functional)
        reader: dict[str, Callable[[FloatArray], tuple[FloatArray, FloatArray]]] = {
            "stop_loss": self._stop_loss,
            "cvar": lambda levels: self._cvar(levels, tail),
            "cdf": self._cdf,
            "quantile": self._quantile,
        }
        both = self._ordered(*reader[functional](np.atleast_1d(points)), functional)
        return both if points.ndim else both[..., 0, :]

    def _ordered(self, low: FloatArray, high: FloatArray, functional: str) -> FloatArray:
        """Both ends in one array."""
        crossed = ~(low <= high)
        if crossed.any():
            where = tuple(int(i) for i in np.argwhere(crossed)[0])
            state = f" of state {where[0]}" if self.batch_shape else ""
            raise CrossedEnds(
                f"the certified interval of {functional}{state} runs from {np.asarray(low)[where]!r} to "
                f"{np.asarray(high)[where]!r}: a fault of distrl, please report it with the model"
            )
        return np.stack([low, high], axis=-1)

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
            short = high < level - kernels.LEVEL_TOLERANCE
            last = len(atoms) - 1 - short[..., ::-1].argmax(axis=-1)
            below[..., k] = np.where(short.any(axis=-1), atoms[last], -np.inf)
            reached = low >= max(level, kernels.LEVEL_TOLERANCE)
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
        """Ends of E(G - k)+, or of E(k - G)+, at the points (K,)."""
        both = []
        for (values, weights, error), sign in zip(self._sides[put], (-1.0, 1.0), strict=True):
            out = np.empty((self._size, len(points)))
            kernels.stop_loss(values, weights, -points if put else points, out)
            both.append((out * (1.0 + sign * error)).reshape(*self.batch_shape, len(points)))
        return np.maximum(both[0] - self.slack_lower[..., None], 0.0), both[1] + self.slack_upper[..., None]

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

        And so for the put transform P = C + k - E G, whose quotients are F's: what is small at x cancels least.
        """
        grid = self.upper.grid
        x = np.clip(points, -_FARTHEST, _FARTHEST)
        low, high = np.zeros((*self.batch_shape, len(x))), np.ones((*self.batch_shape, len(x)))
        steps = [np.full(len(x), h) for h in np.geomspace(grid.spacing / 4, 2 * grid.width, _STEPS)]
        steps += [np.abs(x - end) for end in (grid.low, grid.high)]  # from afar: Markov's inequality
        for put, whole in ((False, 1.0), (True, 0.0)):
            floor = self._transforms(x, put)[0]
            for step in steps:
                for side in (1.0, -1.0):
                    other = x + side * step
                    h = np.abs(other - x)  # exact, or rounded relatively
                    with np.errstate(divide="ignore", invalid="ignore"):
                        quotient = (self._transforms(other, put)[1] - floor) / h
                    quotient = np.where(h > 0.0, quotient, np.inf)
                    room = 8.0 * _EPS * (1.0 + np.abs(quotient))
                    if side > 0.0:
                        high = np.minimum(high, whole + quotient + room)
                    else:
                        low = np.maximum(low, whole - quotient - room)
        return self._known_cdf(points, low, high)

    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        atoms = self.upper.grid.points
        return self._quantiles_of(levels, atoms, *self._cdf(atoms))


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
        low = self._read(self.upper, points - self.slack_upper[..., None]) - self.slack_mass[..., None]
        high = self._read(self.lower, points + self.slack_lower[..., None]) + self.slack_mass[..., None]
        return self._known_cdf(points, low, high)

    def _read(self, law: CategoricalReturns, points: FloatArray) -> FloatArray:
        """The law's CDF, (..., K) points, each state's own."""
        place = np.searchsorted(law.grid.points, points, side="right") - 1
        cdf = np.take_along_axis(_cumulated(law), np.maximum(place, 0), axis=-1)
        return np.where(place >= 0, cdf, 0.0)

    def _quantile(self, levels: FloatArray) -> tuple[FloatArray, FloatArray]:
        mass, atoms = self.slack_mass[..., None], self.upper.grid.points
        low, _ = self._quantiles_of(levels, atoms, np.zeros(1), _cumulated(self.lower) + mass)
        _, high = self._quantiles_of(levels, atoms, _cumulated(self.upper) - mass, np.ones(1))
        return self._in_range(low - self.slack_lower[..., None], high + self.slack_upper[..., None])


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
