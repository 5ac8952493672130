"""Label files: which states carry which label, in PRISM's form and in Storm's."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distrl._kernels.text import FULL, WRONG
from distrl._kernels.text import read_labels as parse_labels
from distrl._validation import BoolArray
from distrl.models.explicit.table import Names, longer
from distrl.models.explicit.text import Text, fail


@dataclass(frozen=True)
class FileLabels:
    """The file that the labels are from, or would have been, and the (S,) mask of each."""

    path: Path
    masks: dict[str, BoolArray]

    def states(self, label: str) -> BoolArray:
        """The mask of a label, or an error that lists the labels there are."""
        if label not in self.masks:
            known = ", ".join(map(repr, self.masks)) or "none, or the file is missing"
            raise ValueError(f"{self.path} has no label {label!r} (labels: {known})")
        return self.masks[label]


def read_labels(text: Text, states: int) -> FileLabels:
    """The labels of a .lab file.

    Parameters
    ----------
    text : Text
        PRISM's form, `0="init" 1="goal"` and lines `state: 0 1`, or Storm's: the names between #DECLARATION and #END,
        and lines `state init goal`.
    states : int
    """
    lines = [each for each in _first_lines(text) if each[2]]
    if not lines:
        raise ValueError(f'{text.path} is empty; expected a first line such as 0="init" 1="deadlock"')
    if lines[0][2].startswith("#DECLARATION"):
        return _storm(text, states)
    number, place, line = next((each for each in lines if not each[2].startswith("#")), lines[-1])
    if not re.fullmatch(r'(\d+="[^"]*"\s*)+', line):
        fail(text, number, place, 'a first line such as 0="init" 1="deadlock", or Storm\'s #DECLARATION')
    listed = re.findall(r'(\d+)="([^"]*)"', line)
    names = dict(listed)
    if len(set(names.values())) < len(listed) or "" in names.values():
        fail(text, number, place, "every number and every label once")
    expected = f"'state: labels' with a state below {states} and labels of the first line"
    return _labelled(text, _line_after(text, place), number + 1, states, names, expected)


def _storm(text: Text, states: int) -> FileLabels:
    """The labels between #DECLARATION and #END, and the states that carry them."""
    names: dict[str, str] = {}
    for number, place, line in text.lines():
        if line == "#END":
            expected = f"'state label label ...' with a state below {states} and declared labels"
            return _labelled(text, _line_after(text, place), number + 1, states, names, expected)
        found = line.removeprefix("#DECLARATION").split()
        again = [name for name in found if name in names]
        if again or len(set(found)) < len(found):
            fail(text, number, place, "every label once")
        if line.startswith("#") and not line.startswith("#DECLARATION"):
            fail(text, number, place, "labels, or the line #END")
        names |= {name: name for name in found}
    raise ValueError(f"{text.path} has no line #END after its #DECLARATION")


def _first_lines(text: Text) -> list[tuple[int, int, str]]:
    """Lines up to the first that is neither empty nor a comment."""
    lines = []
    for each in text.lines():
        lines.append(each)
        if each[2] and not each[2].startswith("#"):
            break
    return lines


def _line_after(text: Text, place: int) -> int:
    step = place
    while text.data[step] != 10:
        step += 1
    return step + 1


def _labelled(text: Text, place: int, line: int, states: int, names: dict[str, str], expected: str) -> FileLabels:
    """The masks that the lines from `place` on say, in which tokens stand for labels."""
    pairs, found = np.empty((64, 3), dtype=np.int64), Names()
    state = np.array([place, line, 0, 0, 0])
    colon = not all(token == name for token, name in names.items()) or not names
    while True:
        result = parse_labels(text.data, state, states, colon, pairs, found.slots, found.places)
        if result == WRONG:
            fail(text, int(state[1]), int(state[0]), expected)
        if result != FULL:
            break
        pairs = longer(pairs, int(state[3]))
        found.grow(text, int(state[4]))
    pairs = pairs[: state[3]]
    masks = {name: np.zeros(states, dtype=np.bool_) for name in names.values()}
    for code, token in enumerate(found.spelled(text, int(state[4]))):
        rows = pairs[:, 1] == code
        if token not in names:
            number = int(pairs[np.argmax(rows), 2])
            fail(text, number, next(at for n, at, _ in text.lines() if n == number), expected)
        masks[names[token]][pairs[rows, 0]] = True
    return FileLabels(text.path, masks)
