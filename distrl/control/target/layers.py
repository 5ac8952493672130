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
        self.reach = problem.pairs.largest_reward * discounted_steps(problem.g, horizon)
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
        rows, choices = self.problem.outcomes, self.problem.mdp.choices
        starts = np.searchsorted(rows.pairs, np.arange(len(choices.actions)))
        low = high = np.zeros(self.problem.mdp.n_states)
        for _ in range(self.horizon):
            onward = (
                rows.rewards + rows.factors * np.where(rows.terminals, 0.0, end[rows.next_states])
                for end in (low, high)
            )
            low, high = next(onward), next(onward)
            low = np.maximum.reduceat(np.minimum.reduceat(low, starts), choices.indptr[:-1])
            high = np.maximum.reduceat(np.maximum.reduceat(high, starts), choices.indptr[:-1])
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

    def _last(self, layout: Layout) -> Layer:
        """Where no step is left: the loss itself."""
        n, loss, origin, s = self.problem.mdp.n_states, self.goal.loss, self._origin, self.spacing
        start = int(np.floor(-origin / s))
        knots = Knots.between(origin, s, np.full(n, start), np.full(n, start + 1))
        b = knots.points
        value = loss.low * np.minimum(b, 0.0) + loss.high * np.maximum(b, 0.0)
        exact = Curve(knots, value, loss, layout.exact)
        return Layer(exact, exact, np.zeros(knots.size, np.int16))

    def _windows(self, later: Knots) -> tuple[IntArray, IntArray]:
        """(S,) from the first to the last knot that matters: beyond them all later ones go on straight."""
        rows, origin, s = self.problem.outcomes, self._origin, self.spacing
        here = self.problem.mdp.choices.states[rows.pairs]
        starts = np.searchsorted(here, np.arange(self.problem.mdp.n_states))
        own = (rows.rewards - origin) / s
        ends = []
        for end, nearest in ((later.first, np.minimum), (later.last, np.maximum)):
            onward = (rows.rewards - (1.0 - rows.factors) * origin) / s + rows.factors * end[rows.next_states]
            ends.append(nearest.reduceat(np.where(rows.terminals, own, onward), starts))
        first = np.floor(ends[0] + 1e-9).astype(np.int64)
        return first, np.maximum(np.ceil(ends[1] - 1e-9).astype(np.int64), first + 1)

    def _step(self, left: int, layout: Layout, later: Layer) -> Layer:
        """With `left` steps left, from what is known of one less."""
        problem, loss = self.problem, self.goal.loss
        knots = Knots.between(self._origin, self.spacing, *self._windows(later.below.knots))
        largest = loss.high * (self.reach + knots.reach)
        slack = problem.rounding(loss.high, knots.reach + self.reach, largest, 2.0 * self.reach)
        if problem.step is not None:
            slack = slack + loss.high * off_lattice(problem)
        caps = self.means[left]
        sweeper = Sweeper(problem, layout, loss, later.below.knots, knots, caps, slack)
        n, everyone = problem.mdp.n_states, np.arange(problem.mdp.n_states)
        below, above, choice = np.zeros(knots.size), np.zeros(knots.size), np.zeros(knots.size, np.int16)
        sweeper.lower(everyone, later.below.values, below, Marks.all(n))
        sweeper.upper(everyone, later.above.values, above, choice, 0.0, Marks.all(n))
        lower, upper = (Curve(knots, values, loss, layout.exact) for values in (below, above))
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
        layout = Layout.of(self.problem, self._origin, self.spacing)
        layer, tables, choices = self._last(layout), [], self.problem.mdp.choices
        self.knots = 0
        for left in range(1, self.horizon + 1):
            layer = self._step(left, layout, layer)
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

    def run(self, call: Call) -> None:
        """Go through the horizon on finer and finer lattices, until the gap is met."""
        left = np.inf
        while self._pass(call):
            ends, before = self.goal.read(self.first.below, self.first.above, self.sure[self.horizon]), left
            left = float((ends.upper - ends.lower).max())
            if left <= self.enough or self.first.below.exact:
                return
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
