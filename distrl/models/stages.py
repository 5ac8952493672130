"""The steps that a finite horizon consists of: which process is at work in each of them.

A return of H steps is the discounted sum of H rewards, or of fewer where it ends before. Model and policy may change
from step to step. What step t does is the process of one policy on one model, made when it is asked for: H of them
need not fit in memory, and two steps that do the same share theirs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, shortened, whole_number, without_noise
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.models.policies import Policy, mixed_table
from distrl.models.process import Model, Step


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
        models = _models(model, steps)
        first = models[0]
        if isinstance(first, MRP):
            if policy is not None:
                raise ValueError("an MRP has no actions; leave policy out")
            return cls(steps, models)
        if policy is None:
            raise ValueError(
                "an MDP needs a policy: (S,) actions, (S, A) probabilities or 'uniform', or one for each step, "
                "(H, S) or (H, S, A)"
            )
        return cls(steps, models, _policies(policy, models, steps))

    # -- what is at work in a step ------------------------------------------------------------------------------------

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.models[0].n_states

    @property
    def discount(self) -> float:
        """The discount, which is the same in every step."""
        return self.models[0].discount

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
        """A bound on E|G| of returns of so many steps: `largest_reward` times 1 + discount + ..., rounded up."""
        return self.largest_reward * discounted_steps(self.discount, steps)

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
        """The processes of all steps, the last step first."""
        return (self.process(step) for step in range(self.horizon - 1, -1, -1))

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
        table = OutcomeTable(
            n_states=n * max(h, 1),
            indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            laws=np.concatenate(numbers).astype(np.int64),
            reward_laws=laws,
            known_defects=np.concatenate([table.defects for table in tables]) if lacking else None,
            **columns,
        )
        return MRP.from_table(table, self.discount)


def step_under(model: MDP, policy: Policy) -> Step:
    """One step of a decision process under a policy, which need not end at discount 1."""
    mixed = mixed_table(model.outcomes, model.policy_matrix(policy), model.choices, model.states)
    made = Step(mixed, None, model.discount, initial=model.initial, layout=model.layout, states=model.states)
    made.sampled = of_samples(model)
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
        return replace(table, next_states=table.next_states + step * n, terminals=np.ones_like(table.terminals))
    return replace(table, next_states=table.next_states + np.where(table.terminals, step, step + 1) * n)


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


# -- what users give ------------------------------------------------------------------------------------------------


def _models(given: Model | Sequence[Model], horizon: int) -> tuple[Model, ...]:
    """One model, or as many as there are steps, which have to be of one kind."""
    if isinstance(given, MRP | MDP):
        return (given,)
    if not isinstance(given, Sequence) or not all(isinstance(model, MRP | MDP) for model in given):
        raise TypeError(
            "model must be a distrl.MRP or a distrl.MDP, or with a horizon a sequence of one for each step, got "
            f"{shortened(given)}"
        )
    if len(given) != horizon or not given:
        raise ValueError(f"{len(given)} models for {horizon} steps: give one for each step, or one for all")
    first = given[0]
    for step, model in enumerate(given):
        if isinstance(model, MDP) != isinstance(first, MDP):
            raise TypeError(f"the model of step {step} is {model!r}, that of step 0 {first!r}: give all of one kind")
        if model.n_states != first.n_states or list(model.states) != list(first.states):
            raise ValueError(f"the model of step {step} has other states than that of step 0; give all the same")
        if model.discount != first.discount:
            raise ValueError(
                f"the model of step {step} has the discount {model.discount:g}, that of step 0 {first.discount:g}; "
                "give all the same"
            )
        if isinstance(model, MDP) and isinstance(first, MDP) and list(model.actions) != list(first.actions):
            raise ValueError(f"the model of step {step} has other actions than that of step 0; give all the same")
    return tuple(given)


def _policies(policy: Policy | Sequence[Policy], models: tuple[Model, ...], horizon: int) -> FloatArray:
    """(1 or H, S) actions or (1 or H, S, A) probabilities, checked for the model of every step."""
    mdps = [model for model in models if isinstance(model, MDP)]
    shape = mdps[0].n_states, mdps[0].n_actions
    if isinstance(policy, list | tuple) and any(isinstance(each, Mapping | str) for each in policy):
        _check_number(len(policy), horizon)
        return np.stack([_checked(mdps, each, step, shape) for step, each in enumerate(policy)])
    array = None if isinstance(policy, Mapping | str) else np.asarray(policy)
    if array is None or array.shape == shape[:1] or not _one_a_step(array, shape, horizon):
        once = _checked(mdps, policy, None, shape)
        for step in range(1, len(mdps)):
            _checked(mdps, policy, step, shape)
        actions = array is not None and array.ndim == 1
        return np.asarray(np.asarray(array, dtype=np.float64)[None] if actions else once[None])
    _check_number(len(array), horizon)
    if array.ndim == 2 and _all_available(array, mdps):
        return np.asarray(array, dtype=np.float64)
    checked = [_checked(mdps, each, step, shape) for step, each in enumerate(array)]
    return np.stack(checked) if array.ndim == 3 else np.asarray(array, dtype=np.float64)


def _one_a_step(array: np.ndarray, shape: tuple[int, int], horizon: int) -> bool:
    """Whether an array is one policy for each step; refused where it may be either."""
    if array.ndim == 3:
        if array.shape[1:] != shape:
            raise ValueError(
                f"policy must have shape (H, S, A) = ({horizon}, {shape[0]}, {shape[1]}), got {array.shape}"
            )
        return True
    if array.ndim != 2 or array.shape[1] != shape[0]:
        return False
    if array.shape != shape or array.dtype.kind not in "iufb":
        return True
    # (H, S) actions and (S, A) probabilities have one shape here; the numbers may tell which it is
    numbers = without_noise(np.asarray(array, dtype=np.float64))
    shares = bool((numbers >= 0.0).all() and (np.abs(numbers.sum(axis=1) - 1.0) <= 1e-6).all())
    actions = bool((numbers == np.floor(numbers)).all() and (numbers >= 0.0).all() and (numbers < shape[1]).all())
    if shares and actions:
        raise ValueError(
            f"a policy of shape {array.shape} may be one action for each of {horizon} steps and {shape[0]} states, or "
            f"the probabilities of {shape[1]} actions in each state; give probabilities of shape (H, S, A)"
        )
    return not shares


def _check_number(policies: int, horizon: int) -> None:
    if policies != horizon or not horizon:
        raise ValueError(f"{policies} policies for {horizon} steps: give one for each step, or one for all")


def _all_available(array: np.ndarray, mdps: list[MDP]) -> bool:
    """Whether every entry is an action that its state has: a quick way past the checks of each step."""
    if array.dtype.kind not in "iu" or (array < 0).any() or (array >= mdps[0].n_actions).any():
        return False
    states = np.arange(array.shape[1])
    if len(mdps) == 1:
        return mdps[0].choices.even or bool(mdps[0].available[states, array].all())
    return all(mdp.choices.even or mdp.available[states, row].all() for mdp, row in zip(mdps, array, strict=True))


def _checked(mdps: list[MDP], policy: Any, step: int | None, shape: tuple[int, int]) -> FloatArray:
    """The policy of a step (None: of all) as a matrix; an error names the step."""
    mdp = mdps[(step or 0) if len(mdps) > 1 else 0]
    try:
        return mdp.policy_matrix(policy)
    except (ValueError, TypeError) as error:
        if step is None:
            raise
        raise type(error)(f"step {step}: {error}") from error
