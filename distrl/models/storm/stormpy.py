"""`from_stormpy`: an MRP or MDP from a model that stormpy has in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from distrl._validation import FloatArray
from distrl.models.explicit.branches import Branches, grouped
from distrl.models.explicit.build import Payments, Reading, model_of
from distrl.models.explicit.labels import FileLabels
from distrl.models.explicit.text import number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.storm.read import chosen

_WHERE = "the model of stormpy"


class SparseModel(Protocol):
    """What is asked of a model: that of `stormpy.SparseDtmc` and `stormpy.SparseMdp`."""

    nr_states: int
    model_type: object
    transition_matrix: object
    labeling: object
    reward_models: Mapping[str, object]

    def has_choice_labeling(self) -> bool:
        """Whether choices have names."""


@dataclass(frozen=True)
class _Place:
    """Stands for the path in errors."""

    text: str

    def __str__(self) -> str:
        return self.text


def from_stormpy(
    model: SparseModel,
    discount: float,
    rewards: int | str | None = None,
    terminal: str | None = None,
    initial: str | None = "init",
    *,
    deadlocks: str | None = None,
    absorbing: str | None = None,
    actions: str | None = None,
    normalise: bool = False,
) -> MRP | MDP:
    """The model that stormpy has built: an `MRP` from a `SparseDtmc`, an `MDP` from a `SparseMdp`.

    Rewards of states, choices and transitions add up. Labels of states come along; so do those of choices, as names of
    actions, if the model was built with them (`BuilderOptions.set_build_choice_labels`).

    Parameters
    ----------
    model : sparse DTMC or MDP of stormpy
        With numbers, floating or exact (which are rounded).
    discount, rewards, terminal, initial, deadlocks, absorbing, actions, normalise
        As for `read_drn`.

    Returns
    -------
    MRP or MDP
        Time O(n), some microseconds a transition: stormpy gives them one by one.

    Raises
    ------
    ValueError, TypeError
        For a model of another type (rates, observations, decision diagrams), with parameters or intervals; otherwise as
        `read_drn`.
    """
    reading = Reading(discount, terminal, initial, deadlocks, absorbing, actions, normalise)
    kind = str(getattr(getattr(model, "model_type", None), "name", getattr(model, "model_type", None)))
    matrix: Any = getattr(model, "transition_matrix", None)
    if matrix is None or not hasattr(matrix, "nr_rows"):
        raise TypeError(f"model must be a sparse model of stormpy, got {type(model).__name__}")
    if kind not in ("DTMC", "MDP"):
        raise ValueError(f"{_WHERE} is of type {kind}; only DTMC and MDP have probabilities that are all known")
    which = chosen(rewards, list(model.reward_models), _WHERE)
    branches = _branches(model, matrix, kind == "MDP")
    name = list(model.reward_models)[which] if which >= 0 else None
    payments = Payments() if name is None else _payments(model.reward_models[name], branches)
    return model_of(branches, payments, reading, _labels(model))


def _branches(model: Any, matrix: Any, has_choices: bool) -> Branches:
    """The transitions of a sparse matrix, whose row groups are the states of an MDP."""
    entries = [
        (row, entry.column, _value(entry.value)) for row in range(matrix.nr_rows) for entry in matrix.get_row(row)
    ]
    rows, targets = np.array([each[:2] for each in entries], dtype=np.int64).reshape(-1, 2).T
    probs = np.array([each[2] for each in entries], dtype=np.float64)
    owners = np.arange(matrix.nr_rows)
    if has_choices:
        starts = [matrix.get_row_group_start(state) for state in range(model.nr_states)] + [matrix.nr_rows]
        owners = np.repeat(np.arange(model.nr_states), np.diff(starts))
        places = np.arange(matrix.nr_rows) - np.array(starts)[owners]
        index = np.stack([owners[rows], places[rows], targets]).astype(np.int32)
    else:
        index = np.stack([rows, targets]).astype(np.int32)
    codes, spelled = _names(model, matrix.nr_rows)
    named = codes[rows] if has_choices else np.empty(0, dtype=np.int32)
    branches = grouped(_WHERE, has_choices, model.nr_states, index, probs, named, spelled)
    if len(branches.owners) < matrix.nr_rows and has_choices:
        raise ValueError(f"{_WHERE} has choices without transitions")
    return branches


def _names(model: Any, choices: int) -> tuple[np.ndarray, list[str]]:
    """The labels of choices, those of one choice joined."""
    codes = np.full(choices, -1, dtype=np.int32)
    spelled: dict[str, int] = {}
    if model.has_choice_labeling():
        for choice in range(choices):
            name = "_".join(sorted(model.choice_labeling.get_labels_of_choice(choice)))
            if name:
                codes[choice] = spelled.setdefault(name, len(spelled))
    return codes, list(spelled)


def _labels(model: Any) -> FileLabels:
    masks = {}
    for label in sorted(model.labeling.get_labels()):
        mask = np.zeros(model.nr_states, dtype=np.bool_)
        mask[list(model.labeling.get_states(label))] = True
        masks[label] = mask
    return FileLabels(_Place(_WHERE), masks)  # type: ignore[arg-type]


def _payments(given: Any, branches: Branches) -> Payments:
    of_states = _numbers(given.state_rewards) if given.has_state_rewards else None
    of_choices = _numbers(given.state_action_rewards) if given.has_state_action_rewards else None
    of_transitions: FloatArray | None = None
    if given.has_transition_rewards:
        of_transitions = np.zeros(len(branches.targets))
        matrix = given.transition_rewards
        for choice in range(matrix.nr_rows):
            first, last = branches.first[choice], branches.first[choice + 1]
            place = {int(target): first + k for k, target in enumerate(branches.targets[first:last])}
            for entry in matrix.get_row(choice):
                if entry.column in place:
                    of_transitions[place[entry.column]] = _value(entry.value)
    return Payments(of_states, of_choices, of_transitions)


def _numbers(values: Iterable[Any] | Sequence[Any]) -> FloatArray:
    return np.array([_value(value) for value in values], dtype=np.float64)


def _value(value: Any) -> float:
    """A number, or the method of entries that gives it in versions before 2."""
    value = value() if callable(value) else value
    if isinstance(value, float | int):
        return float(value)
    found = number(str(value))
    if found is None:
        raise ValueError(
            f"{_WHERE} has the value {str(value)[:60]!r}; only numbers are read, no intervals and parameters"
        )
    return found
