"""Run the cells of an experiment, keep each as soon as it is finished, then write the report.

A cell's result is a function of its name, its arguments, the seed and the code. It is stored under a key of all of
these: a second start reads it back bit for bit.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.files import write_csv, write_json
from experiments.manifest import fingerprint, manifest
from experiments.pages import write_html
from experiments.parallel import solve_all
from experiments.progress import duration, watched
from experiments.protocol import SIZES, Arrays, Cell, Experiment, Report
from experiments.store import Store, is_running, key_of, stored_keys


class Progress(NamedTuple):
    """How far the run of one size is."""

    size: str
    finished: int
    total: int
    running: bool


def run(
    experiment: Experiment,
    directory: Path,
    *,
    size: str = "default",
    seed: int = 0,
    jobs: int = 1,
    scheduler: str | None = None,
    fresh: bool = False,
) -> Report:
    """Solve the cells that are not finished, write table, times, figures, report and manifest.

    Parameters
    ----------
    directory : where to
    size : "quick", "default" or "full"
    seed : root of the seeds of all cells
    jobs, scheduler : as for `parallel.solve_all`
    fresh : solve finished cells again

    Raises
    ------
    OSError
        If another process runs into `directory`, or the disk is full; finished cells are kept.
    RuntimeError
        If cells fail, naming them, after all others are finished.
    """
    cells, code = experiment.cells(size), fingerprint(*experiment.modules)
    keys = {cell.name: key_of(cell, seed, code) for cell in cells}
    with Store(directory) as store:
        if fresh:
            store.forget(keys.values())
        missing = [cell for cell in cells if store.get(keys[cell.name]) is None]
        _announce(experiment, store.others(code), size, len(missing), len(cells), jobs, directory)
        solved = solve_all(experiment, missing, seed, jobs, scheduler)
        failures = []
        for index, result, seconds, failure in watched(solved, len(missing), experiment.name):
            cell = missing[index]
            if failure:
                failures.append(failure)
                print(failure, file=sys.stderr, flush=True)
            else:
                store.put(keys[cell.name], cell, seed, code, seconds, result)
        if failures:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            raise RuntimeError(f"{min(failures)}{more}; the other cells are finished and kept")
        return _write(experiment, directory, store, cells, keys, size, seed)


def report(experiment: Experiment, directory: Path, *, size: str, seed: int) -> Report:
    """Write everything again from stored cells; solves nothing.

    Raises
    ------
    ValueError
        If cells are missing.
    OSError
        As for `run`.
    """
    cells, code = experiment.cells(size), fingerprint(*experiment.modules)
    keys = {cell.name: key_of(cell, seed, code) for cell in cells}
    with Store(directory) as store:
        return _write(experiment, directory, store, cells, keys, size, seed)


def progress(experiment: Experiment, directory: Path, seed: int) -> list[Progress]:
    """How many cells of each size are finished, by this version of the code."""
    stored, code, running = stored_keys(directory), fingerprint(*experiment.modules), is_running(directory)
    found = []
    for size in SIZES:
        keys = {key_of(cell, seed, code) for cell in experiment.cells(size)}
        found.append(Progress(size, len(keys & stored), len(keys), running))
    return found


def clean(experiment: Experiment, directory: Path, everything: bool) -> int:
    """Delete the cells of other versions of the code, or the whole folder; says how many cells went.

    Raises
    ------
    OSError
        If another process runs into `directory`.
    """
    if not (directory / "cells.sqlite").exists():
        return 0
    with Store(directory) as store:
        if not everything:
            return store.forget_others(fingerprint(*experiment.modules))
        count = len(stored_keys(directory))
    shutil.rmtree(directory)
    return count


def _write(
    experiment: Experiment,
    directory: Path,
    store: Store,
    cells: Sequence[Cell],
    keys: Mapping[str, str],
    size: str,
    seed: int,
) -> Report:
    results: dict[str, Arrays] = {}
    for cell in cells:
        result = store.get(keys[cell.name])
        if result is None:
            raise ValueError(
                f"cell {cell.name} of size {size}, seed {seed} is not finished; `python -m experiments run` solves it"
            )
        results[cell.name] = result
    said = experiment.report(results, directory)
    times = store.seconds(keys)
    write_csv(directory / "times.csv", ["cell", "seconds"], [[name, f"{times[name]:.3f}"] for name in sorted(times)])
    record = manifest(experiment, cells, size, seed)
    write_json(directory / "manifest.json", record)
    write_html(directory / "report.md", record)
    return said


def _announce(
    experiment: Experiment, others: int, size: str, missing: int, total: int, jobs: int, directory: Path
) -> None:
    """Before the work starts: how long it will take, and what is not used."""
    name = experiment.name
    if others:
        print(
            f"{name}: {others} cell(s) in {directory} are of another version of the code and are not used; "
            f"`python -m experiments clean {name}` deletes them",
            file=sys.stderr,
        )
    seconds = experiment.seconds[size] * missing / max(total, 1) / jobs
    print(
        f"{name}, size {size}: {total - missing} of {total} cells are finished, "
        f"the others take about {duration(seconds)} with {jobs} job(s)",
        file=sys.stderr,
        flush=True,
    )
