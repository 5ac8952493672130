"""A table of actions over states and targets, and how targets move: what a target policy plays."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from distrl._kernels.target import Choice
from distrl._validation import BoolArray, FloatArray, IntArray


class ActionTable(NamedTuple):
    """The action of every state in every cell of its targets, or at every knot.

    Attributes
    ----------
    first : (S,) int
        The first knot of every state: target origin + first * spacing.
    ptr : (S + 1,) int
        Those of state x are `ptr[x]:ptr[x + 1]`.
    actions : (knots,) int
        The action from a knot to the next one; that of the last knot belongs to it alone.
    least : (S,)
        What `safe` reach for certain: targets up to it are met by these for ever. May be -inf.
    safe : (S,) int
    """

    first: IntArray
    ptr: IntArray
    actions: Choice
    least: FloatArray
    safe: IntArray


@dataclass(frozen=True, eq=False)
class TargetRule:
    """What is played at a target, and what becomes of it.

    Attributes
    ----------
    discount : float or None
        None: outcomes have their own.
    origin, spacing : float
    tables : tuple of ActionTable
        One, or one for each step of a horizon, step 0 first.
    by_knot : bool
        Whether targets stay on the knots: the nearest knot's action is taken, else that of the cell.
    horizon : int or None
    near : float
        Targets above what is certain by no more count as that.
    """

    discount: float | None
    origin: float
    spacing: float
    tables: tuple[ActionTable, ...]
    by_knot: bool
    horizon: int | None = None
    near: float = 0.0

    def table(self, step: int) -> ActionTable:
        """The table of a step.

        Parameters
        ----------
        step : int
            Makes a difference with a horizon only.

        Raises
        ------
        ValueError
            If the horizon is over.
        """
        if self.horizon is None:
            return self.tables[0]
        if step >= self.horizon:
            raise ValueError(f"all {self.horizon} steps of the horizon were made; start again")
        return self.tables[step]

    def within(self, step: int, states: IntArray, targets: FloatArray) -> FloatArray:
        """(n,) targets held within the windows of their states, beyond which nothing changes; what is reached for
        certain in place of those that are met so.

        Parameters
        ----------
        step : int
        states, targets : (n,)
        """
        if self.horizon is not None and step >= self.horizon:
            return targets
        table = self.table(step)
        last = table.first[states] + np.diff(table.ptr)[states] - 1
        low, high = (self.origin + self.spacing * end for end in (table.first[states], last))
        least = table.least[states]
        return np.where(targets <= least + self.near, least, np.clip(targets, low, high))

    def met(self, step: int, states: IntArray, targets: FloatArray) -> BoolArray:
        """(n,) whether targets are met for certain from now on.

        Parameters
        ----------
        step : int
        states, targets : (n,)
        """
        if self.horizon is not None and step >= self.horizon:
            return np.zeros(len(states), dtype=np.bool_)
        return np.asarray(targets <= self.table(step).least[states] + self.near)

    def actions_at(self, step: int, states: IntArray, targets: FloatArray) -> IntArray:
        """(n,) the actions at targets.

        Parameters
        ----------
        step : int
        states, targets : (n,)

        Raises
        ------
        ValueError
            If the horizon is over.
        """
        table = self.table(step)
        position = (self.within(step, states, targets) - self.origin) / self.spacing
        count = np.diff(table.ptr)[states]
        if self.by_knot:
            place, most = np.rint(position), count - 1
        else:
            place, most = np.floor(position), np.maximum(count - 2, 0)
        place = np.clip(place.astype(np.int64) - table.first[states], 0, most)
        actions = table.actions[table.ptr[:-1][states] + place]
        return np.where(self.met(step, states, targets), table.safe[states], actions).astype(np.int64)

    def cells(self, step: int, state: int) -> tuple[FloatArray, IntArray]:
        """(n + 1,) targets between which (n,) actions are played in a state; beyond the outer ones as at them.

        Parameters
        ----------
        step, state : int

        Raises
        ------
        ValueError
            If the horizon is over.
        """
        table = self.table(step)
        actions = np.asarray(table.actions[table.ptr[state] : table.ptr[state + 1]], dtype=np.int64)
        places = table.first[state] + np.arange(len(actions) + 1.0)
        if self.by_knot:
            places = places - 0.5
        elif len(actions) > 1:  # that of the last knot is played nowhere
            places, actions = places[:-1], actions[:-1]
        return self._with_sure(self.origin + self.spacing * places, actions, table, state)

    def _with_sure(
        self, points: FloatArray, actions: IntArray, table: ActionTable, state: int
    ) -> tuple[FloatArray, IntArray]:
        """The same with the action for targets that are met for certain, where there are such."""
        least, s = float(table.least[state]), self.spacing
        if not np.isfinite(least):
            return points, actions
        passed = int(np.searchsorted(points, least, side="right"))
        rest, before = points[passed:], [min(points[0], least - s), least]
        behind = actions[passed - 1 :] if passed else np.concatenate([actions[:1], actions])
        if not len(rest):
            rest, behind = np.array([least + s]), actions[-1:]
        return np.concatenate([before, rest]), np.concatenate([table.safe[state : state + 1], behind])

    def targets_after(
        self,
        step: int,
        targets: FloatArray,
        rewards: FloatArray,
        next_states: IntArray,
        factors: FloatArray | None = None,
    ) -> FloatArray:
        """(n,) (target - reward) / discount, within the windows of the next states.

        Parameters
        ----------
        step : int
            The one that is made.
        targets, rewards, next_states : (n,)
        factors : (n,), optional
            The outcomes' own discounts; where these are 0 the return ends, and what is given means nothing.

        Raises
        ------
        ValueError
            Where outcomes have discounts of their own, and these are not given, or are none.
        """
        if self.discount is not None:
            return self.within(step + 1, next_states, (targets - rewards) / (self.discount or 1.0))
        if factors is None:
            raise ValueError(
                "outcomes have discounts of their own, and the target goes by them: give that of the outcome, "
                "policy.observe(state, memory, reward, next_state, discount)"
            )
        if not ((factors >= 0.0) & (factors <= 1.0)).all():
            raise ValueError(f"discounts must lie in [0, 1], got {factors.min():g} to {factors.max():g}")
        return self.within(step + 1, next_states, (targets - rewards) / np.where(factors > 0.0, factors, 1.0))
