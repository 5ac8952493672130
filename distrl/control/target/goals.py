"""Objectives that are read from one function of the target: which loss is made small, and how it is read.

With the loss l(d) = low * d for d < 0 and high * d for d > 0 of d = b - G, and U(x, b) = min over policies of
E_x l(b - G),

    max over policies of w E G + (1 - w) CVaR_a(G) = max_b {a b - U(x, b)} / a,    low = w a,  high = w a + 1 - w

(Rockafellar and Uryasev 2000; the two maxima swap), CVaR at w = 0; and the shortfall at b is U(x, b) itself at
low = 0, high = 1.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from distrl._kernels.target import conjugates
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.control.target.knots import Curve, Loss, last_below
from distrl.control.target.sure import Sure
from distrl.returns import CVaR, Functional, MeanCVaR, Shortfall


class Ends(NamedTuple):
    """(S, K) bounds on the best value of K parameters, and the targets to start with."""

    lower: FloatArray
    upper: FloatArray
    targets: FloatArray


@dataclass(frozen=True)
class Goal:
    """An objective of the put's kind, with one parameter or several.

    Attributes
    ----------
    objective : CVaR, MeanCVaR or Shortfall
    """

    objective: Functional

    @staticmethod
    def serves(objective: Functional) -> bool:
        """Whether an objective is of this kind."""
        if isinstance(objective, CVaR):
            return objective.tail == "lower"
        return isinstance(objective, MeanCVaR | Shortfall)

    @property
    def parameters(self) -> FloatArray:
        """(K,) levels or targets."""
        assert self.objective.points is not None
        return np.atleast_1d(self.objective.points)

    @property
    def by_level(self) -> bool:
        """Whether the parameter is a level; a target else."""
        return not isinstance(self.objective, Shortfall)

    @property
    def loss(self) -> Loss:
        """The loss; of a mixture with the mean there is one for each level."""
        if not isinstance(self.objective, MeanCVaR) or self.objective.weight == 0.0:
            return Loss(0.0, 1.0)
        tilt = self.objective.weight * self.objective.single()
        return Loss(tilt, tilt + 1.0 - self.objective.weight)

    @property
    def scale(self) -> float:
        """How much loss a unit of the objective is, at the smallest level."""
        return float(self.parameters.min()) if self.by_level else 1.0

    def shares_loss_with(self, other: "Goal") -> bool:
        """Whether what solves this goal solves the other."""
        return self.by_level == other.by_level and self.loss == other.loss

    def read(self, below: Curve, above: Curve, sure: Sure, quick: bool = False) -> Ends:
        """The ends and targets, from functions `below` and `above` the smallest loss.

        Where `low` is 0 (CVaR, shortfalls) more is known of it than they say. U(x, b) >= max(b - V*, 0), so that
        `below` is raised to that between knots too: a value read from it is then at most V*, rises with the level, and
        its product with the level stays convex. And the policy has no loss at b <= w(x), what it is sure of (`Sure`):
        from there it reaches w, so that no smaller `lower` is said; a shortfall of b is at most b - w.

        Parameters
        ----------
        below, above : Curve
            They need not have the same knots; targets are the best for the one above, which a policy reaches.
        sure : Sure
            What the policy does where it is sure of a target, and the largest means.
        quick : bool
            Leave `below` as it is for CVaR: bounds that hold too, at half the cost.
        """
        points = self.parameters
        if not self.by_level:
            shape = (len(below.knots.first), len(points))
            lower = np.stack([below.at_least(point) for point in points], axis=1)
            upper = np.stack([above.at_most(point) for point in points], axis=1) + sure.near
            targets = np.broadcast_to(points, shape).copy()
            room = 4.0 * EPS * np.abs(points)
            lower = np.maximum(lower, np.maximum(points - sure.largest_mean[:, None], 0.0) - room)
            missing = np.maximum(points - sure.least[:, None], 0.0) + room
            targets = np.where((missing < upper) & (missing > room), sure.least[:, None], targets)
            return Ends(np.maximum(lower, 0.0), np.minimum(missing, upper), targets)
        highest = self._conjugate(below)[0] if quick else self._highest(below, sure)
        reached, targets = self._conjugate(above)
        reached = reached - sure.near / self.parameters  # where a target is met but for rounding
        room = 4.0 * EPS * (np.abs(targets) + np.abs(reached))  # of the last few operations
        lower, upper = reached - room, np.minimum(highest + room, sure.largest_mean[:, None])
        if self.loss.low > 0.0:
            return Ends(lower, upper, targets)
        least = np.broadcast_to(sure.least[:, None], lower.shape)
        return Ends(np.maximum(lower, least), upper, np.where(lower < least, least, targets))

    def _highest(self, below: Curve, sure: Sure) -> FloatArray:
        """(S, K) what no policy exceeds, from a function below the loss."""
        if self.loss.low > 0.0:
            return self._conjugate(below)[0]
        knots, means, values = below.knots, sure.largest_mean, below.values
        points, over = knots.points, knots.points - means[knots.states]
        raised = np.maximum(values, np.maximum(over, 0.0))
        if below.exact:
            return self._conjugate(replace(below, values=raised))[0]
        # beyond both crossings the lines are the larger ones, and best there; between them the function itself counts
        zero, mean = last_below(knots, values, self.loss.high), last_below(knots, over - values, 0.0)
        between = (points > zero[knots.states]) & (points < mean[knots.states])
        highest, _ = self._conjugate(replace(below, values=np.where(between, values, raised)))
        at_mean = np.where(np.isfinite(mean), mean - means, 0.0)[:, None] / self.parameters
        at_mean = np.where(np.isfinite(mean), mean, -np.inf)[:, None] - at_mean
        return np.maximum(highest, np.maximum(zero[:, None], at_mean))

    def _conjugate(self, curve: Curve) -> tuple[FloatArray, FloatArray]:
        levels, knots = self.parameters, curve.knots
        order = np.argsort(levels, kind="stable")
        values, targets = np.empty((2, len(knots.first), len(levels)))
        conjugates(curve.values, knots.ptr, knots.first, knots.origin, knots.spacing, levels[order], values, targets)
        back = np.argsort(order, kind="stable")
        return np.asarray(values[:, back] / levels), np.asarray(targets[:, back])
