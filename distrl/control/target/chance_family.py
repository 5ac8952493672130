"""All targets and all levels of one solve for the least probability to fall short."""

from dataclasses import dataclass

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.method import Family, Found
from distrl.control.policy import RunnablePolicy
from distrl.control.target.chords_enclosed import ChordsEnclosed
from distrl.control.target.steps_enclosed import StepsEnclosed
from distrl.control.target.switched import switched
from distrl.returns import Functional, ProbabilityAbove, Quantile


@dataclass(frozen=True, eq=False)
class ChanceFamily(Family):
    """What encloses the least probability to fall short of every target, and a policy for each.

    Each enclosure holds for all policies from one side, and for its own policy from the other. From every state the
    best of them is played, for ever, and what all of them say of all policies holds together.

    Attributes
    ----------
    objective : ProbabilityAbove or Quantile
        What was solved.
    ways : tuple of StepsEnclosed or ChordsEnclosed
        One of each at most.
    width : float
        The range of returns.
    better : bool
    reason : str
    """

    objective: Functional
    ways: tuple[StepsEnclosed | ChordsEnclosed, ...]
    width: float
    better: bool
    reason: str

    def _asked(self, objective: Functional) -> None:
        if not isinstance(objective, ProbabilityAbove | Quantile):
            raise ValueError(f"{self.objective!r} was solved, which says nothing of {objective!r}")

    def _read(self, objective: Functional, point: float) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """(S,) each: lower, upper, starting targets, and the way whose policy reaches `lower`."""
        self._asked(objective)
        by_level = isinstance(objective, Quantile)
        found = [way.quantile(point) if by_level else way.probability(point) for way in self.ways]
        lowers, uppers, targets = (np.stack(parts) for parts in zip(*found, strict=True))
        best = np.argmax(lowers, axis=0)
        states = np.arange(lowers.shape[1])
        lower = lowers[best, states]
        return lower, np.maximum(uppers.min(axis=0), lower), targets[best, states], best

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
        lower, upper, targets, best = self._read(objective, objective.single())
        policy = switched([way.policy(targets) for way in self.ways], best)
        size = self.width if isinstance(objective, Quantile) else 1.0
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
        self._asked(objective)
        assert objective.points is not None
        columns = [self._read(objective, float(point))[:3] for point in np.atleast_1d(objective.points)]
        lower, upper, targets = (np.stack(parts, axis=1) for parts in zip(*columns, strict=True))
        return lower, upper, targets

    def _common(self, objective: Functional, initial: FloatArray) -> list[tuple[float, float, float]]:
        """The same ends and target as `common` by each way."""
        self._asked(objective)
        point = objective.single()
        if isinstance(objective, Quantile):
            return [way.common(objective, initial) for way in self.ways]
        room, found = (len(initial) + 4.0) * EPS, [way.probability(point) for way in self.ways]
        return [(float(initial @ low) - room, float(initial @ high) + room, point) for low, high, _ in found]

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
        found = self._common(objective, initial)
        lower, _, target = max(found, key=lambda ends: ends[0])
        return lower, max(min(ends[1] for ends in found), lower), target

    def begun(self, policy: RunnablePolicy, objective: Functional, initial: FloatArray) -> RunnablePolicy:
        """The policy that reaches the lower end of `common`.

        Parameters
        ----------
        policy, objective, initial
            As for `Family.begun`.
        """
        lowers = [ends[0] for ends in self._common(objective, initial)]
        return self.ways[int(np.argmax(lowers))].policy(np.zeros(len(initial)))

    @property
    def gap(self) -> float:
        """The largest of the states, for what was solved."""
        lower, upper, *_ = self._read(self.objective, self.objective.single())
        with np.errstate(invalid="ignore"):
            return float((upper - lower).max())
