"""Tables of rows in, checked columns out: by name where the columns have names, by position elsewhere.

A data frame, a mapping of columns, a structured array, and a sequence of mappings or of named tuples have names. Case,
blanks and a byte order mark make no difference to a name. What is looked for is our name first, then the ones in
`ALIASES`: those of Gymnasium's tables, of logs of transitions, and of the CSV files of CRAAM and its relatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distrl._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    bool_array,
    float_array,
    real_number,
    refuse_masked,
    shortened,
)
from distrl.models.choices import Choices
from distrl.models.discount_arrays import factors_in, rows_of_column
from distrl.models.discounts import one_number
from distrl.models.given import Names, TableLike
from distrl.models.ids import Ids, choices_of, ids_of
from distrl.models.laws import Law, as_law, is_law
from distrl.models.outcomes import Rows

ALIASES = {
    "state": ("states", "obs", "observation", "observations", "idstatefrom"),
    "action": ("actions", "idaction"),
    "probability": ("probabilities", "prob"),
    "next_state": ("next_states", "new_state", "next_obs", "next_observation", "next_observations", "idstateto"),
    "reward": ("rewards",),
    "terminal": ("terminals", "terminated", "terminations", "done", "dones"),
    "discount": ("discounts",),
}
#: Columns that say something about the model, and so are not passed over as other columns are.
_TELLING = {
    "discount": "give discount=None to take each row's own, or one discount for the model and leave the column out",
    "idoutcome": "it tells several possible laws of one (state, action) apart; keep the rows of one of them",
}


class Log(NamedTuple):
    """Logged transitions, one an entry."""

    ids: Ids
    rewards: FloatArray
    terminals: BoolArray
    discounts: FloatArray | None = None


def outcome_rows(
    rows: TableLike,
    names: tuple[str, ...],
    columns: Mapping[str, str | None] | None,
    states: Names,
    actions: Names = None,
    *,
    discount: object,
) -> tuple[Ids, Rows, Choices, float | None]:
    """Outcome rows, checked; their sources are the pairs of the `Choices`. And the discount of all rows.

    `discount=None` asks for a column `discount`, and the number is None unless all rows have the same there.

    Raises
    ------
    ValueError, TypeError
        Naming the column and the row, or the state without a row.
    """
    number = None if discount is None else one_number(discount)
    names = (*names, "discount") if discount is None else names
    rows = _listed(rows)
    raw = _named_columns(rows, names, columns, "rows", may_lack_terminal=True)
    if raw is None:
        raw = _columns_in_order(rows, names)
    probs = float_array(raw["probability"], "rows: probability", ndim=1)
    if not len(probs):
        raise ValueError("rows is empty; a model needs at least one outcome")
    ids = ids_of(raw, states, actions, "rows", len(probs))
    terminals = bool_array(raw["terminal"], "rows: terminal", len(probs))
    rewards, law, laws = split_laws(raw["reward"], "rows: reward")
    if len(rewards) != len(probs):
        raise ValueError(f"rows: reward has {len(rewards)} entries, probability has {len(probs)}")
    choices = choices_of(ids)
    sources = choices.sources(ids.state, ids.action)
    read = Rows(sources, probs, ids.next_state, rewards, terminals, law, laws)
    if discount is None:
        read, number = rows_of_column(read, raw["discount"], len(probs))
    return ids, read, choices, number


def transition_columns(
    rows: TableLike,
    names: tuple[str, ...],
    columns: Mapping[str, str | None] | None,
    states: Names,
    actions: Names = None,
) -> Log:
    """Logged transitions, checked, with their own discounts where `names` has a column for these.

    Raises
    ------
    ValueError, TypeError
        Naming the column and the row.
    """
    rows = _listed(rows)
    raw = _named_columns(rows, names, columns, "transitions", may_lack_terminal=False)
    if raw is None:
        raw = _columns_of_log(rows, names)
    rewards = float_array(raw["reward"], "transitions: reward", ndim=1)
    if not len(rewards):
        raise ValueError("transitions is empty; an empirical model needs at least one")
    ids = ids_of(raw, states, actions, "transitions", len(rewards))
    terminals, own = bool_array(raw["terminal"], "transitions: terminal", len(rewards)), None
    if "discount" in raw:  # nothing follows where it is 0, and an end has none
        own = np.where(terminals, 0.0, factors_in(raw["discount"], "transitions: discount", len(rewards)))
        terminals = terminals | (own == 0.0)
    return Log(ids, rewards, terminals, own)


def split_laws(entries: Sequence[object] | np.ndarray, name: str) -> tuple[FloatArray, IntArray, list[Law]]:
    """Numbers, law indices (-1: a number) and laws of a flat sequence that mixes both."""
    if isinstance(entries, np.ndarray) and entries.dtype.kind in "iuf":
        return float_array(entries, name, ndim=1), np.full(len(entries), -1), []
    if not hasattr(entries, "__len__"):
        raise TypeError(f"{name} must be a column of numbers or laws, got {entries!r}")
    values = np.zeros(len(entries))
    index = np.full(len(entries), -1)
    laws: list[Law] = []
    for position, entry in enumerate(entries):
        if is_law(entry):
            index[position] = len(laws)
            laws.append(as_law(entry, f"{name}[{position}]"))
        else:
            values[position] = real_number(entry, f"{name}[{position}]")
    return values, index, laws


def _listed(rows: Any) -> Any:
    """Iterators and views as lists; what has columns, positions or a shape stays."""
    lasting = isinstance(rows, Mapping | Sequence | np.ndarray) or hasattr(rows, "columns") or hasattr(rows, "shape")
    return rows if lasting or not hasattr(rows, "__iter__") else list(rows)


def _columns_of_log(rows: Any, names: tuple[str, ...]) -> dict[str, Any]:
    entries = (each for row in rows if isinstance(row, tuple | list) for each in row) if isinstance(rows, list) else ()
    if any(isinstance(each, str) for each in entries):  # names of states or actions
        return _columns_in_order(rows, names, "transitions")
    array = float_array(rows, "transitions", ndim=2)
    if array.shape[1] != len(names):
        raise ValueError(f"transitions have {array.shape[1]} columns; expected {', '.join(names)}")
    return {name: array[:, k] for k, name in enumerate(names)}


def _columns_in_order(rows: Any, names: tuple[str, ...], what: str = "rows") -> dict[str, Any]:
    refuse_masked(rows, what)
    if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[1] == len(names):
        return {name: rows[:, k] for k, name in enumerate(names)}
    wanted = f"{what} must be a table or a sequence of ({', '.join(names)}), got {shortened(rows)}"
    if isinstance(rows, str | bytes):
        raise TypeError(wanted)
    try:
        listed = [tuple(row) for row in rows]
    except TypeError as error:
        raise TypeError(wanted) from error
    if not listed:
        raise ValueError("rows is empty; a model needs at least one outcome")
    for number, row in enumerate(listed):
        if len(row) != len(names):
            raise ValueError(f"{what}[{number}] has {len(row)} entries; expected ({', '.join(names)})")
    return dict(zip(names, zip(*listed, strict=True), strict=True))


def _named_columns(
    rows: Any, names: tuple[str, ...], columns: Any, what: str, *, may_lack_terminal: bool
) -> dict[str, Any] | None:
    """{our name: column}, or None where the columns have no names."""
    table = _with_headers(rows, what)
    if table is None:
        if columns is not None:
            raise ValueError(f"columns is for a table whose columns have names; these {what} are read by position")
        return None
    headers = _headers(table, names, columns, what, may_lack_terminal)
    found = {name: _column(table, header) for name, header in headers.items()}
    if "terminal" not in found:
        found["terminal"] = np.zeros(len(found["probability"]), dtype=np.bool_)
    return found


def _with_headers(rows: Any, what: str) -> Any:
    """What gives a column for a header, or None where there are no headers."""
    if isinstance(rows, Mapping) or (hasattr(rows, "columns") and hasattr(rows, "__getitem__")):
        return rows
    if isinstance(rows, np.ndarray):
        return None if rows.dtype.names is None else {name: rows[name] for name in rows.dtype.names}
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        return None
    named = [isinstance(row, Mapping) or hasattr(row, "_fields") for row in rows]
    if not any(named):
        return None
    if not all(named):
        odd = named.index(not named[0])
        raise TypeError(
            f"{what}[{odd}] is unlike {what}[0]: either all {what} have names for their entries, or none has"
        )
    return _Records(row if isinstance(row, Mapping) else dict(zip(row._fields, row, strict=True)) for row in rows)


class _Records:
    """Rows that are mappings, as columns."""

    def __init__(self, rows: Iterable[Mapping[Any, Any]]) -> None:
        self.rows = list(rows)
        self.columns = list(dict.fromkeys(header for row in self.rows for header in row))

    def __getitem__(self, header: Any) -> list[Any]:
        for number, row in enumerate(self.rows):
            if header not in row:
                raise ValueError(f"row {number} has no {header!r}, though other rows have")
        return [row[header] for row in self.rows]


def _headers(table: Any, names: tuple[str, ...], columns: Any, what: str, may_lack_terminal: bool) -> dict[str, Any]:
    """{our name: the table's}, without `terminal` where that is False throughout."""
    arrow = getattr(table, "column_names", None)  # of an Arrow table, whose `columns` are the data
    headers = list(arrow if isinstance(arrow, list) else getattr(table, "columns", table))
    listed = f"the columns of {what} are {', '.join(map(str, headers)) or 'none'}"
    chosen = {} if columns is None else columns
    if not isinstance(chosen, Mapping) or not set(chosen) <= set(names):
        raise ValueError(
            f"columns must map some of {', '.join(names)} to names of the table's columns, got {columns!r}"
        )
    found: dict[str, Any] = {}
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
    _refuse_telling(table, others, what)
    missing = [name for name in names if name not in found]
    if missing and (missing != ["terminal"] or not may_lack_terminal):
        absent = " and ".join(map(repr, missing))
        raise ValueError(f"no column {absent}: {listed}; give columns={{{missing[0]!r}: its name there}}")
    unknown = [header for header in others if _plain(header) not in _TELLING]
    if missing and unknown and "terminal" not in chosen:  # one of them may well say where returns end
        raise ValueError(
            f"no column 'terminal': {listed}; give columns={{'terminal': its name there}}, or None for a name if no "
            "outcome ends the return"
        )
    return found


def _fitting(name: str, headers: list[Any], chosen: Mapping[str, Any]) -> list[Any]:
    """The headers that may be the column `name`: the chosen one, else ours, else the usual other ones."""
    if name in chosen:
        return [header for header in headers if header == chosen[name]]
    ours = [header for header in headers if _plain(header) == name]
    return ours or [header for header in headers if _plain(header) in ALIASES[name]]


def _refuse_telling(table: Any, others: list[Any], what: str) -> None:
    for header in others:
        text = _plain(header)
        if text == "discount" or (text == "idoutcome" and len(set(np.asarray(table[header]).tolist())) > 1):
            raise ValueError(f"the column {header!r} of {what} cannot be read: {_TELLING[text]}")


def _plain(header: Any) -> str:
    return str(header).strip("\ufeff\"' \t\r\n").casefold().replace(" ", "_")


def _column(table: Any, header: Any) -> Any:
    column = table[header]
    return column.to_numpy() if hasattr(column, "to_numpy") else column
