"""Text files as bytes, plain or compressed, and errors that name the line."""

import codecs
import gzip
import io
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from distrl._files import one_line
from distrl._kernels.text import survey

#: Endings of the names of compressed files.
_PACKED = (".gz", ".xz")
_CHUNK = 1 << 24
_DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_FRACTION = r"[+-]?[0-9]{1,4000}(?:\.[0-9]{0,4000})?/[0-9]{1,4000}(?:\.[0-9]{0,4000})?"


@dataclass(frozen=True)
class Text:
    """A text file, or a part of one, as bytes that end with a line feed.

    The first of them is in line `line` of the file; `feeds` is the number of line feeds, None if nobody has counted.
    """

    path: Path
    data: NDArray[np.uint8]
    line: int = 1
    feeds: int | None = None

    def lines(self) -> Iterator[tuple[int, int, str]]:
        """(number, place, stripped text) of each line."""
        place, number, size = 0, self.line, len(self.data)
        while place < size:
            step = 256
            while not (found := np.flatnonzero(self.data[place : place + step] == 10)).size:
                step *= 4  # the data end with a line feed
            stop = place + int(found[0])
            yield number, place, self.text(place, stop).strip()
            place, number = stop + 1, number + 1

    def text(self, start: int, stop: int) -> str:
        """Some of the bytes as text."""
        return self.data[start:stop].tobytes().decode("utf-8", "replace")

    def line_at(self, place: int) -> str:
        """The beginning of the line at a place, for errors."""
        return self.text(place, min(place + 200, len(self.data))).split("\n", 1)[0].strip()

    def count_lines(self) -> int:
        """The number of line feeds."""
        return survey(self.data)[2] if self.feeds is None else self.feeds


def existing(path: Path) -> Path | None:
    """The file itself, else its compressed form, if there is one."""
    found = (candidate for candidate in (path, *(Path(f"{path}{end}") for end in _PACKED)) if os.path.exists(candidate))
    return next(found, None)  # Path.exists raises on a long name, os.path.exists does not


def without_packing(name: str) -> str:
    """A file's name without the ending of a compressed one."""
    for end in _PACKED:
        name = name.removesuffix(end)
    return name


def read_text(path: Path) -> Text:
    """What a plain or compressed text file holds, without a byte order mark.

    Memory: the size of its text.

    Raises
    ------
    ValueError
        Naming the file, if it is not there, cannot be read or unpacked, or is no text.
    """
    try:
        if path.suffix in _PACKED:
            with _opened(path) as file:
                data = _unpacked(file)
        else:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                data = np.empty(size + 1, dtype=np.uint8)
                got = file.readinto(data[:size].data)
                data = data[: got + 1]
        data[-1] = 10
        feeds: int | None = _check_encoding(data)
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        raise ValueError(f"{path} cannot be read as text: {one_line(error)}") from error
    if data[:3].tobytes() == codecs.BOM_UTF8:
        data = data[3:]
    if not (data[:-1][:_CHUNK] == 10).any():
        data[data == 13] = 10  # lines may end as they did long ago
        feeds = None
    return Text(path, data, feeds=feeds)


def read_head(path: Path) -> list[str]:
    """The first lines of a file, as far as they are in its first 4,096 bytes; none where it cannot be read."""
    try:
        with _opened(path) as file:
            return file.read(4096).decode("utf-8-sig", "replace").splitlines()
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError):
        return []  # reading the whole of it says what is wrong


def _opened(path: Path) -> BinaryIO:
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    opened: BinaryIO = opener(path, "rb")
    return opened


def _unpacked(file: BinaryIO) -> NDArray[np.uint8]:
    """The text of a compressed file, which may be an archive of one file, with room for a line feed."""
    parts = list(iter(lambda: file.read(_CHUNK), b""))
    if parts and parts[0][257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            if len(members) != 1:
                raise ValueError(f"it is an archive of {len(members)} files; one is expected")
            content = archive.extractfile(members[0])
            parts = [content.read()] if content is not None else []
    data = np.empty(sum(map(len, parts)) + 1, dtype=np.uint8)
    place = 0
    for part in parts:
        data[place : place + len(part)] = np.frombuffer(part, dtype=np.uint8)
        place += len(part)
    return data


def _check_encoding(data: NDArray[np.uint8]) -> int:
    """The number of lines, if this is text."""
    zeros, high, feeds = survey(data)
    if zeros:
        raise ValueError("it has bytes that are 0, as files have that are no text")
    if high:
        decoder = codecs.getincrementaldecoder("utf-8")()
        for k in range(0, len(data), _CHUNK):
            decoder.decode(data[k : k + _CHUNK].tobytes(), final=k + _CHUNK >= len(data))
    return feeds


def fail(text: Text, number: int, place: int, expected: str) -> NoReturn:
    """Refuse a line of a file."""
    raise ValueError(f"{text.path}, line {number}: expected {expected}, found {text.line_at(place)[:60]!r}")


def whole(token: str, bound: int | None = None) -> int | None:
    """A token as an index below `bound`, None if it is not one."""
    if not (token.isascii() and token.isdecimal() and len(token) <= 15):
        return None
    value = int(token)
    return value if bound is None or value < bound else None


def number(token: str) -> float | None:
    """A token as a finite float, None if it is not one; exact exports write fractions."""
    above, slash, below = token.partition("/")
    try:
        if slash and re.fullmatch(_FRACTION, token):
            value = float(Fraction(above) / Fraction(below))
        elif re.fullmatch(_DECIMAL, token):  # float takes more than decimals
            value = float(token)
        else:
            return None
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if np.isfinite(value) else None
