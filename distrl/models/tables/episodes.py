"""Logs of whole episodes as columns of transitions.

An episode of T steps has T + 1 observations: nothing is guessed about what follows its last step, and no step is made
of the end of one episode and the beginning of the next. A step that was cut off (`truncations`) is a step like any
other; only `terminations` end the return.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from distrl._validation import bool_array, float_array, shortened

#: An episode: an object with these attributes, as Minari has them, or a mapping with these keys.
Episode: TypeAlias = Mapping[str, Any] | object
_FIELDS = {
    "observations": ("observations", "obs", "states"),
    "actions": ("actions",),
    "rewards": ("rewards",),
    "terminations": ("terminations", "terminals", "terminated", "dones", "done"),
    "truncations": ("truncations", "timeouts", "truncated"),
}


def transitions_of(episodes: Iterable[Episode] | object, with_actions: bool = True) -> dict[str, list[Hashable]]:
    """{state, action, reward, next_state, terminal} of all steps, in their order.

    Parameters
    ----------
    episodes : a Minari data set, or an iterable of episodes
    with_actions : whether actions are looked for; else there is no column of them

    Raises
    ------
    ValueError, TypeError
        Naming the episode, and the step.
    """
    iterate = getattr(episodes, "iterate_episodes", None)  # of a Minari data set
    listed: Any = iterate() if callable(iterate) else episodes
    if isinstance(listed, Mapping | str | bytes) or not isinstance(listed, Iterable):
        raise TypeError(f"episodes must be an iterable of episodes, or a Minari data set, got {shortened(listed)}")
    names = ("state", *["action"] * with_actions, "reward", "next_state", "terminal")
    columns: dict[str, list[Hashable]] = {name: [] for name in names}
    for number, episode in enumerate(listed):
        _add(columns, episode, f"episodes[{number}]")
    if not columns["state"]:
        raise ValueError("episodes holds no step; an empirical model needs at least one")
    return columns


def _add(columns: dict[str, list[Hashable]], episode: Any, name: str) -> None:
    counted = "actions" if "action" in columns else "rewards"  # what there is one of for each step
    fields = [field for field in _FIELDS if field != "actions" or counted == "actions"]
    found = {field: _field(episode, field, name, counted) for field in fields}
    observed = labels_in(found["observations"])
    actions = labels_in(found.get("actions", ()))
    rewards = float_array(found["rewards"], f"{name}: rewards", ndim=1)
    steps = len(actions if counted == "actions" else rewards)
    if len(observed) != steps + 1:
        raise ValueError(
            f"{name} has {len(observed)} observations and {steps} {counted}; an episode has one observation more, that "
            "after its last step"
        )
    if len(rewards) != steps:
        raise ValueError(f"{name} has {len(rewards)} rewards and {steps} actions; each step has one of both")
    ends = bool_array(found["terminations"], f"{name}: terminations", steps)
    early = np.flatnonzero(ends[:-1])
    if found["truncations"] is not None:
        cut = bool_array(found["truncations"], f"{name}: truncations", steps)
        early = np.flatnonzero((ends | cut)[:-1])
    if early.size:
        raise ValueError(
            f"{name} goes on after step {early[0]}, which ends it; split it there: each episode has an observation of "
            "its own after its last step"
        )
    columns["state"] += observed[:-1]
    if counted == "actions":
        columns["action"] += actions
    columns["reward"] += rewards.tolist()
    columns["next_state"] += observed[1:]
    columns["terminal"] += ends.tolist()


def _field(episode: Any, field: str, name: str, counted: str) -> Any:
    for spelling in _FIELDS[field]:
        if isinstance(episode, Mapping):
            if spelling in episode:
                return episode[spelling]
        elif hasattr(episode, spelling):
            return getattr(episode, spelling)
    if field == "truncations":
        return None
    raise ValueError(
        f"{name} has no {field}: an episode has observations (one more than {counted}), "
        f"{'actions, ' if counted == 'actions' else ''}rewards, terminations and truncations, got {shortened(episode)}"
    )


def labels_in(entries: Iterable[object]) -> list[Hashable]:
    """What observations or actions are as ids: whole numbers, or names; arrays become tuples.

    Parameters
    ----------
    entries : array (T,) or (T, k), sequence, or a tuple or mapping of such, as of composite spaces
    """
    if isinstance(entries, Mapping):
        entries = tuple(entries[key] for key in sorted(entries))
    if (
        isinstance(entries, tuple)
        and entries
        and all(isinstance(part, np.ndarray | tuple | Mapping) for part in entries)
    ):
        return list(zip(*(labels_in(part) for part in entries), strict=True))
    if isinstance(entries, np.ndarray) and entries.ndim == 1 and entries.dtype.kind in "biu":
        return list(entries.tolist())
    return [label_of(entry) for entry in entries]


def label_of(entry: object) -> Hashable:
    """One observation or action as an id: an array becomes its number, or a tuple; a mapping a tuple of its values."""
    if isinstance(entry, np.ndarray | np.generic):
        entry = entry.tolist()
    if isinstance(entry, Mapping):
        return tuple(label_of(entry[key]) for key in sorted(entry))
    if isinstance(entry, Sequence) and not isinstance(entry, str | bytes):
        parts = tuple(label_of(part) for part in entry)
        return parts[0] if len(parts) == 1 and isinstance(entry, list) else parts
    return entry  # whatever it is, it is looked at when it is read
