"""From coarse to fine: functions that enclose the smallest loss, on lattices of halved spacing, until the gap is met.

Every sweep leaves functions that enclose U. A finer lattice carries the same functions over. What windows leave out is
known without them to a share of the gap; they grow where it is not.

Rewards of infinitely many values are rounded up for the function below: U rises with b, so that T U rounded up is at
most U, and so is T f for every f below U. For the function above they are rounded down, see `certify`.
"""

from dataclasses import replace

import numpy as np

from distrl._kernels.target import Choice
from distrl._memory import available_memory
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.target.goals import Ends, Goal
from distrl.control.target.knots import Curve, Knots, trimmed
from distrl.control.target.parts import Side
from distrl.control.target.problem import Known, Problem
from distrl.control.target.sure import Sure
from distrl.control.target.sweeps import Bracket, Marks, Sweeper, sweeper_for
from distrl.dp.call import Call

_COARSEST = 64  # cells of the range of returns, of the first lattice
_WHOLE = 4096  # cells of the range, for which all returns at discount 1 are taken where they lie on a lattice
_FINEST = 2.0**26  # cells of the range, at which float64 begins to be felt
_MOST = 2**22  # knots of all states, of a lattice with more cells than that: a sweep takes a good part of a second then
_LITTLE = 0.9  # of the gap is left by half the spacing: twice in a row, and no finer lattice is tried
_CERTAIN = 1e-6  # of the range of returns: a standard deviation below that is none
_NOISE = 2.5  # standard deviations of what one step adds to a return, of which the first spacing may be no more
_SDS = 8.0  # of the mean-optimal policy's return, that first windows reach
_SHARE = 1.0 / 20.0  # of the gap, in loss, that windows may leave out
_TOLL = 0.002  # of the gap, in loss, that what each step costs more may add up to
_IGNORED = 0.02  # of the gap, in loss, that changes which nobody is told of may add up to
_SLOW = 0.4  # of what discounting alone takes off the gap in two sweeps: a lattice where they take less is left
_SLOW_LAST, _SLOW_EXACT = 0.998, 0.999  # of the gap: on the last lattice, and where the lattice itself costs nothing
_WORTH = 0.9  # of the gap that was left before windows grew is left where it is worth to go on
_ALMOST = 0.85  # of the gap is what the search is for: fixing its actions costs a little
_BYTES = 160.0  # a knot, while functions are carried to another lattice
_ROUNDED = 0.4  # of the gap, that rounding rewards may be held responsible for, else they are cut finer
_PARTS, _ROW_BYTES = 2**14, 200.0  # of a law of rewards at most, and what each takes
_EXACT = 2e-12  # of the range of returns, is the gap where targets stay on a lattice


class Search:
    """The state of a search: `bracket` is whole at every moment, since Ctrl-C may come at any; `stopped` says why it
    ended before the gap was met.

    Parameters
    ----------
    problem, known, goal : Problem, Known, Goal
        Rewards of infinitely many values rounded down, in ever finer parts.
    cells : int or None
        Of the range of returns, on the finest lattice; None: as long as they are worth it.
    tol : float or None
        What the gap is to be at most; None: 1% of the range, and what can be had where targets stay on a lattice.
    """

    def __init__(self, problem: Problem, known: Known, goal: Goal, cells: int | None, tol: float | None) -> None:
        self.problem, self.known, self.goal = problem, known, goal
        self.over = problem.beside(Side.UP, problem.parts)
        self.by_itself, self.finest = cells is None, known.width / (cells or _FINEST)
        whole = known.width / (cells or _WHOLE)
        step, sd = problem.step, known.moments.sd[known.moments.sd > _CERTAIN * known.width]
        noise = _NOISE * float(np.median(sd)) / known.steps**0.5 if sd.size else np.inf
        self.unit = 1.0 if step is None or step < whole else step
        coarse = np.floor(np.log2(min(known.width / _COARSEST, noise) / self.unit))
        spacing = self.unit * 2.0 ** max(coarse, np.ceil(np.log2(self.finest / self.unit) - 1e-9))
        if step is not None:
            spacing = max(spacing, step)
        self.stays = step is not None and step >= whole
        self.enough = (_EXACT if self.stays else 0.01) * known.width if tol is None else tol
        self.toll = _TOLL * goal.scale * self.enough / known.steps
        self.ignored = _IGNORED * goal.scale * self.enough / known.steps
        plain = goal.loss.low == 0.0  # else what is met for certain is not all that counts
        self.sure = (Sure.of if plain else Sure.nothing)(problem, known.largest_mean)
        self.order = np.argsort(-known.largest_mean, kind="stable")
        self.stopped, self.widened, self.left, self.vain = "", np.inf, np.inf, 0
        self.bracket = self._first(spacing)
        self.toll = max(self.toll, 4.0 * float(self.bracket.sweeper.slack.max()))

    # -- the first lattice --------------------------------------------------------------------------------------------

    def _origin(self) -> float:
        """A target of which there is to be a knot."""
        if self.goal.by_level:
            return 0.0
        target, step = float(self.goal.parameters[0]), self.problem.step
        if step is None:
            return target
        rest = target - np.rint(target / step) * step
        return float(rest) if abs(rest) > 64.0 * EPS * max(abs(target), step) else 0.0

    def _first(self, spacing: float) -> Bracket:
        known, origin = self.known, self._origin()
        moments = known.moments
        low = np.maximum(moments.low, moments.mean - _SDS * moments.sd)
        high = np.minimum(moments.high, moments.mean + _SDS * moments.sd)
        high = np.maximum(high, known.largest_mean)
        first = np.floor((low - origin) / spacing).astype(np.int64)
        last = np.maximum(np.ceil((high - origin) / spacing).astype(np.int64), first + 1)
        knots = Knots.between(origin, spacing, first, last)
        above = self._scarf(knots)
        size = float(np.abs(above).max())
        sweeper, under = self._sweepers(knots, size)
        exact = sweeper.layout.exact
        room = sweeper.slack[knots.states] + self._start_room(knots)
        below, above = self._jensen(knots, exact) - room, above + room
        return self._bracket(sweeper, under, below, above, self._mean_choice(knots))

    def _sweepers(self, knots: Knots, size: float) -> tuple[Sweeper, Sweeper]:
        """For the function above and the one below."""
        known, loss = self.known, self.goal.loss
        sweeper = sweeper_for(self.problem, loss, knots, known.largest_mean, known.spread, size)
        if self.over is self.problem:
            return sweeper, sweeper
        return sweeper, sweeper_for(self.over, loss, knots, known.largest_mean, known.spread, size)

    def _start_room(self, knots: Knots) -> float:
        """What rounding targets less means can cost."""
        return 16.0 * EPS * self.goal.loss.high * (knots.reach + float(np.abs(self.known.largest_mean).max()))

    def _mean_choice(self, knots: Knots) -> Choice:
        """The mean-optimal policy's pairs at all knots."""
        choices = self.problem.mdp.choices
        played = np.flatnonzero(choices.actions == self.known.actions[choices.states]) - choices.indptr[:-1]
        return played[knots.states].astype(np.int16)

    @property
    def mean_optimal(self) -> tuple[Curve, Choice]:
        """What is known of the mean-optimal policy without any sweep: a function above its loss, and its pairs."""
        bracket, knots = self.bracket, self.bracket.knots
        values = self._scarf(knots) + bracket.sweeper.slack[knots.states] + self._start_room(knots)
        return replace(bracket.above, values=values), self._mean_choice(knots)

    def _bracket(
        self, sweeper: Sweeper, under: Sweeper, below: FloatArray, above: FloatArray, choice: Choice
    ) -> Bracket:
        knots, exact, loss, n = sweeper.knots, sweeper.layout.exact, self.goal.loss, len(sweeper.caps)
        marks = Marks.all(n, self.ignored), Marks.all(n, self.ignored)
        curves = Curve(knots, below, loss, exact), Curve(knots, above, loss, exact)
        return Bracket(*curves, choice, sweeper, under, marks)

    def _jensen(self, knots: Knots, exact: bool) -> FloatArray:
        """The loss at V*; its kink moved to the next knot, where chords count."""
        loss, mean = self.goal.loss, self.known.largest_mean[knots.states]
        kink = mean if exact else knots.origin + knots.spacing * np.ceil((mean - knots.origin) / knots.spacing)
        over = knots.points - kink
        return np.asarray(loss.low * (knots.points - mean) + (loss.high - loss.low) * np.maximum(over, 0.0))

    def _scarf(self, knots: Knots) -> FloatArray:
        """The largest loss of a law with the mean-optimal policy's mean, variance and range."""
        loss, moments, state = self.goal.loss, self.known.moments, knots.states
        over = knots.points - self.known.least_mean[state]
        root = np.hypot(over, moments.sd[state])
        with np.errstate(invalid="ignore", divide="ignore"):
            far = moments.variance_high[state] / (root - over)
        put = 0.5 * np.where(over > 0.0, over + root, np.where(root > over, far, 0.0))
        put = np.where(knots.points <= moments.low[state], 0.0, put)
        put = np.where(knots.points >= moments.high[state], np.maximum(over, 0.0), put)
        return np.asarray(loss.low * over + (loss.high - loss.low) * put)

    # -- other lattices -----------------------------------------------------------------------------------------------

    def _windows(self, factor: int) -> tuple[IntArray, IntArray]:
        """First and last knots of the next windows, on this lattice: without what is known, and with what is missing.

        Where nothing else changes they only grow.
        """
        above, known = self.bracket.above, self.known
        knots, (low, high) = above.knots, self.goal.loss
        enough = _SHARE * self.goal.scale * self.enough
        first, last = (knots.first, knots.last) if factor == 1 else trimmed(above, known.largest_mean, enough)
        ends = knots.origin + knots.spacing * np.stack([knots.first, knots.last])
        over = ends - known.largest_mean
        noise = 2.0 * (self.toll + self.bracket.sweeper.slack) * known.steps
        missing = np.maximum(
            np.maximum(4.0 * enough, noise), 0.25 * self.goal.scale * np.ptp(self.ends[:2], axis=0)[:, 0]
        )
        left = above.values[knots.ptr[:-1]] - low * over[0] > missing
        right = above.values[knots.ptr[1:] - 1] - high * over[1] > missing
        more = np.maximum(knots.counts // 2, 4)
        with np.errstate(invalid="ignore"):
            least = np.floor((known.moments.low - knots.origin) / knots.spacing)
            most = np.ceil((known.moments.high - knots.origin) / knots.spacing)
        first = np.where(left, np.minimum(np.maximum(first - more, least), first), first).astype(np.int64)
        last = np.where(right, np.maximum(np.minimum(last + more, most), last), last).astype(np.int64)
        return first, last

    def _moved(self, factor: int) -> bool:
        """Carry the functions to windows that fit, on a lattice `factor` times finer; whether that was done."""
        old, known, loss = self.bracket, self.known, self.goal.loss
        first, last = self._windows(factor)
        if factor == 1 and np.array_equal(first, old.knots.first) and np.array_equal(last, old.knots.last):
            return False
        knots = Knots.between(old.knots.origin, old.knots.spacing / factor, factor * first, factor * last)
        if _BYTES * knots.size > available_memory():
            self.stopped = f"a finer lattice, of {knots.size} knots, does not fit in memory; raise tol"
            return False
        many = knots.size > max(_MOST, old.knots.size) and known.width > _WHOLE * knots.spacing
        if self.by_itself and many:
            self.stopped = (
                f"a finer lattice has {knots.size} knots, which takes long: TargetDP(cells=) goes on, or raise tol"
            )
            return False
        above, below = old.above.on(knots, factor), old.below.on(knots, factor)
        size = float(max(np.abs(above).max(), np.abs(below).max()))
        sweeper, under = self._sweepers(knots, size)
        room = np.maximum(sweeper.slack, under.slack)[knots.states]
        above, below = above + room, below - room
        for place, slope in ((knots.ptr[:-1], loss.low), (knots.ptr[1:] - 1, loss.high)):
            line = slope * (knots.points[place] - known.largest_mean) - under.slack
            below[place] = np.minimum(below[place], line)
        state = knots.states
        cell = np.clip(knots.positions // factor, old.knots.first[state], old.knots.last[state])
        choice = old.choice[old.knots.ptr[:-1][state] + cell - old.knots.first[state]]
        self.bracket = self._bracket(sweeper, under, below, above, choice)
        return True

    def _split(self) -> bool:
        """Cut laws of rewards into more parts, where rounding them may be what most of the gap comes from: what a step
        loses by it adds up as rewards do. What was found encloses the loss for finer parts too, which are closer to it.
        """
        lost = float((self.over.expected - self.problem.expected).max()) * self.known.steps
        parts, gap = self.problem.parts, float(np.ptp(self.ends[:2], axis=0).max())
        if lost <= _ROUNDED * gap:
            return False
        parts *= 2 if lost <= 4.0 * _ROUNDED * gap else 4
        rows = len(self.problem.outcomes.probs) / self.problem.parts * parts
        if parts > _PARTS or _ROW_BYTES * rows > available_memory():
            self.vain += 1  # what lattices can still do
            return False
        self.problem, self.over = (each.beside(each.side, parts) for each in (self.problem, self.over))
        bracket = self.bracket
        size = float(max(np.abs(bracket.above.values).max(), np.abs(bracket.below.values).max()))
        sweepers = self._sweepers(bracket.knots, size)
        self.bracket = self._bracket(*sweepers, bracket.below.values, bracket.above.values, bracket.choice)
        return True

    def finer(self) -> bool:
        """Go on to the next lattice; False where there is none."""
        if self.bracket.sweeper.layout.exact:
            before, self.widened = self.widened, float(np.ptp(self.ends[:2], axis=0).max())
            if self.widened < _WORTH * before and self._moved(1):
                return True
            if not self.stopped and self.widened > self.enough:
                self.stopped = "more sweeps and wider windows gain nothing"
            return False
        if self.problem.rounded and self._split():
            return True
        half, before = self.bracket.knots.spacing / 2.0, self.left
        self.left = float(np.ptp(self.ends[:2], axis=0).max())
        self.vain = self.vain + 1 if self.left > _LITTLE * before else 0
        if self.by_itself and self.vain >= 2:
            self.stopped = "lattices of 4 and 2 times the spacing had a gap that was hardly larger; raise tol"
            return False
        if half < self.finest * (1.0 - 1e-9):
            more = "raise tol" if self.by_itself else "raise cells"
            self.stopped = f"the finest lattice, of {self.finest:.3g} a cell, is not fine enough; {more}"
            return False
        return self._moved(2)

    # -- the work -----------------------------------------------------------------------------------------------------

    @property
    def ends(self) -> Ends:
        """What the functions say of the best values, the upper one of some policy."""
        return self.goal.read(self.bracket.below, self.bracket.above, self.sure)

    def run(self, call: Call) -> None:
        """Sweep and refine until the gap is met, nothing finer is left, or the call's limit."""
        limit = np.inf if call.max_iterations is None else call.max_iterations
        enough = self.enough if self.stays else _ALMOST * self.enough
        before = np.inf, np.inf
        while True:
            for order in (self.order, np.ascontiguousarray(self.order[::-1])):
                if call.iterations >= limit:
                    self.stopped = f"the limit of {call.max_iterations} sweeps was reached"
                    return
                self.bracket.swept(order, self.toll)
                call.count()
            ends = self.goal.read(self.bracket.below, self.bracket.above, self.sure, quick=True)
            gaps = ends.upper - ends.lower
            now = float(gaps.max()), float(gaps.mean())
            call.report(now[0], self.enough)
            if now[0] <= enough:
                return
            last = self.bracket.knots.spacing < 2.0 * self.finest * (1.0 - 1e-9)
            slow = _SLOW_LAST if last else 1.0 - _SLOW * min(0.25, 4.0 / self.known.steps)
            slow = _SLOW_EXACT if self.bracket.sweeper.layout.exact else slow
            if self.bracket.settled or (now[0] > slow * before[0] and now[1] > slow * before[1]):
                before = np.inf, np.inf
                if float(np.ptp(self.ends[:2], axis=0).max()) <= enough or not self.finer():
                    return
            else:
                before = now
