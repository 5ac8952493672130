"""Functions that enclose the smallest loss on one lattice, and the sweeps that improve them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from distrl._kernels import target as kernels
from distrl._kernels.target import Choice
from distrl._threads import PARALLEL_SIZE, side_by_side
from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.target.knots import Curve, Knots, Loss
from distrl.control.target.problem import Problem


class Layout(NamedTuple):
    """What sweeps on one lattice share: positions of rewards in units of the spacing, and how large scratch has to be.

    Attributes
    ----------
    shifts, ends : positions of the rewards of groups, and of outcomes that end
    exact : whether targets never leave the knots
    """

    shifts: FloatArray
    ends: FloatArray
    exact: bool

    @classmethod
    def of(cls, problem: Problem, origin: float, spacing: float) -> "Layout":
        """Of a lattice; exact where discount 1 and a spacing that divides all rewards make it so."""
        groups = problem.groups
        if problem.step is None:
            shifts = (groups.rewards - (1.0 - groups.factors) * origin) / spacing
            return cls(shifts, (groups.ends - origin) / spacing, False)
        ratio = problem.step / spacing  # a power of 2, and multiples of it are exact
        shifts = np.rint(groups.rewards / problem.step) * ratio
        ends = np.rint(groups.ends / problem.step) * ratio - origin / spacing
        return cls(shifts, ends, spacing == problem.step)


class Marks(NamedTuple):
    """Which states a sweep has to look at, since one that they lead to has changed by `enough`.

    Attributes
    ----------
    waiting : (S,) bool
    owed : (S,) what each has changed by that nobody was told
    enough : float
    """

    waiting: BoolArray
    owed: FloatArray
    enough: float

    @classmethod
    def all(cls, n_states: int, enough: float = np.inf) -> "Marks":
        """Every state is to be looked at."""
        return cls(np.ones(n_states, dtype=np.bool_), np.zeros(n_states), enough)


@dataclass(frozen=True, eq=False)
class Sweeper:
    """One sweep over states on one lattice, from functions on `given` to functions on `knots`.

    Attributes
    ----------
    problem : Problem
    layout : Layout
    loss : Loss
    given, knots : Knots
        The same where functions are replaced state by state; with a horizon those of one step less, and of this one.
    caps : (S,)
        At least V*.
    slack : (S,)
        What one backup may be wrong by.
    """

    problem: Problem
    layout: Layout
    loss: Loss
    given: Knots
    knots: Knots
    caps: FloatArray
    slack: FloatArray

    def lower(self, order: IntArray, f: FloatArray, out: FloatArray, marks: Marks) -> tuple[float, float]:
        """A function below U from another one; returns the largest rise and fall of `out`."""
        empty = np.empty(0, dtype=np.int16)
        return self._sweep(kernels.LOWER, order, f, out, empty, self.slack, marks)

    def upper(
        self, order: IntArray, f: FloatArray, out: FloatArray, choice: Choice, toll: float, marks: Marks
    ) -> tuple[float, float]:
        """A function above the loss of a policy from another one, and its actions; every step costs `toll` more."""
        mode = kernels.KNOTS if self.layout.exact else kernels.UPPER
        return self._sweep(mode, order, f, out, choice, self.slack + toll, marks)

    def fixed(
        self, order: IntArray, f: FloatArray, out: FloatArray, choice: Choice, toll: float, marks: Marks
    ) -> tuple[float, float]:
        """The same for the actions that are given."""
        mode = kernels.KNOTS_FIXED if self.layout.exact else kernels.FIXED
        return self._sweep(mode, order, f, out, choice, self.slack + toll, marks)

    def _sweep(
        self,
        mode: int,
        order: IntArray,
        f: FloatArray,
        out: FloatArray,
        choice: Choice,
        slack: FloatArray,
        marks: Marks,
    ) -> tuple[float, float]:
        groups, given, knots = self.problem.groups, self.given, self.knots
        spread = int(given.last.max() - given.first.min()) + 3
        return kernels.sweep(
            mode,
            order,
            f,
            given.ptr,
            given.first,
            out,
            knots.ptr,
            knots.first,
            choice,
            self.problem.mdp.choices.indptr.astype(np.int64),
            groups.group_ptr,
            self.layout.shifts,
            groups.masses,
            groups.next_ptr,
            groups.next_states,
            groups.probs,
            groups.end_ptr,
            self.layout.ends,
            groups.end_probs,
            groups.factors,
            knots.spacing,
            *self.loss,
            (self.caps - knots.origin) / knots.spacing,
            slack,
            int(knots.counts.max()),
            spread,
            not self.layout.exact,
            self.layout.exact and out is f and mode != kernels.KNOTS_FIXED,
            self.problem.rounded,
            *self.problem.before,
            marks.waiting,
            marks.owed,
            marks.enough,
        )


@dataclass(frozen=True, eq=False)
class Bracket:
    """Functions that enclose U on one lattice, and the actions of the last sweep for the upper one.

    Attributes
    ----------
    below, above : Curve
    choice : (size,) which of its pairs a state takes in each cell, or at each knot of an exact lattice
    sweeper, under : Sweeper
        For the upper and the lower function; two where rewards are rounded, down and up.
    marks : (Marks, Marks)
        For the lower and the upper function.
    """

    below: Curve
    above: Curve
    choice: Choice
    sweeper: Sweeper
    under: Sweeper
    marks: tuple[Marks, Marks]

    @property
    def knots(self) -> Knots:
        """The knots of both."""
        return self.below.knots

    def swept(self, order: IntArray, toll: float) -> None:
        """One sweep of each in place, side by side where they are large."""
        below, above = self.below.values, self.above.values

        def lower() -> None:
            self.under.lower(order, below, below, self.marks[0])

        def upper() -> None:
            self.sweeper.upper(order, above, above, self.choice, toll, self.marks[1])

        if self.knots.size < PARALLEL_SIZE:
            lower()
            upper()
        else:
            side_by_side([lower, upper], None)

    @property
    def settled(self) -> bool:
        """Whether another sweep would change nothing that counts."""
        return not any(marks.waiting.any() for marks in self.marks)


def sweeper_for(problem: Problem, loss: Loss, knots: Knots, caps: FloatArray, spread: float, largest: float) -> Sweeper:
    """A sweeper whose functions are replaced state by state.

    Parameters
    ----------
    problem, loss, knots, caps : as `Sweeper`
    spread : float
        How far apart in W1 the returns from two states can be.
    largest : float
        The largest size of a value.
    """
    layout = Layout.of(problem, knots.origin, knots.spacing)
    # multiples of the step are exact, and no term is negative then: rounding is relative to values, but for the caps
    plain = layout.exact and loss.low == 0.0 and knots.origin == 0.0
    slack = problem.rounding(loss.high, 0.0 if plain else knots.reach, 2.0 * largest, spread)
    ends = np.abs(knots.spacing * knots.last) + np.abs(caps)
    slack = slack + 4.0 * EPS * loss.high * float(ends.max())
    if problem.step is not None:  # rewards count as multiples of the step
        slack = slack + loss.high * off_lattice(problem)
    return Sweeper(problem, layout, loss, knots, knots, caps, slack)


def off_lattice(problem: Problem) -> FloatArray:
    """(S,) how far the rewards of a step are from multiples of the common step, on average."""
    assert problem.step is not None
    rows, choices = problem.outcomes, problem.mdp.choices
    off = np.abs(rows.rewards - np.rint(rows.rewards / problem.step) * problem.step)
    each: Any = np.bincount(rows.pairs, weights=rows.probs * off, minlength=len(choices.actions))
    return np.asarray(np.maximum.reduceat(each, choices.indptr[:-1]))
