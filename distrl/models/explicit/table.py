"""Tables in text files: some whole numbers and a decimal a line, and perhaps a name."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distrl._kernels.text import FULL, HIGHEST, LOWEST, WRONG, Limbs, more_names
from distrl._kernels.text import read_table as parse_table
from distrl._validation import FloatArray, IntArray
from distrl.models.explicit.text import Text, fail, number, read_text

#: Indices are kept as 32-bit numbers, half the size of what they are read into at last.
LARGEST = 2**31 - 1
Index = NDArray[np.int32]


@dataclass(frozen=True)
class Table:
    """Lines of a file as columns: indices (columns, n), values (n,) and the number of a name (n,), -1 without one.

    `line` is where the table begins, `header` what its first line said; `codes` are positions in `spelled`, and empty
    where no names were looked for.
    """

    path: Path
    line: int
    header: tuple[int, ...]
    index: Index
    values: FloatArray
    codes: Index
    spelled: list[str]

    def line_of(self, row: int) -> int:
        """The line that a row stood in, -1 for the first line, for errors: the file is read again."""
        count = -1 if self.header else 0
        for at, _, line in read_text(self.path).lines():
            if at >= self.line and line and not line.startswith("#") and not line[0].isalpha():
                if count == row:
                    return at
                count += 1
        raise ValueError(f"{self.path} has changed while it was read")


class Names:
    """The names in a text, as a kernel notes them: a hash table of places."""

    def __init__(self) -> None:
        self.slots: IntArray = np.full(64, -1)
        self.places: IntArray = np.empty((64, 2), dtype=np.int64)

    def grow(self, text: Text, count: int) -> None:
        """Make room where the table is half full."""
        if 2 * count >= len(self.slots):
            self.slots, self.places = more_names(text.data, self.slots, self.places, count)

    def spelled(self, text: Text, count: int) -> list[str]:
        """The names themselves."""
        return [text.text(start, stop) for start, stop in self.places[:count].tolist()]


def longer(rows: IntArray, count: int) -> IntArray:
    """Twice the room for rows, if more than half of it is in use."""
    return np.concatenate([rows, np.empty_like(rows)]) if 2 * count >= len(rows) else rows


@cache
def powers_of_five() -> tuple[Limbs, IntArray]:
    """The first 128 bits of 5^q for q from `LOWEST` to `HIGHEST`, in words of 32, and the shift that each was given."""
    limbs = np.empty((HIGHEST - LOWEST + 1, 4), dtype=np.uint64)
    shifts = np.empty(len(limbs), dtype=np.int64)
    for row, power in enumerate(range(LOWEST, HIGHEST + 1)):
        above, below = (5**power, 1) if power >= 0 else (1, 5**-power)
        shift = 128 - above.bit_length() + below.bit_length()
        bits = (above << shift) // below if shift >= 0 else (above >> -shift) // below
        while bits >= 1 << 128:
            shift -= 1
            bits >>= 1
        limbs[row] = [bits >> 32 * word & 0xFFFFFFFF for word in range(4)]
        shifts[row] = shift
    return limbs, shifts


def read_table(
    text: Text,
    place: int,
    line: int,
    bounds: list[int],
    expected: str,
    *,
    negative: bool,
    named: bool,
    header: tuple[int, ...],
) -> Table:
    """The lines from `place` on, which is in line number `line`.

    Parameters
    ----------
    text, place, line
    bounds : the indices of a line, in order, are below these
    expected : str
        What a line should be, for errors.
    negative : bool
        Whether values may be.
    named : bool
        Whether a name may follow the value.
    header : what the first line said, for `Table`
    """
    room = text.count_lines()
    index = np.empty((len(bounds), room), dtype=np.int32)
    values = np.empty(room)
    codes = np.empty(room if named else 0, dtype=np.int32)
    odd, names, limits = np.empty((64, 3), dtype=np.int64), Names(), np.minimum(np.array(bounds), LARGEST)
    state = np.array([place, line, 0, 0, 0])
    while True:
        columns = (index, values, codes, odd, names.slots, names.places)
        result = parse_table(text.data, state, limits, negative, *columns, *powers_of_five())
        if result == WRONG:
            fail(text, int(state[1]), int(state[0]), expected)
        if result != FULL:
            break
        odd = longer(odd, int(state[3]))
        names.grow(text, int(state[4]))
    rows = int(state[2])
    spelled = names.spelled(text, int(state[4]))
    parts = (index[:, :rows], values[:rows], codes[: rows if named else 0], spelled)
    table = Table(text.path, text.line, header, *parts)
    for row, start, stop in odd[: state[3]].tolist():
        value = number(text.text(start, stop))
        if value is None or (value < 0 and not negative):
            begin = max((start - k for k in range(1, start + 1) if text.data[start - k] == 10), default=-1) + 1
            fail(text, text.line + int(np.count_nonzero(text.data[:start] == 10)), begin, expected)
        values[row] = value
    return table
