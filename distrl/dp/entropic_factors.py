"""Certified ends of entropic risk where outcomes have discounts of their own: a family of exponents, one below another.

h_b(x) = (1/b) log E exp(b G(x)) satisfies

    h_b(x) = (1/b) log sum over outcomes of p E exp(b (R + g h_{b g}(y))),

so that h at b needs h at the products of b with all factors g. It is kept at c_i = |b| q^i, i = 0, 1, ..., and enclosed
between them: with H_c = h_c for b > 0 and -h_{-c} for b < 0, the risk of -G, and L(c) = c H_c, a logarithm of a
moment generating function,

    H increases, from the mean on;      L is convex, so that it lies below its chords;
    L'' <= w^2 / 4 for returns on an interval of width w, so that L + w^2 (c - c_{i+1}) (c_i - c) / 8 is above them.

Where all factors are powers of one number, as those of options are, q is that number or a root of it, and every product
stands in the family: nothing is between. From the smallest exponent to the largest each member is the image of smaller
ones, and of itself where a factor is above q: an end that is valid stays so under its own image, which is repeated.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.dp.entropic_steps import Steps
from distrl.dp.horizon_walk import ForProcess
from distrl.models.stages import Stages
from distrl.returns.functionals import Ends

#: Of a family, at most.
MEMBERS = 200
_PARTS = 64  # of the smallest logarithm of a factor, that all may be multiples of
_REPEATS = 40  # of a member's own image at most
_SHORT = 0.05  # a family that goes no further down is not worth that nothing is between
_FURTHER = 1e-6  # down, where nothing is between: what is left then is no more than rounding
_NEAR = 256.0 * EPS  # relative: two exponents as near as this are one but for a slack


class Family(NamedTuple):
    """Exponents |b| q^i, i = 0..n - 1, and the sign of b."""

    exponents: FloatArray
    ratio: float
    sign: float

    @classmethod
    def of(cls, beta: float, factors: FloatArray, least: float, most: int = MEMBERS) -> "Family":
        """Down to `least` times |beta| or further, `most` members at most; `factors` are all that occur."""
        whole = _common_root(factors)
        ratio, count = least ** (1.0 / max(most - 1, 1)), most
        if whole is not None and whole**most <= _SHORT:
            ratio, count = whole, min(int(math.log(least * _FURTHER) / math.log(whole)) + 2, most)
        exponents = abs(beta) * ratio ** np.arange(count, dtype=np.float64)
        return cls(np.asarray(exponents), ratio, math.copysign(1.0, beta))


def _common_root(factors: FloatArray) -> float | None:
    """The largest number of which all factors below 1 are whole powers; None where there is none that is seen."""
    logs = -np.log(np.unique(factors[(factors > 0.0) & (factors < 1.0)]))
    if not logs.size:
        return 0.5
    least, parts = float(logs.min()), 1
    for log in logs.tolist():
        share = Fraction(log / least).limit_denominator(_PARTS)
        parts = math.lcm(parts, share.denominator)
        if parts > _PARTS or abs(log / least - share) > 1e-12 * share:
            return None
    return math.exp(-least / parts)


class Places(NamedTuple):
    """Where the exponent c g of each outcome stands below c in a family: members `upper` and `lower` steps down.

    share : of the upper one in the chord, rounded up and down
    bend : (c - c_lower) (c_upper - c) / c^2 there
    near : whether it is a member itself, but for rounding
    """

    upper: IntArray
    lower: IntArray
    share: tuple[FloatArray, FloatArray]
    bend: FloatArray
    near: FloatArray

    @classmethod
    def of(cls, factors: FloatArray, ratio: float, bounded: bool) -> "Places":
        """`factors` (outcomes,) in (0, 1]; `bounded`: whether a slack for what is near can be told."""
        down = np.log(factors) / math.log(ratio)
        nearest = np.rint(down).astype(np.int64)
        off = np.abs(factors / ratio ** nearest.astype(np.float64) - 1.0)
        same = (factors == 1.0) | ((off <= _NEAR * (nearest + 1.0)) & bounded)
        doubtful = (off <= _NEAR * (nearest + 1.0)) & ~same
        upper = np.where(same, nearest, np.maximum(np.where(doubtful, nearest - 1, np.floor(down)), 0)).astype(np.int64)
        lower = np.where(same, nearest, np.where(doubtful, nearest, np.floor(down)) + 1).astype(np.int64)
        high, low = ratio ** upper.astype(np.float64), ratio ** lower.astype(np.float64)
        gap = np.where(same, 1.0, high - low)
        share = np.where(same, 0.0, (factors - low) / gap * high / factors)
        room = np.where(same, 0.0, 64.0 * EPS * (lower + 1.0) / (1.0 - ratio))
        bend = np.where(same, 0.0, np.maximum((factors - low) * (high - factors), 0.0) / factors**2)
        near = np.where(same & (factors < 1.0), 2.0 * _NEAR * (nearest + 1.0), 0.0)
        ends = np.minimum(np.maximum(share, 0.0) + room, 1.0), np.maximum(share - room, 0.0)
        return cls(upper, lower, ends, bend + room, near)


class Members(NamedTuple):
    """Ends (members, S) of H for every exponent of a family, those of the mean, and the widths of the returns, (S,)."""

    low: FloatArray
    high: FloatArray
    mean: tuple[FloatArray, FloatArray]
    width: FloatArray


class FamilySteps:
    """One application of the recursion to a family.

    Parameters
    ----------
    steps : Steps
        Of the process.
    family : Family
    bounded : bool
        Whether returns have widths.
    """

    def __init__(self, steps: Steps, family: Family, bounded: bool) -> None:
        self.steps, self.family = steps, family
        table = steps.model.outcomes
        self.rows = np.flatnonzero(steps.going_on & (steps.model.factors > 0.0))
        self.factors = np.broadcast_to(steps.model.factors, table.probs.shape)[self.rows]
        self.next = table.next_states[self.rows]
        self.places = Places.of(self.factors, family.ratio, bounded)
        self.repeats = bool((self.places.upper == 0).any())

    def image(self, member: int, below: Members) -> Ends:
        """(S,) and (S,) ends of H for one exponent, from those of the family at the next states."""
        family, places, last = self.family, self.places, len(below.low) - 1
        c = float(family.exponents[member])
        upper, lower = (np.minimum(member + place, last) for place in (places.upper, places.lower))
        beyond = member + places.lower > last  # smaller than every member
        inside = member + places.upper <= last
        top = below.high[upper, self.next]
        under = np.minimum(below.high[lower, self.next], top)
        base = np.where(beyond, below.mean[0][self.next], below.low[lower, self.next])
        with np.errstate(invalid="ignore", over="ignore"):
            above = np.where(beyond | (under == top), top, under + places.share[0] * (top - under))
            chord = base + places.share[1] * np.maximum(below.low[upper, self.next] - base, 0.0)
            square = 0.125 * c * self.factors * below.width[self.next] ** 2
            chord = np.where(np.isfinite(square) & ~beyond, chord - square * places.bend, base)
            slack = np.where((places.near > 0.0) & inside, square * places.near, 0.0)
        least, most = np.maximum(base, chord) - slack, above + slack
        ends = [self._discounted(end) for end in (least, most)]
        if family.sign < 0.0:
            ends = [-ends[1], -ends[0]]
        far = self._farthest(below, member)
        low, high = self.steps.ends(family.sign * c, ends[0], ends[1], far)
        return (low, high) if family.sign > 0.0 else (-high, -low)

    def mean(self, below: Members) -> Ends:
        """(S,) and (S,) ends of the mean of H, likewise."""
        tiny = self.family.sign * 1e-290
        ends = [self._discounted(end[self.next]) for end in below.mean]
        ends = ends if self.family.sign > 0.0 else [-ends[1], -ends[0]]
        far = self._farthest(below, len(below.low) - 1)
        low, high = self.steps.ends(tiny, ends[0], ends[1], far)
        return (low, high) if self.family.sign > 0.0 else (-high, -low)

    def ranges(self, below: Ends) -> Ends:
        """(S,) and (S,) the smallest and largest return, from those of the next states; rounding to first order."""
        rewards, starts = self.steps.model.outcomes.reward_ranges(), self.steps.starts
        low = np.minimum.reduceat(rewards[0] + self._discounted(below[0][self.next]), starts)
        high = np.maximum.reduceat(rewards[1] + self._discounted(below[1][self.next]), starts)
        room = 8.0 * EPS * (np.abs(low) + np.abs(high))
        return low - room, high + room

    def _discounted(self, values: FloatArray) -> FloatArray:
        """(outcomes,) the factor times what follows, 0 where nothing does."""
        onward = np.zeros(len(self.steps.probs))
        onward[self.rows] = self.factors * values
        return onward

    def _farthest(self, below: Members, member: int) -> tuple[float, float]:
        """Ends of the factor times h of any next state at any smaller exponent, for mass of which nothing is known."""
        g = self.steps.model.largest_discount
        low, high = min(g * float(below.mean[0].min()), 0.0), max(g * float(below.high[member].max()), 0.0)
        return (low, high) if self.family.sign > 0.0 else (-high, -low)


def settled_members(steps: Steps, family: Family, start: Members, passes: int) -> Members:
    """Ends of returns that go on, from valid ones, `start`: every member is the image of those below it, in `passes`
    applications at most."""
    own = FamilySteps(steps, family, bool(np.isfinite(start.width).all()))
    low, high = start.low.copy(), start.high.copy()
    for member in range(len(low) - 1, -1, -1):
        if member + 1 < len(low):
            low[member] = np.maximum(low[member], low[member + 1])
        for _ in range(_REPEATS if own.repeats else 1):
            if passes <= 0:
                break
            passes -= 1
            found = own.image(member, Members(low, high, start.mean, start.width))
            before = low[member].copy(), high[member].copy()
            low[member], high[member] = np.fmax(low[member], found[0]), np.fmin(high[member], found[1])
            with np.errstate(invalid="ignore"):
                moved = np.fmax(low[member] - before[0], before[1] - high[member])
            if not moved.max() > 1e-12 * max(float(np.abs(low[member]).max()), 1e-300):
                break
    return Members(low, high, start.mean, start.width)


def members_of_steps(stages: Stages, family: Family) -> Members:
    """Ends of returns of H steps for every exponent of a family: h = 0 after the last one."""
    laws = [law for model in stages.models for law in model.outcomes.reward_laws]
    bounded = all(bool(np.isfinite(law.support).all()) for law in laws)
    steps_of = ForProcess(lambda process: FamilySteps(Steps(process), family, bounded))
    nothing = np.zeros(stages.n_states)
    none = np.zeros((len(family.exponents), stages.n_states))
    reached, ranges = Members(none, none, (nothing, nothing), nothing), (nothing, nothing)
    for process in stages.backwards():
        own = steps_of(process)
        images = [own.image(member, reached) for member in range(len(none))]
        low, high = (np.stack(side) for side in zip(*images, strict=True))
        mean, ranges = own.mean(reached), own.ranges(ranges)
        reached = Members(low, high, mean, (ranges[1] - ranges[0]) * (1.0 + 8.0 * EPS))
    return reached
