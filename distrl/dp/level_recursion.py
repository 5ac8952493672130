"""The recursion over levels: masses f_k and what lies beyond, s_k, of every state, one level after the other.

One solve with I - P_0 a level, P_0 the moves that pay nothing (off a state's own loop). Where P_0 has no cycle, states
are put in an order in which every solve is a substitution, and many levels are made by one kernel; else
`distrl.dp.resolvent` solves. Only the last levels are kept, as many as the largest reward reaches back, and of the
masses those of the states that are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from distrl._kernels import lattice as kernels
from distrl._lazy import sparse
from distrl._memory import check_memory
from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.dp.call import Call
from distrl.dp.lattice_rows import LatticeRows
from distrl.dp.level_keeping import Gathered, Geometric, Kept, Whole
from distrl.dp.resolvent import Resolvent
from distrl.models.graph import components

_AT_ONCE = 2_000_000  # masses between two looks at progress
_LOOK = 1.25  # times the levels before the last look, after which it is looked again whether the tail is geometric
_DRIFT = 0.1  # of itself, by which the mass beyond the last level may be off


class Reached(NamedTuple):
    """What levels 0..`last` say.

    Attributes
    ----------
    kept : Kept
        The masses f_k of the states that were asked for.
    last : int
    beyond : (S,) the mass beyond the last level
    gap : (S,) the sum over levels of |1 - s_k - (f_0 + ... + f_k)|: what rounding made of two ways to the same CDF
    above : (S,) the sum over levels of s_k
    local : (S,) the sum over levels of what one solve may be off by; 0 where a level is a substitution
    drift : float
        What the mass beyond may be off by, relative to it, because the tail is geometric but for a little.
    """

    kept: Kept
    last: int
    beyond: FloatArray
    gap: FloatArray
    above: FloatArray
    local: FloatArray
    drift: float = 0.0


class Falling(NamedTuple):
    """A tail that falls by `ratio` a level, its last window being within `off` of that, relative to itself."""

    ratio: float
    off: float


@dataclass
class _Done:
    """Whole at every moment: what an interruption leaves."""

    levels: int
    worst: float
    beyond: FloatArray
    totals: FloatArray
    local: FloatArray


@dataclass(frozen=True)
class _Sparse:
    """Rows of a source after each other: where they begin, where they lead, their levels and probabilities."""

    at: IntArray
    to: IntArray
    levels: IntArray
    probs: FloatArray

    @classmethod
    def of(cls, rows: LatticeRows, chosen: np.ndarray, position: IntArray) -> _Sparse:
        """Some of the rows, states renumbered by their `position`."""
        place = position[rows.sources[chosen]]
        order = np.argsort(place, kind="stable")
        at = np.searchsorted(place[order], np.arange(len(position) + 1)).astype(np.int64)
        picked = np.flatnonzero(chosen)[order]
        return cls(at, position[rows.next_states[picked]], np.abs(rows.levels[picked]), rows.probs[picked])

    def sums(self) -> FloatArray:
        """(S,) the probability of a source's rows."""
        return np.add.reduceat(np.append(self.probs, 0.0), self.at[:-1]) * (np.diff(self.at) > 0)


def _unpaid(rows: LatticeRows) -> BoolArray:
    """The moves that pay nothing, but for states' own loops."""
    return np.asarray(~rows.terminals & (rows.levels == 0) & (rows.next_states != rows.sources))


def moves_in_order(rows: LatticeRows, n_states: int) -> bool:
    """Whether moves that pay nothing never come back, so that a level is a substitution and no solve."""
    free = _unpaid(rows)
    return bool(components(rows.sources[free], rows.next_states[free], n_states).sizes.max() == 1)


@dataclass
class LevelRecursion:
    """The recursion of a model whose rewards are of one sign.

    Parameters
    ----------
    rows : LatticeRows
    n_states : int
    states : (n,) whose masses are kept
    reach : (S,) and (S,) levels that no return is below, and none above
    """

    rows: LatticeRows
    n_states: int
    states: IntArray
    reach: tuple[IntArray, IntArray]
    how: str = field(init=False)

    def __post_init__(self) -> None:
        rows, n = self.rows, self.n_states
        going_on = ~rows.terminals
        free = _unpaid(rows)
        found = components(rows.sources[free], rows.next_states[free], n)
        self._ordered = bool(found.sizes.max() == 1)
        self._order = np.argsort(found.height[found.part], kind="stable") if self._ordered else np.arange(n)
        self._position = np.empty(n, dtype=np.int64)
        self._position[self._order] = np.arange(n)
        self._moves = _Sparse.of(rows, free | (going_on & (rows.levels != 0)), self._position)
        self._ends = _Sparse.of(rows, rows.terminals, self._position)
        self._pivots = self._moves.sums() + self._ends.sums()
        self.how = "zero-reward moves in order, one substitution a level"
        self._linear: Resolvent | None = None
        if not self._ordered:
            unpaid = _Sparse.of(rows, free, self._position)
            paid = _Sparse.of(rows, going_on & (rows.levels != 0), self._position)
            matrix = sparse.csr_array((unpaid.probs, unpaid.to, unpaid.at), shape=(n, n))
            terms = np.diff(self._moves.at) + np.diff(self._ends.at)
            excess = paid.sums() + self._ends.sums()
            self._linear = Resolvent(matrix, 1.0, ending=excess, rounding=terms.astype(np.float64))
        width = max(self.largest, 1) + 1
        check_memory(n, width, 2.0, "the rewards have too small a step: use CategoricalFixedPoint(), on a coarser grid")
        self._ring = np.zeros((width, n, 2))
        self._ring[:, :, 1] = 1.0
        self._column = np.full(n, -1, dtype=np.int64)
        self._column[self._position[self.states]] = np.arange(len(self.states))

    @property
    def largest(self) -> int:
        """The largest level of a reward."""
        return int(np.abs(self.rows.levels).max())

    @property
    def relative_error(self) -> float:
        """Of what one solve with I - P_0 gives, beyond the rounding of a substitution; inf by iteration."""
        return 0.0 if self._linear is None else self._linear.relative_error

    def run(
        self, call: Call, enough: float, most: int, keeper: Whole | Gathered, allowed: float = 0.0, gain: float = 1.0
    ) -> Reached:
        """Levels until the mass beyond is at most `enough` at every state, or there are `most` of them.

        Masses go to the `keeper`. One that gathers takes a geometric tail at once, as soon as that costs at most
        `allowed` levels in W1, `gain` being what an error made at every step adds up to at most.
        """
        n, wanted = self.n_states, len(self.states)
        some = min(max(_AT_ONCE // n, 1), keeper.some)
        low, high = (levels[self._order] for levels in self.reach)
        totals, local, masses = np.zeros((n, 3)), np.zeros(n), np.empty((some, wanted))
        done, look, falling = _Done(0, 1.0, np.ones(n), totals.copy(), local.copy()), 0.0, None
        with call.interruptible():
            while done.levels < most and (done.worst > enough or done.levels < 2) and falling is None:
                made, worst = self._make(done.levels, enough, masses[: most - done.levels], totals, local, low, high)
                keeper.take(masses, made, done.levels)
                level = done.levels + made
                last = self._ring[(level - 1) % len(self._ring), :, 1].copy()
                done = _Done(level, worst, last, totals.copy(), local.copy())
                call.count(made)
                call.advance(min(np.log(max(worst, 1e-300)) / np.log(enough), 1.0) if worst < 1.0 else 0.0)
                if allowed > 0.0 and worst > enough and level >= look:
                    look, falling = _LOOK * level, self._falling(level - 1, enough, allowed / gain)
        if self._linear is not None:
            self.how = f"zero-reward moves that come back, by {self._linear.how}"
        if falling is not None and isinstance(keeper, Gathered):
            return self._with_tail(done, keeper, falling, enough)
        levels = max(done.levels, 2)
        beyond, totals, local = (array[self._position] for array in (done.beyond, done.totals, done.local))
        kept = keeper.close(levels, beyond[self.states])
        return Reached(kept, levels - 1, beyond, totals[:, 1], totals[:, 2] + self._skipped(levels), local)

    def _skipped(self, levels: int) -> IntArray | int:
        """(S,) the levels below the smallest return, which are not made."""
        return np.minimum(self.reach[0], levels) if self._linear is None else 0

    def _make(
        self,
        first: int,
        enough: float,
        masses: FloatArray,
        totals: FloatArray,
        local: FloatArray,
        low: IntArray,
        high: IntArray,
    ) -> tuple[int, float]:
        """Levels into the rows of `masses`: how many, and the largest mass beyond the last."""
        moves, ends = self._moves, self._ends
        table = (moves.at, moves.to, moves.levels, moves.probs, ends.at, ends.levels, ends.probs)
        if self._linear is None:
            inner = (self._pivots, low, high, self._column)
            return kernels.levels(first, self._ring, *table, *inner, enough, masses, totals)
        sides, worst = np.empty((2, self.n_states)), 1.0
        for step in range(len(masses)):
            level = first + step
            kernels.level_sides(level, self._ring, *table, sides[0], sides[1])
            row = self._ring[level % len(self._ring)]
            row[:, 0] = np.maximum(self._linear.solve(sides[0]), 0.0) if sides[0].any() else 0.0
            if np.isfinite(self._linear.relative_error):
                beyond = self._linear.solve(sides[1])
                local += self._linear.relative_error * beyond
            else:
                beyond, off = self._linear.enclose(sides[1])
                local += off
            row[:, 1] = np.maximum(beyond, 0.0)
            worst = kernels.keep_level(level, self._ring, self._column, masses[step], totals)
            if worst <= enough and level > 0:
                return step + 1, worst
        return len(masses), worst

    # -- geometric tails --------------------------------------------------------------------------------------------

    def _falling(self, level: int, enough: float, allowed: float) -> Falling | None:
        """How the tail from the last level on falls, if putting a geometric one in its place costs little.

        The recursion is linear, and no mass in it is negative: where the last window, as long as the largest reward
        reaches back, is s_k ratio^-i within a share `off` of itself i levels before k, one more level of it is
        s_k ratio within 2 `off`, and so on.
        """
        width = len(self._ring)
        if level < width + max(width, int(self._ends.levels.max(initial=0))):
            return None
        back = np.arange(width)
        window = self._ring[(level - back) % width, :, 1]
        open_ = window.any(axis=0)
        window = window[:, open_]
        if not window.size or (window <= 0.0).any():
            return None
        ratio = float((window[0].sum() / window[-1].sum()) ** (1.0 / (width - 1)))
        if not 0.0 < ratio < 1.0:
            return None
        like = window[0] * ratio ** -back[:, None].astype(np.float64)
        off = float((np.abs(window - like) / window).max()) + 16.0 * EPS
        found = Falling(ratio, off)
        costs = _share(off) * float(window[0].max()) * ratio / (1.0 - ratio)
        drifts = _share(off) * self._levels_left(found, float(window[0].max()), enough)
        return found if costs <= allowed and drifts <= _DRIFT else None

    @staticmethod
    def _levels_left(falling: Falling, beyond: float, enough: float) -> int:
        return max(math.ceil(math.log(enough / beyond) / math.log(falling.ratio)), 1)

    def _with_tail(self, done: _Done, keeper: Gathered, falling: Falling, enough: float) -> Reached:
        level, ratio = done.levels - 1, falling.ratio
        beyond, totals, local = (array[self._position] for array in (done.beyond, done.totals, done.local))
        last = level + self._levels_left(falling, done.worst, enough)
        kept = keeper.finish(Geometric(level, beyond[self.states], ratio, last))
        last = (kept.masses.shape[1] - 1) * kept.times
        left = last - level
        above = beyond * (ratio / (1.0 - ratio))  # the sum of what is beyond all later levels
        self.how += f"; from level {level} on the tail falls by a factor of {ratio:.12g} a level"
        return Reached(
            kept,
            last,
            beyond * ratio**left,
            totals[:, 1] + np.abs(totals[:, 0]) * left,
            totals[:, 2] + self._skipped(done.levels) + above,
            local + _share(falling.off) * above,
            _share(falling.off) * left,
        )


def _share(off: float) -> float:
    """What one level of a nearly geometric tail is off by, relative to it."""
    return 2.0 * off * (1.0 + 2.0 * off)
