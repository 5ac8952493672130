"""Files that are written whole or not at all, and sentences for those that cannot be read or written."""

import io
import math
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distrl._memory import available_memory

_OF_TEXT = 8  # bytes of memory for a byte of text, which is parsed


def path_of(path: object) -> Path:
    """`path` as an absolute path, so that a later change of the working folder does not move it.

    Raises
    ------
    TypeError, ValueError
        If it is no path, or names no file.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {path!r}")
    try:
        target = Path(path)
    except TypeError as error:
        raise TypeError(f"path must be text, got {path!r}") from error
    if not target.name:
        raise ValueError(f"path must name a file, got {path!r}")
    try:
        return target.absolute()
    except OSError as error:
        raise ValueError(f"{target} is relative to a working folder that does not exist any more") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, of the same suffix; it takes the place of `path` if all went well.

    Nobody ever sees half a file: its name is nobody else's, its content is on the disk before it is renamed, and of two
    writers the last one wins. A link stays a link, to a new content.

    Raises
    ------
    ValueError
        Naming `path`, if the folder cannot be written to.
    """
    try:
        target = Path(os.path.realpath(path))
        partial = target.with_name(f".{target.stem[:80]}.{uuid.uuid4().hex}.part{target.suffix[:80]}")
        try:
            yield partial
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, target)
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                partial.unlink()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from error


def write_npz(path: Path, fields: Mapping[str, ArrayLike]) -> None:
    """Write a whole `.npz` file, whatever its name ends in, or nothing."""
    with replacing(path) as partial, partial.open("xb") as file:
        np.savez_compressed(file, **dict[str, Any](fields))


def read_npz(path: Path, what: str) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` file; nothing in it is executed.

    Raises
    ------
    ValueError
        Naming `path`, if it is missing, damaged, cut short, or no such file, or its arrays do not fit into memory.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{path} does not exist or is not a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        if content[:2] != b"PK":  # np.load would take junk for a pickle, and advise loading it unsafely
            raise ValueError("it is not a zip archive, as every .npz is")
        _check_sizes(content)
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and the .npy parser raise a dozen kinds on damaged bytes
        raise ValueError(f"{path} is damaged or not {what}: {one_line(error)}") from error


def _check_sizes(content: bytes) -> None:
    """Refuse an archive whose arrays do not fit into memory, or are not as large as they say, before one is read."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        needed = 0
        for member in archive.infolist():
            with archive.open(member) as file:  # reads as it is asked to: the first bytes of the member
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
            stated = math.prod(shape) * dtype.itemsize
            if stated > member.file_size:
                raise ValueError(f"{member.filename} says that it has {stated} bytes, and has {member.file_size}")
            needed += member.file_size * (_OF_TEXT if dtype.kind in "US" else 1)
        there = available_memory()
        if needed > there:
            raise ValueError(f"its arrays need about {needed / 1e9:.3g} GB, and {there / 1e9:.3g} GB are available")


def one_line(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
