"""The head of a DRN file: the lines before `@model`."""

from collections.abc import Iterator
from dataclasses import dataclass

from distrl.models.explicit.notes import Known, known_of
from distrl.models.explicit.text import Text, fail, whole

#: How the comment of names begins.
NOTE = "// distrl "
_REFUSED = {
    "CTMC": "rates of a continuous-time chain are no probabilities",
    "MARKOV AUTOMATON": "rates of a Markov automaton are no probabilities",
    "MA": "rates of a Markov automaton are no probabilities",
    "POMDP": "a partially observable model needs a policy that sees observations only",
    "SMG": "games have more than one player",
    "S2PG": "games have more than one player",
}


@dataclass(frozen=True)
class Header:
    """What the head says; the model begins at `place`, in line `line`."""

    has_choices: bool
    states: int
    choices: int | None
    rewards: list[str]
    known: Known
    place: int
    line: int


def read_header(text: Text) -> Header:
    """The head of a DRN file.

    Raises
    ------
    ValueError
        Naming the line, or what is missing; for models of other types, with parameters or with intervals.
    """
    found: dict[str, str] = {}
    known, wanted, kind = Known(), "", ""
    lines = text.lines()
    for number, place, line in lines:
        if wanted:  # the line after a keyword is its value, empty or not
            found[wanted] = line
            _check_value(text, number, place, wanted, line)
            wanted = ""
        elif line.startswith(NOTE):
            known = _note(text, number, line)
        elif line.startswith("@type:"):
            kind = _once(text, number, place, "" if not kind else line, line.removeprefix("@type:").strip())
            _refuse_type(text, number, place, kind)
        elif line.startswith("@value_type:"):
            _check_value(text, number, place, "@value_type", line.removeprefix("@value_type:").strip())
        elif line == "@placeholders":
            raise ValueError(f"{text.path}, line {number}: placeholders stand for parameters, which are not supported")
        elif line in ("@parameters", "@reward_models", "@nr_states", "@nr_choices"):
            wanted = line if line not in found else ""
            if not wanted:
                fail(text, number, place, f"{line} once")
        elif line == "@model":
            return _whole_header(text, number, lines, found, kind, known)
        elif line and not line.startswith("//"):
            fail(text, number, place, "@type:, @parameters, @reward_models, @nr_states, @nr_choices or @model")
    raise ValueError(f"{text.path} has no line @model; it is no DRN file, or cut short")


def _whole_header(
    text: Text, number: int, lines: Iterator[tuple[int, int, str]], found: dict[str, str], kind: str, known: Known
) -> Header:
    """The header, if nothing is missing before `@model` in line `number`."""
    for what, there in (("@type:", kind), ("@nr_states", "@nr_states" in found)):
        if not there:
            raise ValueError(f"{text.path}, line {number}: @model comes before {what}")
    after = next(lines, None)
    place, line = (len(text.data), number + 1) if after is None else (after[1], after[0])
    choices = whole(found.get("@nr_choices", ""))
    names = found.get("@reward_models", "").split()
    return Header(kind == "MDP", int(found["@nr_states"]), choices, names, known, place, line)


def _once(text: Text, number: int, place: int, earlier: str, value: str) -> str:
    if earlier:
        fail(text, number, place, "@type: once")
    return value.upper()


def _refuse_type(text: Text, number: int, place: int, kind: str) -> None:
    if kind in _REFUSED:
        raise ValueError(f"{text.path}, line {number}: this is a model of type {kind}: {_REFUSED[kind]}")
    if kind not in ("DTMC", "MDP"):
        fail(text, number, place, "@type: DTMC or @type: MDP")


def _check_value(text: Text, number: int, place: int, keyword: str, value: str) -> None:
    """Refuse a value that its keyword cannot have."""
    if keyword == "@parameters" and value:
        raise ValueError(
            f"{text.path}, line {number}: the model has the parameters {value[:60]}; give them values before it is "
            "exported"
        )
    if keyword in ("@nr_states", "@nr_choices") and (whole(value) is None or value == "0"):
        fail(text, number, place, "a number of states or choices")
    if keyword == "@reward_models" and len(set(value.split())) < len(value.split()):
        fail(text, number, place, "every reward structure once")
    if keyword == "@value_type" and value not in ("double", "rational"):
        raise ValueError(
            f"{text.path}, line {number}: values are of type {value[:60]!r}; only numbers are read (double, rational), "
            "no intervals and no functions of parameters"
        )


def _note(text: Text, number: int, line: str) -> Known:
    try:
        return known_of(line.removeprefix(NOTE))
    except ValueError as error:
        raise ValueError(f"{text.path}, line {number}: {error}") from error
