"""The lines of PRISM's text files: reading them, plain or compressed, and an error that names the line."""

import gzip
import os
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import numpy as np

from distrl._validation import FloatArray, IntArray

#: Names of a line's indices, by the number of entries in the file's first line.
MATRIX = {2: ("source", "target"), 3: ("source", "choice", "target")}


@dataclass(frozen=True)
class Entries:
    """A parsed .tra, .srew or .trew file: header, index columns (n, k), values (n,) and their line numbers."""

    path: Path
    header: tuple[int, ...]
    index: IntArray
    values: FloatArray
    lines: IntArray


def stem_of(path: object) -> str:
    """The path without .tra or .tra.gz, to which the suffixes of the companions are added."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {path!r}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path must be text, got {path!r}")
    return text.removesuffix(".gz").removesuffix(".tra") if text.endswith((".tra", ".tra.gz")) else text


def existing(path: Path) -> Path | None:
    """The file itself, else its compressed form, if there is one."""
    found = (candidate for candidate in (path, Path(f"{path}.gz")) if os.path.exists(candidate))
    return next(found, None)  # Path.exists raises on a long name, os.path.exists does not


def text_of(path: Path) -> str:
    """What a plain or compressed text file holds, without a byte order mark."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig") as file:
                return file.read()
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as text: {error}") from error


def lines_of(path: Path) -> list[tuple[int, str]]:
    """(line number, line) without blank lines and comments."""
    numbered = ((number, line.strip()) for number, line in enumerate(text_of(path).split("\n"), start=1))
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def fail(path: Path, number: int, expected: str, found: str) -> NoReturn:
    """Refuse a line of a file."""
    raise ValueError(f"{path}, line {number}: expected {expected}, found {found[:60]!r}")


def whole(token: str, bound: int | None = None) -> int | None:
    """A token as an index below `bound`, None if it is not one."""
    if not (token.isascii() and token.isdecimal() and len(token) <= 15):
        return None
    value = int(token)
    return value if bound is None or value < bound else None


def _number(token: str) -> float | None:
    """A token as a finite float; PRISM's exact exports write fractions."""
    try:
        value = float(Fraction(token)) if "/" in token else float(token)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if np.isfinite(value) else None


def read_entries(path: Path, names: dict[int, tuple[str, ...]], what: str) -> Entries:
    """Parse a first line of h numbers and lines of the indices names[h] and a value."""
    last = "transitions" if what == "probability" else "entries"
    wanted = "a first line " + " or ".join("'" + " ".join([*("states", "choices")[: h - 1], last]) + "'" for h in names)
    lines = lines_of(path)
    if not lines:
        raise ValueError(f"{path} is empty; expected {wanted}")
    number, line = lines[0]
    header = tuple(-1 if (count := whole(token)) is None else count for token in line.split())
    if len(header) not in names or min(header) < 0 or header[0] == 0:
        fail(path, number, wanted, line)
    columns = names[len(header)]
    bounds = [header[1] if name == "choice" else header[0] for name in columns]
    width = len(columns)
    longest = width + (2 if what == "probability" else 1)  # a transition may carry its action's name
    expected = f"'{' '.join(columns)} {what}', " + ", ".join(f"{n} < {b}" for n, b in zip(columns, bounds, strict=True))
    index: list[list[int | None]] = []
    values: list[float] = []
    for number, line in lines[1:]:
        tokens = line.split()
        entry = [whole(token, bound) for token, bound in zip(tokens, bounds, strict=False)]
        value = _number(tokens[width]) if width < len(tokens) <= longest else None
        if value is None or None in entry or (what == "probability" and value < 0):
            fail(path, number, expected, line)
        index.append(entry)
        values.append(value)
    if len(values) != header[-1]:
        raise ValueError(
            f"{path}, line {lines[0][0]}: the first line announces {header[-1]} {last}, but the file has "
            f"{len(values)}; it is cut short or damaged"
        )
    return Entries(
        path,
        header,
        np.array(index, dtype=np.int64).reshape(-1, width),
        np.array(values, dtype=np.float64),
        np.array([number for number, _ in lines[1:]], dtype=np.int64),
    )
