"""All targets and all levels of one solve for the least probability to fall short."""

from dataclasses import dataclass

import numpy as np

from distrl._tolerances import EPS, LEVEL
from distrl._validation import FloatArray
from distrl.control.method import Family, Found
from distrl.control.target.nodes import NodePolicy, NodeRule
from distrl.control.target.steps import Steps
from distrl.returns import Functional, ProbabilityAbove, Quantile

_NONE = 1e-12  # a probability to fall short below that is none


@dataclass(frozen=True, eq=False)
class ChanceFamily(Family):
    """What encloses the least probability to fall short of every target, and a policy for each.

    Attributes
    ----------
    objective : ProbabilityAbove or Quantile
        What was solved.
    steps : Steps
    rule : NodeRule
    highest : (S,)
        What no return exceeds; may be inf.
    every : bool
        Whether knots are all returns.
    near : float
        Targets that differ by less are one.
    width : float
        The range of returns.
    better : bool
    reason : str
    """

    objective: Functional
    steps: Steps
    rule: NodeRule
    highest: FloatArray
    every: bool
    near: float
    width: float
    better: bool
    reason: str

    def _read(self, objective: Functional) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(S, K) each: lower, upper, and starting targets."""
        if not isinstance(objective, ProbabilityAbove | Quantile):
            raise ValueError(f"{self.objective!r} was solved, which says nothing of {objective!r}")
        read = self._quantile if isinstance(objective, Quantile) else self._probability
        columns = [read(float(point)) for point in np.atleast_1d(objective.points)]
        lower, upper, targets = (np.stack(parts, axis=1) for parts in zip(*columns, strict=True))
        return lower, upper, targets

    def _probability(self, target: float) -> tuple[FloatArray, FloatArray, FloatArray]:
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

    def _quantile(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        steps, n = self.steps, len(self.highest)
        # a return's quantile at the level is at least t if P(G < t) is below it, levels compared up to LEVEL
        enough = max(level - LEVEL, _NONE)
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

    def at(self, objective: Functional) -> Found:
        """The best policy for another target or level, with its bounds.

        Parameters
        ----------
        objective : ProbabilityAbove or Quantile
            With one parameter.

        Raises
        ------
        ValueError
            If it is another objective, or has several parameters.
        """
        objective.single()
        lower, upper, targets = (part[:, 0] for part in self._read(objective))
        size = self.width if isinstance(objective, Quantile) else 1.0
        policy = NodePolicy(targets, self.rule)
        return Found(policy, lower, lower, upper, self.better, self.reason, size, targets, self)

    def frontier(self, objective: Functional) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The ends of the best values and the starting targets, each (S, K).

        Parameters
        ----------
        objective : ProbabilityAbove or Quantile
            With K parameters. Time O(K knots).

        Raises
        ------
        ValueError
            If it is another objective.
        """
        return self._read(objective)

    def common(self, objective: Functional, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the best value, and the target, for a start that is drawn from `initial` (S,).

        Parameters
        ----------
        objective : ProbabilityAbove or Quantile
            With one parameter.
        initial : (S,) probabilities

        Raises
        ------
        ValueError
            If it is another objective, or has several parameters.
        """
        point, room = objective.single(), (len(initial) + 4.0) * EPS
        if isinstance(objective, ProbabilityAbove):
            lower, upper, _ = (part[:, 0] for part in self._read(objective))
            return float(initial @ lower) - room, float(initial @ upper) + room, point
        if not isinstance(objective, Quantile):
            raise ValueError(f"{self.objective!r} was solved, which says nothing of {objective!r}")
        some, steps = np.flatnonzero(initial), self.steps
        points = np.unique(np.concatenate([steps.points[steps.ptr[x] : steps.ptr[x + 1]] for x in some]))
        ends = np.stack([np.stack(self._probability(float(t))[:2]) for t in points])
        short = 1.0 - ends @ initial
        enough = max(point - LEVEL, _NONE)
        good, bad = np.flatnonzero(short[:, 0] + room < enough), np.flatnonzero(short[:, 1] - room >= enough)
        best = points[good[-1]] if good.size else points[0]
        highest = float(np.maximum(self.highest[some], points[-1]).max())
        upper_end = points[max(bad[0] - self.every, 0)] if bad.size else highest
        lower_end = best if good.size else -np.inf
        return float(lower_end), float(max(upper_end, lower_end)), float(best)

    @property
    def gap(self) -> float:
        """The largest of the states, for what was solved."""
        lower, upper, _ = self._read(self.objective)
        with np.errstate(invalid="ignore"):
            return float((upper - lower).max())
