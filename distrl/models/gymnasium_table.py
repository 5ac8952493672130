"""The table `P` of a Gymnasium environment as rows of outcomes."""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distrl.models.laws import is_law
from distrl.models.step_check import Outcome

#: (state, action, probability, next state, reward, terminated)
Row = tuple[Any, ...]


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
