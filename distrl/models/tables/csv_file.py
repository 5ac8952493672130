"""CSV files as columns of ids, numbers and truth values; an error names the file, the line and the column.

The file is read once, as bytes, by compiled code: whole numbers and decimals are rounded as Python rounds them, texts
become names by number. Beside the file and its columns nothing of their size is held.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from distrl._files import one_line
from distrl._kernels import csv_text
from distrl._validation import IntArray
from distrl.models.ids import Coded
from distrl.models.tables.csv_scan import TARGETS, Scan, texts_by_number
from distrl.models.tables.headers import headers_of

_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
#: What programs write for a value that is missing.
_NOTHING = ("", "na", "n/a", "nan", "null", "none", "<na>")
#: Columns whose ids are of one kind.
_ALIKE = {"state": ("state", "next_state"), "next_state": ("state", "next_state"), "action": ("action",)}


class Header(NamedTuple):
    """The first line of a file: its columns, what is between them, and where the rows begin."""

    columns: list[str]
    separator: str
    start: int


class HandedOver(dict[str, Coded | np.ndarray]):
    """Columns by name, each of which is given once, and not kept."""

    def __getitem__(self, name: str) -> Coded | np.ndarray:
        return self.pop(name)


class CsvText:
    """The text of a CSV file.

    Parameters
    ----------
    path : Path
        Plain or compressed by gzip.

    Raises
    ------
    ValueError
        Naming the file, if it is not there, cannot be read, is no text, or has no header.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, _bytes_of(path)
        self.header = self._header()

    def columns(self, names: tuple[str, ...], columns: Mapping[str, str | None] | None) -> HandedOver:
        """The columns `names`, in the form of a mapping for `MDP.from_outcomes`; `columns` as there.

        Raises
        ------
        ValueError
            Naming the file, the line and the column.
        """
        header = self.header
        try:
            found = headers_of(
                list(header.columns), names, columns, "the file", may_lack_terminal=True, varies=self._varies
            )
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        where = {name: header.columns.index(str(of)) for name, of in found.items()}
        read = self._read(where)
        if not len(read.get("probability", ())):
            raise ValueError(f"{self.path} has a header and no rows; a model needs at least one outcome")
        return read

    def _read(self, where: Mapping[str, int]) -> HandedOver:
        """Our columns, each from a column of the file."""
        scan = self._scan(where)
        for part in (scan.first, scan.read):
            part()
            while scan.fault == csv_text.NO_NUMBER and scan.column in {where.get(name) for name in _ALIKE}:
                text = next(name for name, at in where.items() if at == scan.column)
                if self._shown(scan.place).strip("'") == "":
                    break
                scan.is_text[[TARGETS[name] for name in _ALIKE[text]]] = True  # one id is text: all of these are
                part()
            if scan.fault != csv_text.DONE:
                self._fail(scan.fault, scan.place, scan.column)
        for row, column, start, stop in scan.hard.tolist():
            scan.numbers[column, row] = self._decimal(start, stop, ("probability", "reward")[column])
        read, numbers = HandedOver(), dict[str, IntArray]()  # of texts, the number of each
        for name in where:
            to = TARGETS[name]
            if to < 3:
                ids = scan.wholes[to, : scan.rows]
                into = numbers if scan.is_text[to] else read
                into[name] = ids.copy() if name == "next_state" else ids  # which outlives the others
            else:
                read[name] = scan.truths[: scan.rows] if name == "terminal" else scan.numbers[to - 3, : scan.rows]
        known = texts_by_number(self.data, list(numbers.values()))
        read.update({name: self._names(numbers[name], own, name) for name, own in zip(numbers, known, strict=True)})
        return read

    def _scan(self, where: Mapping[str, int]) -> Scan:
        header = self.header
        return Scan(self.data, header.start, header.separator, len(header.columns), where)

    def _names(self, numbers: IntArray, known: IntArray, name: str) -> Coded:
        """A column of text, from the number of each and where each number's text is."""
        names: dict[str, int] = {}
        places = np.empty(len(known), dtype=np.int64)  # two texts, with and without quotes in quotes, may be one name
        for number, packed in enumerate(known.tolist()):
            start, stop = packed >> 16, (packed >> 16) + (packed & 65535)
            try:
                text = self.data[start:stop].decode()
            except UnicodeDecodeError:
                self._refuse(start, name, "the text is not UTF-8")
            if self.data[start - 1] == 34:  # a quotation mark
                text = text.replace('""', '"')
            elif len(text) < 5 and text.casefold() in _NOTHING and text.casefold() not in ("", "none"):
                self._refuse(
                    start, name, f"the name is missing ({text!r}); put it in quotes if it is a name, or give it one"
                )
            if not text:
                self._refuse(start, name, "the name is missing; give it one")
            places[number] = names.setdefault(text, len(names))
        return Coded(places[numbers], list(names))

    def _decimal(self, start: int, stop: int, name: str) -> float:
        text = self.data[start:stop].decode("ascii")
        value = float(text)
        if not np.isfinite(value):
            self._refuse(start, name, f"{text!r} is beyond the largest float")
        return value

    def _varies(self, header: object) -> bool:
        """Whether a column that is not ours has several values."""
        scan = self._scan({"state": self.header.columns.index(str(header))})
        scan.is_text[:] = True
        scan.read()
        return len(texts_by_number(self.data, [scan.wholes[0, : scan.rows]])[0]) > 1

    def _header(self) -> Header:
        """The first line that is neither blank nor a comment, and what separates its cells: what makes the most."""
        start = 3 if self.data.startswith(b"\xef\xbb\xbf") else 0
        while start < len(self.data):
            ends = [end for end in (self.data.find(b"\n", start), self.data.find(b"\r", start)) if end >= 0]
            stop = min(ends, default=len(self.data))
            try:
                line = self.data[start:stop].decode()
            except UnicodeDecodeError as error:
                raise ValueError(f"{self.path}, line {self._line(start)}: the header is not UTF-8 text") from error
            if line.strip() and not line.startswith("#"):
                found = {each: next(csv.reader([line], delimiter=each)) for each in _SEPARATORS}
                separator = max(found, key=lambda each: len(found[each]))
                columns = [name.strip() for name in found[separator]]
                if len(columns) == 1:
                    raise ValueError(
                        f"{self.path}, line {self._line(start)}: expected names of columns, separated by commas, tabs, "
                        f"semicolons or bars, found {line.strip()[:60]!r}"
                    )
                return Header(columns, separator, stop)
            start = stop + 1
        raise ValueError(f"{self.path} is empty; expected a line that names the columns, and rows")

    def _line(self, place: int) -> int:
        """The number of the line of a place in the file, from 1."""
        head = self.data[:place].replace(b"\r\n", b"\n")
        return 1 + head.count(b"\n") + head.count(b"\r")

    def _shown(self, place: int) -> str:
        """The cell at a place, or what there is of it on its line."""
        line = self.data[place : place + 200].decode(errors="replace").lstrip(" ").splitlines() or [""]
        return repr(line[0].split(self.header.separator)[0].strip()[:60])

    def _refuse(self, place: int, column: str, what: str) -> NoReturn:
        raise ValueError(f"{self.path}, line {self._line(place)}, column {column!r}: {what}")

    def _fail(self, fault: int, place: int, column: int) -> NoReturn:
        header, width = self.header, len(self.header.columns)
        if fault in (csv_text.TOO_FEW, csv_text.TOO_MANY):
            cells = f"only {column}" if fault == csv_text.TOO_FEW else f"more than {width}"
            between = _SEPARATORS[header.separator]
            at = min(column, width - 1)
            self._refuse(
                place, header.columns[at], f"the line has {cells} cells, the header {width}, separated by {between}"
            )
        name = header.columns[column]
        shown = self._shown(place)
        if fault == csv_text.OPEN_QUOTE:
            self._refuse(place, name, f"the quotation mark of {shown} is never closed")
        if fault == csv_text.AFTER_QUOTE:
            self._refuse(place, name, f"something follows the closing quotation mark of {shown}")
        if shown.strip("'\"").casefold() in _NOTHING:
            self._refuse(place, name, f"the value is missing ({shown}); give it one, or leave the line out")
        if fault == csv_text.NO_WHOLE:
            self._refuse(place, name, f"{shown} is not a whole number; an id is one, or text")
        if fault == csv_text.TOO_LONG:
            self._refuse(place, name, f"a name of more than 65,535 bytes ({shown})")
        wanted = "a finite number" if fault == csv_text.NO_NUMBER else "0, 1, true or false"
        comma = " (with a point, not a comma)" if "," in shown else ""
        self._refuse(place, name, f"expected {wanted}{comma}, found {shown}")


def _bytes_of(path: Path) -> bytearray:
    """What a file holds, and the end of a line."""
    try:
        with path.open("rb") as file:
            data = bytearray(os.fstat(file.fileno()).st_size)
            del data[file.readinto(data) :]
            data += file.read()  # of a pipe, whose size is not known
        if data.startswith(b"\x1f\x8b"):
            data = bytearray(gzip.decompress(data))
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {one_line(error)}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4096]:
        raise ValueError(f"{path} is not text in UTF-8; save it as that")
    data.append(10)
    return data
