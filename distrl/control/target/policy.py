"""Policies whose memory is a target: how much of the return is still to come for the target to be met."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._validation import FloatArray, IntArray, int_array, real_number, whole_number
from distrl.control.policy import Memory, RunnablePolicy, Strip, place_of
from distrl.control.target.product import laws_of
from distrl.control.target.rule import TargetRule
from distrl.dp import Method, Solution
from distrl.models.mdp import MDP
from distrl.returns import Returns


@dataclass(frozen=True, eq=False)
class TargetPolicy(RunnablePolicy):
    """A table of actions over states and targets, with the exact target as memory.

    After reward r the target b becomes (b - r) / discount: what the rest of the return has to be for the whole to be b.
    It is held within the window of the next state, beyond which nothing changes. With a horizon the memory is the
    number of steps made and the target. One table serves all levels: only the target to start with differs.

    Attributes
    ----------
    targets : (S,)
        With which it starts in every state.
    rule : TargetRule
        The table, and how targets move.
    """

    remembers: ClassVar[str] = "target: what the rest of the return is to be (units of reward)"
    targets: FloatArray
    rule: TargetRule

    @property
    def horizon(self) -> int | None:
        """After how many steps returns end; None: when they end by themselves."""
        return self.rule.horizon

    def start(self, state: int) -> Memory:
        """The memory at the start: the target, with a horizon (0, target)."""
        return self._memory(0, float(self.targets[place_of(state, len(self.targets))]))

    def act(self, state: int, memory: Memory) -> int:
        """The action in a state.

        Raises
        ------
        ValueError, TypeError
            If the horizon is over, there is no such state, or the memory is none of this policy.
        """
        step, target = self._read(memory)
        return int(self.rule.actions_at(step, np.array([place_of(state, len(self.targets))]), np.array([target]))[0])

    def observe(
        self, state: int, memory: Memory, reward: float, next_state: int, discount: float | None = None
    ) -> Memory:
        """The memory after a step: (target - reward) / discount, within the window of the next state.

        Parameters
        ----------
        state, memory, reward, next_state : as for `RunnablePolicy.observe`
        discount : float, optional
            Of the outcome; needed where outcomes have their own, else not looked at.

        Raises
        ------
        ValueError, TypeError
            If the memory is none of this policy, there is no such state, or the reward is not finite; where outcomes
            have discounts of their own, if none is given.
        """
        step, target = self._read(memory)
        gained, place = real_number(reward, "reward"), place_of(next_state, len(self.targets), "next_state")
        factors = None if discount is None else np.array([real_number(discount, "discount", low=0.0, high=1.0)])
        left = self.rule.targets_after(step, np.array([target]), np.array([gained]), np.array([place]), factors)
        return self._memory(step + 1, float(left[0]))

    def _memory(self, step: int, target: float) -> Memory:
        return target if self.horizon is None else (step, target)

    def _read(self, memory: Memory) -> tuple[int, float]:
        if self.horizon is None:
            if isinstance(memory, tuple) or memory is None:
                raise TypeError(f"the memory is a target, as start(state) gives it, got {memory!r}")
            return 0, real_number(memory, "memory")
        if not isinstance(memory, tuple):
            raise TypeError(f"the memory is (steps made, target), as start(state) gives it, got {memory!r}")
        return whole_number(memory[0], "the memory's step"), real_number(memory[1], "the memory's target")

    def memories(self, states: IntArray) -> FloatArray:
        """(n,) the starting targets of `states` (n,)."""
        return np.asarray(self.targets[states])

    def acting(self, step: int, states: IntArray, memories: FloatArray) -> IntArray:
        """(n,) the actions of step `step`, in `states` with the targets `memories`."""
        return self.rule.actions_at(step, states, memories)

    def after(self, step: int, memories: FloatArray, rewards: FloatArray, next_states: IntArray) -> FloatArray:
        """(n,) the targets after step `step`, from the targets `memories`, with `rewards` in `next_states`."""
        return self.rule.targets_after(step, memories, rewards, next_states)

    def after_own(
        self, step: int, memories: FloatArray, rewards: FloatArray, next_states: IntArray, factors: FloatArray
    ) -> FloatArray:
        """(n,) the targets after step `step`, from the targets `memories`, with `rewards` in `next_states` and outcomes
        of discounts `factors` of their own."""
        return self.rule.targets_after(step, memories, rewards, next_states, factors)

    def started(self, targets: FloatArray) -> "TargetPolicy":
        """The same table with other starting targets, within the windows.

        Parameters
        ----------
        targets : (S,)
        """
        return replace(self, targets=np.asarray(self.rule.within(0, np.arange(len(targets)), targets)))

    def first_actions(self, n_states: int) -> IntArray:
        if self.horizon == 0:
            return np.empty(0, dtype=np.int64)
        return self.rule.actions_at(0, np.arange(n_states), self.targets)

    def strip(self, state: int, step: int = 0) -> Strip:
        edges, actions = self.rule.cells(step, place_of(state, len(self.targets)))
        return Strip.of(edges, actions, float(self.targets[state]) if step == 0 else np.nan)

    def evaluated(self, mdp: MDP, method: Method[Returns] | None, horizon: int | None) -> Solution[Returns]:
        """The law of the return from every state: those of `laws_from` all states; the horizon is the policy's own."""
        return self.laws_from(mdp, np.arange(mdp.n_states), method)

    @steady
    def laws_from(self, mdp: MDP, states: ArrayLike, method: Method[Returns] | None = None) -> Solution[Returns]:
        """The law of the return from some states, each with its starting target.

        They are those of a process whose states are the pairs of state and target that are met. Where these are at most
        50,000 it is the policy's own, and so are the laws: at discount 1 with rewards on a lattice, with a horizon, or
        where few targets are met. Otherwise targets are rounded to the nearest knot at every step, which is another
        policy: `certificate.of` says so, and what it reaches may be less than `ControlSolution.lower`.

        Parameters
        ----------
        mdp : MDP
            The one for which the policy was found.
        states : (K,) positions, no two the same
        method : Method, optional
            As for `evaluate`.

        Returns
        -------
        Solution
            Row k for k < K is from `states[k]`; where these are not all states, further rows are from other pairs that
            are met.

        Raises
        ------
        ValueError, TypeError
            For bad states, and if there are too many pairs even where targets are rounded.
        """
        chosen = int_array(states, "states", low=0, high=mdp.n_states)
        if len(np.unique(chosen)) < len(chosen):
            raise ValueError("states must be different ones")
        return laws_of(mdp, self.rule, chosen, self.targets[chosen], method)

    def arrays(self) -> dict[str, FloatArray | IntArray]:
        if not self.rule.tables:
            return {"targets": self.targets}
        first = self.rule.tables[0]
        return {
            "targets": self.targets,
            "first": first.first,
            "ptr": first.ptr,
            "actions": first.actions.astype(np.int64),
        }
