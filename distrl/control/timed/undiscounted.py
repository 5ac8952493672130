"""Entropic risk at discount 1: one policy for all steps, by sweeps, and a proof that the moment is finite.

h(x) = max over policies that surely end of (1/b) log E exp(b G(x)) satisfies h = T h, T the step of the recursion at
discount 1. States between which one can move surely and for nothing are one state (`merged`).

b < 0: means are above h (Jensen), and T is monotone, so that sweeps from V* stay above h. b > 0: sweeps from the best
mean stay below it, and rise.

The proof. Let m be what was reached and A(x, y) = p E exp(b (R + m(y) - m(x))) over the outcomes that go on, c(x) the
same of those that end, so that v = E exp(b (G - m)) is the smallest v >= 0 with v = A v + c. For k > 0 with k - A k > 0
and s large enough

    1 + s k >= A (1 + s k) + c    gives v <= 1 + s k,       1 - s k <= A (1 - s k) + c    gives v >= 1 - s k,

the second since v is finite: E exp(b (G_n - m(x_n))), the part that goes on after n steps, tends to 0 then. Of a
policy's A and c this bounds what the policy reaches; b > 0 and k - A k > 0 for the pairs of every state, so that every
A is covered, bounds what any policy reaches. k is the sum of A^n 1 until A^n 1 <= 1/2, and no such n is found where
moments are infinite.

Source: Su, Petrik and Grand-Clement 2025 (arXiv 2408.17286) for the recursion; the bounds are this library's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from distrl._lazy import sparse
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.ends import Merged, free_components, made_ending, merged, never_ending, spread_out
from distrl.control.method import Found
from distrl.control.timed.steps import EntropicSteps
from distrl.dp.call import Call

_SWEEPS = 20_000  # at most, unless the call says how many
_POWERS = 20_000  # of A that the last proof looks at


class Bounds(NamedTuple):
    """At one beta: what the policy reaches (S,), what no policy exceeds (S,), the policy, a pair a state."""

    low: FloatArray
    high: FloatArray
    policy: IntArray

    @property
    def gap(self) -> float:
        """The largest difference."""
        return float((self.high - self.low).max())

    def beside(self, other: Bounds) -> Bounds:
        """With the smaller upper ends of another, and its policy where that is not proven to reach less anywhere."""
        high = np.minimum(self.high, other.high)
        return (other if bool((other.low >= self.low).all()) else self)._replace(high=high)


class Undiscounted:
    """The problem at discount 1 for any beta.

    Parameters
    ----------
    pairs : Pairs
        Of a process from every state of which some policy ends.
    means : Found
        The best means: what a policy that surely ends reaches, and what no mean exceeds.
    """

    def __init__(self, pairs: Pairs, means: Found) -> None:
        self.pairs = pairs
        self.small: Merged = merged(pairs, free_components(pairs))
        self.inner, self.steps = Pairs(self.small.mdp), EntropicSteps(self.small.mdp)
        n = self.small.mdp.n_states
        self.above, self.below = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(self.above, self.small.number, means.upper)
        np.maximum.at(self.below, self.small.number, means.lower)
        self._swept: dict[float, FloatArray] = {}  # upper ends at betas below 0, from where others may begin

    def solve(self, b: float, goal: float, call: Call, enough: FloatArray | None = None) -> Bounds:
        """The best policy at beta = b, until its bounds are `goal` apart.

        Parameters
        ----------
        b, goal, call : float, float, Call
            The call counts sweeps.
        enough : (S,), optional
            For b < 0: an upper end below this is near enough.
        """
        sure = b > 0.0 or bool(np.isfinite(self.above).all())  # whether sweeps stay on one side of the best
        values, side = (self._above(b), 1.0) if b < 0.0 and sure else (self.below, -1.0)
        wanted = None if enough is None or not sure else enough
        limit = _SWEEPS if call.max_iterations is None else call.max_iterations
        look, sweeps, rest = 8, 0, False
        found = self._bounds(b, values, sure, 200)
        with call.interruptible():
            while not (rest or sweeps >= limit or found.gap <= goal):
                swept = self.steps.back(b, values, side).values
                if sure:
                    swept = np.minimum(values, swept) if b < 0.0 else np.maximum(values, swept)
                moved, size = float(np.abs(swept - values).max()), float(np.abs(swept).max())
                values, sweeps, rest = swept, sweeps + 1, not moved > 4.0 * EPS * size
                call.count()
                if not np.isfinite(size) or (wanted is not None and (values[self.small.number] <= wanted).all()):
                    break
                if rest or sweeps in (look, limit):
                    look *= 2
                    powers = _POWERS if rest or sweeps == limit else 4 * look
                    found = self._bounds(b, values, sure, powers).beside(found)
        if b < 0.0 and sure:
            self._swept[b] = values
            found = found._replace(high=np.minimum(found.high, values))
        number = self.small.number
        return Bounds(found.low[number], found.high[number], spread_out(self.pairs, self.small, found.policy))

    def _above(self, b: float) -> FloatArray:
        """What no policy exceeds at b < 0: entropic risk rises with beta."""
        nearer = [known for known in self._swept if known >= b]
        return np.minimum(self.above, self._swept[min(nearer)]) if nearer else self.above

    def _bounds(self, b: float, values: FloatArray, sure: bool, powers: int) -> Bounds:
        """The greedy policy of what was reached, and what is proven of it and of all policies."""
        n, choices = len(values), self.small.mdp.choices
        low, high = np.full(n, -np.inf), np.full(n, np.inf)
        policy = self.steps.back(b, values, -1.0).pairs
        if never_ending(self.inner, policy).any():
            policy = made_ending(self.inner, policy)
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            if b < 0.0:
                own = _Moments.of(self.steps, b, values, policy, 1.0)
                k = own.proof(np.arange(n), powers)
                low = low if k is None else _shifted(values, b, own.excess(k), -1.0)
                high = values if sure else high
            else:
                every = _Moments.of(self.steps, b, values, np.arange(len(choices.states)), 1.0)
                k = every.proof(choices.indptr[:-1], powers)
                if k is not None:
                    high = _shifted(values, b, every.excess(k), 1.0)
                    own = _Moments.of(self.steps, b, values, policy, -1.0)
                    low = _shifted(values, b, -own.shortfall(k, every.margin(k)[policy]), -1.0)
        return Bounds(low, high, policy)


class _Moments(NamedTuple):
    """Of some pairs, relative to exp(b values): A (pairs, S) of the outcomes that go on, c (pairs,) of those that end,
    both moved to one side by what rounding and reward laws leave open; the state and the number of terms of each.

    Where rows lack mass it may end, or go on in whichever state y is the worst, after the worst reward: then A f has
    `lacking` (pairs,) times max over y of `anywhere` (S,) f as well, and with c that is `lacking` times 1 at least. For
    lower ends each outcome has that mass less."""

    matrix: sparse.csr_array
    ending: FloatArray
    states: IntArray
    room: FloatArray
    lacking: FloatArray
    anywhere: FloatArray

    @classmethod
    def of(cls, steps: EntropicSteps, b: float, values: FloatArray, pairs: IntArray, side: float) -> _Moments:
        """The upper ends for side 1.0, the lower ones for -1.0."""
        mdp, indptr = steps.mdp, steps.rows
        sizes = np.diff(indptr)[pairs]
        number = np.repeat(np.arange(len(pairs)), sizes)
        rows = np.arange(len(number)) + np.repeat(indptr[pairs] - (np.cumsum(sizes) - sizes), sizes)
        states = mdp.choices.states[pairs]
        rewards = steps.reward_ends(b)[int(side * b > 0.0)][rows]
        on = steps.going_on[rows]
        following = np.where(on, values[steps.next_states[rows]], 0.0)
        here = values[states][number]
        size = abs(b) * (np.abs(rewards) + np.abs(following) + np.abs(here))
        lost, lacking, anywhere = steps.defects[pairs], np.zeros(len(pairs)), np.zeros(len(values))
        probs = steps.probs[rows] if side > 0.0 else np.maximum(steps.probs[rows] - lost[number], 0.0)
        if side > 0.0 and lost.any():
            ends = steps.reward_ends(b)[int(b > 0.0)]
            shift = float(values.max() if b > 0.0 else values.min())  # so that neither factor overflows
            far = float(ends.max() if b > 0.0 else ends.min()) + shift
            room = (1.0 + 16.0 * abs(b) * (abs(far) + float(np.abs(values).max())) * EPS) * (1.0 + 32.0 * EPS)
            end = max(1.0, float(np.exp(-b * shift)))  # of an end, whose value is 0, beside the largest of `anywhere`
            lacking = np.where(lost > 0.0, lost * np.exp(b * (far - values[states])) * end * room, 0.0)
            anywhere = np.exp(b * (values - shift)) * room
        entries = probs * np.exp(b * (rewards + following - here))
        entries = entries * (1.0 + side * (8.0 * size + sizes[number] + 16.0) * EPS)
        matrix = sparse.csr_array(
            (entries[on], (number[on], steps.next_states[rows][on])), shape=(len(pairs), len(values))
        )
        ending = np.bincount(number[~on], weights=entries[~on], minlength=len(pairs))
        return cls(matrix, np.asarray(ending, dtype=np.float64), states, (sizes + 8.0) * EPS, lacking, anywhere)

    def onward(self, f: FloatArray) -> FloatArray:
        """(pairs,) A f, f (S,) at least 0."""
        image = self.matrix @ f
        return np.asarray(image + self.lacking * float((self.anywhere * f).max())) if self.lacking.any() else image

    def proof(self, starts: IntArray, powers: int) -> FloatArray | None:
        """(S,) k = sum of the largest A ... A 1, until the last one is at most 1/2; None if it is not."""
        power = total = np.ones(len(starts))
        for _ in range(powers):
            power = np.maximum.reduceat(self.onward(power), starts)
            total = total + power
            top = float(power.max())
            if top <= 0.5:
                return total if bool((self.margin(total) >= 0.25).all()) else None
            if not top < 1e12:
                return None
        return None

    def margin(self, k: FloatArray) -> FloatArray:
        """(pairs,) k - A k, rounded down."""
        onward = self.onward(k)
        return np.asarray(k[self.states] - onward - self.room * (k[self.states] + onward))

    def excess(self, k: FloatArray) -> FloatArray:
        """(S,) s k with 1 + s k >= A (1 + s k) + c for all pairs."""
        image = self.onward(np.ones(len(k))) + self.ending
        defect = image - 1.0 + self.room * (image + 1.0)
        return np.asarray(max(float((defect / self.margin(k)).max()), 0.0) * (1.0 + 8.0 * EPS) * k)

    def shortfall(self, k: FloatArray, margin: FloatArray) -> FloatArray:
        """(S,) s k with 1 - s k <= A (1 - s k) + c for all pairs, `margin` being a lower bound of k - A k."""
        image = self.matrix @ np.ones(len(k)) + self.ending
        defect = 1.0 - image + self.room * (image + 1.0)
        return np.asarray(max(float((defect / margin).max()), 0.0) * (1.0 + 8.0 * EPS) * k)


def _shifted(values: FloatArray, b: float, moved: FloatArray, side: float) -> FloatArray:
    """values + log(1 + moved) / b, an end on the given side, moved there by the rounding of that."""
    shifted = np.where(moved > -1.0, values + np.log1p(np.maximum(moved, -1.0)) / b, side * np.inf)
    size = np.abs(values) + np.abs(np.where(np.isfinite(shifted), shifted, 0.0))
    return np.asarray(shifted + side * 16.0 * EPS * size)
