"""Which files lie beside a model: its transitions, labels, and reward structures."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from distrl._validation import whole_number
from distrl.models.explicit.text import Text, existing, read_head, read_text, without_packing

#: Headers of the parts of a combined file.
_PARTS = re.compile(r"# (Transitions|States|Observations|Labels|Reward structure|State rewards|Transition rewards)\b")


@dataclass(frozen=True)
class Structure:
    """A reward structure: the number in its files' names, its name, and its files, by ".srew", ".trew" or ".rew".

    PRISM's files have a first line with the counts of states and entries (`.srew`, `.trew`), Storm's have none (`.rew`,
    and `.state.rew` and `.trans.rew` after the name).
    """

    number: int | None
    name: str
    files: dict[str, Path | Text]

    def __str__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        listed = dict.fromkeys((file.path if isinstance(file, Text) else file).name for file in self.files.values())
        return f"{self.number or 'without a number'}{named} ({', '.join(listed)})"

    def text(self, kind: str) -> Text | None:
        """What one of its files holds, None where there is no such file."""
        return text_of(self.files[kind]) if kind in self.files else None


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model: paths or, of a combined file, the parts. Nobody holds what has been read of a path."""

    transitions: Path | Text
    labels: Path | Text
    structures: list[Structure]

    @property
    def path(self) -> Path:
        """The file with the transitions."""
        return self.transitions if isinstance(self.transitions, Path) else self.transitions.path

    def chosen(self, choice: int | str | None) -> Structure:
        """The structure of that number or name; None takes the only one that there is."""
        if not (choice is None or isinstance(choice, str)):
            choice = whole_number(choice, "rewards", low=1)
        path = self.path.name
        listed = f"{self.path} has the reward structures {'; '.join(map(str, self.structures))}"
        if choice is None:
            if len(self.structures) > 1:
                raise ValueError(f"{listed}; choose one with rewards=, by its number or its name")
            return self.structures[0] if self.structures else Structure(None, "", {})
        fitting = [each for each in self.structures if choice in (each.number, each.name or None)]
        if not fitting and choice == 1 and len(self.structures) == 1 and self.structures[0].number is None:
            fitting = self.structures
        if not fitting:
            raise ValueError(f"{listed if self.structures else f'{path} has no reward files'}; there is no {choice!r}")
        if len(fitting) > 1:
            raise ValueError(f"{listed}; {choice!r} is the name of several, choose by number")
        return fitting[0]


def text_of(file: Path | Text) -> Text:
    """What a file holds, or the part of a combined one."""
    return read_text(file) if isinstance(file, Path) else file


def stem_of(path: object) -> str:
    """The path without .tra or .tra.gz, to which the endings of the companions are added."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {path!r}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path must be text, got {path!r}")
    bare = without_packing(text)
    return bare.removesuffix(".tra") if bare.endswith(".tra") else text


def find_files(path: str | os.PathLike[str]) -> ModelFiles:
    """The files of the model at a path: its .tra file, the stem of it, or one combined .pexp file.

    Raises
    ------
    ValueError, TypeError
        If there is no such file, or two files name one structure differently.
    """
    stem = stem_of(path)
    if without_packing(stem).endswith(".pexp"):
        return _combined(Path(stem))
    plain, combined = existing(Path(f"{stem}.tra")), existing(Path(f"{stem}.pexp"))
    if plain is None and combined is not None:
        return _combined(combined)
    labels = Path(f"{stem}.lab")
    return ModelFiles(plain or Path(f"{stem}.tra"), existing(labels) or labels, _structures(stem))


def _structures(stem: str) -> list[Structure]:
    """The reward structures beside a .tra file: PRISM's in the order of their numbers, then Storm's by their names."""
    folder, base = os.path.split(stem)
    numbered: dict[int, dict[str, Path | Text]] = {}
    named: dict[str, dict[str, Path | Text]] = {}
    try:
        names = sorted(os.listdir(folder or os.curdir))
    except OSError as error:
        raise ValueError(f"the folder of {stem}.tra cannot be listed for reward files: {error}") from error
    for name in names:  # a plain file comes before its compressed form
        bare = without_packing(name)
        found = re.fullmatch(re.escape(base) + r"([1-9]\d*)?(\.[st]rew)", bare)
        # the files of another model may look like numbered ones: of m12 beside m1
        if found and not (found[1] and existing(Path(f"{stem}{found[1]}.tra"))):
            numbered.setdefault(int(found[1] or 0), {}).setdefault(found[2], Path(folder, name))
        found = re.fullmatch(re.escape(base) + r"(?:\.([^.]+))??(?:\.(state|trans))?\.rew", bare)
        if found and not (found[1] and existing(Path(f"{stem}.{found[1]}.tra"))):
            named.setdefault(found[1] or "", {}).setdefault(f".{found[2]}" if found[2] else ".rew", Path(folder, name))
    listed = [Structure(number or None, _name_of(numbered[number]), numbered[number]) for number in sorted(numbered)]
    free = (k for k in range(1, len(named) + len(listed) + 1) if k not in numbered)
    several = len(named) + len(listed) > 1
    return listed + [Structure(next(free) if several else None, name, named[name]) for name in sorted(named)]


def _name_of(files: dict[str, Path | Text]) -> str:
    names = []
    for file in files.values():
        head = (
            read_head(file)
            if isinstance(file, Path)
            else [line for _, line in zip(range(4), _lines(file), strict=False)]
        )
        for line in head:
            if not line.startswith("#"):
                break
            if found := re.fullmatch(r"#\s*Reward structure:?\s*\"?([^\"]*?)\"?\s*", line):
                names.append(found[1])
    if len(set(names)) > 1:
        raise ValueError(f"{' and '.join(map(str, files.values()))} name two reward structures, {', '.join(names)}")
    return names[0] if names else ""


def _lines(text: Text) -> list[str]:
    return [line for _, _, line in text.lines()]


def _combined(path: Path) -> ModelFiles:
    """The parts of a .pexp file, which begin with the headers that PRISM's single files have."""
    whole = read_text(path)
    marks = [(place, number, found[1]) for number, place, line in whole.lines() if (found := _PARTS.match(line))]
    if not marks or marks[0][2] != "Transitions":
        raise ValueError(f"{path}: a combined file begins with '# Transitions (TYPE)'")
    stops = [*(place for place, _, _ in marks[1:]), len(whole.data)]
    parts = [
        (what, place, Text(path, whole.data[place:stop], line))
        for (place, line, what), stop in zip(marks, stops, strict=True)
    ]
    labels: Path | Text = Path(f"{path} (which has no part '# Labels')")
    structures: list[Structure] = []
    for number, (what, _, part) in enumerate(parts):
        if what == "Labels":
            labels = part
        if what in ("State rewards", "Transition rewards"):
            before = parts[number - 1] if number else parts[0]
            kind = ".srew" if what == "State rewards" else ".trew"
            if before[0] == "Reward structure":
                name = _name_of({kind: before[2]})
                structures = _with(structures, name, kind, part)
            else:
                raise ValueError(f"{path}, line {part.line}: expected '# Reward structure' before {what.lower()}")
    return ModelFiles(parts[0][2], labels, structures)


def _with(structures: list[Structure], name: str, kind: str, part: Text) -> list[Structure]:
    """Another part of the last structure, or the first of a new one."""
    if structures and structures[-1].name == name and kind not in structures[-1].files:
        return [*structures[:-1], Structure(structures[-1].number, name, {**structures[-1].files, kind: part})]
    return [*structures, Structure(len(structures) + 1, name, {kind: part})]
