"""What an experiment is: the cells it is cut into, how one is solved, and the report."""

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import experiments

Arrays = dict[str, np.ndarray]

#: quick: for tests; default: about an hour for all; full: a night, or a cluster.
SIZES = ("quick", "default", "full")


@dataclass(frozen=True)
class Cell:
    """One independent piece of work: a name that orders the table and never changes, and JSON arguments."""

    name: str
    arguments: Mapping[str, Any]


def columns(rows: Sequence[Mapping[str, Any]]) -> Arrays:
    """Rows of equal keys as arrays: what `solve` gives back."""
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


class Check(NamedTuple):
    """Something that must hold, and the numbers that say whether it does."""

    name: str
    holds: bool
    detail: str

    def line(self) -> str:
        """As reports list it."""
        return f"- {'holds' if self.holds else '**FAILS**'}: {self.name} ({self.detail})\n"


class Report(NamedTuple):
    """What a run says at its end: a table of strings with its header, and the checks."""

    headline: list[list[str]]
    checks: list[Check]


@dataclass(frozen=True)
class Experiment:
    """A study: what its package has under the name `EXPERIMENT`.

    Attributes
    ----------
    package : its package, whose last name is the name of the experiment
    description : one line for `list`
    seconds : core seconds of all cells, by size: estimated for full, and from fewer MRPs for default where these were
        added
    cells : gives what is to be done, for a size
    solve : does one cell; nothing but its arguments and the seed may matter, but for arrays named `seconds`
    report : writes table.csv, report.md and figures from the results, by cell name, into a folder
    """

    package: str
    description: str
    seconds: Mapping[str, float]
    cells: Callable[[str], Sequence[Cell]]
    solve: Callable[[Cell, np.random.SeedSequence], Arrays]
    report: Callable[[Mapping[str, Arrays], Path], Report]

    @property
    def name(self) -> str:
        return self.package.rpartition(".")[2]

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that make the cells and solve them: figures and reports are not among what results depend on."""
        return tuple(sorted({self.cells.__module__, self.solve.__module__}))


def seed_of(cell: Cell, seed: int) -> np.random.SeedSequence:
    """The cell's own child of the root `seed`: named by its stable id, so that other cells never change it."""
    digest = hashlib.sha256(cell.name.encode()).digest()
    return np.random.SeedSequence(seed, spawn_key=tuple(np.frombuffer(digest[:16], dtype="<u4").tolist()))


def names() -> list[str]:
    """The folders that hold an experiment."""
    return sorted(module.name for module in pkgutil.iter_modules(experiments.__path__) if module.ispkg)


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in names():
        raise ValueError(f"there is no experiment {name!r}; there are: {', '.join(names())}")
    found: Experiment = importlib.import_module(f"experiments.{name}").EXPERIMENT
    return found
