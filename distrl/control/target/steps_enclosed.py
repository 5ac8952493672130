"""What steps between knots say of probabilities and quantiles, and the policy that remembers knots."""

from dataclasses import dataclass

import numpy as np

from distrl._tolerances import EPS, LEVEL
from distrl._validation import FloatArray
from distrl.control.target.nodes import NodePolicy, NodeRule
from distrl.control.target.steps import Steps
from distrl.returns import Quantile

_NONE = 1e-12  # a probability to fall short below that is none
#: (S,) each: the ends of the best values, and the targets to start with.
Read = tuple[FloatArray, FloatArray, FloatArray]


def enough_below(level: float) -> float:
    """A return's quantile at the level is at least t if P(G < t) is below this: levels are compared up to `LEVEL`."""
    return max(level - LEVEL, _NONE)


@dataclass(frozen=True, eq=False)
class StepsEnclosed:
    """What encloses the least probability to fall short of every target, and a policy for each.

    Attributes
    ----------
    steps : Steps
    rule : NodeRule
    highest : (S,)
        What no return exceeds; may be inf.
    every : bool
        Whether knots are all returns.
    near : float
        Targets that differ by less are one.
    how : str
        The knots, in words.
    """

    steps: Steps
    rule: NodeRule
    highest: FloatArray
    every: bool
    near: float
    how: str

    def policy(self, targets: FloatArray) -> NodePolicy:
        """What reaches what is said of these targets (S,)."""
        return NodePolicy(targets, self.rule)

    def probability(self, target: float) -> Read:
        """Of the best chance to reach the target."""
        steps, n = self.steps, len(self.highest)
        states, goal = np.arange(n), np.full(n, target)
        node = self.rule.found(states, goal)
        first, last = steps.ptr[:-1][:n], steps.ptr[1:][:n] - 1
        beyond = target > steps.points[last] + self.near
        short = np.where(beyond, 1.0, steps.above[node])
        reached = steps.points[node] <= target + self.near
        lower_at = np.where(self.every | reached, node, node - 1)
        least = np.where(target < steps.points[first] - self.near, 0.0, steps.below[np.maximum(lower_at, first)])
        least = np.where(beyond, np.where(target > self.highest + self.near, 1.0, steps.below[last]), least)
        lower, upper = 1.0 - short - EPS, 1.0 - least + EPS
        return np.maximum(lower, 0.0), np.clip(upper, 0.0, 1.0), steps.points[node]

    def quantile(self, level: float) -> Read:
        """Of the largest lower quantile."""
        steps, n = self.steps, len(self.highest)
        enough = enough_below(level)
        place = np.arange(len(steps.points))
        last = steps.ptr[1:][:n] - 1
        good = np.maximum.reduceat(np.where(steps.above < enough, place, -1), steps.ptr[:-1])[:n]
        bad = np.minimum.reduceat(np.where(steps.below >= enough, place, len(place)), steps.ptr[:-1])[:n]
        found = np.where(good >= 0, good, steps.ptr[:-1][:n])
        lower = np.where(good >= 0, steps.points[found], -np.inf)
        none = bad > last
        before = np.maximum(np.minimum(bad, last) - self.every, steps.ptr[:-1][:n])
        upper = np.where(none, np.maximum(self.highest, steps.points[last]), steps.points[before])
        return lower, np.maximum(upper, lower), steps.points[found]

    def common(self, objective: Quantile, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the largest quantile for a start that is drawn from `initial` (S,), and its target."""
        room = (len(initial) + 4.0) * EPS
        some, steps = np.flatnonzero(initial), self.steps
        points = np.unique(np.concatenate([steps.points[steps.ptr[x] : steps.ptr[x + 1]] for x in some]))
        ends = np.stack([np.stack(self.probability(float(t))[:2]) for t in points])
        short = 1.0 - ends @ initial
        enough = enough_below(objective.single())
        good, bad = np.flatnonzero(short[:, 0] + room < enough), np.flatnonzero(short[:, 1] - room >= enough)
        best = points[good[-1]] if good.size else points[0]
        highest = float(np.maximum(self.highest[some], points[-1]).max())
        upper_end = points[max(bad[0] - self.every, 0)] if bad.size else highest
        lower_end = best if good.size else -np.inf
        return float(lower_end), float(max(upper_end, lower_end)), float(best)
