"""What piecewise linear functions say of probabilities and quantiles, and the policy that holds its exact target."""

from dataclasses import dataclass, replace

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.control.target.chords import Chords
from distrl.control.target.knots import Curve, mixed
from distrl.control.target.policy import TargetPolicy
from distrl.control.target.rule import ActionTable, TargetRule
from distrl.control.target.steps_enclosed import Read, enough_below
from distrl.control.target.sure import Sure
from distrl.returns import Quantile


@dataclass(frozen=True, eq=False)
class ChordsEnclosed:
    """What encloses the least probability to fall short of every target, and a policy for each.

    Attributes
    ----------
    below, above : Curve
        Below that of every policy, above that of the table.
    rule : TargetRule
    sure : Sure
    highest : (S,)
        What no return exceeds.
    near : float
        Targets that differ by less, at the start, count as one where bounds on all policies are read: these may differ
        by 1e-11 of the size of returns at every step.
    how : str
        The knots, in words.
    """

    below: Curve
    above: Curve
    rule: TargetRule
    sure: Sure
    highest: FloatArray
    near: float
    how: str

    @classmethod
    def of(cls, chords: Chords) -> "ChordsEnclosed":
        """As they are now, whatever sweeps follow."""
        problem, knots, sure = chords.problem, chords.knots, chords.sure
        below, above = (replace(each, values=each.values.copy()) for each in (chords.below, chords.above))
        choices, g = problem.mdp.choices, problem.g
        pairs = np.minimum(choices.indptr[:-1][knots.states] + chords.choice, len(choices.actions) - 1)
        table = ActionTable(knots.first, knots.ptr, choices.actions[pairs].astype(np.int16), *sure.played)
        rule = TargetRule(g, knots.origin, knots.spacing, (table,), by_knot=False, near=sure.near)
        how = f"chords of spacing {knots.spacing:.3g}, {knots.size} knots"
        return cls(below, above, rule, sure, chords.highest, chords.near / (1.0 - g), how)

    def policy(self, targets: FloatArray) -> TargetPolicy:
        """What reaches what is said of these targets (S,)."""
        return TargetPolicy(targets, self.rule).started(targets)

    @property
    def _room(self) -> float:
        """What rounding a position can change of a value, which rises by at most 1 a cell."""
        knots = self.below.knots
        return 16.0 * EPS * (knots.reach / knots.spacing + 2.0)

    def probability(self, target: float) -> Read:
        """Of the best chance to reach the target."""
        short = self.above.at_most(target) + self._room
        short = np.where(target <= self.sure.least, 0.0, np.where(target > self.highest, 1.0, short))
        least = np.maximum(self.below.at_least(target - self.near) - self._room, 0.0)
        least = np.where(target > self.highest + self.near, 1.0, least)
        lower, upper = 1.0 - short - EPS, 1.0 - least + EPS
        return np.maximum(lower, 0.0), np.minimum(upper, 1.0), np.full(len(lower), target)

    def quantile(self, level: float) -> Read:
        """Of the largest lower quantile."""
        knots, enough = self.below.knots, enough_below(level)
        place, points, room = np.arange(knots.size), knots.points, self._room
        values = self.above.values
        good = np.maximum.reduceat(np.where(values < enough - room, place, -1), knots.ptr[:-1])
        good = np.maximum(good, knots.ptr[:-1])
        part = np.clip((enough - 2.0 * room - values[good]) / (values[good + 1] - values[good]), 0.0, 1.0)
        lower = np.where(values[good] < enough - room, points[good] + knots.spacing * part, -np.inf)
        lower = np.maximum(lower, self.sure.least)  # which is reached for certain
        values = self.below.values
        bad = np.minimum.reduceat(np.where(values >= enough + room, place, knots.size), knots.ptr[:-1])
        bad = np.minimum(bad, knots.ptr[1:] - 1)
        part = np.clip((enough + 2.0 * room - values[bad - 1]) / (values[bad] - values[bad - 1]), 0.0, 1.0)
        upper = np.minimum(points[bad - 1] + knots.spacing * part, self.highest) + self.near
        return lower, np.maximum(upper, lower), lower

    def common(self, objective: Quantile, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the largest quantile for a start that is drawn from `initial` (S,), and its target."""
        some = initial > 0.0
        one = replace(
            self,
            below=mixed(self.below, initial, -1.0),
            above=mixed(self.above, initial, 1.0),
            sure=self.sure.common(initial),
            highest=self.highest[some].max(keepdims=True),
        )
        lower, upper, target = one.quantile(objective.single())
        return float(lower[0]), float(upper[0]), float(target[0])
