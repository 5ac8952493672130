"""Models and policies of the steps of a horizon, as users give them: one for all steps, or one for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distrl._validation import FloatArray, shortened, without_noise
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy
from distrl.models.process import Model


def models_of(given: Model | Sequence[Model], horizon: int) -> tuple[Model, ...]:
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
    one: tuple[float | None, int] = None, 0  # the first discount that is one number, and its step
    for step, model in enumerate(given):
        if isinstance(model, MDP) != isinstance(first, MDP):
            raise TypeError(f"the model of step {step} is {model!r}, that of step 0 {first!r}: give all of one kind")
        if model.n_states != first.n_states or list(model.states) != list(first.states):
            raise ValueError(f"the model of step {step} has other states than that of step 0; give all the same")
        number = model.uniform_discount
        if number is not None and one[0] is not None and number != one[0]:
            raise ValueError(
                f"the model of step {step} has the discount {number:g}, that of step {one[1]} {one[0]:g}; "
                "give all the same"
            )
        one = one if number is None or one[0] is not None else (number, step)
        if isinstance(model, MDP) and isinstance(first, MDP) and list(model.actions) != list(first.actions):
            raise ValueError(f"the model of step {step} has other actions than that of step 0; give all the same")
    return tuple(given)


def policies_of(policy: Policy | Sequence[Policy], models: tuple[Model, ...], horizon: int) -> FloatArray:
    """(1 or H, S) actions or (1 or H, S, A) probabilities, checked for the model of every step."""
    mdps = [model for model in models if isinstance(model, MDP)]
    shape = mdps[0].n_states, mdps[0].n_actions
    if isinstance(policy, list | tuple) and any(isinstance(each, Mapping | str) for each in policy):
        _check_number(len(policy), horizon)
        return np.stack([_checked(mdps, each, step, shape) for step, each in enumerate(policy)])
    array = None if isinstance(policy, Mapping | str) else np.asarray(policy)
    by_step = bool(getattr(policy, "depends_on_step", False))  # a policy of `optimize` knows it
    if array is None or array.shape == shape[:1] or not (by_step or _one_a_step(array, shape, horizon)):
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
    if array.ndim != 2 or array.shape[1] != shape[0] or (array.shape == shape and len(array) != horizon):
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
