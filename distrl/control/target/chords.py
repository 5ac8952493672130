"""The least probability to fall short of a target, P(G < b), enclosed by piecewise linear functions of b.

With u(x, b) = min over policies of P_x(G < b) and T its recursion, `below` is a function below u, and `above` one that
is above its own image under a table of actions, one for each cell of targets. Both hold for what lies between knots.

That a function f with T_c f <= f is above what the table c loses needs no contraction: f is 0 or more, and 1 where a
state's window ends on the right. So f(x, b) >= P(the target leaves a window on the right, or the return ends short),
and what does neither stays bounded while its distance to what is still to come grows by 1 / g a step: it never falls
short. Every sweep keeps T_c f <= f and lowers f, so that `above` belongs to the table at every moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from distrl._kernels import chords as kernels
from distrl._kernels.chords import Choice
from distrl._threads import PARALLEL_SIZE, side_by_side
from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.target.knots import Curve, Knots, Loss
from distrl.control.target.problem import Problem
from distrl.control.target.sure import Sure
from distrl.control.target.sweeps import Layout

_FLAT = Loss(0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Chords:
    """Functions on one lattice, improved in place by `sweep`.

    Attributes
    ----------
    problem : Problem
        Below discount 1.
    sure : Sure
        What is reached for certain, and by which actions.
    highest : (S,)
        What no return exceeds.
    near : float
        Targets that differ by less are one.
    below, above : Curve
    choice : (size,) which of its pairs a state takes in each cell
    waiting : (2, S) bool
        The states that `below` and `above` have to look at.
    """

    problem: Problem
    sure: Sure
    highest: FloatArray
    near: float
    below: Curve
    above: Curve
    choice: Choice
    waiting: BoolArray

    @classmethod
    def of(
        cls, problem: Problem, sure: Sure, highest: FloatArray, near: float, origin: float, spacing: float
    ) -> Chords:
        """What is known without a sweep: 1 beyond all returns, 0 at what is certain."""
        knots = _windows(sure, highest + near, origin, spacing)
        above = np.ones(knots.size)
        above[knots.ptr[:-1]] = 0.0
        below = np.zeros(knots.size)
        below[knots.ptr[1:] - 1] = 1.0
        choice = np.zeros(knots.size, dtype=np.int16)
        return cls._on(problem, sure, highest, near, Curve(knots, below, _FLAT), Curve(knots, above, _FLAT), choice)

    @classmethod
    def _on(
        cls,
        problem: Problem,
        sure: Sure,
        highest: FloatArray,
        near: float,
        below: Curve,
        above: Curve,
        choice: Choice,
    ) -> Chords:
        waiting = np.ones((2, len(highest)), dtype=np.bool_)
        return cls(problem, sure, highest, near, below, above, choice, waiting)

    def finer(self) -> Chords:
        """The same functions, and the same table, on a lattice of half the spacing."""
        old = self.below.knots
        knots = _windows(self.sure, self.highest + self.near, old.origin, old.spacing / 2.0)
        below, above = self.below.on(knots, 2), self.above.on(knots, 2)
        below[knots.ptr[:-1]] = above[knots.ptr[:-1]] = 0.0
        below[knots.ptr[1:] - 1] = above[knots.ptr[1:] - 1] = 1.0
        state = knots.states
        cell = np.clip(knots.positions // 2, old.first[state], old.last[state] - 1)
        choice = self.choice[old.ptr[:-1][state] + cell - old.first[state]]
        room = 4.0 * EPS  # of carrying them over, between knots where they are known
        inner = (below > 0.0) & (below < 1.0)
        below = np.where(inner, below - room, below)
        above = np.where((above > 0.0) & (above < 1.0), np.minimum(above + room, 1.0), above)
        curves = Curve(knots, below, _FLAT), Curve(knots, above, _FLAT)
        return self._on(self.problem, self.sure, self.highest, self.near, *curves, choice)

    @property
    def knots(self) -> Knots:
        """The knots of both functions."""
        return self.below.knots

    @cached_property
    def _layout(self) -> Layout:
        return Layout.of(self.problem, self.knots.origin, self.knots.spacing)

    @cached_property
    def slack(self) -> FloatArray:
        """(S,) what one backup can be wrong by: float64's rounding of sums, and of positions where functions are steep.

        A function rises by at most 1 in a cell, and its kinks weigh 4 at most together.
        """
        knots, choices, g = self.knots, self.problem.mdp.choices, self.problem.g
        rows = np.bincount(self.problem.outcomes.pairs, minlength=len(choices.actions)) + 64.0
        steep = 32.0 * ((knots.reach + self.problem.largest) / knots.spacing + 1.0) / g
        return np.asarray(np.maximum.reduceat((rows + steep) * EPS, choices.indptr[:-1]))

    def sweep(self, order: IntArray, enough: float) -> float:
        """One sweep of each function in place; the largest change of a knot.

        Parameters
        ----------
        order : (S,) int
        enough : float
            States are looked at again when one that they lead to has changed by that.
        """
        found = np.zeros(2)

        def lower() -> None:
            found[0] = self._sweep(True, order, self.below.values, enough)

        def upper() -> None:
            found[1] = self._sweep(False, order, self.above.values, enough)

        if self.knots.size < PARALLEL_SIZE:
            lower()
            upper()
        else:
            side_by_side([lower, upper], None)
        return float(found.max())

    def _sweep(self, below: bool, order: IntArray, values: FloatArray, enough: float) -> float:
        knots, groups, problem = self.knots, self.problem.groups, self.problem
        edges = self.highest + self.near if below else self.sure.least
        return kernels.sweep(
            below,
            order,
            values,
            self.choice,
            knots.ptr,
            knots.first,
            (edges - knots.origin) / knots.spacing,
            problem.mdp.choices.indptr.astype(np.int64),
            groups.group_ptr,
            self._layout.shifts,
            groups.next_ptr,
            groups.next_states,
            groups.probs,
            groups.end_ptr,
            self._layout.ends,
            groups.end_probs,
            problem.g,
            self.near / knots.spacing,
            self.slack,
            int(knots.counts.max()),
            int(knots.last.max() - knots.first.min()) + 3,
            *problem.before,
            self.waiting[0 if below else 1],
            enough,
        )


def _windows(sure: Sure, highest: FloatArray, origin: float, spacing: float) -> Knots:
    """The first cell of each state lies below what is certain, the last one beyond all returns."""
    first = np.floor((sure.least - origin) / spacing).astype(np.int64) - 1
    last = np.floor((highest - origin) / spacing).astype(np.int64) + 2
    return Knots.between(origin, spacing, first, np.maximum(last, first + 2))
