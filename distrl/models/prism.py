"""PRISM's explicit model files: `.tra`, `.srew`, `.trew` and `.lab`.

    .tra    DTMC: `states transitions`, then lines `source target probability`
            MDP:  `states choices transitions`, then lines `source choice target probability`
            (either may end in an action's name, which is not kept)
    .srew   `states entries`, then lines `state reward`
    .trew   the header and lines of the .tra, with rewards for probabilities
    .lab    `0="init" 1="deadlock" 2="goal"`, then lines `state: label label ...`

Lines that begin with `#` are comments; a reward file may name its structure in one, `# Reward structure "steps"`, with
or without a colon. Any file may be compressed (`.tra.gz`, ...). Format: the appendix "Explicit Model Files" of the
PRISM manual.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from distrl._files import replacing
from distrl._lazy import sparse
from distrl._validation import BoolArray, FloatArray, IntArray, real_number, whole_number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP

#: Names of a line's indices, by the number of entries in the file's first line.
_MATRIX = {2: ("source", "target"), 3: ("source", "choice", "target")}


def read_prism(
    path: str | os.PathLike[str],
    discount: float,
    rewards: int | str | None = None,
    terminal: str | None = None,
    initial: str | None = "init",
    *,
    normalise: bool = False,
) -> MRP | MDP:
    """Read an explicit PRISM model: an `MRP` from a DTMC's files, an `MDP` from an MDP's.

    The reward of a transition is R(s, a, s') = srew(s) + trew(s, a, s'); a file that is not there counts as zeros.

    Parameters
    ----------
    path : path
        The .tra or .tra.gz file, or its stem (the path without that); companions are looked for beside it. A file that
        is there both plain and compressed is read plain.
    discount : float in [0, 1]
    rewards : int or str, optional
        Which reward structure, by its number or its name: PRISM numbers the files of a model that has several, so that
        2 reads stem2.srew and stem2.trew, and writes the name into them. Not needed where there is one; without any
        file all rewards are 0.
    terminal : str, optional
        States with this label are terminal: their return is 0, and what the files say about leaving them is not used.
        Their own rewards are not collected, as in PRISM's `R=? [ F "label" ]`.
    initial : str, optional
        The label over whose states the initial law is uniform; None, or no "init" in the label file: no initial law.
    normalise : bool
        As for `MRP`.

    Returns
    -------
    MRP or MDP
        Time and memory O(size of the files).

    Raises
    ------
    ValueError, TypeError
        Naming the file, the line and what was expected there; for several reward structures of which none was chosen,
        listing them; for rows that do not sum to 1 (rates of a CTMC are not
        probabilities); for a state without transitions that is not terminal.
    """
    real_number(discount, "discount", low=0.0, high=1.0)
    for name, label in (("terminal", terminal), ("initial", initial)):
        if label is not None and not isinstance(label, str):
            raise TypeError(f"{name} must be the name of a label, got {label!r}")
    stem = _stem(path)
    tra = _read(_there(Path(f"{stem}.tra")) or Path(f"{stem}.tra"), _MATRIX, "probability")
    structure = _chosen_structure(stem, rewards)
    labels = _read_labels(stem, tra.header[0])
    ends = np.empty(0, dtype=np.int64) if terminal is None else labels.states(terminal)
    starts = np.empty(0, dtype=np.int64)
    if initial is not None and (initial != "init" or "init" in labels.members):
        starts = labels.states(initial)
        if initial != "init" and not starts.size:
            raise ValueError(
                f"{labels.path}: no state has the label {initial!r}, so it gives no law of the first state"
            )
    n, n_actions, keys, probs, available = _transitions(tra, ends)
    mask = np.zeros(n, dtype=np.bool_)
    mask[ends] = True
    values = _rewards(structure, tra, keys, n, n_actions, mask)
    law = None
    if starts.size:
        law = np.zeros(n)
        law[starts] = 1.0 / len(starts)
    pair, target = keys // n, keys % n
    p, r = [], []
    for action in range(n_actions):
        rows = pair % n_actions == action
        where = (pair[rows] // n_actions, target[rows])
        p.append(sparse.coo_array((probs[rows], where), shape=(n, n)))
        r.append(sparse.coo_array((values[rows], where), shape=(n, n)))
    try:
        if len(tra.header) == 2:
            return MRP(p[0], r[0], discount, mask, law, normalise=normalise)
        return MDP(p, r, discount, mask, law, normalise=normalise, available=available)
    except ValueError as error:
        raise ValueError(f"{tra.path}: {error}") from error


def write_prism(model: MRP | MDP, path: str | os.PathLike[str]) -> None:
    """Write a model as explicit PRISM files: stem.tra, .srew (empty), .trew and .lab.

    Numbers are written so that they read back bit for bit: `read_prism(path, model.discount, terminal="terminal")`
    gives the same outcome rows and initial law. The files know no discount and no layout; choice k is action k.

    Parameters
    ----------
    model : MRP or MDP
        One that (P, R, terminal) can express, see `MRP.to_sparse`, with `initial` None or uniform over some states.
    path : path
        The stem, or the .tra file. Existing files are replaced.

    Raises
    ------
    ValueError, TypeError
        If the model does not fit the format or a file cannot be written.
    """
    if not isinstance(model, MRP | MDP):
        raise TypeError(f"model must be an MRP or an MDP, got {model!r}")
    if str(path).endswith(".gz"):
        raise ValueError(f"{path}: the files are written plain; leave .gz out and compress them afterwards")
    stem = _stem(path)
    p, r, terminal = model.to_sparse()
    matrices, rewards = ([p], [r]) if isinstance(model, MRP) else (p, r)
    n = model.n_states
    header = f"{n}" if isinstance(model, MRP) else f"{n} {_choices_in_order(model)}"
    labels = ["terminal"]
    members = [np.flatnonzero(terminal)]
    if model.initial is not None:  # without the label, PRISM starts in state 0
        starts = np.flatnonzero(model.initial)
        if (model.initial[starts] != 1.0 / len(starts)).any():
            raise ValueError("initial is not uniform over some states; PRISM's label files hold nothing else")
        labels.insert(0, "init")
        members.insert(0, starts)
    text = [" ".join(f'{number}="{label}"' for number, label in enumerate(labels))]
    numbers: dict[int, list[str]] = {}
    for number, states in enumerate(members):
        for state in states.tolist():
            numbers.setdefault(state, []).append(str(number))
    text += [f"{state}: {' '.join(numbers[state])}" for state in sorted(numbers)]
    for suffix, content in (
        (".tra", _matrix_lines(matrices, header, isinstance(model, MDP))),
        (".srew", [f"{n} 0"]),
        (".trew", _matrix_lines(rewards, header, isinstance(model, MDP))),
        (".lab", text),
    ):
        with replacing(Path(f"{stem}{suffix}")) as partial:
            partial.write_text("\n".join(content) + "\n", encoding="utf-8")


def _choices_in_order(model: MDP) -> int:
    """The number of choices; those of a state are numbered from 0 in the files, without gaps."""
    gap = np.flatnonzero(model.choices.actions != np.arange(len(model.pairs)) - model.indptr[model.choices.states])
    if gap.size:
        raise ValueError(
            f"PRISM counts the choices of a state from 0, but state {model.choices.states[gap[0]]} has action "
            f"{model.choices.actions[gap[0]]} and not all before it; sort the actions so that each state has the first"
        )
    return len(model.pairs)


@dataclass(frozen=True)
class _Entries:
    """A parsed .tra, .srew or .trew file: header, index columns (n, k), values (n,) and their line numbers."""

    path: Path
    header: tuple[int, ...]
    index: IntArray
    values: FloatArray
    lines: IntArray


@dataclass(frozen=True)
class _Structure:
    """A reward structure: the number in its files' names, the name written into them, and its files."""

    number: int | None
    name: str
    files: dict[str, Path]

    def __str__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"{self.number or 'without a number'}{named} ({', '.join(path.name for path in self.files.values())})"


@dataclass(frozen=True)
class _Labels:
    path: Path
    members: dict[str, IntArray]

    def states(self, label: str) -> IntArray:
        """The states of a label, or an error that lists the labels there are."""
        if label not in self.members:
            known = ", ".join(map(repr, self.members)) or "none, or the file is missing"
            raise ValueError(f"{self.path} has no label {label!r} (labels: {known})")
        return self.members[label]


def _stem(path: Any) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {path!r}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"path must be text, got {path!r}")
    return text.removesuffix(".gz").removesuffix(".tra") if text.endswith((".tra", ".tra.gz")) else text


def _there(path: Path) -> Path | None:
    """The file itself, else its compressed form, if there is one."""
    found = (candidate for candidate in (path, Path(f"{path}.gz")) if os.path.exists(candidate))
    return next(found, None)  # Path.exists raises on a long name, os.path.exists does not


def _structures(stem: str) -> list[_Structure]:
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
        if found and not (found[1] and _there(Path(f"{stem}{found[1]}.tra"))):
            files.setdefault(int(found[1] or 0), {}).setdefault(found[2], Path(folder, name))
    return [_Structure(number or None, _name_of(files[number]), files[number]) for number in sorted(files)]


def _name_of(files: dict[str, Path]) -> str:
    names = []
    for path in files.values():
        for line in _text(path).split("\n")[:2]:
            if found := re.fullmatch(r"#\s*Reward structure:?\s*\"?([^\"]*?)\"?\s*", line):
                names.append(found[1])
    if len(set(names)) > 1:
        raise ValueError(f"{' and '.join(map(str, files.values()))} name two reward structures, {', '.join(names)}")
    return names[0] if names else ""


def _chosen_structure(stem: str, choice: Any) -> _Structure:
    if not (choice is None or isinstance(choice, str)):
        choice = whole_number(choice, "rewards", low=1)
    there = _structures(stem)
    listed = f"{stem}.tra has the reward structures {'; '.join(map(str, there))}"
    if choice is None:
        if len(there) > 1:
            raise ValueError(f"{listed}; choose one with rewards=, by its number or its name")
        return there[0] if there else _Structure(None, "", {})
    fitting = [each for each in there if choice in (each.number, each.name or None)]
    if not fitting and choice == 1 and len(there) == 1 and there[0].number is None:
        fitting = there
    if not fitting:
        raise ValueError(f"{listed if there else f'{stem}.tra has no reward files'}; there is no {choice!r}")
    if len(fitting) > 1:
        raise ValueError(f"{listed}; {choice!r} is the name of several, choose by number")
    return fitting[0]


def _text(path: Path) -> str:
    """What a plain or compressed text file holds, without a byte order mark."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig") as file:
                return file.read()
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as text: {error}") from error


def _lines(path: Path) -> list[tuple[int, str]]:
    """(line number, line) without blank lines and comments."""
    numbered = ((number, line.strip()) for number, line in enumerate(_text(path).split("\n"), start=1))
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _fail(path: Path, number: int, expected: str, found: str) -> NoReturn:
    raise ValueError(f"{path}, line {number}: expected {expected}, found {found[:60]!r}")


def _whole(token: str, bound: int | None = None) -> int | None:
    """A token as an index below `bound`, None if it is not one."""
    if not (token.isascii() and token.isdecimal() and len(token) <= 15):
        return None
    value = int(token)
    return value if bound is None or value < bound else None


def _number(token: str) -> float | None:
    """A token as a finite float; PRISM's exact exports write fractions."""
    try:
        value = float(Fraction(token)) if "/" in token else float(token)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if np.isfinite(value) else None


def _read(path: Path, names: dict[int, tuple[str, ...]], what: str) -> _Entries:
    """Parse a first line of h numbers and lines of the indices names[h] and a value."""
    last = "transitions" if what == "probability" else "entries"
    wanted = "a first line " + " or ".join("'" + " ".join([*("states", "choices")[: h - 1], last]) + "'" for h in names)
    lines = _lines(path)
    if not lines:
        raise ValueError(f"{path} is empty; expected {wanted}")
    number, line = lines[0]
    header = tuple(-1 if (count := _whole(token)) is None else count for token in line.split())
    if len(header) not in names or min(header) < 0 or header[0] == 0:
        _fail(path, number, wanted, line)
    columns = names[len(header)]
    bounds = [header[1] if name == "choice" else header[0] for name in columns]
    width = len(columns)
    longest = width + (2 if what == "probability" else 1)  # a transition may carry its action's name
    expected = f"'{' '.join(columns)} {what}', " + ", ".join(f"{n} < {b}" for n, b in zip(columns, bounds, strict=True))
    index: list[list[int | None]] = []
    values: list[float] = []
    for number, line in lines[1:]:
        tokens = line.split()
        entry = [_whole(token, bound) for token, bound in zip(tokens, bounds, strict=False)]
        value = _number(tokens[width]) if width < len(tokens) <= longest else None
        if value is None or None in entry or (what == "probability" and value < 0):
            _fail(path, number, expected, line)
        index.append(entry)
        values.append(value)
    if len(values) != header[-1]:
        raise ValueError(
            f"{path}, line {lines[0][0]}: the first line announces {header[-1]} {last}, but the file has "
            f"{len(values)}; it is cut short or damaged"
        )
    return _Entries(
        path,
        header,
        np.array(index, dtype=np.int64).reshape(-1, width),
        np.array(values, dtype=np.float64),
        np.array([number for number, _ in lines[1:]], dtype=np.int64),
    )


def _read_labels(stem: str, states: int) -> _Labels:
    path = _there(Path(f"{stem}.lab"))
    if path is None:
        return _Labels(Path(f"{stem}.lab"), {})
    lines = _lines(path)
    if not lines:
        raise ValueError(f'{path} is empty; expected a first line such as 0="init" 1="deadlock"')
    number, line = lines[0]
    if not re.fullmatch(r'(\d+="[^"]*"\s*)+', line):
        _fail(path, number, 'a first line such as 0="init" 1="deadlock"', line)
    listed = re.findall(r'(\d+)="([^"]*)"', line)
    names = {int(key): name for key, name in listed}
    if len(set(names.values())) < len(listed):
        _fail(path, number, "every number and every label once", line)
    members: dict[str, set[int]] = {name: set() for name in names.values()}
    for number, line in lines[1:]:
        head, colon, tail = line.partition(":")
        state = _whole(head.strip(), states)
        found = [names.get(int(token)) if token.isdecimal() else None for token in tail.split()]
        if not colon or state is None or None in found:
            _fail(path, number, f"'state: labels' with a state below {states} and labels of the first line", line)
        for name in found:
            members[str(name)].add(state)
    return _Labels(path, {name: np.array(sorted(group), dtype=np.int64) for name, group in members.items()})


def _transitions(tra: _Entries, ends: IntArray) -> tuple[int, int, IntArray, FloatArray, BoolArray | None]:
    """States, actions, and the live transitions: keys (state * actions + action) * states + target, probabilities;
    and which choices there are, None if all states have as many. Terminal states have all."""
    n = tra.header[0]
    source, target = tra.index[:, 0], tra.index[:, -1]
    every_choice = tra.index[:, 1] if tra.index.shape[1] == 3 else np.zeros_like(source)
    # a damaged header may announce any number of states: look for the first gap before allocating for all of them
    covered = np.union1d(source, ends)
    if len(covered) < n:
        gap = np.flatnonzero(covered != np.arange(len(covered)))
        raise ValueError(
            f"{tra.path}: state {gap[0] if gap.size else len(covered)} has no transitions; give it some, or a label "
            "and terminal='that label'"
        )
    live = ~np.isin(source, ends)
    source, choice, target, probs = source[live], every_choice[live], target[live], tra.values[live]
    if len(tra.header) == 3:
        pairs = np.unique(tra.index[:, :2], axis=0)
        if len(pairs) != tra.header[1]:
            raise ValueError(
                f"{tra.path}: the first line announces {tra.header[1]} choices, but the file has {len(pairs)}"
            )
    opened = np.unique(np.stack([source, choice]), axis=1)
    counts = np.bincount(opened[0], minlength=n)
    lived = np.unique(source)
    n_actions = int(counts[lived].max() if lived.size else every_choice.max(initial=0) + 1)
    stray = choice >= counts[source]
    if stray.any():
        state = int(source[np.argmax(stray)])
        raise ValueError(f"{tra.path}: the choices of state {state} are not numbered from 0 to {counts[state] - 1}")
    uneven = (counts[lived] != n_actions).any()
    counts[ends] = n_actions
    available = np.arange(n_actions) < counts[:, None] if uneven else None
    keys, inverse = np.unique((source * n_actions + choice) * n + target, return_inverse=True)
    summed = np.bincount(inverse, weights=probs, minlength=len(keys)).astype(np.float64)
    return n, n_actions, keys, summed, available


def _rewards(structure: _Structure, tra: _Entries, keys: IntArray, n: int, n_actions: int, mask: Any) -> FloatArray:
    """(keys,) rewards of the live transitions."""
    rewards = np.zeros(len(keys))
    if srew := structure.files.get(".srew"):
        file = _read(srew, {2: ("state",)}, "reward")
        _same_size(file, tra, 1)
        state = file.index[:, 0]
        _once(file, np.arange(len(state)), state)
        per_state = np.zeros(n)
        per_state[state] = file.values
        rewards += per_state[keys // n // n_actions]
    if trew := structure.files.get(".trew"):
        file = _read(trew, {len(tra.header): _MATRIX[len(tra.header)]}, "reward")
        _same_size(file, tra, len(tra.header) - 1)
        rows = np.flatnonzero(~mask[file.index[:, 0]])
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


def _same_size(file: _Entries, tra: _Entries, numbers: int) -> None:
    if file.header[:numbers] != tra.header[:numbers]:
        raise ValueError(
            f"{file.path}: the first line is about {file.header[:numbers]} states (and choices), {tra.path} about "
            f"{tra.header[:numbers]}; the files are not of one model"
        )


def _once(file: _Entries, rows: IntArray, keys: IntArray) -> None:
    """Refuse a key that comes twice; `rows` are the keys' rows in the file."""
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if again.size:
        line = file.lines[rows[order[again[0] + 1]]]
        raise ValueError(f"{file.path}, line {line}: expected one reward an entry, this is a second one")


def _matrix_lines(matrices: list[Any], header: str, with_choice: bool) -> list[str]:
    """Header and lines of a .tra or .trew file, ordered by source, choice and target; zeros are left out."""
    parts = [sparse.coo_array(matrix) for matrix in matrices]
    source, target, values = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "col", "data")
    )
    choice = np.repeat(np.arange(len(parts)), [part.nnz for part in parts])
    order = np.lexsort((target, choice, source))
    order = order[values[order] != 0.0]
    columns = [source, choice, target] if with_choice else [source, target]
    listed = zip(*(column[order].tolist() for column in columns), values[order].tolist(), strict=True)
    return [f"{header} {len(order)}", *(" ".join(map(repr, entry)) for entry in listed)]
