"""The lines of text files that people write, plain or compressed, and errors that name the line."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections.abc import Iterator
from typing import NoReturn

import numpy as np

from distrl._tolerances import ROW_SUM
from distrl._validation import FloatArray, IntArray, shortened

#: What a number may look like: `float` also takes nan, infinity and 1_000.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def file_of(path: object) -> str:
    """A path as text, or an error."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {shortened(path)}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path must be text, got {shortened(path)}")
    if not text:
        raise ValueError("path must name a file, got ''")
    return text


def numbered_lines(path: str) -> Iterator[tuple[int, str]]:
    """(number, line) of a text file, plain or `.gz`, from the first line on; the file is never held as a whole.

    Raises
    ------
    ValueError
        If there is no such file, or it is no text.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.endswith(".gz")
            else open(path, encoding="utf-8-sig") as file
        ):
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    raise ValueError(f"{path}, line {number}: a zero byte; this is no text file")
                yield number, line
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except (OSError, UnicodeError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as text: {error}") from error
    except ValueError as error:
        if "null byte" in str(error):  # in the path
            raise ValueError(f"{path!r} is no path: {error}") from error
        raise


def fail(path: str, number: int, expected: str, found: str) -> NoReturn:
    """Refuse a line of a file."""
    raise ValueError(f"{path}, line {number}: expected {expected}, found {shortened(found.strip())}")


def whole(token: str) -> int | None:
    """A token as a number of states, actions, or as an index; None if it is none."""
    return int(token) if token.isascii() and token.isdecimal() and len(token) <= 15 else None


def number_of(token: str) -> float | None:
    """A token as a finite number, None if it is none."""
    if not _NUMBER.fullmatch(token):
        return None
    value = float(token)
    return value if math.isfinite(value) else None


def place_of_sums(pairs: IntArray, probs: FloatArray, lines: IntArray) -> str:
    """ ", line 7", the last line of the first of the `pairs` whose probabilities do not sum to 1; "" if all do."""
    distinct, inverse = np.unique(pairs, return_inverse=True)
    wrong = np.abs(np.bincount(inverse, weights=probs, minlength=len(distinct)) - 1.0) > ROW_SUM
    return f", line {lines[inverse == np.argmax(wrong)].max()}" if wrong.any() else ""
