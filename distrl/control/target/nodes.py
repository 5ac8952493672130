"""Policies whose memory is one of finitely many targets: each state has nodes, and a target means one of them.

After reward r at the node of target t one goes on at the node that (t - r) / discount means in the next state. So the
process of a policy is finite, and what the policy reaches is a matter of linear systems.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray, real_number, whole_number
from distrl.control.executed import evaluated_on
from distrl.control.policy import Memory, RunnablePolicy, Strip, place_of
from distrl.control.target.problem import Known, Problem
from distrl.control.target.unrolled import Unrolled
from distrl.dp import Method, Solution, evaluate
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import Rows, build_table
from distrl.models.stages import of_samples
from distrl.returns import Returns


@dataclass(frozen=True, eq=False)
class NodeRule:
    """Nodes, what is played there, and which one a target means.

    Attributes
    ----------
    discount : float
    n_states : int
    ptr : (N + 1,) int
        The nodes of state x are `ptr[x]:ptr[x + 1]`; with a horizon those of x at step t are of state t * n_states + x.
    points : (nodes,)
        Targets, rising in each state.
    bounds : (nodes,)
        From which target on a node is meant, and not the one before; rising, the first of each state is not looked at.
    actions : (nodes,) int
    horizon : int or None
    """

    discount: float
    n_states: int
    ptr: IntArray
    points: FloatArray
    bounds: FloatArray
    actions: IntArray
    horizon: int | None = None

    def nodes(self, step: int, states: IntArray, targets: FloatArray) -> IntArray:
        """(n,) the nodes that targets mean.

        Parameters
        ----------
        step : int
            Makes a difference with a horizon only.
        states, targets : (n,)

        Raises
        ------
        ValueError
            If the horizon is over.
        """
        if self.horizon is not None:
            if step >= self.horizon:
                raise ValueError(f"all {self.horizon} steps of the horizon were made; start again")
            states = states + step * self.n_states
        return self.found(states, targets)

    def found(self, rows: IntArray, targets: FloatArray) -> IntArray:
        """(n,) the nodes of `rows` (n,), states of `ptr`, that targets (n,) mean."""
        low, high = self.ptr[:-1][rows], self.ptr[1:][rows] - 1
        while (low < high).any():
            middle = (low + high + 1) // 2
            right = self.bounds[middle] <= targets
            low, high = np.where(right, middle, low), np.where(right, high, middle - 1)
        return low

    def after(self, targets: FloatArray, rewards: FloatArray) -> FloatArray:
        """(n,) what is left of targets (n,) after rewards (n,)."""
        return np.asarray((targets - rewards) / (self.discount or 1.0))


@dataclass(frozen=True, eq=False)
class NodePolicy(RunnablePolicy):
    """A table of actions over states and finitely many targets; the memory is the target, always one of them.

    With a horizon the memory is the number of steps made and the target.

    Attributes
    ----------
    targets : (S,)
        With which it starts in every state.
    rule : NodeRule
    """

    remembers: ClassVar[str] = "target: what the rest of the return is to be (units of reward)"
    targets: FloatArray
    rule: NodeRule

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
        return int(self.acting(step, np.array([place_of(state, len(self.targets))]), np.array([target]))[0])

    def observe(self, state: int, memory: Memory, reward: float, next_state: int) -> Memory:
        """The memory after a step: the target of the next state that (target - reward) / discount means.

        Raises
        ------
        ValueError, TypeError
            For what is no memory of this policy, no state, or no finite reward.
        """
        step, target = self._read(memory)
        gained, place = real_number(reward, "reward"), place_of(next_state, len(self.targets), "next_state")
        left = self.after(step, np.array([target]), np.array([gained]), np.array([place]))
        return self._memory(step + 1, float(left[0]))

    def _memory(self, step: int, target: float) -> Memory:
        return target if self.horizon is None else (step, target)

    def _read(self, memory: Memory) -> tuple[int, float]:
        timed = self.horizon is not None
        if timed != isinstance(memory, tuple) or memory is None:
            meant = "(steps made, target)" if timed else "a target"
            raise TypeError(f"the memory is {meant}, as start(state) gives it, got {memory!r}")
        step, target = memory if isinstance(memory, tuple) else (0, memory)
        return whole_number(step, "the memory's step"), real_number(target, "the memory's target")

    def memories(self, states: IntArray) -> FloatArray:
        """(n,) the starting targets of `states` (n,)."""
        return np.asarray(self.targets[states])

    def acting(self, step: int, states: IntArray, memories: FloatArray) -> IntArray:
        """(n,) the actions of step `step`, in `states` with the targets `memories`."""
        return np.asarray(self.rule.actions[self.rule.nodes(step, states, memories)], dtype=np.int64)

    def after(self, step: int, memories: FloatArray, rewards: FloatArray, next_states: IntArray) -> FloatArray:
        """(n,) the targets after step `step`, from the targets `memories`, with `rewards` in `next_states`."""
        left = self.rule.after(memories, rewards)
        if self.horizon is not None and step + 1 >= self.horizon:
            return left
        return np.asarray(self.rule.points[self.rule.nodes(step + 1, next_states, left)])

    def started(self, targets: FloatArray) -> "NodePolicy":
        """The same table with other starting targets, each the next node's.

        Parameters
        ----------
        targets : (S,)
        """
        if self.horizon == 0:
            return replace(self, targets=targets)
        nodes = self.rule.nodes(0, np.arange(len(targets)), targets)
        return replace(self, targets=np.asarray(self.rule.points[nodes]))

    def first_actions(self, n_states: int) -> IntArray:
        if self.horizon == 0:
            return np.empty(0, dtype=np.int64)
        return self.acting(0, np.arange(n_states), self.targets)

    def strip(self, state: int, step: int = 0) -> Strip:
        rule, place = self.rule, np.array([place_of(state, len(self.targets))])
        first, last = (int(rule.nodes(step, place, np.array([end]))[0]) for end in (-np.inf, np.inf))
        edges = np.concatenate([rule.points[[first]], rule.bounds[first + 1 : last + 1], rule.points[[last]]])
        return Strip.of(edges, rule.actions[first : last + 1], float(self.targets[state]) if step == 0 else np.nan)

    def evaluated(self, mdp: MDP, method: Method[Returns] | None, horizon: int | None) -> Solution[Returns]:
        """The law of the return from every state, that of the policy itself; the horizon is the policy's own."""
        if self.horizon == 0:
            stay = mdp.choices.actions[mdp.choices.indptr[:-1]]
            return evaluate(mdp, method, policy=stay, horizon=0)
        rows = Unrolled.of(Problem.of(mdp, ends=self.horizon is None), self.horizon)
        starts = self.rule.found(np.arange(mdp.n_states), self.targets)
        made = node_process(rows, self.rule, starts)
        place = np.searchsorted(made.nodes, starts)
        return evaluated_on(made.process, place, mdp, self.first_actions(mdp.n_states), method)

    def arrays(self) -> dict[str, FloatArray | IntArray]:
        rule = self.rule
        return {
            "targets": self.targets,
            "ptr": rule.ptr,
            "points": rule.points,
            "bounds": rule.bounds,
            "actions": rule.actions,
        }


class NodeProcess(NamedTuple):
    """The process of the nodes that are met.

    Attributes
    ----------
    process : MRP
    nodes : (n,) what its states stand for, rising
    """

    process: MRP
    nodes: IntArray


class Links(NamedTuple):
    """Where nodes lead: outcome `rows` of `sources` (places among the nodes that were asked for), their `heads`."""

    sources: IntArray
    rows: IntArray
    heads: IntArray


def links(rows: Unrolled, rule: NodeRule, nodes: IntArray) -> Links:
    """The outcomes at `nodes` (n,) and the nodes they lead to; -1 for ends."""
    owner = np.searchsorted(rule.ptr, nodes, side="right") - 1
    pair = pairs_of(rows, owner, rule.actions[nodes])
    count = np.diff(rows.row_ptr)[pair]
    row = np.arange(int(count.sum())) + np.repeat(rows.row_ptr[:-1][pair] - np.cumsum(count) + count, count)
    sources = np.repeat(np.arange(len(nodes)), count)
    left = rule.after(rule.points[nodes][sources], rows.rewards[row])
    heads = np.where(rows.ends[row], -1, rule.found(rows.next_states[row], left))
    return Links(sources, row, heads)


def pairs_of(rows: Unrolled, states: IntArray, actions: IntArray) -> IntArray:
    """(n,) the pair of each state and action."""
    width = rows.problem.mdp.choices.n_actions
    return np.searchsorted(rows.states * width + rows.actions, states * width + actions)


def made_ending(rows: Unrolled, rule: NodeRule, known: Known) -> NodeRule:
    """At discount 1 the rule that surely ends: the mean-optimal action at nodes from which no end is reached."""
    if rows.problem.g < 1.0:
        return rule
    found = links(rows, rule, np.arange(len(rule.points)))
    ending = np.zeros(len(rule.points), dtype=np.bool_)
    ending[found.sources[found.heads < 0]] = True
    on = found.heads >= 0
    sources, heads = found.sources[on], found.heads[on]
    while True:
        more = sources[ending[heads] & ~ending[sources]]
        if not more.size:
            break
        ending[more] = True
    owner = np.repeat(np.arange(len(rule.ptr) - 1), np.diff(rule.ptr))
    return replace(rule, actions=np.where(ending, rule.actions, known.actions[owner]))


def node_process(rows: Unrolled, rule: NodeRule, starts: IntArray) -> NodeProcess:
    """The process of all nodes that are met from `starts` (K,)."""
    met: BoolArray = np.zeros(len(rule.points), dtype=np.bool_)
    fresh = np.unique(starts)
    while fresh.size:
        met[fresh] = True
        heads = np.unique(links(rows, rule, fresh).heads)
        heads = heads[heads >= 0]
        fresh = heads[~met[heads]]
    nodes = np.flatnonzero(met)
    found = links(rows, rule, nodes)
    place, n, mdp = np.cumsum(met) - 1, len(nodes), rows.problem.mdp
    ends = found.heads < 0
    owner = (np.searchsorted(rule.ptr, nodes, side="right") - 1) % mdp.n_states

    def described(node: int) -> str:
        return f"state {mdp.states[int(owner[node])]!r} with target {rule.points[nodes[node]]:g}"

    columns = Rows(
        found.sources,
        rows.probs[found.rows],
        np.where(ends, 0, place[found.heads]),
        rows.rewards[found.rows],
        ends,
        np.full(len(ends), -1, dtype=np.int64),
        (),
    )
    table = build_table(columns, n_sources=n, n_states=n, describe=described, tolerance=MIXED_ROW_SUM)
    if mdp.outcomes.defects.any():
        pair = pairs_of(rows, owner, rule.actions[nodes])
        table = replace(table, known_defects=mdp.outcomes.defects[pair])
    process = MRP.from_table(table, mdp.discount)
    process.sampled = of_samples(mdp)
    return NodeProcess(process, nodes)
