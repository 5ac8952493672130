"""The cells of a CSV file as arrays, read by several threads where its lines can be told apart beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache, partial

import numpy as np

from distrl._kernels import csv_text
from distrl._threads import default_threads, side_by_side
from distrl._validation import FloatArray, IntArray

#: Where the cells of our columns go: see `csv_text.read_cells`.
TARGETS = {"state": 0, "action": 1, "next_state": 2, "probability": 3, "reward": 4, "terminal": 5}
_POWERS = 60
_PART = 1 << 20  # bytes that are worth a thread
_FIRST = 1 << 16  # bytes that show which columns are text


class Scan:
    """Arrays for the cells of a file, and what became of reading it.

    Parameters
    ----------
    data : the file's bytes; the last one ends a line
    start : where its rows begin
    separator : what is between its cells
    width : the number of its columns
    where : {our name: the number of its column}

    Attributes
    ----------
    wholes, numbers, truths : the cells, see `csv_text.read_cells`
    is_text : (3,) which rows of `wholes` hold texts
    rows, fault, place, column : what was read, and what ended it
    hard : (n, 4) cells that have to be read by Python
    """

    def __init__(self, data: bytearray, start: int, separator: str, width: int, where: Mapping[str, int]) -> None:
        self._data, self._start, self._separator = data, start, ord(separator)
        self._array = np.frombuffer(data, dtype=np.uint8)
        self._target = np.full(width + 1, -1, dtype=np.int64)
        self._target[-1] = -2
        for name, column in where.items():
            self._target[column] = TARGETS[name]
        self._parts, most = self._divided()  # memory that is not written to costs nothing
        self.wholes, self.numbers = np.empty((3, most), dtype=np.int64), np.empty((2, most))
        self.truths, self.is_text = np.zeros(most, dtype=np.bool_), np.zeros(3, dtype=np.bool_)
        self.rows = self.fault = self.place = self.column = 0
        self.hard: IntArray = np.empty((0, 4), dtype=np.int64)

    def first(self) -> None:
        """Read the first lines alone: enough to see a column of text."""
        self._taken(*self._part(self._start, min(self._start + _FIRST, len(self._data)), 0))

    def read(self) -> None:
        """Read all lines; what ends it is the first fault in the file."""
        parts = self._parts
        found: list[tuple[IntArray, IntArray] | None] = [None] * len(parts)

        def read_part(number: int) -> None:
            found[number] = self._part(*parts[number])

        if len(parts) > 1:
            side_by_side([partial(read_part, number) for number in range(len(parts))], None)
            done = [each for each in found if each is not None]
            begins = [first for _, _, first in parts[1:]]
            # a part that lacks rows, for blank lines, leaves a gap; a fault may not be the first one
            whole = all(told[0] == first for (told, _), first in zip(done[:-1], begins, strict=True))
            if whole and all(told[2] == csv_text.DONE for told, _ in done):
                self._taken(done[-1][0], np.concatenate([hard for _, hard in done]))
                return
        self._taken(*self._part(self._start, len(self._data), 0))

    def _taken(self, told: IntArray, hard: IntArray) -> None:
        self.rows, _, self.fault, self.place, self.column = told.tolist()
        self.hard = hard

    def _part(self, begin: int, end: int, row: int) -> tuple[IntArray, IntArray]:
        """Read the lines that begin in a part of the file, whose first row is `row`."""
        many = 1024
        while True:
            told, hard = np.array([row, 0, 0, 0, 0]), np.empty((many, 4), dtype=np.int64)
            options = (self._separator, self._target, self.is_text, _powers_of_ten())
            csv_text.read_cells(self._array, begin, end, *options, self.wholes, self.numbers, self.truths, hard, told)
            if told[1] <= many:
                return told, hard[: told[1]]
            many = int(told[1])  # rare: more digits than a float has, in more than a thousand cells

    def _divided(self) -> tuple[list[tuple[int, int, int]], int]:
        """(begin, end, first row) of parts that end with a line, were every line a row; and how many rows there can be.

        There is one part where lines may be longer: one may go on within quotes, and then only who has read all before
        knows where it ends.
        """
        size = len(self._data)
        number = min(default_threads(), (size - self._start) // _PART)
        edges = [self._start]
        if number > 1 and self._data.find(b'"', self._start) < 0:
            for part in range(1, number):
                edge = self._data.find(b"\n", self._start + (size - self._start) * part // number)
                edges.append(size if edge < 0 else edge + 1)
        # the first line that is counted is the end of the header
        parts, row = [], -1 if b"\n" in self._data[self._start : self._start + 2] else 0
        for begin, end in zip(edges, [*edges[1:], size], strict=True):
            parts.append((begin, end, max(row, 0)))
            row += self._data.count(b"\n", begin, end)
        other = self._data.count(b"\r", self._start) if self._data.find(b"\r", self._start) >= 0 else 0
        return parts, row + other + 1


def texts_by_number(data: bytearray, columns: list[IntArray]) -> list[IntArray]:
    """`csv_text.number_texts` of several columns, side by side."""
    array, found = np.frombuffer(data, dtype=np.uint8), [np.empty(0, dtype=np.int64)] * len(columns)

    def number(place: int) -> None:
        found[place] = csv_text.number_texts(array, columns[place])

    side_by_side([partial(number, place) for place in range(len(columns))], None)
    return found


@cache
def _powers_of_ten() -> FloatArray:
    """(121, 2) 10^-60 to 10^60, each as the sum of two floats, its rounding and what that leaves."""
    exact = [Fraction(10) ** power for power in range(-_POWERS, _POWERS + 1)]
    return np.array([(float(each), float(each - Fraction(float(each)))) for each in exact])
