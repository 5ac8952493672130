"""What the formats cannot say of a model, in one comment: names of states and actions, and labels without states.

The comment is JSON after the word "distrl": `states` and `actions` are names in the order of positions, `tokens` the
words by which the lines of the file know the actions, `labels` the labels in order, `terminal` the one that ends
returns, and `listed` says that terminal states have no more actions than the file lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from distrl.models.mdp import MDP
from distrl.models.mrp import MRP


@dataclass(frozen=True)
class Known:
    """What a file says of a model beside its numbers.

    Attributes
    ----------
    states, actions : names in the order of positions, or None
    tokens : {word: position} of the actions, or None
    labels : list of str or None
        All labels of the model, in order; those that the file has beside them are the writer's own.
    terminal : str or None
        The label of the states that are terminal.
    listed : bool
        Whether terminal states have the choices that the file lists, and not all actions.
    """

    states: Sequence[Hashable] | None = None
    actions: Sequence[Hashable] | None = None
    tokens: dict[str, int] | None = None
    labels: list[str] | None = None
    terminal: str | None = None
    listed: bool = False


def known_of(text: str) -> Known:
    """What a comment says, after its first words.

    Raises
    ------
    ValueError
        If it is not what `note_of` writes.
    """
    try:
        note = json.loads(text)
        if not isinstance(note, dict) or not set(note) <= {
            "states",
            "actions",
            "tokens",
            "labels",
            "terminal",
            "listed",
        }:
            raise ValueError("it is no such list")
        for what, names in note.items():
            if what not in ("terminal", "listed") and not isinstance(names, list):
                raise ValueError(f"{what} is no list")
            if what in ("tokens", "labels") and not all(isinstance(name, str) for name in names):
                raise ValueError(f"{what} are not text")
        if not isinstance(note.get("terminal"), str | None):
            raise ValueError("terminal is no label")
        tokens = note.get("tokens")
        states, actions = (
            [_hashable(name) for name in note[what]] if what in note else None for what in ("states", "actions")
        )
        if tokens is not None and len(set(tokens)) < len(tokens):
            raise ValueError("tokens come twice")
        if actions is not None and (tokens is None or len(tokens) != len(actions)):
            raise ValueError(f"{len(actions)} actions have {len(tokens or [])} tokens")
    except ValueError as error:
        raise ValueError(f"the names that distrl wrote there are damaged: {error}") from error
    positions = None if tokens is None else {token: position for position, token in enumerate(tokens)}
    return Known(states, actions, positions, note.get("labels"), note.get("terminal"), note.get("listed") is True)


def note_of(model: MRP | MDP, tokens: list[str] | None, **more: object) -> str:
    """The names of a model, as a comment; empty where there is nothing to say.

    Parameters
    ----------
    model : MRP or MDP
    tokens : the words for its actions, or None where positions are clear without
    more : further entries
    """
    note: dict[str, Any] = {}
    if not isinstance(model.states, range):
        note["states"] = [_as_json(name, "states") for name in model.states]
    if isinstance(model, MDP) and tokens is not None:
        note["tokens"] = tokens
        if not isinstance(model.actions, range):
            note["actions"] = [_as_json(name, "actions") for name in model.actions]
    note |= {what: value for what, value in more.items() if value is not False}
    return json.dumps(note) if note else ""


def tokens_of(actions: Sequence[Hashable]) -> list[str]:
    """A word for each action: its name where that is an identifier, else `a` and its position."""
    fitting = [
        name if isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else None for name in actions
    ]
    taken = set(fitting)
    tokens = []
    for position, name in enumerate(fitting):
        token = f"a{position}" if name is None else name
        while name is None and token in taken:
            token = f"a{token}"
        tokens.append(token)
        taken.add(token)
    return tokens


def _as_json(name: Hashable, what: str) -> Any:
    if isinstance(name, tuple):
        return [_as_json(part, what) for part in name]
    if name is None or isinstance(name, str | int | float):
        return name
    raise ValueError(f"{name!r}, one of {what}, cannot be written; names are text, numbers or tuples of these")


def _hashable(name: Any) -> Hashable:
    if isinstance(name, dict):
        raise ValueError(f"{name!r} is no name")
    return tuple(map(_hashable, name)) if isinstance(name, list) else name
