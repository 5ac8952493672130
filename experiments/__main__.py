"""`python -m experiments`: list the experiments, run one or all, look at what is there."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from experiments import manifest, protocol, runner
from experiments.progress import duration
from experiments.protocol import Experiment, Report

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Name = Annotated[str, typer.Argument(help="One of those that `list` shows, or `all`.")]
Out = Annotated[Path, typer.Option(help="A run is written to OUT/NAME.")]
Seed = Annotated[int, typer.Option(min=0, help="Root of the seeds of all cells.")]


@app.callback()
def experiments() -> None:
    """Run the experiments of distrl."""


@app.command(name="list")
def show() -> None:
    """The experiments there are, and how long each takes on one core."""
    for name in protocol.names():
        experiment = protocol.find(name)
        costs = ", ".join(f"{size} {duration(experiment.seconds[size])}" for size in protocol.SIZES)
        print(f"{name:15} {experiment.description} ({costs})")


@app.command()
def run(
    name: Name,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller size, for tests.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The size for a night or a cluster.")] = False,
    out: Out = Path("results"),
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Cells at a time.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Run the cells on this Dask cluster: tcp://host:port.")] = None,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Keep finished cells, or solve them again.")] = True,
) -> None:
    """Run an experiment; cells that are finished already are kept.

    Writes table.csv, times.csv, manifest.json, report.md, report.html and the figures. Exit status: 0 every check
    holds, 1 one fails, 2 bad input or a full disk, 130 interrupted (start again to go on).
    """
    if quick and full:
        _stop("--quick and --full are two sizes; give one of them", 2)
    size = "quick" if quick else "full" if full else "default"
    with _explained():
        chosen = _chosen(name)
        if len(chosen) > 1:
            total = sum(experiment.seconds[size] for experiment in chosen.values())
            print(f"all experiments, size {size}: about {duration(total / jobs)} with {jobs} job(s)", file=sys.stderr)
        failed = 0
        for each, experiment in chosen.items():
            said = runner.run(
                experiment, out / each, size=size, seed=seed, jobs=jobs, scheduler=scheduler, fresh=not resume
            )
            failed += _say(each, experiment, said, out / each)
    if failed:
        raise typer.Exit(1)


@app.command()
def report(name: Name, out: Out = Path("results")) -> None:
    """Write table, figures and report of the last run again, from its stored cells."""
    with _explained():
        for each, experiment in _chosen(name).items():
            _say(each, experiment, _again(experiment, out / each), out / each)


@app.command()
def plot(name: Name, out: Out = Path("results")) -> None:
    """Draw the figures of the last run again, and say where they are."""
    with _explained():
        for each, experiment in _chosen(name).items():
            _again(experiment, out / each)
            print("\n".join(str(path) for path in sorted((out / each).glob("*.p[nd][gf]"))))


@app.command()
def status(out: Out = Path("results"), seed: Seed = 0) -> None:
    """How many cells are finished; exit status 2 if that cannot be read of an experiment."""
    unread = False
    with _explained():
        for name in protocol.names():
            try:
                found = runner.progress(protocol.find(name), out / name, seed)
            except OSError as error:  # of one experiment; the others are told all the same
                unread = True
                print(f"{name:15} {error}")
                continue
            counts = ", ".join(f"{row.size} {row.finished}/{row.total}" for row in found)
            print(f"{name:15} {counts}{' (running)' if found[0].running else ''}")
    if unread:
        raise typer.Exit(2)


@app.command()
def clean(
    name: Name,
    out: Out = Path("results"),
    everything: Annotated[bool, typer.Option("--all", help="The whole folder, not only other versions.")] = False,
) -> None:
    """Delete stored cells of other versions of the code."""
    with _explained():
        for each, experiment in _chosen(name).items():
            print(f"{each}: {runner.clean(experiment, out / each, everything)} cell(s) deleted")


def _chosen(name: str) -> dict[str, Experiment]:
    return {each: protocol.find(each) for each in (protocol.names() if name == "all" else [name])}


def _again(experiment: Experiment, directory: Path) -> Report:
    size, seed = manifest.arguments_in(directory / "manifest.json")
    return runner.report(experiment, directory, size=size, seed=seed)


def _say(name: str, experiment: Experiment, said: Report, directory: Path) -> int:
    """The result on the terminal; gives the number of checks that fail."""
    width = None if sys.stdout.isatty() else 220
    console = Console(soft_wrap=True, highlight=False, width=width)
    console.print(f"{name}: {experiment.description}")
    table = Table()
    for number, column in enumerate(said.headline[0]):
        table.add_column(column, no_wrap=True, justify="right" if number else "left")
    for row in said.headline[1:]:
        table.add_row(*row)
    console.print(table)
    failed = [check for check in said.checks if not check.holds]
    for check in failed:
        console.print(f"FAILED {check.name}: {check.detail}", markup=False)
    count = len(said.checks)
    print(f"{count - len(failed)} of {count} checks hold; report: {directory / 'report.md'}", flush=True)
    return len(failed)


@contextmanager
def _explained() -> Iterator[None]:
    """Errors as one sentence and an exit status."""
    try:
        yield
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        _stop(str(error), 2)
    except KeyboardInterrupt:
        _stop("interrupted; finished cells are kept, the same command goes on from there", 130)


def _stop(message: str, code: int) -> NoReturn:
    print(f"experiments: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _terminated(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)  # batch systems end a job so; it is as good as Ctrl-C
    app(prog_name="python -m experiments")
