"""Finite horizons: the functions of each step from those of the next one, and an action for each of them.

With h steps left U_h(x, b) = min_a sum p g U_{h - 1}(y, (b - r) / g), U_0(x, b) = l(b). Each function is made once, so
that the upper one belongs to the actions that made it, and nothing has to be certified afterwards. A window is as wide
as the next ones make it, less what is known without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from distrl._kernels.target import Choice
from distrl._memory import available_memory
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.target.goals import Goal
from distrl.control.target.knots import Curve, Knots, trimmed
from distrl.control.target.parts import Side
from distrl.control.target.problem import Problem
from distrl.control.target.rule import ActionTable
from distrl.control.target.sure import Sure
from distrl.control.target.sweeps import Layout, Marks, Sweeper, off_lattice
from distrl.dp.call import Call
from distrl.models.stages import discounted_steps

_COARSEST = 64  # cells of the range of returns
_WHOLE = 4096  # cells of the range, for which all returns at discount 1 are taken where they lie on a lattice
_FINEST = 2.0**26  # cells of the range, at which float64 begins to be felt
_MOST = 2**24  # knots of all steps, of a lattice with more cells than that
_LITTLE = 0.9  # of the gap is left by a finer lattice: that gains nothing
_SHARE = 1.0 / 20.0  # of the gap, in loss, that windows may leave out
_JUMP = 4  # times finer, a lattice after another one at most
_ROUNDED = 0.4  # of the gap, that rounding rewards may be held responsible for, else they are cut finer
_PARTS, _ROW_BYTES = 2**14, 200.0  # of a law of rewards at most, and what each takes
_EXACT = 2e-12  # of the range of returns, is the gap where targets stay on a lattice


@dataclass(frozen=True, eq=False)
class Layer:
    """With some steps left: functions below U and above the loss of what is played, and what is played."""

    below: Curve
    above: Curve
    choice: Choice


class Layers:
    """All steps of a horizon, on finer and finer lattices; `first` and `tables` are those of the last whole one.

    Parameters
    ----------
    problem, goal : Problem, Goal
    horizon : int
    cells : int or None
        Of the range of returns, on the finest lattice; None: as long as they are worth it.
    tol : float or None
        What the gap is to be at most; None: 1% of the range.
    """

    def __init__(self, problem: Problem, goal: Goal, horizon: int, cells: int | None, tol: float | None) -> None:
        self.problem, self.goal, self.horizon = problem, goal, horizon
        self.over = problem.beside(Side.UP, problem.parts)
        self.steps = discounted_steps(problem.g, horizon)
        self.reach = max(problem.largest, self.over.largest) * self.steps
        self.width = self._width()
        self.by_itself, self.finest = cells is None, self.width / (cells or _FINEST)
        self.stays = problem.step is not None and problem.step >= self.width / (cells or _WHOLE)
        self.enough = (_EXACT if self.stays else 0.01) * self.width if tol is None else tol
        self.means = self._means()
        self.sure = self._sure()
        self.stopped = ""
        self.spacing = self._spacing()
        self.tables: tuple[ActionTable, ...] = ()
        self.done, self.knots = False, 0
        self.first = self._anything()

    # -- before any step ----------------------------------------------------------------------------------------------

    def _width(self) -> float:
        """From the largest return of any policy to the largest that one can be sure of."""
        low = high = np.zeros(self.problem.mdp.n_states)
        for _ in range(self.horizon):
            low = _farthest(self.problem, low, np.minimum)
            high = _farthest(self.over, high, np.maximum)
        wide = float(high.max() - low.min())
        return wide if wide > 0.0 else (self.reach or 1.0)

    def _means(self) -> list[FloatArray]:
        """At least the largest mean, with 0, 1, ..., H steps left."""
        pairs = self.problem.pairs
        values = np.zeros(self.problem.mdp.n_states)
        means = [values]
        for _ in range(self.horizon):
            backup = pairs.backup(values)
            values = pairs.largest(backup.values + backup.error)
            means.append(values)
        return means

    def _sure(self) -> list[Sure]:
        """With 0, 1, ..., H steps left; where targets stay on the knots all is known without."""
        if self.stays or self.goal.loss.low > 0.0:
            return [Sure.nothing(self.problem, mean) for mean in self.means]
        return Sure.by_steps(self.problem, self.means)

    def _spacing(self) -> float:
        step = self.problem.step
        if self.stays and step is not None:
            return step
        unit = 1.0 if step is None else step
        return float(unit * 2.0 ** np.floor(np.log2(self.width / _COARSEST / unit)))

    @property
    def _origin(self) -> float:
        step = self.problem.step
        if self.goal.by_level or not self.stays or step is None:
            return 0.0
        target = float(self.goal.parameters[0])
        rest = target - np.rint(target / step) * step
        return float(rest) if abs(rest) > 64.0 * EPS * max(abs(target), step) else 0.0

    def _anything(self) -> Layer:
        """What is certain of every policy: no return is larger in size than `reach`."""
        n, loss, spacing = self.problem.mdp.n_states, self.goal.loss, self.reach or 1.0
        ends = np.full(n, -2), np.full(n, 2)
        knots = Knots.between(0.0, spacing, *ends)
        low, turn, far = loss.low, loss.high - loss.low, self.reach * (1.0 + 8.0 * EPS)
        below = low * (knots.points - far) + turn * np.maximum(knots.points - spacing, 0.0)
        above = low * (knots.points + far) + turn * np.maximum(knots.points + far, 0.0)
        room = 16.0 * EPS * loss.high * (far + spacing)
        return Layer(Curve(knots, below - room, loss), Curve(knots, above + room, loss), np.zeros(knots.size, np.int16))

    # -- one lattice --------------------------------------------------------------------------------------------------

    def _last(self) -> Layer:
        """Where no step is left: the loss itself."""
        n, loss, origin, s = self.problem.mdp.n_states, self.goal.loss, self._origin, self.spacing
        start = int(np.floor(-origin / s))
        knots = Knots.between(origin, s, np.full(n, start), np.full(n, start + 1))
        b = knots.points
        value = loss.low * np.minimum(b, 0.0) + loss.high * np.maximum(b, 0.0)
        exact = Curve(knots, value, loss, Layout.of(self.problem, origin, s).exact)
        return Layer(exact, exact, np.zeros(knots.size, np.int16))

    def _windows(self, later: Knots) -> tuple[IntArray, IntArray]:
        """(S,) from the first to the last knot that matters: beyond them all later ones go on straight."""
        origin, s = self._origin, self.spacing
        ends = []
        for problem, end, nearest in ((self.problem, later.first, np.minimum), (self.over, later.last, np.maximum)):
            rows = problem.outcomes
            here = problem.mdp.choices.states[rows.pairs]
            starts = np.searchsorted(here, np.arange(problem.mdp.n_states))
            own = (rows.rewards - origin) / s
            onward = (rows.rewards - (1.0 - rows.factors) * origin) / s + rows.factors * end[rows.next_states]
            ends.append(nearest.reduceat(np.where(rows.terminals, own, onward), starts))
        first = np.floor(ends[0] + 1e-9).astype(np.int64)
        return first, np.maximum(np.ceil(ends[1] - 1e-9).astype(np.int64), first + 1)

    def _sweeper(self, problem: Problem, given: Knots, knots: Knots, caps: FloatArray) -> Sweeper:
        loss, layout = self.goal.loss, Layout.of(problem, self._origin, self.spacing)
        largest = loss.high * (self.reach + knots.reach)
        slack = problem.rounding(loss.high, knots.reach + self.reach, largest, 2.0 * self.reach)
        if problem.step is not None:
            slack = slack + loss.high * off_lattice(problem)
        return Sweeper(problem, layout, loss, given, knots, caps, slack)

    def _step(self, left: int, later: Layer) -> Layer:
        """With `left` steps left, from what is known of one less."""
        loss, caps = self.goal.loss, self.means[left]
        knots = Knots.between(self._origin, self.spacing, *self._windows(later.below.knots))
        sweeper, under = (self._sweeper(each, later.below.knots, knots, caps) for each in (self.problem, self.over))
        n, slack = len(caps), under.slack
        below, above, choice = np.zeros(knots.size), np.zeros(knots.size), np.zeros(knots.size, np.int16)
        under.lower(np.arange(n), later.below.values, below, Marks.all(n))
        sweeper.upper(np.arange(n), later.above.values, above, choice, 0.0, Marks.all(n))
        lower, upper = (Curve(knots, values, loss, sweeper.layout.exact) for values in (below, above))
        first, last = trimmed(upper, caps, _SHARE * self.goal.scale * self.enough)
        small = Knots.between(knots.origin, knots.spacing, first, last)
        kept = small.positions - knots.first[small.states] + knots.ptr[:-1][small.states]
        values = below[kept]
        for place, slope in ((small.ptr[:-1], loss.low), (small.ptr[1:] - 1, loss.high)):
            values[place] = np.minimum(values[place], slope * (small.points[place] - caps) - slack)
        return Layer(
            replace(lower, knots=small, values=values), replace(upper, knots=small, values=above[kept]), choice[kept]
        )

    def _pass(self, call: Call) -> bool:
        """All steps on one lattice; False where the tables do not fit in memory."""
        layer, tables, choices = self._last(), [], self.problem.mdp.choices
        self.knots = 0
        for left in range(1, self.horizon + 1):
            layer = self._step(left, layer)
            knots = layer.below.knots
            self.knots += knots.size
            if 2.0 * knots.size * (self.horizon - left) + 100.0 * knots.size > available_memory():
                self.stopped = (
                    f"tables of {self.horizon} steps, of {knots.size} knots each, do not fit in memory; raise tol"
                )
                return False
            actions = choices.actions[choices.indptr[:-1][knots.states] + layer.choice].astype(np.int16)
            tables.append(ActionTable(knots.first, knots.ptr, actions, *self.sure[left].played))
            call.count()
            call.advance(left / self.horizon)
        self.first, self.tables, self.done = layer, tuple(reversed(tables)), True
        return True

    @property
    def anything(self) -> tuple[ActionTable, ...]:
        """Tables with the first action of every state, for where no lattice was done."""
        knots, choices = self.first.below.knots, self.problem.mdp.choices
        actions = choices.actions[choices.indptr[:-1]][knots.states].astype(np.int16)
        return tuple(ActionTable(knots.first, knots.ptr, actions, *sure.played) for sure in self.sure[:0:-1])

    def _split(self, gap: float) -> bool:
        """Cut laws of rewards into more parts, where rounding them may be what most of the gap comes from."""
        lost = float((self.over.expected - self.problem.expected).max()) * self.steps
        parts = self.problem.parts * (2 if lost <= 4.0 * _ROUNDED * gap else 4)
        rows = len(self.problem.outcomes.probs) / self.problem.parts * parts
        if lost <= _ROUNDED * gap or parts > _PARTS or _ROW_BYTES * rows > available_memory():
            return False
        self.problem, self.over = (each.beside(each.side, parts) for each in (self.problem, self.over))
        return True

    def run(self, call: Call) -> None:
        """Go through the horizon on finer and finer lattices, until the gap is met."""
        left = np.inf
        while self._pass(call):
            ends, before = self.goal.read(self.first.below, self.first.above, self.sure[self.horizon]), left
            left = float((ends.upper - ends.lower).max())
            if left <= self.enough or self.first.below.exact:
                return
            if self.problem.rounded and self._split(left):
                continue
            finer = 2.0 ** np.ceil(0.5 * np.log2(left / self.enough))
            spacing = self.spacing / min(max(finer, 2.0), _JUMP)
            while spacing < self.finest * (1.0 - 1e-9) and spacing < self.spacing:
                spacing *= 2.0
            if spacing >= self.spacing:
                more = "raise tol" if self.by_itself else "raise cells"
                self.stopped = f"the finest lattice, of {self.finest:.3g} a cell, is not fine enough; {more}"
            elif self.by_itself and left > _LITTLE * before:
                self.stopped = "a coarser lattice had a gap that was hardly larger; raise tol"
            elif self.by_itself and self.knots * self.spacing > _MOST * spacing and self.width > _WHOLE * spacing:
                self.stopped = (
                    f"a finer lattice has {self.knots * self.spacing / spacing:.3g} knots, which takes long: "
                    "TargetDP(cells=) goes on, or raise tol"
                )
            if self.stopped:
                return
            self.spacing = float(spacing)


def _farthest(problem: Problem, values: FloatArray, worst: np.ufunc) -> FloatArray:
    """(S,) the largest of each state's pairs, of their smallest, or largest, r + g value."""
    rows, choices = problem.outcomes, problem.mdp.choices
    starts = np.searchsorted(rows.pairs, np.arange(len(choices.actions)))
    onward = rows.rewards + rows.factors * np.where(rows.terminals, 0.0, values[rows.next_states])
    return np.asarray(np.maximum.reduceat(worst.reduceat(onward, starts), choices.indptr[:-1]))
