"""The text files of planning courses: a line `numStates 10`, lines `transition s a s' r p`, and a few more.

    numStates 3             numbers of states and of actions, which are counted from 0
    numActions 2
    start 0                 the first state; may be missing, or -1
    end 2                   the states that end an episode; -1: there is none
    transition 0 1 2 5.0 1  state, action, next state, reward, probability
    mdptype episodic        or continuing, which has no end
    discount  0.9

The lines may come in any order. Blank lines are passed over, and so is what follows a `#`.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from distrl._memory import check_memory
from distrl._tolerances import NEGATIVE, ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray, real_number
from distrl.models.collected import Collected, Known, collected_mdp
from distrl.models.mdp import MDP
from distrl.models.text_lines import fail, file_of, number_of, numbered_lines, place_of_sums, whole

#: So many transitions are read together, which takes a quarter of the time that they take one by one.
_BLOCK = 10_000
_TRANSITION = "'transition state action next-state reward probability'"


def read_text(
    path: str | os.PathLike[str],
    discount: float | None = None,
    *,
    absorbing: str | None = None,
    normalise: bool = False,
) -> MDP:
    """The MDP of a planning course's text file: numStates, numActions, start, end, transition, mdptype, discount.

    A move into a state of `end` ends the return after the move's reward. An action without transitions in a state is
    not available there; lines of one (state, action, next state) with the same reward add up.

    Parameters
    ----------
    path : path
        Plain text, or compressed, with a name that ends in `.gz`.
    discount : float in [0, 1], optional
        Instead of the one in the file.
    absorbing, normalise
        As for `MDP.from_outcomes`.

    Returns
    -------
    MDP
        `initial` is the state of `start`. Time O(n log n) and memory O(n) for n lines.

    Raises
    ------
    ValueError, TypeError
        Naming the file, and the line and what was expected there, or the state and the action.
    """
    given = None if discount is None else real_number(discount, "discount", low=0.0, high=1.0)
    read = _File(file_of(path))
    for number, line in numbered_lines(read.path):
        read.line(number, line)
    return read.model(given, absorbing, normalise)


class _File:
    """What the lines of a file have said so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._said: dict[str, tuple[int, Any]] = {}
        self._index, self._values, self._lines = array("q"), array("d"), array("q")
        self._waiting: list[tuple[int, str]] = []
        self._readers: dict[str, Callable[[int, list[str], str], Any]] = {
            "numstates": self._count,
            "numactions": self._count,
            "start": self._state_or_none,
            "end": self._states_or_none,
            "mdptype": self._kind,
            "discount": self._share,
        }

    def line(self, number: int, line: str) -> None:
        """Read one line; transitions wait until there are enough of them."""
        if line.startswith("transition "):
            self._waiting.append((number, line))
            if len(self._waiting) == _BLOCK:
                self._together()
            return
        words = line.partition("#")[0].split()
        if not words:
            return
        self._together()
        keyword = words[0].casefold()
        if keyword == "transition":
            self._transition(number, words, line)
            return
        reader = self._readers.get(keyword)
        if reader is None:
            known = "numStates, numActions, start, end, transition, mdptype or discount"
            fail(self.path, number, f"a line that begins with {known}", line)
        if keyword in self._said:
            fail(self.path, number, f"{words[0]} once; line {self._said[keyword][0]} has it already", line)
        self._said[keyword] = number, reader(number, words, line)

    def _together(self) -> None:
        """Read the transitions that wait: at once if all is well with them, else one by one, to say what is not."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        columns = _columns("".join(line for _, line in waiting), len(waiting))
        if columns is None:
            for number, line in waiting:
                self._transition(number, line.partition("#")[0].split(), line)
            return
        index, values = columns
        self._index.frombytes(index.tobytes())
        self._values.frombytes(values.tobytes())
        self._lines.extend(number for number, _ in waiting)

    def model(self, discount: float | None, absorbing: str | None, normalise: bool) -> MDP:
        """The model, when all lines have been read."""
        self._together()
        n, n_actions = self._needed("numStates"), self._needed("numActions")
        discount = self._needed("discount") if discount is None else discount
        ends = np.zeros(n, dtype=np.bool_)
        end_line, listed = self._said.get("end", (0, []))
        if listed and self._said.get("mdptype", (0, ""))[1] == "continuing":
            fail(self.path, end_line, "'end -1', since mdptype is continuing", f"end {' '.join(map(str, listed))}")
        ends[self._in_range(listed, n, end_line, "end")] = True
        initial = None
        start_line, start = self._said.get("start", (0, []))
        if start:
            initial = np.zeros(n)
            initial[self._in_range(start, n, start_line, "start")] = 1.0
        rows, lines = self._rows(n, n_actions, ends)
        known = Known(n, n_actions, initial=initial, ends=ends)
        try:
            return collected_mdp(rows, known, discount, absorbing=absorbing, normalise=normalise)
        except ValueError as error:
            keys = rows.states * n_actions + rows.actions
            place = place_of_sums(keys, rows.probs, lines)
            raise ValueError(f"{self.path}{place}: {error}") from error

    def _transition(self, number: int, words: list[str], line: str) -> None:
        if len(words) != 6:
            fail(self.path, number, _TRANSITION, line)
        index = [whole(word) for word in words[1:4]]
        reward, probability = number_of(words[4]), number_of(words[5])
        if None in index or reward is None or probability is None or not -NEGATIVE <= probability <= 1.0 + ROW_SUM:
            fail(self.path, number, f"{_TRANSITION}, with a probability in [0, 1]", line)
        self._index.extend(each for each in index if each is not None)
        self._values.extend((reward, probability))
        self._lines.append(number)

    def _rows(self, n: int, n_actions: int, ends: BoolArray) -> tuple[Collected, IntArray]:
        """The outcomes of the states that do not end, and their lines."""
        if not self._lines:
            raise ValueError(f"{self.path} has no transitions; a model needs lines {_TRANSITION}")
        index: IntArray = np.frombuffer(self._index, dtype=np.int64).reshape(-1, 3)
        values: FloatArray = np.frombuffer(self._values, dtype=np.float64).reshape(-1, 2)
        for column, (what, bound) in enumerate((("state", n), ("action", n_actions), ("next state", n))):
            if (index[:, column] >= bound).any():
                row = int(np.argmax(index[:, column] >= bound))
                name = "numActions" if what == "action" else "numStates"
                fail(self.path, self._lines[row], f"{what} < {bound}, as {name} says", self._as_text(row))
        possible, ended = values[:, 1] != 0.0, ends[index[:, 0]]
        stays = (index[:, 0] == index[:, 2]) & (values[:, 0] == 0.0)
        leaves = ended & possible & ~stays
        if leaves.any():
            row = int(np.argmax(leaves))
            expected = f"no transition from state {index[row, 0]}, which ends an episode (line {self._said['end'][0]})"
            fail(self.path, self._lines[row], expected, self._as_text(row))
        kept = np.flatnonzero(possible & ~ended)
        states, actions, successors = (index[kept, column] for column in range(3))
        lines = np.frombuffer(self._lines, dtype=np.int64)[kept]
        return Collected.numbers(states, actions, values[kept, 1], successors, values[kept, 0]), lines

    def _as_text(self, row: int) -> str:
        index, values = self._index[3 * row : 3 * row + 3], self._values[2 * row : 2 * row + 2]
        return " ".join(["transition", *map(str, index), *(f"{value:g}" for value in values)])

    def _needed(self, name: str) -> Any:
        if name.casefold() not in self._said:
            mend = "; give discount=" if name == "discount" else ""
            raise ValueError(f"{self.path} has no line {name!r}{mend}")
        return self._said[name.casefold()][1]

    def _in_range(self, states: list[int], n: int, number: int, keyword: str) -> list[int]:
        if states and max(states) >= n:
            fail(self.path, number, f"states < {n}, as numStates says", f"{keyword} {' '.join(map(str, states))}")
        return states

    def _count(self, number: int, words: list[str], line: str) -> int:
        count = whole(words[1]) if len(words) == 2 else None
        if not count:
            fail(self.path, number, f"'{words[0]} n', a number of at least 1", line)
        try:
            check_memory(count, 1, 20.0, "the number may be a slip")
        except ValueError as error:
            raise ValueError(f"{self.path}, line {number}: {error}") from error
        return count

    def _state_or_none(self, number: int, words: list[str], line: str) -> list[int]:
        return (
            self._states_or_none(number, words, line) if len(words) == 2 else fail(self.path, number, "'start s'", line)
        )

    def _states_or_none(self, number: int, words: list[str], line: str) -> list[int]:
        if words[1:] == ["-1"]:
            return []
        states = [state for state in map(whole, words[1:]) if state is not None]
        if len(states) < len(words) - 1 or not states:
            fail(self.path, number, f"'{words[0]}' and numbers of states, or -1 for none", line)
        return states

    def _kind(self, number: int, words: list[str], line: str) -> str:
        if len(words) != 2 or words[1].casefold() not in ("episodic", "continuing"):
            fail(self.path, number, "'mdptype episodic' or 'mdptype continuing'", line)
        return words[1].casefold()

    def _share(self, number: int, words: list[str], line: str) -> float:
        value = number_of(words[1]) if len(words) == 2 else None
        if value is None or not 0.0 <= value <= 1.0:
            fail(self.path, number, "'discount g' with a number in [0, 1]", line)
        return value


def _columns(text: str, lines: int) -> tuple[IntArray, FloatArray] | None:
    """(lines, 3) indices and (lines, 2) numbers of plain transitions, None if anything is odd about one of them."""
    words = text.split()
    digits = "".join(words[1::6] + words[2::6] + words[3::6])
    if len(words) != 6 * lines or words[::6] != ["transition"] * lines or not (digits.isascii() and digits.isdecimal()):
        return None
    if "#" in text or "_" in text:  # a comment; `float` takes 1_0
        return None
    try:
        index = np.array([array("q", map(int, words[column::6])) for column in (1, 2, 3)]).T
        values = np.array([array("d", map(float, words[column::6])) for column in (4, 5)]).T
    except (ValueError, OverflowError):
        return None
    probs = values[:, 1]
    sound = np.isfinite(values).all() and (probs >= -NEGATIVE).all() and (probs <= 1.0 + ROW_SUM).all()
    return (index, values) if sound else None
