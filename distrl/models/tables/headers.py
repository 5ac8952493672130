"""Which column of a table is which of ours: by the names in its header.

Case, blanks and a byte order mark make no difference to a name. What is looked for is our name first, then the ones in
`ALIASES`: those of Gymnasium's tables, of logs of transitions, and of the CSV files of CRAAM and its relatives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

import numpy as np

ALIASES = {
    "state": ("states", "obs", "observation", "observations", "idstatefrom", "state_from", "from_state"),
    "action": ("actions", "idaction"),
    "probability": ("probabilities", "prob"),
    "next_state": (
        *("next_states", "new_state", "next_obs", "next_observation", "next_observations"),
        *("idstateto", "state_to", "to_state"),
    ),
    "reward": ("rewards",),
    "terminal": ("terminals", "terminated", "terminations", "done", "dones"),
    "discount": ("discounts",),
}
#: Columns that say something about the model, and so are not passed over as other columns are.
_TELLING = {
    "discount": "give discount=None to take each row's own, or one discount for the model and leave the column out",
    "idoutcome": "it tells several possible laws of one (state, action) apart; keep the rows of one of them",
}


def headers_of(
    headers: list[Hashable],
    names: tuple[str, ...],
    columns: Mapping[str, str | None] | None,
    what: str,
    *,
    may_lack_terminal: bool,
    varies: Callable[[Hashable], bool],
) -> dict[str, Hashable]:
    """{our name: the table's}, without `terminal` where that is False throughout.

    Parameters
    ----------
    headers : the table's, in its order
    names : ours that are looked for
    columns : {our name: theirs}, as the user gave it
    what : "rows" or "transitions"
        What the table is called in errors.
    may_lack_terminal : whether a table without ends may be meant
    varies : of a header, whether its column holds more than one value

    Raises
    ------
    ValueError
        If a column is missing, may be two, or tells what would be lost, with the headers that there are.
    """
    listed = f"the columns of {what} are {', '.join(map(str, headers)) or 'none'}"
    chosen = _checked(columns, names)
    found: dict[str, Hashable] = {}
    for name in names:
        if name == "terminal" and may_lack_terminal and chosen.get(name, name) is None:
            continue
        fitting = _fitting(name, headers, chosen)
        if len(fitting) > 1:
            both = " and ".join(map(repr, fitting))
            raise ValueError(f"{both} may both be {name}: say which in columns=, or rename one")
        if name in chosen and not fitting:
            raise ValueError(f"no column {chosen[name]!r}, which columns= gives for {name}: {listed}")
        if fitting:
            if fitting[0] in found.values():
                raise ValueError(f"the column {fitting[0]!r} of {what} is taken twice, for {name} too; see columns=")
            found[name] = fitting[0]
    others = [header for header in headers if header not in found.values()]
    for header in others:
        text = _plain(header)
        if text == "discount" or (text == "idoutcome" and varies(header)):
            raise ValueError(f"the column {header!r} of {what} cannot be read: {_TELLING[text]}")
    missing = [name for name in names if name not in found]
    if missing and (missing != ["terminal"] or not may_lack_terminal):
        absent = " and ".join(map(repr, missing))
        raise ValueError(f"no column {absent}: {listed}; give columns={{{missing[0]!r}: its name there}}")
    unknown = [header for header in others if _plain(header) not in _TELLING and not _without_name(header)]
    if missing and unknown and "terminal" not in chosen:  # one of them may well say where returns end
        raise ValueError(
            f"no column 'terminal': {listed}; give columns={{'terminal': its name there}}, or None for a name if no "
            "outcome ends the return"
        )
    return found


def has_column(name: str, headers: list[Hashable], columns: Mapping[str, str | None] | None) -> bool:
    """Whether a table with these headers has our column `name`, or is said to."""
    told = isinstance(columns, Mapping) and name in columns
    return told or bool(_fitting(name, headers, {}))


def several_values(column: Collection[object]) -> bool:
    """Whether a column holds more than one value."""
    return len(set(np.asarray(column).tolist())) > 1


def _checked(columns: object, names: tuple[str, ...]) -> Mapping[str, Any]:
    chosen = {} if columns is None else columns
    if not isinstance(chosen, Mapping) or not set(chosen) <= set(names):
        raise ValueError(
            f"columns must map some of {', '.join(names)} to names of the table's columns, got {columns!r}"
        )
    return chosen


def _fitting(name: str, headers: list[Hashable], chosen: Mapping[str, Any]) -> list[Hashable]:
    """The headers that may be the column `name`: the chosen one, else ours, else the usual other ones."""
    if name in chosen:
        return [header for header in headers if header == chosen[name]]
    ours = [header for header in headers if _plain(header) == name]
    return ours or [header for header in headers if _plain(header) in ALIASES[name]]


def _without_name(header: Hashable) -> bool:
    """Whether a column is one of row numbers, as R and pandas write them."""
    return not _plain(header) or _plain(header).startswith("unnamed:")


def _plain(header: Hashable) -> str:
    return str(header).strip("\ufeff\"' \t\r\n").casefold().replace(" ", "_")
