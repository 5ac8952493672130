"""The process that a target policy makes: its states are the states and targets that are met.

From given starts the targets that can be met are listed, one after the other. Where they are finitely many, and few,
the process is the policy's own: with rewards on a lattice at discount 1, with a horizon, or with few different rewards.
Else the target is rounded to the nearest knot after every step. That is another policy, and its law is another law: the
certificate says so.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.control.executed import evaluated_on
from distrl.control.target.problem import Problem
from distrl.control.target.rule import TargetRule
from distrl.dp import Method, Solution, evaluate
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import Rows, build_table
from distrl.models.stages import of_samples
from distrl.returns import Returns

MOST = 50_000  # pairs of state and target, of one process
_FINE = 2**20  # parts of a cell, within one of which two targets are one: what floats of one number differ by is less


def laws_of(
    mdp: MDP, rule: TargetRule, states: IntArray, targets: FloatArray, method: Method[Returns] | None
) -> Solution[Returns]:
    """The laws of the returns under a rule, those from `states` with `targets` first, then those of other pairs.

    Where all states are asked for, theirs alone: an `ExecutedSolution`.

    Parameters
    ----------
    mdp, rule : MDP, TargetRule
    states, targets : (K,)
    method : Method or None
        As for `evaluate`.

    Raises
    ------
    ValueError
        As `product`.
    """
    chosen: Any = method
    if rule.horizon == 0:
        stay = mdp.choices.actions[mdp.choices.indptr[:-1]]
        whole: Solution[Returns] = evaluate(mdp, chosen, policy=stay, horizon=0)
        return whole
    found = product(Problem.of(mdp, ends=rule.horizon is None), rule, states, targets)
    solution: Solution[Returns]
    if np.array_equal(states, np.arange(mdp.n_states)):
        solution = evaluated_on(found.process, states, mdp, rule.actions_at(0, states, targets), method)
    else:
        solution = evaluate(found.process, chosen)
    if not found.rounded or solution.certificate is None:
        return solution
    return replace(solution, certificate=replace(solution.certificate, of=rounded_targets(rule)))


def rounded_targets(rule: TargetRule) -> str:
    """Whose law it is where targets are rounded."""
    return f"the law of the policy that rounds its target to multiples of {rule.spacing:g}"


class Product(NamedTuple):
    """A process of states and targets; its first states are those that were asked for, with their starting targets.

    Attributes
    ----------
    process : MRP
    states, targets : (N,) what its states stand for
    rounded : bool
        Whether targets were rounded to knots.
    """

    process: MRP
    states: IntArray
    targets: FloatArray
    rounded: bool


class _Nodes:
    """Numbers of pairs of state and target, in the order in which they are met."""

    def __init__(self, rule: TargetRule, rounded: bool) -> None:
        self.rule, self.parts = rule, 1 if rounded or rule.by_knot else _FINE
        self.keys, self.numbers = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self.count = 0

    def key(self, step: int, states: IntArray, targets: FloatArray) -> IntArray:
        """One number for each pair, and for all targets of a state that are met for certain."""
        met = self.rule.met(step, states, targets)
        parts = (targets - self.rule.origin) / self.rule.spacing * self.parts
        place = np.where(met, -(2**39), np.rint(parts)).astype(np.int64)
        return states.astype(np.int64) * 2**40 + np.clip(place, -(2**39), 2**39 - 1) + 2**39

    def forget(self) -> None:
        """Begin with new ones: those of another step."""
        self.keys, self.numbers = self.keys[:0], self.numbers[:0]

    def number(self, step: int, states: IntArray, targets: FloatArray) -> tuple[IntArray, IntArray]:
        """The number of each pair, and the places of the first ones that were not met before."""
        keys = self.key(step, states, targets)
        fresh, first = np.unique(keys, return_index=True)
        known = np.isin(fresh, self.keys, assume_unique=True)
        fresh, first = fresh[~known], first[~known]
        order = np.argsort(first, kind="stable")
        given = np.empty(len(first), dtype=np.int64)
        given[order] = self.count + np.arange(len(first))
        self.count += len(first)
        merged = np.concatenate([self.keys, fresh])
        by_key = np.argsort(merged, kind="stable")
        self.keys, self.numbers = merged[by_key], np.concatenate([self.numbers, given])[by_key]
        return self.numbers[np.searchsorted(self.keys, keys)], first[order]


def product(problem: Problem, rule: TargetRule, states: IntArray, targets: FloatArray) -> Product:
    """The process that a rule makes from `states` with `targets`.

    Parameters
    ----------
    problem, rule : Problem, TargetRule
    states, targets : (K,)
        Where it starts; no two of them the same.

    Raises
    ------
    ValueError
        If there are too many pairs of state and target even where targets are rounded.
    """
    for rounded in (False, True):
        found = _listed(problem, rule, states, targets, rounded)
        if found is not None:
            return found
    raise ValueError(
        f"the policy meets more than {MOST} pairs of state and target, even if targets are rounded; ask for the laws "
        "of fewer states by policy.laws_from(mdp, states), or draw returns by simulate(episodes)"
    )


def _listed(problem: Problem, rule: TargetRule, states: IntArray, targets: FloatArray, rounded: bool) -> Product | None:
    """The process; None if it has more than `MOST` states."""
    rows, choices = problem.outcomes, problem.mdp.choices
    row_ptr = np.searchsorted(rows.pairs, np.arange(len(choices.actions) + 1))
    nodes = _Nodes(rule, rounded)
    met, sought = [states], [targets]
    sources: list[IntArray] = []
    taken: list[IntArray] = []
    heads: list[IntArray] = []
    ends: list[BoolArray] = []
    played: list[IntArray] = []
    numbers, _ = nodes.number(0, states, targets)
    here, step = (numbers, states, targets), 0
    while len(here[0]):
        number, state, target = here
        if rule.horizon is not None:
            nodes.forget()
        action = rule.actions_at(step, state, target)
        pair = _pairs(problem, state, action)
        played.append(pair)
        count = np.diff(row_ptr)[pair]
        row = np.arange(int(count.sum())) + np.repeat(row_ptr[:-1][pair] - np.cumsum(count) + count, count)
        source, left = np.repeat(number, count), np.repeat(target, count)
        after = rule.targets_after(step, left, rows.rewards[row], rows.next_states[row], rows.factors[row])
        if rounded:
            nearest = rule.origin + rule.spacing * np.rint((after - rule.origin) / rule.spacing)
            after = np.where(rule.met(step + 1, rows.next_states[row], after), after, nearest)
        end = rows.terminals[row]
        if rule.horizon is not None and step + 1 >= rule.horizon:
            end = np.ones_like(end)
        on = np.flatnonzero(~end)
        head = np.zeros(len(row), dtype=np.int64)
        head[on], first = nodes.number(step + 1, rows.next_states[row[on]], after[on])
        sources.append(source)
        taken.append(row)
        heads.append(head)
        ends.append(end)
        fresh = on[first]
        here, step = (head[fresh], rows.next_states[row[fresh]], after[fresh]), step + 1
        met.append(here[1])
        sought.append(here[2])
        if nodes.count > MOST:
            return None
    row = np.concatenate(taken)
    columns = Rows(
        np.concatenate(sources),
        rows.probs[row],
        np.concatenate(heads),
        rows.rewards[row],
        np.concatenate(ends),
        np.full(len(row), -1, dtype=np.int64),
        (),
        None if rule.discount is not None else np.where(np.concatenate(ends), 0.0, rows.factors[row]),
    )
    state, target = np.concatenate(met), np.concatenate(sought)
    process = _process(problem, columns, state, target, np.concatenate(played))
    return Product(process, state, target, rounded)


def _pairs(problem: Problem, states: IntArray, actions: IntArray) -> IntArray:
    """(n,) the pair of each state and action."""
    choices = problem.mdp.choices
    keys = choices.states * choices.n_actions + choices.actions
    return np.searchsorted(keys, states * choices.n_actions + actions)


def _process(problem: Problem, rows: Rows, states: IntArray, targets: FloatArray, pairs: IntArray) -> MRP:
    mdp = problem.mdp

    def described(node: int) -> str:
        return f"state {mdp.states[int(states[node])]!r} with target {targets[node]:g}"

    table = build_table(rows, n_sources=len(states), n_states=len(states), describe=described, tolerance=MIXED_ROW_SUM)
    if mdp.outcomes.defects.any():
        table = replace(table, known_defects=mdp.outcomes.defects[pairs])
    process = MRP.from_table(table, mdp.uniform_discount)
    process.sampled = of_samples(mdp)
    return process
