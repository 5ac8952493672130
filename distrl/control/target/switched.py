"""A policy that is one of two for ever, by the state it starts in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import FloatArray, IntArray, whole_number
from distrl.control.executed import evaluated_on
from distrl.control.policy import Memory, RunnablePolicy, Strip, place_of
from distrl.control.target.nodes import NodePolicy, node_process
from distrl.control.target.policy import TargetPolicy
from distrl.control.target.problem import Problem
from distrl.control.target.product import product, rounded_targets
from distrl.control.target.unrolled import Unrolled
from distrl.dp import Method, Solution
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import Rows, build_table
from distrl.models.stages import of_samples
from distrl.returns import Returns


def switched(policies: Sequence[NodePolicy | TargetPolicy], plays: IntArray) -> RunnablePolicy:
    """The policy that starts with `policies[plays[x]]` in state x, and stays with it.

    Parameters
    ----------
    policies : sequence
        Without a horizon where there is more than one.
    plays : (S,)
    """
    used = np.unique(plays)
    return policies[int(used[0])] if len(used) == 1 else SwitchedPolicy(tuple(policies), plays)


@dataclass(frozen=True, eq=False)
class SwitchedPolicy(RunnablePolicy):
    """One of some policies without a horizon for ever; the memory is its number and what it remembers itself.

    Attributes
    ----------
    policies : tuple of NodePolicy or TargetPolicy
    plays : (S,) int
        Which one is played from each state on.
    """

    remembers: ClassVar[str] = "target: what the rest of the return is to be (units of reward)"
    policies: tuple[NodePolicy | TargetPolicy, ...]
    plays: IntArray

    def start(self, state: int) -> Memory:
        """The memory at the start: (number of the policy, target)."""
        which = int(self.plays[place_of(state, len(self.plays))])
        return which, float(self.policies[which].targets[state])

    def _read(self, memory: Memory) -> tuple[int, float]:
        if not isinstance(memory, tuple):
            raise TypeError(f"the memory is (number of the policy, target), as start(state) gives it, got {memory!r}")
        return whole_number(memory[0], "the memory's policy", high=len(self.policies) - 1), float(memory[1])

    def act(self, state: int, memory: Memory) -> int:
        """The action in a state.

        Raises
        ------
        ValueError, TypeError
            If there is no such state, or the memory is none of this policy.
        """
        which, target = self._read(memory)
        return self.policies[which].act(state, target)

    def observe(self, state: int, memory: Memory, reward: float, next_state: int) -> Memory:
        """The memory after a step: that of the policy that is played.

        Raises
        ------
        ValueError, TypeError
            For what is no memory of this policy, no state, or no finite reward.
        """
        which, target = self._read(memory)
        after = self.policies[which].observe(state, target, reward, next_state)
        assert isinstance(after, float)
        return which, after

    def memories(self, states: IntArray) -> FloatArray:
        """(n, 2) the numbers of the policies and the starting targets of `states` (n,)."""
        targets = np.stack([policy.targets for policy in self.policies])
        return np.stack([self.plays[states], targets[self.plays[states], states]], axis=1)

    def acting(self, step: int, states: IntArray, memories: FloatArray) -> IntArray:
        """(n,) the actions of step `step`, in `states` with `memories` (n, 2)."""
        actions = np.zeros(len(states), dtype=np.int64)
        for which, policy in enumerate(self.policies):
            own = np.flatnonzero(memories[:, 0] == which)
            actions[own] = policy.acting(step, states[own], memories[own, 1])
        return actions

    def after(self, step: int, memories: FloatArray, rewards: FloatArray, next_states: IntArray) -> FloatArray:
        """(n, 2) the memories after step `step`, from `memories`, with `rewards` in `next_states`."""
        after = memories.copy()
        for which, policy in enumerate(self.policies):
            own = np.flatnonzero(memories[:, 0] == which)
            after[own, 1] = policy.after(step, memories[own, 1], rewards[own], next_states[own])
        return after

    def first_actions(self, n_states: int) -> IntArray:
        states = np.arange(n_states)
        return self.acting(0, states, self.memories(states))

    def strip(self, state: int, step: int = 0) -> Strip:
        return self.policies[int(self.plays[place_of(state, len(self.plays))])].strip(state, step)

    def evaluated(self, mdp: MDP, method: Method[Returns] | None, horizon: int | None) -> Solution[Returns]:
        """The law of the return from every state: those of the policies, side by side in one process.

        Where a `TargetPolicy` meets too many targets its law is that of the policy that rounds them (`laws_from`), and
        `certificate.of` says so.
        """
        states = np.arange(mdp.n_states)
        problem = Problem.of(mdp, ends=True)
        made = [_made(problem, policy, states[self.plays == which]) for which, policy in enumerate(self.policies)]
        rows, offset = np.zeros(len(states), dtype=np.int64), 0
        for which, part in enumerate(made):
            rows[self.plays == which] = offset + part.starts
            offset += part.process.n_states
        whole = _side_by_side([part.process for part in made])
        solution = evaluated_on(whole, rows, mdp, self.first_actions(len(states)), method)
        of = next((part.of for part in made if part.of), "")
        if not of or solution.certificate is None:
            return solution
        return replace(solution, certificate=replace(solution.certificate, of=of))

    def arrays(self) -> dict[str, FloatArray | IntArray]:
        parts = {f"{k}_{name}": each for k, one in enumerate(self.policies) for name, each in one.arrays().items()}
        return {"plays": self.plays, **parts}


class _Made(NamedTuple):
    """The process of a policy, the states of it that were asked for, and whose law it is if that is another one's."""

    process: MRP
    starts: IntArray
    of: str


def _made(problem: Problem, policy: NodePolicy | TargetPolicy, states: IntArray) -> _Made:
    if isinstance(policy, NodePolicy):
        starts = policy.rule.found(states, policy.targets[states])
        nodes = node_process(Unrolled.of(problem, None), policy.rule, starts)
        return _Made(nodes.process, np.searchsorted(nodes.nodes, starts), "")
    found = product(problem, policy.rule, states, policy.targets[states])
    return _Made(found.process, np.arange(len(states)), rounded_targets(policy.rule) if found.rounded else "")


def _side_by_side(processes: list[MRP]) -> MRP:
    """One process of several that have nothing to do with each other."""
    sizes = np.cumsum([0, *(process.n_states for process in processes)])
    tables = [process.outcomes for process in processes]
    sources = [table.sources + start for table, start in zip(tables, sizes, strict=False)]
    heads = [table.next_states + start for table, start in zip(tables, sizes, strict=False)]
    names = [name for process in processes for name in process.states]
    rewards, probs, ends = (
        np.concatenate([getattr(table, name) for table in tables]) for name in ("rewards", "probs", "terminals")
    )
    laws = np.full(len(rewards), -1, dtype=np.int64)
    rows = Rows(np.concatenate(sources), probs, np.concatenate(heads), rewards, ends, laws, ())
    n = int(sizes[-1])
    table = build_table(rows, n_sources=n, n_states=n, describe=lambda k: str(names[k]), tolerance=MIXED_ROW_SUM)
    defects = np.concatenate([each.defects for each in tables])
    if defects.any():
        table = replace(table, known_defects=defects)
    whole = MRP.from_table(table, processes[0].discount)
    whole.sampled = of_samples(processes[0])
    return whole
