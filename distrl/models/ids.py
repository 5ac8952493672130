"""The ids of a table's states and actions as positions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import Enum
from itertools import count
from numbers import Number
from typing import Any, NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._validation import IntArray, int_array, refuse_masked, shortened, whole_column, whole_number
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


class Labelling(NamedTuple):
    """The names of all states and actions, or `range(n)`."""

    states: Sequence[Hashable]
    actions: Sequence[Hashable]


class Coded(NamedTuple):
    """A column of names by number: entry k is names[codes[k]]; the names in the order in which they come."""

    codes: IntArray
    names: Sequence[Hashable]


def ids_of(
    raw: Mapping[str, object], states: Names, actions: Names, rows: str, length: int, *, numbered: bool = False
) -> Ids:
    """The ids of a table's columns state, action (of an MDP) and next_state.

    Parameters
    ----------
    raw : columns by name
    states, actions : number, names or None
    rows : "rows" or "transitions"
        What the table is called in errors. Of "rows" every state needs one; a log may lack some.
    length : int
    numbered : bool
        Whether whole numbers may be names: the states of a table that are not 0..n-1, and the actions of one that do
        not begin at 0, are then names, in the order of the numbers. False: they are positions whatever they are.
    """
    found, names = _positions(
        {name: raw[name] for name in ("state", "next_state")}, states, "states", rows, length, numbered
    )
    state, following = found["state"], found["next_state"]
    if names is None:
        names = range(_count(states, "states", rows, state, following))
    if "action" not in raw:
        return Ids(state, np.zeros(length, dtype=np.int64), following, names, range(1))
    found, known = _positions({"action": raw["action"]}, actions, "actions", rows, length, numbered)
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


def is_missing(entry: object) -> bool:
    """Whether an entry stands for nothing: None, NaN, a time that is none, pandas' NA."""
    if entry is None or type(entry).__name__ == "NAType":
        return True
    try:
        return bool(entry != entry)
    except (TypeError, ValueError):  # an array, say
        return False


def _positions(
    columns: Mapping[str, Any], given: Any, what: str, rows: str, length: int, numbered: bool
) -> tuple[dict[str, IntArray], Sequence[Hashable] | None]:
    """Columns of ids as positions, and the names that these have, None where the ids are positions themselves.

    Ids are names where one of them is no number (text, a tuple, a date, a member of an Enum, ...), and where names are
    `given`; without these, positions are counted in the order in which names come, column by column. Otherwise ids are
    whole numbers, positions unless `numbered` and they cannot be.
    """
    names = None if given is None or _is_number(given) else labels_of(given, what)
    if names is None and not any(_has_names(column, numbered) for column in columns.values()):
        may_be_names = numbered and given is None
        low = None if may_be_names else 0
        found = {name: _indices(column, f"{rows}: {name}", length, low) for name, column in columns.items()}
        return _renumbered(found, gaps=what == "actions") if may_be_names else (found, None)
    coded = {name: _coded(column, f"{rows}: {name}", length) for name, column in columns.items()}
    if names is None:
        names = Labels(dict.fromkeys(each for column in coded.values() for each in column.names))
        if given is not None and len(names) != whole_number(given, what, low=1):
            raise ValueError(f"{rows} name {len(names)} {what}, but {what}={given}; leave it out, or list the names")
    found, places = {}, {each: place for place, each in enumerate(names)}
    for name, column in coded.items():
        unknown = next((code for code, each in enumerate(column.names) if each not in places), None)
        if unknown is not None:
            row, known = int(np.argmax(column.codes == unknown)), shortened(list(names))
            raise ValueError(f"{rows}: {name}[{row}] is {column.names[unknown]!r}, which is none of {what}={known}")
        found[name] = np.array([places[each] for each in column.names], dtype=np.int64)[column.codes]
    return found, names


def _renumbered(found: dict[str, IntArray], gaps: bool) -> tuple[dict[str, IntArray], Sequence[Hashable] | None]:
    """Whole numbers as they are if they are positions, else as names, in their order.

    They are positions if they are 0..n-1; with `gaps`, if they begin at 0 and are no more than there are rows.
    """
    low, high = min(int(each.min()) for each in found.values()), max(int(each.max()) for each in found.values())
    if low == 0 and gaps and high < sum(map(len, found.values())):
        return found, None
    if high - low < 4 * sum(map(len, found.values())):  # a mark for each number is cheaper than a sort
        marks = np.zeros(high - low + 1, dtype=np.bool_)
        for each in found.values():
            marks[each - low] = True
        if low == 0 and marks.all():
            return found, None
        places = np.cumsum(marks) - 1
        names = np.flatnonzero(marks) + low
        return {name: places[each - low] for name, each in found.items()}, Labels(names.tolist())
    names = np.unique(np.concatenate(list(found.values())))
    return {name: np.searchsorted(names, each) for name, each in found.items()}, Labels(names.tolist())


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


def _has_names(column: Any, numbered: bool) -> bool:
    """Whether an entry of a column is a name: whatever is no number; truth values where `numbered`."""
    if isinstance(column, Coded):
        return True
    if isinstance(column, np.ndarray) and (column.ndim != 1 or column.dtype.kind in "biufc"):
        return numbered and column.ndim == 1 and column.dtype.kind == "b"
    listed = isinstance(column, Sequence | np.ndarray) and not isinstance(column, str | bytes)
    if not listed:
        return False
    kinds = set(map(type, column))
    if numbered and kinds and kinds <= {bool, np.bool_}:
        return True
    numbers = (Number, np.number, np.bool_, np.ndarray)
    return any(issubclass(kind, Enum) or not issubclass(kind, numbers) for kind in kinds)


def _coded(column: Any, name: str, length: int) -> Coded:
    """A column of ids, none of which is missing, by number."""
    if isinstance(column, Coded):
        return column
    refuse_masked(column, name)
    listed = _listed(column)
    _check_length(listed, name, length)
    numbers: defaultdict[Any, int] = defaultdict(count().__next__)  # a new name has the next number
    try:
        codes = np.fromiter(map(numbers.__getitem__, listed), dtype=np.int64, count=length)
    except TypeError:  # it cannot be looked up
        _refuse_nameless(listed, name)
        raise
    if any(is_missing(each) for each in numbers):
        _refuse_nameless(listed, name)
    return Coded(codes, [each.item() if isinstance(each, np.generic) else each for each in numbers])


def _listed(column: Any) -> list[Any]:
    """The entries as Python's own objects."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "mM":  # nanoseconds would come out as plain numbers
        unit = np.datetime_data(column.dtype)[0]
        column = column if unit in ("D", "s", "ms", "us") else column.astype(f"{column.dtype.kind}8[us]")
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _refuse_nameless(listed: list[Any], name: str) -> None:
    for number, each in enumerate(listed):
        if not _can_be_looked_up(each) or is_missing(each):
            raise ValueError(f"{name}[{number}] is {shortened(each)}, which names nothing")


def _can_be_looked_up(each: object) -> bool:
    try:
        hash(each)
    except TypeError:  # a tuple that holds a list, say
        return False
    return True


def _indices(column: Any, name: str, length: int, low: int | None) -> IntArray:
    if np.asarray(column).dtype == np.bool_:  # 0 and 1, had somebody not mistaken the order of the columns
        raise TypeError(f"{name} holds booleans, not positions; look at the order of the columns")
    plain = whole_column(column)  # not copied: what is read is looked at once
    indices = int_array(column, name, low=low) if plain is None or (low is not None and plain.min() < low) else plain
    _check_length(indices, name, length)
    return indices


def _check_length(column: Any, name: str, length: int) -> None:
    if len(column) != length:
        raise ValueError(f"{name} has {len(column)} entries, other columns have {length}")
