"""Objectives that are read from one function of the target: which loss is made small, and how it is read.

With the loss l(d) = low * d for d < 0 and high * d for d > 0 of d = b - G, and U(x, b) = min over policies of
E_x l(b - G),

    max over policies of w E G + (1 - w) CVaR_a(G) = max_b {a b - U(x, b)} / a,    low = w a,  high = w a + 1 - w

(Rockafellar and Uryasev 2000; the two maxima swap), CVaR at w = 0; and the shortfall at b is U(x, b) itself at
low = 0, high = 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from distrl._kernels.target import conjugates
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.control.target.knots import Curve, Loss
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

    def read(self, below: Curve, above: Curve) -> Ends:
        """The ends and targets, from functions `below` and `above` the smallest loss.

        Parameters
        ----------
        below, above : Curve
            They need not have the same knots; targets are the best for the one above, which a policy reaches.
        """
        points = self.parameters
        if not self.by_level:
            shape = (len(below.knots.first), len(points))
            lower = np.stack([below.at_least(point) for point in points], axis=1)
            upper = np.stack([above.at_most(point) for point in points], axis=1)
            return Ends(lower, upper, np.broadcast_to(points, shape).copy())
        highest, _ = self._conjugate(below)
        reached, targets = self._conjugate(above)
        room = 4.0 * EPS * (np.abs(targets) + np.abs(reached))  # of the last few operations
        return Ends(reached - room, highest + room, targets)

    def _conjugate(self, curve: Curve) -> tuple[FloatArray, FloatArray]:
        levels, knots = self.parameters, curve.knots
        order = np.argsort(levels, kind="stable")
        values, targets = np.empty((2, len(knots.first), len(levels)))
        conjugates(curve.values, knots.ptr, knots.first, knots.origin, knots.spacing, levels[order], values, targets)
        back = np.argsort(order, kind="stable")
        return np.asarray(values[:, back] / levels), np.asarray(targets[:, back])
