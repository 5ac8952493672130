"""The ids of a table's states and actions as positions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._validation import IntArray, int_array, refuse_masked, shortened, whole_number
from distrl.models.choices import Choices
from distrl.models.given import Names
from distrl.models.labels import Labels, labels_of


class Ids(NamedTuple):
    """The states and actions of rows: positions, and what is known of all states and actions.

    `states` and `actions` are names, or `range(n)` where the rows hold positions; an MRP has one action.
    """

    state: IntArray
    action: IntArray
    next_state: IntArray
    states: Sequence[Hashable]
    actions: Sequence[Hashable]


def ids_of(raw: Mapping[str, object], states: Names, actions: Names, rows: str, length: int) -> Ids:
    """The ids of a table's columns state, action (of an MDP) and next_state.

    Parameters
    ----------
    raw : columns by name
    states, actions : number, names or None
    rows : "rows" or "transitions"
        What the table is called in errors. Of "rows" every state needs one; a log may lack some.
    length : int
    """
    found, names = _positions({name: raw[name] for name in ("state", "next_state")}, states, "states", rows, length)
    state, following = found["state"], found["next_state"]
    if names is None:
        names = range(_count(states, "states", rows, state, following))
    if "action" not in raw:
        return Ids(state, np.zeros(length, dtype=np.int64), following, names, range(1))
    found, known = _positions({"action": raw["action"]}, actions, "actions", rows, length)
    if known is None:
        known = range(_count(actions, "actions", rows, found["action"]))
    return Ids(state, found["action"], following, names, known)


def choices_of(ids: Ids) -> Choices:
    """The (state, action) pairs that have rows; every state needs one."""
    n_states, n_actions = len(ids.states), len(ids.actions)
    choices = Choices.of_keys(ids.state * n_actions + ids.action, n_states, n_actions)
    without = choices.numbers == 0
    if without.any():
        state = ids.states[int(np.argmax(without))]
        raise ValueError(
            f"state {state!r} has no outcome; every state needs an available action, with rows that sum to 1: for a "
            f"state that ends the return, a row that goes from {state!r} to itself with reward 0 and terminal True"
        )
    if not choices.even:
        check_memory(n_states, n_actions, 2.0, "look for a stray index among the actions")
    return choices


def _positions(
    columns: Mapping[str, Any], given: Any, what: str, rows: str, length: int
) -> tuple[dict[str, IntArray], Sequence[Hashable] | None]:
    """Columns of ids as positions, and the names that these have, None where the ids are positions themselves.

    Ids are names where one of them is text, and where names are `given`; without these, positions are counted in the
    order in which names come, column by column. Otherwise ids are whole numbers.
    """
    names = None if given is None or _is_number(given) else labels_of(given, what)
    if names is None and any(_has_text(column) for column in columns.values()):
        every = (name for header, column in columns.items() for name in _ids(column, f"{rows}: {header}"))
        names = Labels(dict.fromkeys(every))
        if given is not None and len(names) != whole_number(given, what, low=1):
            raise ValueError(f"{rows} name {len(names)} {what}, but {what}={given}; leave it out, or list the names")
    if names is None:
        found = {name: _indices(column, f"{rows}: {name}", length) for name, column in columns.items()}
        return found, None
    found = {}
    for name, column in columns.items():
        listed = _ids(column, f"{rows}: {name}")
        _check_length(listed, f"{rows}: {name}", length)
        unknown = next((number for number, each in enumerate(listed) if each not in names), None)
        if unknown is not None:
            known = shortened(list(names))
            raise ValueError(f"{rows}: {name}[{unknown}] is {listed[unknown]!r}, which is none of {what}={known}")
        found[name] = np.array([names.index(each) for each in listed], dtype=np.int64)
    return found, names


def _count(given: Any, name: str, rows: str, sources: IntArray, *others: IntArray) -> int:
    """A number of states or actions, as given or one more than the largest index."""
    one = name.removesuffix("s")
    if rows == "rows" and sources.min() == 1:  # position 0 needs rows, so this is a numbering from 1
        raise ValueError(f"{one} 0 has no outcome: {name} are counted from 1 here, positions begin at 0; subtract 1")
    largest = max(int(index.max()) for index in (sources, *others))
    count = largest + 1 if given is None else whole_number(given, name, low=1)
    if largest >= count:
        raise ValueError(f"{rows} name index {largest}, but {name}={count}")
    if rows != "rows":
        check_memory(count, 1, 20.0, f"give {name}=, or look for a stray index")
    elif count > len(sources):  # before any arithmetic with a stray index of 1e15
        present = np.append(np.unique(sources), -1)
        missing = int(np.argmax(present != np.arange(len(present))))
        raise ValueError(f"{one} {missing} has no outcome; every one needs rows that sum to 1")
    return count


def _is_number(given: Any) -> bool:
    return not isinstance(given, Iterable) or isinstance(given, str | bytes) or getattr(given, "ndim", 1) == 0


def _has_text(column: Any) -> bool:
    if isinstance(column, np.ndarray) and (column.ndim != 1 or column.dtype.kind in "biufc"):
        return False
    listed = isinstance(column, Sequence | np.ndarray) and not isinstance(column, str | bytes)
    return listed and any(isinstance(each, str) for each in column)


def _ids(column: Any, name: str) -> list[Any]:
    """A column of ids, none of which is missing."""
    refuse_masked(column, name)
    listed = [each.item() if isinstance(each, np.generic) else each for each in column]
    for number, each in enumerate(listed):
        if not isinstance(each, Hashable) or each is None or each != each:
            raise ValueError(f"{name}[{number}] is {shortened(each)}, which names nothing")
    return listed


def _indices(column: Any, name: str, length: int) -> IntArray:
    if np.asarray(column).dtype == np.bool_:  # 0 and 1, had somebody not mistaken the order of the columns
        raise TypeError(f"{name} holds booleans, not positions; look at the order of the columns")
    indices = int_array(column, name, low=0)
    _check_length(indices, name, length)
    return indices


def _check_length(column: Any, name: str, length: int) -> None:
    if len(column) != length:
        raise ValueError(f"{name} has {len(column)} entries, other columns have {length}")
