"""A model by its name: a file of one of the kinds that can be read, told by the end of its name, or a Gymnasium id."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import distrl
from distrl.cli.reading import make_options

_Model: TypeAlias = "distrl.MRP | distrl.MDP"


class FileOptions(NamedTuple):
    """What the command line says of files that know less than a saved model does."""

    terminal: str | None
    rewards: str | None
    normalise: bool

    @property
    def used(self) -> list[str]:
        """The options that were given."""
        used = {"--terminal": self.terminal is not None, "--rewards": self.rewards is not None}
        return [option for option, given in {**used, "--normalise": self.normalise}.items() if given]

    @property
    def structure(self) -> int | str | None:
        """The reward structure: a number where it looks like one."""
        text = self.rewards
        return int(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else text


class _Kind(NamedTuple):
    """How files of a kind are read, and which of the options they take."""

    read: Callable[[str, float | None, FileOptions], _Model]
    takes: tuple[str, ...]


def _saved(name: str, discount: float | None, _: FileOptions) -> _Model:
    model = distrl.load(name)
    if not isinstance(model, distrl.MRP | distrl.MDP):
        raise ValueError(f"{name} holds a {type(model).__name__}, not a model")
    return model if discount is None else model.with_discount(discount)


def _prism(name: str, discount: float | None, options: FileOptions) -> _Model:
    given = _needed(discount, name)
    return distrl.read_prism(name, given, options.structure, options.terminal, normalise=options.normalise)


def _drn(name: str, discount: float | None, options: FileOptions) -> _Model:
    given = _needed(discount, name)
    return distrl.read_drn(name, given, options.structure, options.terminal, normalise=options.normalise)


def _cassandra(name: str, discount: float | None, options: FileOptions) -> _Model:
    return distrl.read_cassandra(name, discount, normalise=options.normalise)


def _course(name: str, discount: float | None, options: FileOptions) -> _Model:
    return distrl.read_text(name, discount, normalise=options.normalise)


_KINDS = {
    ".npz": _Kind(_saved, ()),
    ".tra": _Kind(_prism, ("--terminal", "--rewards", "--normalise")),
    ".drn": _Kind(_drn, ("--terminal", "--rewards", "--normalise")),
    ".MDP": _Kind(_cassandra, ("--normalise",)),
    ".POMDP": _Kind(_cassandra, ("--normalise",)),  # its reader says why one with observations is refused
    ".txt": _Kind(_course, ("--normalise",)),
}


def read_model(name: str, discount: float | None, options: list[str], check: bool, of_file: FileOptions) -> _Model:
    """The model that the command names, by what its name looks like.

    Raises
    ------
    ValueError, TypeError
        If the name ends as that of no kind of file that is known, naming those, or an option is for another kind.
    """
    ending = Path(re.sub(r"\.(gz|xz)$", "", name)).suffix
    kind = _KINDS.get(ending) or _KINDS.get(ending.upper())  # Cassandra's .MDP is written .mdp as well
    if kind is not None and (options or not check):
        raise ValueError("--option is for gymnasium.make and --no-check for its environments; a file takes none")
    _refuse([option for option in of_file.used if kind is None or option not in kind.takes])
    if kind is not None:
        return kind.read(name, discount, of_file)
    _check_id(name, ending)
    return distrl.from_gymnasium(name, _needed(discount, name), check, **make_options(name, options))


def _needed(discount: float | None, name: str) -> float:
    if discount is None:
        raise ValueError(f"{name} does not say how returns are discounted; give --discount, for example 0.99")
    return discount


def _refuse(options: list[str]) -> None:
    """Refuse options that the named model does not take."""
    if options == ["--normalise"]:
        raise ValueError("--normalise is for PRISM files and others of text, whose numbers are rounded")
    if options:
        given = " and ".join(options)
        raise ValueError(f"{given} is for PRISM files and Storm's; other models know where they end and what they pay")


def _check_id(name: str, ending: str) -> None:
    """Refuse what looks like a file's name: Gymnasium's ids end in a version, or name a module before a colon."""
    looks_like_a_file = ":" not in name and ("/" in name or re.fullmatch(r"\.\w+", ending))
    if (looks_like_a_file or Path(name).is_file()) and not re.search(r"-v\d+$", name):
        *most, last = _KINDS
        raise ValueError(f"cannot tell what {name} is; a model file ends in {', '.join(most)} or {last}")
