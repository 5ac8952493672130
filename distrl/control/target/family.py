"""All levels, or all targets, of one solve."""

from dataclasses import dataclass

from distrl._validation import FloatArray
from distrl.control.method import Family, Found
from distrl.control.target.goals import Goal
from distrl.control.target.knots import Curve, mixed
from distrl.control.target.policy import TargetPolicy
from distrl.control.target.sure import Sure
from distrl.returns import Functional


@dataclass(frozen=True, eq=False)
class TargetFamily(Family):
    """What encloses the smallest loss of every state at every target: `below` every policy's, `above` that of `policy`.

    Attributes
    ----------
    objective : Functional
        What was solved.
    below, above : Curve
    policy : TargetPolicy
    sure : Sure
        What the policy does where it is sure of its target, and the largest means.
    size : float
        The range of returns.
    better : bool
        Whether the search stopped at a limit.
    reason : str
    """

    objective: Functional
    below: Curve
    above: Curve
    policy: TargetPolicy
    sure: Sure
    size: float
    better: bool
    reason: str

    def _goal(self, objective: Functional) -> Goal:
        if not Goal.serves(objective):
            raise ValueError(f"{self.objective!r} was solved, which says nothing of {objective!r}")
        goal = Goal(objective)
        if not Goal(self.objective).shares_loss_with(goal):
            raise ValueError(
                f"{self.objective!r} was solved, which says nothing of {objective!r}: only CVaR has all levels in one "
                "solve, and a shortfall all targets; optimise it by itself"
            )
        return goal

    def at(self, objective: Functional) -> Found:
        """The best policy for another level or target, with its bounds.

        Parameters
        ----------
        objective : CVaR or Shortfall
            As was solved, with one parameter.

        Raises
        ------
        ValueError
            If it is another objective, or has several parameters.
        """
        objective.single()
        ends = self._goal(objective).read(self.below, self.above, self.sure)
        lower, upper, targets = (part[:, 0] for part in ends)
        policy = self.policy.started(targets)
        middle = 0.5 * (lower + upper)
        return Found(policy, middle, lower, upper, self.better, self.reason, self.size, policy.targets, self)

    def frontier(self, objective: Functional) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The ends of the best values and the starting targets, each (S, K).

        Parameters
        ----------
        objective : CVaR or Shortfall
            As was solved, with K parameters. Time O(knots + S K).

        Raises
        ------
        ValueError
            If it is another objective.
        """
        ends = self._goal(objective).read(self.below, self.above, self.sure)
        return ends.lower, ends.upper, ends.targets

    def common(self, objective: Functional, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the best value, and the target, for a start that is drawn from `initial` (S,).

        Parameters
        ----------
        objective : Functional
            As was solved, with one parameter.
        initial : (S,) probabilities

        Raises
        ------
        ValueError
            If it is another objective, or has several parameters.
        """
        objective.single()
        goal = self._goal(objective)
        parts = mixed(self.below, initial, -1.0), mixed(self.above, initial, 1.0)
        ends = goal.read(*parts, self.sure.common(initial))
        return float(ends.lower[0, 0]), float(ends.upper[0, 0]), float(ends.targets[0, 0])
