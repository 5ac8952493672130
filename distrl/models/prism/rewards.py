"""The reward files: which structures lie beside a model, and what the chosen one pays on each transition."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distrl._validation import BoolArray, FloatArray, IntArray, whole_number
from distrl.models.prism.build import Transitions
from distrl.models.prism.text import MATRIX, Entries, existing, read_entries, text_of


@dataclass(frozen=True)
class Structure:
    """A reward structure: the number in its files' names, the name written into them, and its files."""

    number: int | None
    name: str
    files: dict[str, Path]

    def __str__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"{self.number or 'without a number'}{named} ({', '.join(path.name for path in self.files.values())})"


def _structures(stem: str) -> list[Structure]:
    """The reward structures beside a .tra file, in the order of their numbers."""
    folder, base = os.path.split(stem)
    files: dict[int, dict[str, Path]] = {}
    try:
        names = sorted(os.listdir(folder or os.curdir))
    except OSError as error:
        raise ValueError(f"the folder of {stem}.tra cannot be listed for reward files: {error}") from error
    for name in names:  # a plain file comes before its compressed form
        found = re.fullmatch(re.escape(base) + r"([1-9]\d*)?(\.[st]rew)(?:\.gz)?", name)
        # the files of another model may look like numbered ones: of m12 beside m1
        if found and not (found[1] and existing(Path(f"{stem}{found[1]}.tra"))):
            files.setdefault(int(found[1] or 0), {}).setdefault(found[2], Path(folder, name))
    return [Structure(number or None, _name_of(files[number]), files[number]) for number in sorted(files)]


def _name_of(files: dict[str, Path]) -> str:
    names = []
    for path in files.values():
        for line in text_of(path).split("\n")[:2]:
            if found := re.fullmatch(r"#\s*Reward structure:?\s*\"?([^\"]*?)\"?\s*", line):
                names.append(found[1])
    if len(set(names)) > 1:
        raise ValueError(f"{' and '.join(map(str, files.values()))} name two reward structures, {', '.join(names)}")
    return names[0] if names else ""


def chosen_structure(stem: str, choice: int | str | None) -> Structure:
    """The structure of that number or name; None takes the only one that there is."""
    if not (choice is None or isinstance(choice, str)):
        choice = whole_number(choice, "rewards", low=1)
    there = _structures(stem)
    listed = f"{stem}.tra has the reward structures {'; '.join(map(str, there))}"
    if choice is None:
        if len(there) > 1:
            raise ValueError(f"{listed}; choose one with rewards=, by its number or its name")
        return there[0] if there else Structure(None, "", {})
    fitting = [each for each in there if choice in (each.number, each.name or None)]
    if not fitting and choice == 1 and len(there) == 1 and there[0].number is None:
        fitting = there
    if not fitting:
        raise ValueError(f"{listed if there else f'{stem}.tra has no reward files'}; there is no {choice!r}")
    if len(fitting) > 1:
        raise ValueError(f"{listed}; {choice!r} is the name of several, choose by number")
    return fitting[0]


def rewards_of(structure: Structure, tra: Entries, live: Transitions, ended: BoolArray) -> FloatArray:
    """The reward of each live transition; `ended` is the mask of the states that are terminal."""
    n, n_actions, keys = live.states, live.actions, live.keys
    rewards = np.zeros(len(keys))
    if srew := structure.files.get(".srew"):
        file = read_entries(srew, {2: ("state",)}, "reward")
        _same_size(file, tra, 1)
        state = file.index[:, 0]
        _once(file, np.arange(len(state)), state)
        per_state = np.zeros(n)
        per_state[state] = file.values
        rewards += per_state[keys // n // n_actions]
    if trew := structure.files.get(".trew"):
        file = read_entries(trew, {len(tra.header): MATRIX[len(tra.header)]}, "reward")
        _same_size(file, tra, len(tra.header) - 1)
        rows = np.flatnonzero(~ended[file.index[:, 0]])
        source, target = file.index[rows, 0], file.index[rows, -1]
        choice = file.index[rows, 1] if len(tra.header) == 3 else np.zeros_like(source)
        wanted = (source * n_actions + np.minimum(choice, n_actions - 1)) * n + target
        place = np.searchsorted(keys, wanted)
        unknown = (choice >= n_actions) | (np.append(keys, -1)[place] != wanted)
        if unknown.any():
            line = file.lines[rows[np.argmax(unknown)]]
            raise ValueError(f"{trew}, line {line}: a reward on a transition that {tra.path.name} does not have")
        _once(file, rows, wanted)
        with np.errstate(over="ignore"):
            rewards[place] += file.values[rows]
        if not np.isfinite(rewards).all():
            raise ValueError(f"{trew}: a state's and a transition's reward add up to more than float64 can hold")
    return rewards


def _same_size(file: Entries, tra: Entries, numbers: int) -> None:
    if file.header[:numbers] != tra.header[:numbers]:
        raise ValueError(
            f"{file.path}: the first line is about {file.header[:numbers]} states (and choices), {tra.path} about "
            f"{tra.header[:numbers]}; the files are not of one model"
        )


def _once(file: Entries, rows: IntArray, keys: IntArray) -> None:
    """Refuse a key that comes twice; `rows` are the keys' rows in the file."""
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if again.size:
        line = file.lines[rows[order[again[0] + 1]]]
        raise ValueError(f"{file.path}, line {line}: expected one reward an entry, this is a second one")
