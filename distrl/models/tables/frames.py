"""Data frames of other libraries: their columns in, frames out.

What narwhals knows (pandas, polars, PyArrow, Modin, DuckDB, Dask, Ibis and others, lazy or not) is read through it,
where it is installed. Without it, whatever gives a column for a name is read: eager frames of pandas, polars and
PyArrow do. Neither is imported before somebody brings a frame.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distrl._files import one_line
from distrl._validation import shortened
from distrl.models.given import HasColumns

#: A frame of the library that was asked for.
NativeFrame: TypeAlias = Any
#: What a frame is made of, by name, and the class that makes one of a mapping of columns.
_MAKERS = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}


class Frame:
    """The columns of a frame as arrays: `headers`, and `column(header)`.

    Parameters
    ----------
    native : a frame
    what : "rows" or "transitions"
        What it is called in errors.

    Raises
    ------
    ValueError, TypeError, ModuleNotFoundError
        If it cannot be read, or holds its rows elsewhere and narwhals is not there to fetch them.
    """

    def __init__(self, native: HasColumns, what: str) -> None:
        self._native, self._what = _eager(native), what
        arrow = getattr(self._native, "column_names", None)  # of an Arrow table, whose `columns` are the data
        self.headers: list[Hashable] = list(arrow if isinstance(arrow, list) else self._native.columns)

    def column(self, header: Hashable, name: str) -> Collection[object]:
        """The column under a header, in which nothing is missing; `name` is what it is called in errors."""
        column = self._native[header]
        null = _nulls(column)
        if null.any():
            row = int(np.argmax(null))
            raise ValueError(
                f"{self._what}: {name}[{row}] is missing; give it a value, or leave the row out: a row counts whole"
            )
        held: Collection[object] = column.to_numpy() if hasattr(column, "to_numpy") else column
        return held


def is_frame(rows: object) -> bool:
    """Whether `rows` is a table of some library of frames: not a mapping, a sequence or an array."""
    if isinstance(rows, Mapping | Sequence | np.ndarray):
        return False
    # asked of the class where that has it: a lazy frame warns, and runs its query, when it is asked itself
    own = getattr(rows, "__dict__", {})
    return any(hasattr(type(rows), name) or name in own for name in ("columns", "column_names"))


def frame_of(columns: Mapping[str, object], backend: str) -> NativeFrame:
    """A frame of the library `backend`, from columns by name.

    Parameters
    ----------
    columns : {name: array or list}
    backend : "pandas", "polars", "pyarrow", or another name that narwhals knows

    Raises
    ------
    ValueError, TypeError, ModuleNotFoundError
        If there is no such library, or it cannot hold a column, naming it.
    """
    if not isinstance(backend, str):
        raise TypeError(f"backend must be the name of a library of frames, such as 'pandas', got {shortened(backend)}")
    maker = _MAKERS.get(backend)
    try:
        library = import_module(backend if maker else "narwhals")
    except ImportError as error:
        raise ModuleNotFoundError(
            f"a frame of {backend!r} needs {backend if maker else 'narwhals'}: pip install 'distrl[io]' has pandas and "
            f"narwhals, pip install {backend} the rest",
            name=backend,
        ) from error
    try:
        if maker is None:
            return library.from_dict(dict(columns), backend=backend).to_native()
        held = {name: _holdable(column, backend, library) for name, column in columns.items()}
        return getattr(library, maker)(held)
    except Exception as error:  # each library has a dozen kinds of its own
        raise ValueError(f"{backend} cannot hold this table: {one_line(error)}") from error


def _holdable(column: Any, backend: str, library: Any) -> Any:
    """A column as the library takes it: objects stay objects where it would take them apart, members of an Enum too."""
    if isinstance(column, np.ndarray):
        return column
    kinds = set(map(type, column))
    if len(kinds) == 1 and kinds <= {str, int, float, bool}:
        return list(column)
    objects = np.empty(len(column), dtype=object)
    for place, each in enumerate(column):
        objects[place] = each
    if backend == "polars":
        return library.Series(values=objects, dtype=library.Object)
    return library.Series(objects, dtype=object) if backend == "pandas" else list(column)


def _eager(native: Any) -> Any:
    """A frame with its rows at hand."""
    try:
        narwhals = import_module("narwhals")
    except ImportError:
        if hasattr(native, "__getitem__") and not hasattr(native, "collect"):
            return native
        kind = f"{type(native).__module__.split('.')[0]}.{type(native).__name__}"
        raise ModuleNotFoundError(
            f"reading a {kind} needs narwhals: pip install 'distrl[io]', or give a mapping of columns",
            name="narwhals",
        ) from None
    try:
        wrapped = narwhals.from_native(native, pass_through=True)
        if isinstance(wrapped, narwhals.LazyFrame):
            return wrapped.collect().to_native()
    except narwhals.exceptions.DuplicateError:  # of a frame at hand; which name comes twice matters to who looks for it
        return native
    except Exception as error:  # of whatever engine runs the query
        raise ValueError(f"the {type(native).__name__} cannot be read: {one_line(error)}") from error
    return wrapped.to_native() if isinstance(wrapped, narwhals.DataFrame) else native


def _nulls(column: Any) -> NDArray[np.bool_]:
    """Which entries of a column its library calls missing."""
    for name in ("is_null", "isna"):
        told = getattr(column, name, None)
        if callable(told):
            found = told()
            return np.asarray(found.to_numpy() if hasattr(found, "to_numpy") else found, dtype=np.bool_)
    return np.zeros(1, dtype=np.bool_)
