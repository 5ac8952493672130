"""Piecewise linear functions of the target, one for each state, on knots of a common spacing.

Each state keeps a window of knots alone. Before it a function goes on with the loss's slope `low`, behind it with
`high`: U(x, .) has slopes in [low, high], so that a function above U stays above it there.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray


class Loss(NamedTuple):
    """l(d) = low * d for d < 0, high * d for d > 0, of what is missing to the target, d = b - G."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Knots:
    """Targets origin + k * spacing, k = first[x], first[x] + 1, ..., of state x at `ptr[x]:ptr[x + 1]`.

    Attributes
    ----------
    origin, spacing : float
    first : (S,) int
    ptr : (S + 1,) int
    """

    origin: float
    spacing: float
    first: IntArray
    ptr: IntArray

    @classmethod
    def between(cls, origin: float, spacing: float, first: IntArray, last: IntArray) -> "Knots":
        """Windows from `first` to `last` (S,), both of them in."""
        ptr = np.concatenate([[0], np.cumsum(last - first + 1)]).astype(np.int64)
        return cls(origin, spacing, first.astype(np.int64), ptr)

    @property
    def counts(self) -> IntArray:
        """(S,) knots of every state."""
        return np.diff(self.ptr)

    @property
    def last(self) -> IntArray:
        """(S,) the last knot of every state."""
        return self.first + self.counts - 1

    @property
    def size(self) -> int:
        """All knots together."""
        return int(self.ptr[-1])

    @cached_property
    def states(self) -> IntArray:
        """(size,) the state of each knot."""
        return np.repeat(np.arange(len(self.first)), self.counts)

    @cached_property
    def positions(self) -> IntArray:
        """(size,) k of each knot."""
        return np.arange(self.size) - (self.ptr[:-1] - self.first)[self.states]

    @property
    def points(self) -> FloatArray:
        """(size,) the targets."""
        return np.asarray(self.origin + self.spacing * self.positions)

    @property
    def reach(self) -> float:
        """The largest size of a target."""
        ends = self.origin + self.spacing * np.concatenate([self.first, self.last])
        return float(np.abs(ends).max())

    def clipped(self, state: IntArray, target: FloatArray) -> FloatArray:
        """Targets within the windows of their states.

        Parameters
        ----------
        state, target : (n,)
        """
        low = self.origin + self.spacing * self.first[state]
        return np.clip(target, low, self.origin + self.spacing * self.last[state])


@dataclass(frozen=True, eq=False)
class Curve:
    """A function of state and target; `exact` ones are known at their knots alone and linear nowhere.

    Attributes
    ----------
    knots : Knots
    values : (size,)
    loss : Loss
    exact : bool
    """

    knots: Knots
    values: FloatArray
    loss: Loss
    exact: bool = False

    def on(self, knots: Knots, factor: int = 1) -> FloatArray:
        """Its values on other knots of the same origin, whose spacing is this one's divided by `factor`."""
        own, (low, high) = self.knots, self.loss
        state = knots.states
        whole = np.floor_divide(knots.positions, factor)
        place = whole - own.first[state]
        part = (knots.positions - factor * whole) / factor
        count = own.counts[state]
        inner = np.clip(place, 0, count - 1)
        start, stop = own.ptr[:-1][state] + inner, own.ptr[:-1][state] + np.minimum(inner + 1, count - 1)
        here = self.values[start]
        between = here + part * (self.values[stop] - here)
        beyond = own.spacing * (place + part - np.where(place < 0, 0, count - 1))
        values = np.where(place < 0, here + low * beyond, np.where(place >= count - 1, here + high * beyond, between))
        return np.asarray(values)

    def _around(self, target: float) -> tuple[IntArray, IntArray, FloatArray]:
        """(S,) the knots before and behind a target, as places in `values`, and how far it is behind the first."""
        knots = self.knots
        position = (target - knots.origin) / knots.spacing
        whole = np.clip(np.floor(position), knots.first, np.maximum(knots.last - 1, knots.first))
        before = knots.ptr[:-1] + (whole - knots.first).astype(np.int64)
        return before, np.minimum(before + 1, knots.ptr[1:] - 1), np.asarray(position - whole)

    def at_most(self, target: float) -> FloatArray:
        """(S,) an upper bound at one target, for values that are above U."""
        before, behind, part = self._around(target)
        return np.asarray(self._linear(before, behind, part, upper=True) + self._room(target))

    def at_least(self, target: float) -> FloatArray:
        """(S,) a lower bound at one target, for values that are below U."""
        before, behind, part = self._around(target)
        return np.asarray(self._linear(before, behind, part, upper=False) - self._room(target))

    def _linear(self, before: IntArray, behind: IntArray, part: FloatArray, upper: bool) -> FloatArray:
        """From the two knots by the slopes that U can have, or along the chord where that is known to be valid."""
        (low, high), s = self.loss, self.knots.spacing
        step, rest = s * part, s * np.where(behind > before, 1.0 - part, -part)
        one, other = self.values[before], self.values[behind]
        if not self.exact:
            inside = one + part * (other - one)
        elif upper:
            inside = np.minimum(one + high * step, other - low * rest)
        else:
            inside = np.maximum(one + low * step, other - high * rest)
        beyond = np.where(step < 0.0, one + low * step, other - high * rest)
        return np.asarray(np.where((step >= 0.0) & (rest > 0.0), inside, beyond))

    def _room(self, target: float) -> float:
        return 8.0 * EPS * (float(np.abs(self.values).max()) + self.loss.high * (abs(target) + self.knots.reach))


def mixed(curve: Curve, weights: FloatArray, side: float) -> Curve:
    """The mean of the states' functions, on knots that hold all of theirs, as a function of one state."""
    some = np.flatnonzero(weights)
    knots, s = curve.knots, curve.knots.spacing
    first, last = int(knots.first[some].min()), int(knots.last[some].max())
    one = Knots.between(knots.origin, s, np.array([first]), np.array([last]))
    values = np.zeros(one.size)
    for state in some:
        own = Knots(knots.origin, s, knots.first[state : state + 1], knots.ptr[state : state + 2] - knots.ptr[state])
        part = curve.values[knots.ptr[state] : knots.ptr[state + 1]]
        values += weights[state] * Curve(own, part, curve.loss, curve.exact).on(one)
    size = float(np.abs(values).max()) + curve.loss.high * one.reach
    return Curve(one, values + side * (len(some) + 8.0) * EPS * size, curve.loss, curve.exact)


def trimmed(above: Curve, caps: FloatArray, enough: float) -> tuple[IntArray, IntArray]:
    """(S,) first and last knots of the windows without what is known without them: where a function above U is within
    `enough` of the lines of slope low and high through the largest mean, `caps` (S,), below which U never is.

    Windows keep two knots or more.
    """
    knots, (low, high) = above.knots, above.loss
    over = knots.points - caps[knots.states]
    ahead = _leading(above.values - low * over <= enough, knots)
    behind = _leading((above.values - high * over <= enough)[::-1], _reversed(knots))[::-1]
    first = np.minimum(knots.first + np.maximum(ahead - 1, 0), knots.last - 1)
    last = np.maximum(knots.last - np.maximum(behind - 1, 0), first + 1)
    return np.where(knots.counts > 2, first, knots.first), np.where(knots.counts > 2, last, knots.last)


def _leading(good: BoolArray, knots: Knots) -> IntArray:
    """(S,) how many knots of each state are good before the first that is not."""
    places = np.where(good, knots.size, np.arange(knots.size))
    return np.minimum(np.minimum.reduceat(places, knots.ptr[:-1]) - knots.ptr[:-1], knots.counts)


def _reversed(knots: Knots) -> Knots:
    return Knots.between(0.0, 1.0, -knots.last[::-1], -knots.first[::-1])
