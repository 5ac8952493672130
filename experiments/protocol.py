"""What an experiment is: the names its package has, and the cells it is cut into."""

import hashlib
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

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


class Outcome(NamedTuple):
    """What a run says at its end: a table of strings with its header, and the checks."""

    headline: list[list[str]]
    checks: list[Check]


class Experiment(Protocol):
    """The names that the package of an experiment has."""

    __name__: str
    DESCRIPTION: str
    #: Core seconds of all cells, by size: estimated for full, and from fewer MRPs for default where these were added.
    SECONDS: Mapping[str, float]

    def cells(self, size: str) -> Sequence[Cell]:
        """What is to be done."""

    def solve(self, cell: Cell, seed: np.random.SeedSequence) -> Arrays:
        """Do one cell; nothing but its arguments and the seed may matter, but for arrays named `seconds`."""

    def report(self, results: Mapping[str, Arrays], directory: Path) -> Outcome:
        """Write table.csv, report.md and figures from the results, by cell name."""


def seed_of(cell: Cell, seed: int) -> np.random.SeedSequence:
    """The cell's own child of the root `seed`: named by its stable id, so that other cells never change it."""
    digest = hashlib.sha256(cell.name.encode()).digest()
    return np.random.SeedSequence(seed, spawn_key=tuple(np.frombuffer(digest[:16], dtype="<u4").tolist()))


def names() -> list[str]:
    """The folders that hold an experiment."""
    return sorted(module.name for module in pkgutil.iter_modules(experiments.__path__) if module.ispkg)


def find(name: str) -> Any:
    """The experiment's package.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in names():
        raise ValueError(f"there is no experiment {name!r}; there are: {', '.join(names())}")
    return importlib.import_module(f"experiments.{name}")
