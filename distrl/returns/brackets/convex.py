"""A pair of laws of one mean that encloses the true one in convex order."""

from functools import cached_property

import numpy as np

from distrl._kernels import enclosure
from distrl._kernels import functionals as kernels
from distrl._tolerances import EPS, LEVEL
from distrl._validation import FloatArray
from distrl.returns.arrays import as_rows
from distrl.returns.brackets.base import BracketReturns, hull, relative_error
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.finite import ParticleReturns
from distrl.returns.functionals.enclosing import Ends

_STEPS = 40  # widths h tried for a CDF interval from stop-loss transforms
_FARTHEST = 1e300  # infinite points are asked here; what is known of them is known anyway


class ConvexBrackets(BracketReturns):
    """Laws between two others of the same mean in convex order: stop-loss transforms C_lower <= C <= C_upper.

    Widths: variance O(s^2) always; CVaR and stop-loss O(s^2) for a bounded density, O(s) with atoms; CDF O(s), O(1) at
    atoms, and quantiles as the CDF is steep. Where the grid clips, the overshoot is part of `slack_upper`, and the
    variance is bounded from above as far as the range of the returns is known.
    """

    order = "convex"
    lower: ParticleReturns
    upper: CategoricalReturns

    def variance_ends(self) -> Ends:
        # with P the put transform, E (G - a)^2 = 2 int_a C(k) dk + 2 int^a P(k) dk over the range of G, whatever a is:
        # a slack in C and P counts twice the range; where G may go beyond the laws' ends, these are 0 there
        narrow, wide = hull(self.lower), hull(self.upper)
        reach = np.maximum(narrow[1], self._mean) - np.minimum(narrow[0], self._mean)
        error = relative_error(self.lower)
        low = self.lower.var() * (1.0 - error) - (error * np.abs(narrow).max(axis=0)) ** 2
        low = low - 2.0 * (reach + self._mean_error) * self.slack_lower
        reach = np.maximum(wide[1], self.most) - np.minimum(wide[0], self.least)
        beyond = np.where(self.slack_upper > 0.0, 2.0 * reach, 0.0) * self.slack_upper
        return np.maximum(low, 0.0), self.upper.var() * (1.0 + relative_error(self.upper)) + beyond

    def stop_loss_ends(self, points: FloatArray) -> Ends:
        return self._known_stop_loss(points, *self._transforms(points, put=False))

    def put_ends(self, points: FloatArray) -> Ends:
        return self._known_put(points, *self._transforms(points, put=True))

    @cached_property
    def _sides(self) -> dict[bool, list[tuple[FloatArray, FloatArray, FloatArray]]]:
        """For the stop-loss transform, and for the put as that of mirrored laws: values, weights, relative errors."""
        plain = [(*law.rows(), np.ravel(relative_error(law))[:, None]) for law in (self.lower, self.upper)]
        return {False: plain, True: [(as_rows(-v[:, ::-1]), as_rows(w[:, ::-1]), error) for v, w, error in plain]}

    def _transforms(self, points: FloatArray, put: bool) -> Ends:
        """Ends of E(G - k)+, or of E(k - G)+, at the points (K,), or at each law's own, batch + (K,)."""
        both, count, asked = [], points.shape[-1], -points if put else points
        for side, sign in enumerate((-1.0, 1.0)):
            values, weights, error = self._sides[put][side]
            out = np.empty((self.upper.size, count))
            if points.ndim == 1:
                kernels.stop_loss(values, weights, asked, out)
            else:
                enclosure.stop_loss_each(values, *self._tails[put][side], asked.reshape(self.upper.size, count), out)
            both.append((out * (1.0 + sign * error)).reshape(*self.batch_shape, count))
        return np.maximum(both[0] - self.slack_lower[..., None], 0.0), both[1] + self.slack_upper[..., None]

    @cached_property
    def _tails(self) -> dict[bool, list[tuple[FloatArray, FloatArray]]]:
        """Tail sums of all laws of `_sides`: a read at one point costs a search then."""
        found: dict[bool, list[tuple[FloatArray, FloatArray]]] = {}
        for put, sides in self._sides.items():
            found[put] = []
            for values, weights, _ in sides:
                count, n = self.upper.size, values.shape[1]
                at, above = np.empty((count, n)), np.empty((count, n + 1))
                enclosure.tail_sums(values, weights, at, above)
                found[put].append((at, above))
        return found

    def cvar_ends(self, levels: FloatArray, tail: str) -> Ends:
        narrow, wide = self.lower.cvar(levels, tail), self.upper.cvar(levels, tail)
        narrow_room, wide_room = (
            relative_error(law)[..., None] * np.abs(hull(law)).max(axis=0)[..., None]
            for law in (self.lower, self.upper)
        )
        narrow_slack = self.slack_lower[..., None] / levels + narrow_room
        wide_slack = self.slack_upper[..., None] / levels + wide_room
        if tail == "lower":  # max over k of k - E(k - G)+ / level: the wider law has the smaller value
            return self._in_range(wide - wide_slack, narrow + narrow_slack)
        return self._in_range(narrow - narrow_slack, wide + wide_slack)

    def cdf_ends(self, points: FloatArray) -> Ends:
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
                    room = 8.0 * EPS * (1.0 + np.abs(quotient))
                    if side > 0.0:
                        high = np.minimum(high, whole + quotient + room)
                    else:
                        low = np.maximum(low, whole - quotient - room)
        return self._known_cdf(points, low, high)

    def quantile_ends(self, levels: FloatArray) -> Ends:
        ends = [self._bisected(level) for level in levels]
        low, high = (np.stack(side, axis=-1) for side in zip(*ends, strict=True))
        return self._in_range(low, high)

    def _bisected(self, level: float) -> Ends:
        """An atom where the CDF is surely below the level, and one where it surely reaches it, as near as bisection
        finds them: of every state, in log m reads of its CDF."""
        atoms, tolerance = self.upper.grid.points, LEVEL
        m = len(atoms)
        found = []
        for upper in (False, True):
            before, after = np.full(self.batch_shape, -1), np.full(self.batch_shape, m)
            for _ in range(m.bit_length() + 1):
                middle = np.clip((before + after) // 2, 0, m - 1)
                low, high = (end[..., 0] for end in self.cdf_ends(np.asarray(atoms[middle])[..., None]))
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
            low, high = (end[..., None] for end in hull(law))
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
        room = [(relative_error(law) * np.abs(hull(law)).max(axis=0))[..., None] for law in (self.lower, self.upper)]
        less = (pull * lower_slack + (1.0 - taus) * off[0][..., None] + room[0]) / slope
        more = (pull * upper_slack + (1.0 - taus) * off[1][..., None] + room[1]) / slope
        return np.where(taus >= 0.5, narrow - less, wide - more), np.where(taus >= 0.5, wide + more, narrow + less)
