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

from distrl._kernels.levels import conjugates, raised, settle
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.control.target.knots import Curve, Loss
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
            Leave `below` as it is for CVaR: bounds that hold too, at less cost.
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
        return self._by_level(below, above, sure, quick or self.loss.low > 0.0)

    def _by_level(self, below: Curve, above: Curve, sure: Sure, plain: bool) -> Ends:
        """The ends by conjugates; `plain` ones take `below` as it is."""
        levels, n = self.parameters, len(sure.largest_mean)
        order = np.argsort(levels, kind="stable")
        lower, upper, targets = (np.empty((n, len(levels))) for _ in range(3))
        zero = mean = np.full(n, -np.inf)
        if not plain:
            below, zero, mean = _raised(below, sure)
        for curve, values, room in ((below, upper, 4.0 * EPS), (above, lower, 0.0)):  # targets are the second one's
            knots = curve.knots
            where = knots.ptr, knots.first, knots.origin, knots.spacing
            conjugates(curve.values, *where, levels, order, room, values, targets)
        least = np.full(n, -np.inf) if self.loss.low > 0.0 else sure.least
        settle(lower, upper, targets, levels, sure.near, zero, mean, sure.largest_mean, least)
        return Ends(lower, upper, targets)


def _raised(below: Curve, sure: Sure) -> tuple[Curve, FloatArray, FloatArray]:
    """A function below the loss raised to max(b - V*, 0), and (S,) the targets where it leaves 0 and meets b - V*.

    Beyond both crossings the lines are the larger ones, and the best there; between them the function itself counts.
    """
    knots, n = below.knots, len(below.knots.first)
    values, zero, mean = np.empty(knots.size), np.full(n, -np.inf), np.full(n, -np.inf)
    if below.exact:  # no lines lie between its knots
        over = knots.points - sure.largest_mean[knots.states]
        return replace(below, values=np.maximum(below.values, np.maximum(over, 0.0))), zero, mean
    where = knots.ptr, knots.first, knots.origin, knots.spacing
    raised(below.values, *where, sure.largest_mean, below.loss.high, values, zero, mean)
    return replace(below, values=values), zero, mean
