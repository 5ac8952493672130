"""All weights of one solve for the mean less a multiple of the variance."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray
from distrl.control.method import Family, Found
from distrl.control.target.nodes import NodePolicy, NodeRule, node_process
from distrl.control.target.problem import Problem
from distrl.control.target.unrolled import Unrolled
from distrl.control.target.variance import Fan, Limits, upper_of
from distrl.dp.certified_moments import certified_moments
from distrl.models.mdp import MDP
from distrl.returns import Functional, MeanVariance


@dataclass(frozen=True, eq=False)
class VarianceFamily(Family):
    """What bounds the means and mean squares of all policies from every state, and policies that come near them.

    Attributes
    ----------
    mdp : MDP
    fan : Fan
    limits : Limits
    rule : NodeRule
    size : float
        The range of returns.
    better : bool
        Whether the search stopped at a limit.
    reason : str
    """

    mdp: MDP
    fan: Fan
    limits: Limits
    rule: NodeRule
    size: float
    better: bool
    reason: str

    @cached_property
    def _rows(self) -> Unrolled:
        return Unrolled.of(Problem.of(self.mdp, ends=self.rule.horizon is None), self.rule.horizon)

    @staticmethod
    def _weights(objective: Functional) -> FloatArray:
        if not isinstance(objective, MeanVariance):
            raise ValueError(f"a solve for MeanVariance says nothing of {objective!r}; optimise that by itself")
        return np.atleast_1d(objective.points)

    def _moments(self, nodes: IntArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Means at `nodes`, of any shape, what they may be off by, and ends of the variances."""
        starts, back = np.unique(nodes, return_inverse=True)
        made = node_process(self._rows, self.rule, starts)
        known, place = (
            certified_moments(made.process, ranged=False),
            np.searchsorted(made.nodes, starts)[back.reshape(nodes.shape)],
        )
        return known.mean[place], known.mean_error[place], known.variance_low[place], known.variance_high[place]

    def _read(self, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(S, K) each: lower, value, upper, and starting targets."""
        fan, n = self.fan, self.mdp.n_states
        nodes = np.empty((n, len(weights)), dtype=np.int64)
        upper = np.empty(nodes.shape)
        variance, place = np.maximum(fan.squares - fan.means**2, 0.0), np.arange(len(fan.points))
        for k, weight in enumerate(weights):
            height = fan.means - weight * variance
            best = np.maximum.reduceat(height, fan.ptr[:-1])
            first = np.where(height >= best[fan.states], place, len(place))
            nodes[:, k] = np.minimum.reduceat(first, fan.ptr[:-1])[:n]
            upper[:, k] = upper_of(fan, self.limits, weight)[:n]
        mean, error, least, most = self._moments(nodes)
        cost = weights * most
        lower = mean - error - np.where(weights > 0.0, cost, 0.0)
        lower -= 8.0 * EPS * (np.abs(mean) + np.where(weights > 0.0, cost, 0.0))
        value = np.clip(mean - np.where(weights > 0.0, 0.5 * weights * (least + most), 0.0), lower, upper)
        return lower, value, np.maximum(upper, lower), fan.points[nodes]

    def at(self, objective: Functional) -> Found:
        """The best policy for another weight, with its bounds.

        Parameters
        ----------
        objective : MeanVariance
            With one weight.

        Raises
        ------
        ValueError
            If it is another objective, or has several weights.
        """
        weights = self._weights(objective)
        objective.single()
        lower, value, upper, targets = (part[:, 0] for part in self._read(weights))
        policy = NodePolicy(targets, self.rule)
        return Found(policy, value, lower, upper, self.better, self.reason, self.size, targets, self)

    def frontier(self, objective: Functional) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The ends of the best values and the starting targets, each (S, K).

        Parameters
        ----------
        objective : MeanVariance
            With K weights. Time O(knots K), and linear systems over the nodes that their policies meet.

        Raises
        ------
        ValueError
            If it is another objective.
        """
        lower, _, upper, targets = self._read(self._weights(objective))
        return lower, upper, targets

    def common(self, objective: Functional, initial: FloatArray) -> tuple[float, float, float]:
        """The ends of the best value, and the target, for a start that is drawn from `initial` (S,).

        Parameters
        ----------
        objective : MeanVariance
            With one weight.
        initial : (S,) probabilities

        Raises
        ------
        ValueError
            If it is another objective, or has several weights.
        """
        weight = float(self._weights(objective)[0])
        objective.single()
        fan, some = self.fan, np.flatnonzero(initial)
        shares = initial[some]
        points = np.unique(np.concatenate([fan.points[fan.ptr[x] : fan.ptr[x + 1]] for x in some]))
        low, lines = np.zeros(len(points)), np.zeros((2, len(points)))
        size = np.zeros(len(points))
        for x, share in zip(some, shares, strict=True):
            own = _below(fan, self.limits, int(x), points)
            low += share * own
            size += share * (np.abs(own) + np.abs(fan.lower[fan.ptr[x] : fan.ptr[x + 1]]).max())
            node = self.rule.found(np.full(len(points), x), points)
            lines += share * np.stack([fan.means[node], fan.squares[node]])
        low -= (len(some) + 8.0) * EPS * (size + points**2)
        ptr, choice = np.array([0, len(points)]), np.zeros(len(points), dtype=np.int64)
        cap = float(shares @ self.limits.caps[some]) + 4.0 * EPS * float(np.abs(self.limits.caps).max())
        floor = float(shares @ self.limits.floors[some])
        floor -= 4.0 * EPS * abs(floor) if np.isfinite(floor) else 0.0
        mixed = Fan(ptr, points, low, lines[0], lines[1], choice)
        upper = float(upper_of(mixed, Limits(np.array([cap]), np.array([floor])), weight)[0])
        target = float(points[np.argmax(lines[0] - weight * np.maximum(lines[1] - lines[0] ** 2, 0.0))])
        mean, error, _, most = self._moments(self.rule.found(some, np.full(len(some), target)))
        middle = float(shares @ mean)
        variance = float(shares @ (most + (np.abs(mean - middle) + error) ** 2))
        lower = middle - float(shares @ error) - weight * variance
        return (
            lower - 16.0 * EPS * (len(some) + 1.0) * (float(shares @ np.abs(mean)) + weight * variance),
            upper,
            target,
        )


def _below(fan: Fan, limits: Limits, state: int, points: FloatArray) -> FloatArray:
    """A function below q(state, .) at `points`, rising ones."""
    own, low = (part[fan.ptr[state] : fan.ptr[state + 1]] for part in (fan.points, fan.lower))
    cap, floor = float(limits.caps[state]), float(limits.floors[state])
    value = np.interp(points, own, low)
    value = np.where(points > own[-1], low[-1] - 2.0 * cap * (points - own[-1]), value)
    least = np.where(points > cap, cap * (cap - 2.0 * points), -points * points)
    steep = low[0] - 2.0 * floor * (points - own[0]) if np.isfinite(floor) else least
    return np.where(points < own[0], np.maximum(steep, least), value)
