"""The transitions of a .tra file, in PRISM's form or in Storm's."""

import re
from dataclasses import dataclass, replace

import numpy as np

from distrl.models.explicit.build import check_size
from distrl.models.explicit.notes import Known, known_of
from distrl.models.explicit.table import LARGEST, Table, read_table
from distrl.models.explicit.text import Text, fail, whole

#: How the comment of names begins.
NOTE = "# distrl "
#: Names of a line's indices, by the number of them.
COLUMNS = {2: ("source", "target"), 3: ("source", "choice", "target")}
_WANTED = "a first line 'states transitions' or 'states choices transitions', or Storm's 'dtmc' or 'mdp'"
_OTHERS = {
    "CTMC": "rates of a continuous-time chain are no probabilities; export the embedded or the uniformised chain",
    "POMDP": "a partially observable model needs a policy that sees observations only",
    "IDTMC": "intervals are no probabilities",
    "IMDP": "intervals are no probabilities",
    "LTS": "it has no probabilities",
    "MA": "rates of a Markov automaton are no probabilities",
    "PTA": "clocks are not supported",
    "SMG": "games have more than one player",
    "CTMDP": "rates are no probabilities",
}


@dataclass(frozen=True)
class Transitions:
    """What a .tra file says: its table, the number of states, and what a comment of ours says of names."""

    table: Table
    states: int
    has_choices: bool
    known: Known

    @property
    def counts(self) -> tuple[int, ...]:
        """(states,), or (states, choices) of an MDP of PRISM's."""
        return self.table.header[:-1]

    def line_of(self, state: int, place: int) -> int:
        """The line in which a choice of a state begins, for errors."""
        rows = self.table.index[0] == state
        if self.has_choices:
            rows &= self.table.index[1] == place
        return self.table.line_of(int(np.argmax(rows)))


def read_transitions(text: Text) -> Transitions:
    """The table of a .tra file.

    Raises
    ------
    ValueError
        Naming the file, and the line that is not as it should be; for a model of another type, naming it.
    """
    known, number, place, line = Known(), 1, 0, ""
    for number, place, line in text.lines():  # noqa: B007
        if line.startswith("#"):
            if found := re.match(r"# Transitions \((\w+)\)", line):
                _refuse_type(text, number, found[1])
            if line.startswith(NOTE):
                try:
                    known = known_of(line.removeprefix(NOTE))
                except ValueError as error:
                    raise ValueError(f"{text.path}, line {number}: {error}") from error
        elif line:
            break
    else:
        raise ValueError(f"{text.path} is empty; expected {_WANTED}")
    tokens = line.split()
    numbers = [whole(token) for token in tokens]
    after = text.line_at(place + len(_rest(text, place)))
    if "sparse(" in line or re.match(r"\d+ \S*:\d", after):
        raise ValueError(
            f"{text.path}, line {number}: this is PRISM's form with a line for each row, or for MATLAB; export the "
            "model without these options"
        )
    if tokens[0].isalpha() and len(tokens) == 1:
        _refuse_type(text, number, tokens[0])
        width = {"dtmc": 2, "mdp": 3}.get(tokens[0].lower())
        if width is None:
            fail(text, number, place, _WANTED)
        return _of_storm(text, number, place, width, first_is_data=False)
    if numbers[0] == 0 and len(tokens) in (3, 4):  # no model has 0 states
        return _of_storm(text, number, place, len(tokens) - 1, first_is_data=True)
    if len(tokens) == 4 and None not in numbers:
        _refuse_type(text, number, "POMDP")
    header = tuple(-1 if count is None else count for count in numbers)
    if len(header) not in COLUMNS or min(header) < 0 or header[0] == 0:
        fail(text, number, place, _WANTED)
    names = COLUMNS[len(header)]
    bounds = [header[1] if name == "choice" else header[0] for name in names]
    expected = line_of_numbers(names, "probability", bounds)
    start = place + len(_rest(text, place))
    table = read_table(text, start, number + 1, bounds, expected, negative=False, named=True, header=header)
    _refuse_names(text, table)
    if len(table.values) != header[-1]:
        raise ValueError(
            f"{text.path}, line {number}: the first line announces {header[-1]} transitions, but the file has "
            f"{len(table.values)}; it is cut short or damaged"
        )
    check_size(text.path, header[0], len(table.values))
    if len(header) == 2:  # nobody asks for the names of a chain's choices
        table = replace(table, codes=table.codes[:0].copy())
    return Transitions(table, header[0], len(header) == 3, known)


def _of_storm(text: Text, number: int, place: int, width: int, *, first_is_data: bool) -> Transitions:
    """Storm's explicit form: no counts, indices below the largest that there is."""
    expected = line_of_numbers(COLUMNS[width], "probability", [])
    if not first_is_data:
        place, number = place + len(_rest(text, place)), number + 1
    table = read_table(text, place, number, [LARGEST] * width, expected, negative=False, named=True, header=())
    _refuse_names(text, table)
    if not len(table.values):
        raise ValueError(f"{text.path} has no transitions; expected lines {expected}")
    states = int(max(table.index[0].max(), table.index[-1].max())) + 1
    check_size(text.path, states, len(table.values))
    return Transitions(table, states, width == 3, Known())


def _refuse_names(text: Text, table: Table) -> None:
    """Refuse a name of a choice that is none: another number in a line is damage."""
    for code, name in enumerate(table.spelled):
        if not re.fullmatch(r"[^\W\d]\w*", name):
            line = table.line_of(int(np.argmax(table.codes == code)))
            raise ValueError(
                f"{text.path}, line {line}: expected an action's name after the probability, found {name[:60]!r}"
            )


def line_of_numbers(names: tuple[str, ...], value: str, bounds: list[int]) -> str:
    """What a line should be, for errors."""
    limits = ", ".join(f"{name} < {bound}" for name, bound in zip(names, bounds, strict=False))
    return f"'{' '.join(names)} {value}'" + (f", {limits}" if limits else "")


def _rest(text: Text, place: int) -> bytes:
    """The line that begins at a place, with its line feed."""
    step = 256
    while (line := text.data[place : place + step].tobytes().partition(b"\n"))[1] == b"":
        step *= 4
    return line[0] + line[1]


def _refuse_type(text: Text, number: int, name: str) -> None:
    reason = _OTHERS.get(name.upper())
    if reason is not None:
        raise ValueError(f"{text.path}, line {number}: this is a model of type {name.upper()}: {reason}")
