"""Finished cells in one SQLite file: they survive whatever ends the process that wrote them.

`pandas.read_sql("select cell, arguments, seconds from cells", sqlite3.connect("results/NAME/cells.sqlite"))` shows what
is there; the numbers of a finished run are in table.csv.
"""

import hashlib
import io
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from experiments.protocol import Arrays, Cell

_SCHEMA = """
create table if not exists cells (
    key text primary key,        -- of cell, arguments, seed and version of the code
    cell text not null,
    arguments text not null,     -- JSON
    seed integer not null,
    code text not null,
    seconds real not null,
    result blob not null         -- the arrays, as numpy.savez_compressed writes them
)"""


class Store:
    """The cells of one experiment; a context manager that only one process at a time can enter.

    Every cell is a transaction that is on the disk when it ends: a killed process leaves whole cells, and the lock it
    held is free. Cells of another version of the code, another seed or other arguments have other keys; they stay, and
    are never read in place of each other.

    Raises
    ------
    OSError
        On entering, if another process runs this experiment; and when the file cannot be written or read, saying what
        to do. What was stored before stays as it is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "cells.sqlite"

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        # a lock of SQLite is a lock of the operating system: it goes when the process goes, however that ends
        lock = _locked(self.directory / "lock.sqlite")
        if lock is None:
            raise OSError(
                f"another process is running into {self.directory}; wait until it ends, or give another --out"
            )
        self._lock = lock
        try:
            self._cells = sqlite3.connect(self.path, timeout=30.0)
            self._cells.execute("pragma synchronous = full")
            self._cells.execute(_SCHEMA)
            self._cells.commit()
        except sqlite3.Error as error:
            self._lock.close()
            raise self._explained(error, "opened") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cells.close()
        self._lock.close()

    def put(self, key: str, cell: Cell, seed: int, code: str, seconds: float, result: Arrays) -> None:
        """Keep a finished cell."""
        packed = io.BytesIO()
        np.savez_compressed(packed, **result)  # type: ignore[arg-type]
        arguments = json.dumps(dict(cell.arguments), sort_keys=True)
        row = (key, cell.name, arguments, seed, code, seconds, packed.getvalue())
        try:
            with self._cells:
                self._cells.execute("insert or replace into cells values (?, ?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise self._explained(error, f"written to (cell {cell.name})") from error

    def get(self, key: str) -> Arrays | None:
        """A stored result; None if there is none, or it is damaged."""
        try:
            row = self._cells.execute("select result from cells where key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._explained(error, "read") from error
        try:
            return None if row is None else _unpacked(row[0])
        except Exception:  # a damaged archive raises a dozen kinds of errors; solving again mends them all
            return None

    def seconds(self, keys: Mapping[str, str]) -> dict[str, float]:
        """What the cells took, by name, where `keys` are stored."""
        stored = dict(self._asked("select key, seconds from cells"))
        return {name: stored[key] for name, key in keys.items() if key in stored}

    def others(self, code: str) -> int:
        """How many cells of another version there are."""
        return int(self._asked("select count(*) from cells where code != ?", code)[0][0])

    def forget(self, keys: Iterable[str]) -> None:
        """Delete these cells."""
        try:
            with self._cells:
                self._cells.executemany("delete from cells where key = ?", [(key,) for key in keys])
        except sqlite3.Error as error:
            raise self._explained(error, "written to") from error

    def forget_others(self, code: str) -> int:
        """Delete the cells of other versions and give their room back; says how many there were."""
        count = self.others(code)
        try:
            with self._cells:
                self._cells.execute("delete from cells where code != ?", (code,))
            self._cells.execute("vacuum")
        except sqlite3.Error as error:
            raise self._explained(error, "written to") from error
        return count

    def _asked(self, question: str, *values: str) -> list[Any]:
        try:
            return self._cells.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise self._explained(error, "read") from error

    def _explained(self, error: sqlite3.Error, what: str) -> OSError:
        if isinstance(error, sqlite3.OperationalError):
            mend = "make room or check the disk and start again; finished cells are kept"
        else:
            mend = "the file is damaged; move it away and start again"
        return OSError(f"{self.path} could not be {what}: {error}; {mend}")


def key_of(cell: Cell, seed: int, code: str) -> str:
    """What a result is stored under: a hash of all that it depends on."""
    content = json.dumps([cell.name, dict(cell.arguments), seed, code], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def stored_keys(directory: Path) -> set[str]:
    """The keys of all finished cells, read without the lock, also while a run goes on; a damaged cell is none."""
    path = directory / "cells.sqlite"
    if not path.exists():
        return set()
    found = set()
    try:
        # as a URI, in which # and ? of a folder's name have to be escaped
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30.0)
        with closing(connection):
            for key, blob in connection.execute("select key, result from cells"):
                with suppress(Exception):  # whatever `Store.get` takes for damage
                    _unpacked(blob)
                    found.add(key)
    except sqlite3.Error as error:
        raise OSError(f"{path} could not be read: {error}; if it is damaged, move it away and start again") from error
    return found


def is_running(directory: Path) -> bool:
    """Whether a process holds the lock.

    Raises
    ------
    OSError
        If the lock is damaged.
    """
    path = directory / "lock.sqlite"
    if not path.exists():
        return False
    lock = _locked(path)
    if lock is not None:
        lock.close()
    return lock is None


def _locked(path: Path) -> sqlite3.Connection | None:
    """The connection that holds a lock until it is closed; None if another process holds it.

    Raises
    ------
    OSError
        If that cannot be said: the file is damaged, or cannot be opened.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
        connection.execute("begin exclusive")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return None
        raise OSError(
            f"the lock {path} cannot be taken: {error}; if no process runs into that folder, delete the file (it holds "
            "no results) and start again"
        ) from error
    return connection


def _unpacked(blob: bytes) -> Arrays:
    with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
