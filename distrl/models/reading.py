"""Tables of rows in, checked columns out: by name where the columns have names, by position elsewhere.

A data frame (of pandas, polars or PyArrow, and of all that narwhals knows where it is installed), a mapping of columns,
a structured array, and a sequence of mappings or of named tuples have names, which `distrl.models.tables.headers` looks
for, whatever their case. Columns that are not needed are passed over, but for `discount` and a varying `idoutcome`,
which would change the model.

**What stands in a column.** States and actions are positions 0..n-1, or names: text, tuples, dates, members of an Enum,
truth values, anything that can be looked up. Where columns have names, whole numbers that are not 0..n-1 (actions: that
do not begin at 0) are names too, in the order of the numbers; in rows that are read by position they are a slip, and
refused. In logs of transitions, which need not show every state, whole numbers are positions. Probabilities and rewards
are finite numbers, a reward may be a law, ends are truth values or 0 and 1. Nothing may be missing: null, None, NaN and
NA are errors that name the row and the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
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
from distrl.models.ids import Ids, Labelling, choices_of, ids_of, is_missing
from distrl.models.laws import Law, as_law, is_law
from distrl.models.outcomes import Rows
from distrl.models.tables.frames import Frame, is_frame
from distrl.models.tables.headers import headers_of, several_values


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
) -> tuple[Labelling, Rows, Choices, float | None]:
    """Outcome rows, checked; their sources are the pairs of the `Choices`. And the discount of all rows.

    `discount=None` asks for a column `discount`, and the number is None unless all rows have the same there.

    What is read is given up as soon as it can be: of a million rows, each column is 8 MB.

    Raises
    ------
    ValueError, TypeError
        Naming the column and the row, or the state without a row.
    """
    number = None if discount is None else one_number(discount)
    names = (*names, "discount") if discount is None else names
    rows = _listed(rows)
    raw = _named_columns(rows, names, columns, "rows", may_lack_terminal=True)
    named = raw is not None
    if raw is None:
        raw = _columns_in_order(rows, names)
    _refuse_missing(raw, "rows")
    probs = float_array(raw.pop("probability"), "rows: probability", ndim=1)
    if not len(probs):
        raise ValueError("rows is empty; a model needs at least one outcome")
    ids = ids_of(raw, states, actions, "rows", len(probs), numbered=named)
    terminals = bool_array(raw.pop("terminal"), "rows: terminal", len(probs))
    rewards, law, laws = split_laws(raw.pop("reward"), "rows: reward")
    factors = raw.pop("discount", None)
    raw.clear()
    if len(rewards) != len(probs):
        raise ValueError(f"rows: reward has {len(rewards)} entries, probability has {len(probs)}")
    choices = choices_of(ids)
    sources = choices.sources(ids.state, ids.action)
    read = Rows(sources, probs, ids.next_state, rewards, terminals, law, laws)
    if discount is None:
        read, number = rows_of_column(read, factors, len(probs))
    return Labelling(ids.states, ids.actions), read, choices, number


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
    _refuse_missing(raw, "transitions")
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
        return float_array(entries, name, ndim=1), np.broadcast_to(np.int64(-1), len(entries)), []
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
    lasting = isinstance(rows, Mapping | Sequence | np.ndarray) or is_frame(rows) or hasattr(rows, "shape")
    return rows if lasting or not hasattr(rows, "__iter__") else list(rows)


def _columns_of_log(rows: Any, names: tuple[str, ...]) -> dict[str, Any]:
    entries = (each for row in rows if isinstance(row, tuple | list) for each in row) if isinstance(rows, list) else ()
    if any(isinstance(each, str | tuple | Enum) for each in entries):  # names of states or actions
        return _columns_in_order(rows, names, "transitions")
    array = float_array(rows, "transitions", ndim=2)
    if array.shape[1] != len(names):
        raise ValueError(f"transitions have {array.shape[1]} columns; expected {', '.join(names)}")
    return dict(zip(names, np.array(array.T, order="C"), strict=True))


def _columns_in_order(rows: Any, names: tuple[str, ...], what: str = "rows") -> dict[str, Any]:
    refuse_masked(rows, what)
    if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[1] == len(names):
        return dict(zip(names, np.array(rows.T, order="C"), strict=True))  # each column in one piece
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
    rows: Any, names: tuple[str, ...], columns: Mapping[str, str | None] | None, what: str, *, may_lack_terminal: bool
) -> dict[str, Any] | None:
    """{our name: column}, or None where the columns have no names."""
    frame = Frame(rows, what) if is_frame(rows) else None
    table: Any = None if frame is not None else _with_headers(rows, what)
    if frame is None and table is None:
        if columns is not None:
            raise ValueError(f"columns is for a table whose columns have names; these {what} are read by position")
        return None
    headers = headers_of(
        frame.headers if frame is not None else list(table.columns if isinstance(table, _Records) else table),
        names,
        columns,
        what,
        may_lack_terminal=may_lack_terminal,
        varies=lambda header: several_values(table[header] if frame is None else frame.column(header, str(header))),
    )
    found = {name: table[of] if frame is None else frame.column(of, name) for name, of in headers.items()}
    if "terminal" not in found:
        found["terminal"] = np.zeros(len(found["probability"]), dtype=np.bool_)
    return found


def _refuse_missing(raw: Mapping[str, Any], what: str) -> None:
    """Raise if a number or truth value of a column of objects is missing; NaN and ids are looked at later."""
    for name in ("probability", "reward", "terminal"):
        column: Any = raw.get(name)
        looked_at = isinstance(column, list | tuple) or (isinstance(column, np.ndarray) and column.dtype.kind == "O")
        if not looked_at or {type(each) for each in column} <= {int, float, str, bool}:
            continue
        missing = next((row for row, each in enumerate(column) if is_missing(each)), None)
        if missing is not None:
            raise ValueError(
                f"{what}: {name}[{missing}] is missing ({column[missing]!r}); give it a value, or leave the row out: a "
                "row counts whole"
            )


def _with_headers(rows: Any, what: str) -> Any:
    """What gives a column for a header, or None where there are no headers."""
    if isinstance(rows, Mapping):
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
