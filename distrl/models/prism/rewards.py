"""What the chosen reward structure pays in each state and on each transition."""

import numpy as np

from distrl._validation import BoolArray, FloatArray
from distrl.models.explicit.branches import Branches
from distrl.models.explicit.build import Payments
from distrl.models.explicit.table import Table, read_table
from distrl.models.explicit.text import Text, fail, whole
from distrl.models.prism.files import Structure
from distrl.models.prism.transitions import COLUMNS, Transitions, line_of_numbers


def payments_of(structure: Structure, transitions: Transitions, branches: Branches, ended: BoolArray) -> Payments:
    """The rewards of states and of transitions.

    Parameters
    ----------
    structure, transitions, branches
    ended : (S,) mask of the terminal states
        Rewards on leaving them are passed over, as their transitions are.
    """
    of_states: FloatArray | None = None
    of_transitions: FloatArray | None = None
    for kind in (".srew", ".state", ".rew", ".trew", ".trans"):
        text = structure.text(kind)
        if text is None:
            continue
        width = 1 if kind in (".srew", ".state") else len(transitions.table.index)
        if kind == ".rew":
            width = _width(text, width)
        table = _read(text, width, transitions, with_counts=kind in (".srew", ".trew"))
        if width == 1:
            of_states = _of_states(table, transitions.states)
        else:
            of_transitions = _of_transitions(table, branches, ended)
    return Payments(of_states, None, of_transitions)


def _width(text: Text, most: int) -> int:
    """How many indices the lines of a file without a first line of counts have."""
    for number, place, line in text.lines():
        if line and not line.startswith("#"):
            width = len(line.split()) - 1
            if width not in (1, most):
                fail(text, number, place, f"'state reward' or {line_of_numbers(COLUMNS[most], 'reward', [])}")
            return width
    return 1


def _read(text: Text, width: int, transitions: Transitions, *, with_counts: bool) -> Table:
    """The table of a reward file."""
    names = ("state",) if width == 1 else COLUMNS[width]
    choices = transitions.counts[1] if len(transitions.counts) == 2 else len(transitions.table.values)
    bounds = [choices if name == "choice" else transitions.states for name in names]
    expected, place, number = line_of_numbers(names, "reward", bounds), 0, text.line
    header: tuple[int, ...] = ()
    if with_counts:
        header, place, number = _header(text, width, transitions)
    table = read_table(text, place, number, bounds, expected, negative=True, named=False, header=header)
    if not with_counts and not len(table.values):
        raise ValueError(f"{text.path} has no rewards; expected lines {expected}")
    if with_counts and len(table.values) != header[-1]:
        raise ValueError(
            f"{text.path}, line {number - 1}: the first line announces {header[-1]} entries, but the file has "
            f"{len(table.values)}; it is cut short or damaged"
        )
    return table


def _header(text: Text, width: int, transitions: Transitions) -> tuple[tuple[int, ...], int, int]:
    """The first line of a reward file, and where and in which line its entries begin."""
    wanted = "a first line '" + " ".join(("states", "choices")[: max(width - 1, 1)]) + " entries'"
    lines = text.lines()
    for number, place, line in lines:
        if not line or line.startswith("#"):
            continue
        header = tuple(-1 if (count := whole(token)) is None else count for token in line.split())
        if len(header) != max(width, 2) or min(header) < 0:
            fail(text, number, place, wanted)
        counts = transitions.counts or (transitions.states,)
        if header[:-1] != counts[: len(header) - 1]:
            raise ValueError(
                f"{text.path}, line {number}: the first line is about {header[:-1]} states (and choices), "
                f"{transitions.table.path} about {counts}; the files are not of one model"
            )
        after = next(lines, None)
        return header, len(text.data) if after is None else after[1], number + 1
    raise ValueError(f"{text.path} is empty; expected {wanted}")


def _of_states(table: Table, states: int) -> FloatArray:
    state = table.index[0]
    if len(state) > 1 and not (state[1:] > state[:-1]).all():
        order = np.argsort(state, kind="stable")
        _once(table, order, (state[order][1:] == state[order][:-1]))
    rewards = np.zeros(states)
    rewards[state] = table.values
    return rewards


def _of_transitions(table: Table, branches: Branches, ended: BoolArray) -> FloatArray:
    """(n,) the reward of each transition."""
    n, index = branches.states, table.index
    starts = branches.starts
    choice = starts[index[0]]
    missing = choice == starts[index[0].astype(np.int64) + 1]
    if branches.has_choices:
        choice = choice + index[1]
        missing = choice >= starts[index[0].astype(np.int64) + 1]
    keys = np.repeat(np.arange(len(branches.owners)), np.diff(branches.first)) * n + branches.targets
    wanted = choice * n + index[-1]
    place = np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    missing |= keys[place] != wanted if len(keys) else True
    left_out = ended[index[0]]
    wrong = missing & ~left_out
    if wrong.any():
        line = table.line_of(int(np.argmax(wrong)))
        raise ValueError(f"{table.path}, line {line}: a reward on a transition that {branches.path} does not have")
    if len(wanted) > 1 and not (wanted[1:] > wanted[:-1]).all():
        rows = np.flatnonzero(~left_out)
        order = rows[np.argsort(wanted[rows], kind="stable")]
        _once(table, order, wanted[order][1:] == wanted[order][:-1])
    rewards = np.zeros(len(keys))
    rewards[place[~missing]] = table.values[~missing]
    return rewards


def _once(table: Table, order: np.ndarray, again: BoolArray) -> None:
    """Refuse a second reward of one entry; `again` marks the rows of `order` that are like the one before."""
    if again.any():
        line = table.line_of(int(order[np.argmax(again) + 1]))
        raise ValueError(f"{table.path}, line {line}: expected one reward an entry, this is a second one")
