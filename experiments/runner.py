"""Run the cells of an experiment, keep each as soon as it is finished, then write the report.

A cell is a name and arguments; its result is a set of arrays, a function of the cell, the seed and the code. It is
stored in one file, written whole or not at all, under a key of all three: a second start reads it back bit for bit.
"""

import csv
import hashlib
import importlib
import importlib.metadata
import io
import json
import os
import pkgutil
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from joblib import Parallel, delayed
from tqdm.auto import tqdm

import distrl
import experiments

PACKAGES = ("numpy", "scipy", "numba", "gymnasium", "matplotlib", "joblib")
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Cell:
    """One independent piece of work: a name that orders the table, and JSON arguments."""

    name: str
    arguments: Mapping[str, Any]


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

    def cells(self, quick: bool) -> Sequence[Cell]:
        """What is to be done."""

    def solve(self, cell: Cell, seed: np.random.SeedSequence) -> Arrays:
        """Do one cell; nothing but its arguments and the seed may matter."""

    def report(self, results: Mapping[str, Arrays], directory: Path) -> Outcome:
        """Write table.csv, report.md and figures from the results, by cell name."""


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


def run(experiment: Any, directory: Path, *, quick: bool, seed: int, jobs: int) -> Outcome:
    """Solve the cells that are not finished, write the report and the manifest."""
    cells = experiment.cells(quick)
    code = fingerprint(experiment)
    store = directory / "cells"
    store.mkdir(parents=True, exist_ok=True)
    # the k-th cell has the k-th child, whatever is solved already
    seeds = np.random.SeedSequence(seed).spawn(len(cells))
    keys = {cell.name: _key(cell, seed, code) for cell in cells}
    missing = [k for k, cell in enumerate(cells) if _read(store / f"{cell.name}.npz", keys[cell.name]) is None]
    tasks = (
        delayed(_solve_and_keep)(experiment.__name__, cells[k], seeds[k], store, keys[cells[k].name]) for k in missing
    )
    finished = Parallel(n_jobs=min(jobs, max(len(missing), 1)), return_as="generator_unordered")(tasks)
    for _ in tqdm(finished, total=len(missing), unit="cell", desc="cells", disable=not missing, file=sys.stderr):
        pass
    results: dict[str, Arrays] = {}
    for cell in cells:
        result = _read(store / f"{cell.name}.npz", keys[cell.name])
        if result is None:
            raise OSError(f"{store / cell.name}.npz was changed while the experiment ran; start it again")
        results[cell.name] = result
    outcome: Outcome = experiment.report(results, directory)
    write_json(directory / "manifest.json", _manifest(experiment, cells, quick, seed, code))
    return outcome


def fingerprint(experiment: Any) -> str:
    """Hash of the source of distrl, of the runner and of the experiment, and of the packages' versions.

    Figures and reports do not matter to a cell, so their files are left out.
    """
    digest = hashlib.sha256()
    roots = [Path(distrl.__file__).parent, Path(experiment.__file__).parent]
    files = [file for root in roots for file in sorted(root.rglob("*.py"))] + [Path(__file__)]
    for file in files:
        if file.name not in ("figures.py", "report.py", "analysis.py", "plotting.py", "cli.py"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    digest.update(json.dumps(_versions()).encode())
    return digest.hexdigest()[:16]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, of the same suffix; it takes the place of `path` if all went well."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file or nothing."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a whole JSON file or nothing."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a whole CSV file or nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _solve_and_keep(module: str, cell: Cell, seed: np.random.SeedSequence, store: Path, key: str) -> None:
    result = importlib.import_module(module).solve(cell, seed)
    with replacing(store / f"{cell.name}.npz") as partial, open(partial, "wb") as file:
        np.savez_compressed(file, key=np.array(key), **result)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, key: str) -> Arrays | None:
    """A stored result; None if there is none, it is damaged, or it comes from other code or arguments."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if str(archive["key"]) != key:
                return None
            return {name: archive[name] for name in archive.files if name != "key"}
    except Exception:  # a damaged archive raises a dozen kinds of errors; solving again mends them all
        return None


def _key(cell: Cell, seed: int, code: str) -> str:
    return json.dumps([cell.name, dict(cell.arguments), seed, code], sort_keys=True)


def _versions() -> dict[str, str]:
    return {
        "distrl": distrl.__version__,
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in PACKAGES},
    }


def _manifest(experiment: Any, cells: Sequence[Cell], quick: bool, seed: int, code: str) -> dict[str, Any]:
    return {
        "experiment": experiment.__name__,
        "arguments": {"quick": quick, "seed": seed},
        "cells": {cell.name: dict(cell.arguments) for cell in cells},
        "code": code,
        "commit": _commit(),
        "versions": _versions(),
        "machine": platform.machine(),
    }


def _commit() -> str | None:
    """The checked-out commit, with a plus if files differ from it; None outside a repository."""
    folder = Path(__file__).parent
    try:
        head, changed = (
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.strip() + ("+" if changed.strip() else "")
