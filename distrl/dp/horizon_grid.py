"""The grid of a finite horizon: an interval that holds the returns of every number of steps, and 0, on its atoms.

All laws of the recursion live on one grid, those of no steps too: 0 is an atom of it where the grid is chosen here, so
that a return that has not begun costs nothing. Rewards on multiples of one step need no rounding at discount 1: then
the atoms are these multiples. Else rounding may take mass an atom beyond the returns at every step: the interval has
room for that, up to a twentieth of it on each side, so that nothing, or hardly anything, is clipped.
"""

import math
from typing import NamedTuple

import numpy as np

from distrl._validation import FloatArray
from distrl.dp.horizon_moments import Facts, facts_of_steps
from distrl.dp.horizon_walk import total_steps
from distrl.dp.resolution import ENTRIES, FEWEST, MOST, PILOT, Resolution
from distrl.models.laws import FiniteLaw
from distrl.models.outcomes import OutcomeTable
from distrl.models.stages import Stages
from distrl.returns.grid import Grid

_ROOM = 0.05  # of the interval, on each side, for what rounding moves
_WORK = 2e10  # updates of an atom beyond which no more than `PILOT` atoms are chosen: a minute
_ON_STEP = 1e-9  # how far a multiple may be from a whole number
_MULTIPLES = 1e6  # a step of which rewards are larger multiples is none


class Span(NamedTuple):
    """Where the returns of up to H steps lie.

    facts : of H steps
    least, most : ends that no return of up to H steps goes beyond; 0 lies between
    step : of which all sums of rewards are multiples, 0 where there is none or rewards are discounted
    """

    stages: Stages
    facts: Facts
    least: float
    most: float
    step: float

    @classmethod
    def of(cls, stages: Stages) -> "Span":
        """By one pass over the steps."""
        ends = [0.0, 0.0]

        def widen(facts: Facts) -> None:
            ends[0] = min(ends[0], float(facts.low.min()))
            ends[1] = max(ends[1], float(facts.high.max()))

        facts = facts_of_steps(stages, widen)
        # sums of whole rewards, or one reward alone
        plain = stages.uniform_discount in (0.0, 1.0) or stages.horizon <= 1
        step = _common_step(stages) if plain else 0.0
        return cls(stages, facts, ends[0], ends[1], step)

    def grid(self, atoms: int) -> Grid:
        """So many atoms on the interval.

        Raises
        ------
        ValueError
            If returns have no bounds.
        """
        least, most = self.least, self.most
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ValueError(
                "a reward law is unbounded, so no interval holds every return; give grid=Grid(low, high, atoms)"
            )
        if most - least <= 1e-290:
            return Grid(0.0, 1.0, atoms)
        if self.step > 0.0:
            below, above = (round(end / self.step) for end in (least, most))
            if above - below <= atoms - 1:
                return Grid(below * self.step, (below + atoms - 1) * self.step, atoms)
        spare = min(math.ceil(total_steps(self.stages)), math.ceil(_ROOM * (atoms - 1)))
        sides = (spare if least < 0.0 else 0, spare if most > 0.0 else 0)
        inner = atoms - 1 - sum(sides) - (1 if least < 0.0 < most else 0)
        if inner < 1:
            sides, inner = (0, 0), max(atoms - 2 if least < 0.0 < most else atoms - 1, 1)
        spacing = (most - least) / inner
        below = math.ceil(-least / spacing - _ON_STEP) + sides[0]
        return Grid(-below * spacing, (atoms - 1 - below) * spacing, atoms)

    @property
    def whole_atoms(self) -> int:
        """As many atoms as there are multiples of the step between the ends; 0 where rewards are on no step."""
        return round((self.most - self.least) / self.step) + 1 if self.step > 0.0 else 0

    def resolution(self, arrays: float, width: float | None = None) -> "StepsResolution":
        """How many atoms are enough; `width` that of an interval of the user's."""
        return StepsResolution(self, arrays, (self.most - self.least) * (1.0 + 2.0 * _ROOM) if width is None else width)


class StepsResolution(Resolution):
    """`Resolution` by the variances of H steps, and by how often H steps round.

    Parameters
    ----------
    span : Span
    arrays : float
        Arrays of (S, atoms) float64 that a solve needs.
    width : float
        Of the interval.
    """

    def __init__(self, span: Span, arrays: float, width: float) -> None:
        moments = span.facts.certified()
        sd = np.sqrt(np.where(np.isfinite(moments.variance_high), np.maximum(span.facts.variance, 0.0), 0.0))
        most = self.affordable(span.stages.process(0), arrays)
        outcomes = max(len(model.outcomes.probs) for model in span.stages.models)
        quick = int(_WORK / (outcomes * max(span.stages.horizon, 1)))
        self.set_up(sd, span.facts.gains, width, min(most, max(quick, PILOT)))
        if FEWEST <= span.whole_atoms <= max(ENTRIES // span.stages.n_states, PILOT):
            self.enough = min(max(span.whole_atoms, FEWEST), max(most, MOST))  # exact, and no finer grid is better
        elif 0 < span.whole_atoms < FEWEST:
            self.enough = FEWEST

    def exact(self, span: Span, atoms: int) -> bool:
        """Whether so many atoms hold every multiple of the rewards' common step."""
        return 0 < span.whole_atoms <= atoms


def _common_step(stages: Stages) -> float:
    """A step of which all rewards are multiples; 0 where there is none, or a law with infinitely many values."""
    step = 0.0
    for model in stages.models:
        for reward in _distinct(model.outcomes):
            if not np.isfinite(reward):
                return 0.0
            step = _divisor(step, abs(float(reward)))
            if step == 0.0 and reward != 0.0:
                return 0.0
    return step


def _distinct(table: OutcomeTable) -> FloatArray:
    values = [np.unique(table.rewards[table.laws < 0])]
    for law in table.reward_laws:
        values.append(law.values if isinstance(law, FiniteLaw) else np.array([np.inf]))
    return np.unique(np.concatenate(values))


def _divisor(a: float, b: float) -> float:
    """The largest number of which both are multiples, by Euclid's algorithm up to rounding; 0 where there is none."""
    if a == 0.0 or b == 0.0:
        return max(a, b)
    large, small = max(a, b), min(a, b)
    size = large
    while True:
        times = round(large / small)
        rest = abs(large - times * small)
        if rest <= _ON_STEP * small:
            break
        large, small = small, rest
        if small * _MULTIPLES < size:
            return 0.0
    times = round(size / small)
    return size / times if times <= _MULTIPLES else 0.0
