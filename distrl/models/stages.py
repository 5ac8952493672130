"""The steps that a finite horizon consists of: which process is at work in each of them.

A return of H steps is the discounted sum of H rewards, or of fewer where it ends before. Model and policy may change
from step to step, and where outcomes have discounts of their own, a step's factors are those of its process. What step
t does is the process of one policy on one model, made when it is asked for: H of them need not fit in memory, and two
steps that do the same share theirs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, whole_number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.models.policies import Policy, mixed_table
from distrl.models.process import Model, Step
from distrl.models.stages_given import models_of, policies_of


@dataclass(frozen=True, eq=False)
class Stages:
    """H steps of a model, or of H models, under a policy, or under H policies.

    Attributes
    ----------
    horizon : int
        H, the number of steps.
    models : tuple of MRPs or MDPs
        One for all steps, or one for each, step 0 first.
    policies : array or None
        For MDPs: actions (1, S) or (H, S), or probabilities (1, S, A) or (H, S, A).
    """

    horizon: int
    models: tuple[Model, ...]
    policies: FloatArray | None = None

    @classmethod
    def of(cls, model: Model | Sequence[Model], policy: Policy | Sequence[Policy] | None, horizon: int) -> Stages:
        """The steps that a user means.

        Parameters
        ----------
        model : MRP, MDP, or a sequence of one for each step
        policy : as for `MDP.under`, (H, S) actions, (H, S, A) probabilities, or a sequence of H policies
        horizon : int
            H, at least 0.

        Raises
        ------
        ValueError, TypeError
            If models or policies do not fit each other or the horizon, naming the step.
        """
        steps = whole_number(horizon, "horizon")
        models = models_of(model, steps)
        if isinstance(models[0], MRP):
            if policy is not None:
                raise ValueError("an MRP has no actions; leave policy out")
            return cls(steps, models if len(models) == 1 else tuple(_as_given(model) for model in models))
        if policy is None:
            raise ValueError(
                "an MDP needs a policy: (S,) actions, (S, A) probabilities or 'uniform', or one for each step, "
                "(H, S) or (H, S, A)"
            )
        return cls(steps, models, policies_of(policy, models, steps))

    # -- what is at work in a step ------------------------------------------------------------------------------------

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.models[0].n_states

    @property
    def uniform_discount(self) -> float | None:
        """The discount of every outcome of every step; None where a model has one for each outcome."""
        numbers = {model.uniform_discount for model in self.models}
        return numbers.pop() if len(numbers) == 1 else None

    @cached_property
    def largest_discount(self) -> float:
        """The largest discount of an outcome in any step, whatever the policy."""
        return max(model.largest_discount for model in self.models)

    @property
    def states(self) -> Sequence[Hashable]:
        """The names of the states, or `range(S)`."""
        return self.models[0].states

    @property
    def stationary(self) -> bool:
        """Whether all steps do the same."""
        return len(self.models) == 1 and (self.policies is None or len(self.policies) == 1)

    @cached_property
    def largest_reward(self) -> float:
        """A bound on E|r| of every outcome, whatever the policy, rounded up."""
        largest = 0.0
        for table in (model.outcomes for model in self.models):
            sizes = np.array([0.0, *(law.absolute_mean() for law in table.reward_laws)])[table.laws + 1]
            largest = max(largest, float(np.where(table.laws >= 0, sizes, np.abs(table.rewards)).max()))
        return largest * (1.0 + 4.0 * EPS)

    def reach(self, steps: int) -> float:
        """A bound on E|G| of returns of so many steps: `largest_reward` times 1 + g + ..., g the largest discount,
        rounded up."""
        return self.largest_reward * discounted_steps(self.largest_discount, steps)

    def process(self, step: int) -> MRP:
        """What step `step` does, as a process whose rows sum to 1. Time O(outcomes) where it is another one than
        that asked for last."""
        step = min(step, max(self.horizon - 1, 0))
        model = self.models[step if len(self.models) > 1 else 0]
        if isinstance(model, MRP):
            return model.whole()
        assert self.policies is not None
        policy = self.policies[step if len(self.policies) > 1 else 0]
        for known_model, known_policy, process in self._made:
            if known_model is model and (known_policy is policy or np.array_equal(known_policy, policy)):
                return process
        process = step_under(model, policy).whole()
        self._made[:] = [(model, policy, process)]
        return process

    @cached_property
    def _made(self) -> list[tuple[MDP, FloatArray, MRP]]:
        return []  # at most one entry, put in at once: threads that ask together make equal processes

    def backwards(self) -> Iterator[MRP]:
        """The processes of all steps, the last step first, whose every outcome ends the return: so nobody has to state
        what is left after it."""
        for step in range(self.horizon - 1, -1, -1):
            process = self.process(step)
            yield _last(process) if step == self.horizon - 1 else process

    def decisions(self, step: int) -> MDP | None:
        """The decision process of a step; None for MRPs."""
        model = self.models[step if len(self.models) > 1 else 0]
        return model if isinstance(model, MDP) else None

    def unrolled(self) -> MRP:
        """The same returns as those of one process without a horizon, whose state t * S + x is state x in step t.

        Memory O(H) times that of the model. Where H is 0, S states that end at once.
        """
        n, h = self.n_states, self.horizon
        tables = [_layer(self.process(t).outcomes, t, n, h) for t in range(h)] or [_ended(n)]
        laws = tuple(dict.fromkeys(law for table in tables for law in table.reward_laws))
        place = {law: number for number, law in enumerate(laws)}
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(table, name) for table in tables])
            for name in ("probs", "next_states", "rewards", "terminals")
        }
        sizes = np.concatenate([np.diff(table.indptr) for table in tables])
        numbers = [np.array([*(place[law] for law in table.reward_laws), -1])[table.laws] for table in tables]
        lacking = any(table.known_defects is not None for table in tables)
        number, factors = self.uniform_discount, None
        if number is None:  # the factors of each step's process, none after the last step
            ended = [np.zeros(len(table.probs)) for table in tables[-1:]]
            factors = np.concatenate([*(self.process(t).discounts for t in range(h - 1)), *ended])
        table = OutcomeTable(
            n_states=n * max(h, 1),
            indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            laws=np.concatenate(numbers).astype(np.int64),
            reward_laws=laws,
            known_defects=np.concatenate([table.defects for table in tables]) if lacking else None,
            discounts=factors,
            **columns,
        )
        return MRP.from_table(table, number)


@dataclass(frozen=True, eq=False)
class Opening(Stages):
    """The first H steps of returns that go on after them, below discount 1."""

    @property
    def stationary(self) -> bool:
        """What comes after them is another thing."""
        return False

    def reach(self, steps: int) -> float:
        """A bound on E|G| of returns that never end, rounded up."""
        return self.largest_reward / (1.0 - self.largest_discount) * (1.0 + 4.0 * EPS)

    def backwards(self) -> Iterator[MRP]:
        """The processes of all steps, the last step first; none of them ends the return by itself."""
        return (self.process(step) for step in range(self.horizon - 1, -1, -1))


def step_under(model: MDP, policy: Policy) -> Step:
    """One step of a decision process under a policy, which need not end at discount 1."""
    mixed = mixed_table(model.outcomes, model.policy_matrix(policy), model.choices, model.states)
    made = Step(mixed, None, model.uniform_discount, initial=model.initial, layout=model.layout, states=model.states)
    made.sampled = of_samples(model)
    return made


def _as_given(model: Model) -> Model:
    """A reward process as one of several steps: what is a loop of reward 0 here may pay in another one."""
    table = model.outcomes.before_ends
    if table is None or not isinstance(model, MRP):
        return model
    known: dict[str, Any] = {"initial": model.initial, "layout": model.layout, "states": model.states}
    made = Step(table, None, model.uniform_discount, labels=model.labels, **known)
    made.sampled = model.sampled
    return made


def _last(process: MRP) -> Step:
    """A step after which nothing comes."""
    ended = _all_ending(process.outcomes)
    made = Step(ended, None, process.uniform_discount, initial=process.initial, states=process.states)
    made.sampled = process.sampled
    return made


def of_samples(model: Model) -> bool:
    """Whether the probabilities of a model are frequencies of samples."""
    return bool(getattr(model, "sampled", False))


def discounted_steps(discount: float, steps: int) -> float:
    """1 + discount + ... + discount^(steps - 1), rounded up."""
    if discount == 1.0 or steps <= 1:
        return float(steps)
    total = -np.expm1(steps * np.log(discount)) / (1.0 - discount) if discount > 0.0 else 1.0
    return min(float(total) * (1.0 + 8.0 * EPS), float(steps))


def _layer(table: OutcomeTable, step: int, n: int, horizon: int) -> OutcomeTable:
    """The table of a step among all: it leads to the states of the next one, and ends after the last."""
    if step == horizon - 1:
        return _all_ending(replace(table, next_states=table.next_states + step * n))
    return replace(table, next_states=table.next_states + np.where(table.terminals, step, step + 1) * n)


def _all_ending(table: OutcomeTable) -> OutcomeTable:
    """The table with every outcome ending the return; nothing of a next return counts then."""
    factors = None if table.discounts is None else np.zeros_like(table.discounts)
    return replace(table, terminals=np.ones_like(table.terminals), discounts=factors)


def _ended(n: int) -> OutcomeTable:
    return OutcomeTable(
        n_states=n,
        indptr=np.arange(n + 1),
        probs=np.ones(n),
        next_states=np.arange(n),
        rewards=np.zeros(n),
        terminals=np.ones(n, dtype=np.bool_),
        laws=np.full(n, -1),
        reward_laws=(),
    )
