"""The table `P` of a Gymnasium environment as rows of outcomes."""

import math
import operator
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from distrl.models.labels import Labels, labels_of
from distrl.models.laws import is_law
from distrl.models.step_check import Outcome

#: (state, action, probability, next state, reward, terminated)
Row = tuple[Any, ...]


class Named(NamedTuple):
    """A table by positions, and the names of these where its keys were names."""

    table: Any
    states: Sequence[Hashable] | None
    actions: Sequence[Hashable] | None


def by_positions(table: object, name: str) -> Named:
    """A table whose keys may be names, counted in the order in which they come; whole numbers are positions."""
    states = _names_of([table], f"the table P of {name}")
    listed = list(table.values()) if isinstance(table, Mapping) else []
    actions = _names_of(listed, f"an entry of the table P of {name}")
    if states is None and actions is None:
        return Named(table, None, None)
    found: dict[Any, dict[Any, Any]] = {}
    entries: Any = table
    for state, entry in entries.items():
        by_action = entry.items() if isinstance(entry, Mapping) else enumerate(entry)
        found[state if states is None else states.index(state)] = {
            action if actions is None else actions.index(action): _led(
                outcomes, states, f"P[{state!r}][{action!r}] of {name}"
            )
            for action, outcomes in by_action
        }
    return Named(found, states, actions)


def _names_of(tables: list[Any], what: str) -> Labels | None:
    """The keys of mappings, if one of them is no whole number."""
    keys = list(dict.fromkeys(key for table in tables if isinstance(table, Mapping) for key in table))
    if all(isinstance(key, int | np.integer) for key in keys):
        return None
    if not all(isinstance(table, Mapping) for table in tables):
        raise TypeError(f"{what} has names for its keys, and another is a list; give all of them names, or none")
    return Labels(keys)


def _led(outcomes: Any, states: Labels | None, where: str) -> Any:
    """Outcomes with the positions of the states that they name."""
    if states is None or not isinstance(outcomes, Sequence) or not all(map(_is_outcome, outcomes)):
        return outcomes
    for outcome in outcomes:
        if outcome[1] not in states:
            raise ValueError(f"{where} leads to {outcome[1]!r}, which is no key of the table")
    return [(outcome[0], states.index(outcome[1]), *outcome[2:]) for outcome in outcomes]


def _is_outcome(outcome: Any) -> bool:
    return isinstance(outcome, Sequence) and not isinstance(outcome, str) and len(outcome) == 4


def table_rows(table: object, name: str) -> tuple[list[Row], int, int]:
    """(state, action, probability, next state, reward, terminated) rows, S and A."""
    by_state = _entries(table, f"the table P of {name}")
    if not by_state or list(by_state) != list(range(len(by_state))):
        missing = next(key for key in range(len(by_state) + 1) if key not in by_state)
        kind = f"has no entry {missing}; its keys must be 0..{len(by_state) - 1}" if by_state else "is empty"
        raise ValueError(f"the table P of {name} {kind}")
    rows: list[Row] = []
    actions = 0
    for state, entry in by_state.items():
        by_action = _entries(entry, f"P[{state}] of {name}")
        if not any(len(_entries(outcomes, f"P[{state}][{a}] of {name}")) for a, outcomes in by_action.items()):
            raise ValueError(f"P[{state}] of {name} is empty under every action; a state needs one that has outcomes")
        actions = max(actions, 1 + max(by_action))
        for action, outcomes in by_action.items():
            for outcome in _entries(outcomes, f"P[{state}][{action}] of {name}").values():
                if not isinstance(outcome, Sequence | np.ndarray) or len(outcome) != 4:
                    raise ValueError(
                        f"P[{state}][{action}] of {name} holds {outcome!r}; expected (probability, next state, "
                        "reward, terminated)"
                    )
                rows.append((state, action, *outcome))
    return rows, len(by_state), actions


def by_pair(rows: Sequence[Row]) -> dict[tuple[int, int], list[Outcome]]:
    """{(state, action): outcomes in the table's order, equal ones added up}; a law as reward counts as any (NaN)."""
    found: dict[tuple[int, int], dict[tuple[int, float, bool], float]] = {}
    for state, action, probability, successor, reward, terminal in rows:
        paid = math.nan if is_law(reward) else float(reward)
        outcomes = found.setdefault((state, action), {})
        key = int(successor), paid, bool(terminal)
        outcomes[key] = outcomes.get(key, 0.0) + float(probability)
    return {pair: [(p, *key) for key, p in outcomes.items()] for pair, outcomes in found.items()}


def names_of(core: object, states: int, actions: int) -> tuple[Sequence[Hashable], Sequence[Hashable]]:
    """The names that an environment of ours publishes; the positions themselves for any other."""
    found = []
    for what, n in (("state_names", states), ("action_names", actions)):
        published = getattr(core, what, None)
        fits = isinstance(published, Sequence) and len(published) == n
        found.append(labels_of(published if fits else None, what, n))
    return found[0], found[1]


def labels_in(core: object, states: int) -> Mapping[str, ArrayLike] | None:
    """The labels of states that an environment of ours publishes."""
    published = getattr(core, "state_labels", None)
    fits = isinstance(published, Mapping) and all(np.shape(mask) == (states,) for mask in published.values())
    return published if fits else None


def map_of(core: object, states: int) -> tuple[int, int] | None:
    """Shape of the map, if the environment has one with as many cells as states."""
    candidates = (
        (getattr(core, "nrow", None), getattr(core, "ncol", None)),
        getattr(core, "shape", None),
        getattr(getattr(core, "desc", None), "shape", None),
    )
    for shape in candidates:
        if (
            isinstance(shape, tuple)
            and len(shape) == 2
            and all(isinstance(side, int | np.integer) for side in shape)
            and shape[0] * shape[1] == states
        ):
            return int(shape[0]), int(shape[1])
    return None


def _entries(value: Any, what: str) -> dict[int, Any]:
    """The entries of a dict with whole numbers for keys, in their order, or of a sequence."""
    if isinstance(value, Mapping):
        try:
            return {operator.index(key): value[key] for key in sorted(value, key=operator.index)}
        except TypeError as error:
            raise TypeError(f"the keys of {what} must be whole numbers: {error}") from error
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
        return dict(enumerate(value))
    raise TypeError(f"{what} is {value!r}; expected a dict or a list")
