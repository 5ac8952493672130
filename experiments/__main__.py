"""`python -m experiments`: list the experiments, run one."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from experiments import runner

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def experiments() -> None:
    """Run the experiments of distrl."""


@app.command(name="list")
def show() -> None:
    """The experiments there are."""
    for name in runner.names():
        print(f"{name:12} {runner.find(name).DESCRIPTION}")


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="One of those that `list` shows.")],
    quick: Annotated[bool, typer.Option("--quick", help="A smaller size, for tests.")] = False,
    out: Annotated[Path, typer.Option(help="The run is written to OUT/NAME.")] = Path("results"),
    seed: Annotated[int, typer.Option(min=0, help="Root of the seeds of all cells.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Cells at a time.")] = 1,
) -> None:
    """Run an experiment; cells that are finished already are kept.

    Writes table.csv, manifest.json, report.md and the figures. Exit status: 0 every check holds, 1 one fails, 2 bad
    input, 130 interrupted (start again to go on).
    """
    try:
        experiment = runner.find(name)
        outcome = runner.run(experiment, out / name, quick=quick, seed=seed, jobs=jobs)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        _stop(str(error), 2)
    except KeyboardInterrupt:
        _stop("interrupted; finished cells are kept, the same command goes on from there", 130)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{name}: {experiment.DESCRIPTION}")
    table = Table()
    for number, column in enumerate(outcome.headline[0]):
        table.add_column(column, no_wrap=True, justify="right" if number else "left")
    for row in outcome.headline[1:]:
        table.add_row(*row)
    console.print(table)
    failed = [check for check in outcome.checks if not check.holds]
    for check in failed:
        console.print(f"FAILED {check.name}: {check.detail}", markup=False)
    print(
        f"{len(outcome.checks) - len(failed)} of {len(outcome.checks)} checks hold; report: {out / name / 'report.md'}"
    )
    if failed:
        raise typer.Exit(1)


def _stop(message: str, status: int) -> None:
    print(f"experiments: {message}", file=sys.stderr)
    raise typer.Exit(status)


if __name__ == "__main__":
    app(prog_name="python -m experiments")
