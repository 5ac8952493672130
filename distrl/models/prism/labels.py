"""The label file: which states carry which label."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distrl._validation import IntArray
from distrl.models.prism.text import existing, fail, lines_of, whole


@dataclass(frozen=True)
class Labels:
    """The label file that was read, or would have been, and the states of each label in it."""

    path: Path
    members: dict[str, IntArray]

    def states(self, label: str) -> IntArray:
        """The states of a label, or an error that lists the labels there are."""
        if label not in self.members:
            known = ", ".join(map(repr, self.members)) or "none, or the file is missing"
            raise ValueError(f"{self.path} has no label {label!r} (labels: {known})")
        return self.members[label]


def read_labels(stem: str, states: int) -> Labels:
    """The label file beside a model of so many states; without a file there are no labels."""
    path = existing(Path(f"{stem}.lab"))
    if path is None:
        return Labels(Path(f"{stem}.lab"), {})
    lines = lines_of(path)
    if not lines:
        raise ValueError(f'{path} is empty; expected a first line such as 0="init" 1="deadlock"')
    number, line = lines[0]
    if not re.fullmatch(r'(\d+="[^"]*"\s*)+', line):
        fail(path, number, 'a first line such as 0="init" 1="deadlock"', line)
    listed = re.findall(r'(\d+)="([^"]*)"', line)
    names = {int(key): name for key, name in listed}
    if len(set(names.values())) < len(listed):
        fail(path, number, "every number and every label once", line)
    members: dict[str, set[int]] = {name: set() for name in names.values()}
    for number, line in lines[1:]:
        head, colon, tail = line.partition(":")
        state = whole(head.strip(), states)
        found = [names.get(int(token)) if token.isdecimal() else None for token in tail.split()]
        if not colon or state is None or None in found:
            fail(path, number, f"'state: labels' with a state below {states} and labels of the first line", line)
        for name in found:
            members[str(name)].add(state)
    return Labels(path, {name: np.array(sorted(group), dtype=np.int64) for name, group in members.items()})
