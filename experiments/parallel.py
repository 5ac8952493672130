"""Cells side by side: in this process, in processes of this machine, or on a Dask cluster."""

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.manifest import fingerprint
from experiments.protocol import Arrays, Cell, Experiment, seed_of


class Solved(NamedTuple):
    """A cell that was solved, or could not be: its place in the list that was given."""

    index: int
    result: Arrays
    seconds: float
    failure: str = ""


def solve_all(
    experiment: Experiment, cells: Sequence[Cell], seed: int, jobs: int = 1, scheduler: str | None = None
) -> Iterator[Solved]:
    """Solve cells in any order, each yielded as soon as it is finished; a failure is yielded too.

    Parameters
    ----------
    jobs : processes on this machine (joblib); 1: this process
    scheduler : address of a Dask scheduler, `tcp://host:port`, instead

    Raises
    ------
    RuntimeError
        If a worker has another version of the code.
    OSError
        If no scheduler answers.
    """
    modules = experiment.modules
    code = fingerprint(*modules)
    tasks = [(k, experiment.solve, cell, seed, modules, code) for k, cell in enumerate(cells)]
    if scheduler is not None:
        yield from _on_cluster(tasks, scheduler)
    elif jobs == 1 or len(cells) < 2:
        for task in tasks:
            yield _solve(*task)
    else:
        yield from _in_processes(tasks, min(jobs, len(cells)))


def _solve(
    index: int,
    solve: Callable[[Cell, np.random.SeedSequence], Arrays],
    cell: Cell,
    seed: int,
    modules: tuple[str, ...],
    code: str,
) -> Solved:
    if fingerprint(*modules) != code:
        raise RuntimeError(
            f"cell {cell.name}: this worker has another version of the code or of its packages than the run; "
            "install the same ones and start again"
        )
    started = time.perf_counter()
    try:
        result = solve(cell, seed_of(cell, seed))
    except Exception as error:  # whatever it is, the other cells are solved; the run raises at its end
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"cell {cell.name} failed: {type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
        return Solved(index, {}, time.perf_counter() - started, failure)
    return Solved(index, result, time.perf_counter() - started)


def _solve_in_worker(*task: Any) -> Solved:
    # Ctrl-C reaches every process of the terminal; the parent alone decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _solve(*task)


def _in_processes(tasks: Sequence[Any], jobs: int) -> Iterator[Solved]:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    try:
        # one cell at a time: what is finished comes back, and is stored, at once
        pool = Parallel(n_jobs=jobs, batch_size=1, pre_dispatch="2*n_jobs", return_as="generator_unordered")
        yield from pool(delayed(_solve_in_worker)(*task) for task in tasks)
    except BaseException:
        get_reusable_executor().shutdown(wait=False, kill_workers=True)
        raise


def _on_cluster(tasks: Sequence[Any], scheduler: str) -> Iterator[Solved]:
    try:
        from distributed import Client, as_completed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--scheduler needs Dask: pip install 'distrl[cluster]'", name="distributed"
        ) from error
    with Client(scheduler, timeout="20s") as client:
        # a cell whose worker dies goes to another one; not pure: equal cells are not looked up in the cluster's memory
        futures = [client.submit(_solve, *task, pure=False) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
                future.release()
        finally:
            client.cancel(futures)
