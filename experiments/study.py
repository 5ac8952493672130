"""What studies share: cells as tables, and the report of tables, figures and findings.

A study's `solve` gives columns of equal length, one row a measurement. Columns named `seconds` are times: they go to
figures and text, never into table.csv, which depends on the arguments, the seed and the code alone.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from experiments.files import write_text
from experiments.pages import markdown_table
from experiments.protocol import Arrays, Cell, Check, Experiment, Report
from experiments.style import save


class Sweep(Protocol):
    """The names that a study's `sweep` module has."""

    __name__: str

    def cells(self, size: str) -> list[Cell]:
        """What is to be done."""

    def solve(self, cell: Cell, seed: np.random.SeedSequence) -> Arrays:
        """Do one cell: columns of equal length."""


class Analysis(Protocol):
    """The names that a study's `analysis` module has; `frame` holds the rows of all cells, in order."""

    TITLE: str
    #: What was done, units, what n is and what the intervals mean.
    INTRODUCTION: str

    def summary(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The short table that a reader wants, without times."""

    def findings(self, frame: pd.DataFrame) -> str:
        """A paragraph written from the numbers."""

    def checks(self, frame: pd.DataFrame) -> list[Check]:
        """What must hold whatever the numbers are."""

    def figures(self, frame: pd.DataFrame) -> Mapping[str, tuple[Any, str]]:
        """Figures and captions by name."""


def study(sweep: Sweep, analysis: Analysis, description: str, seconds: Mapping[str, float]) -> Experiment:
    """The experiment of the package that both modules are in."""

    def report(results: Mapping[str, Arrays], directory: Path) -> Report:
        return write_study(analysis, results, directory)

    package = sweep.__name__.rpartition(".")[0]
    return Experiment(package, description, seconds, sweep.cells, sweep.solve, report)


def frame_of(results: Mapping[str, Arrays]) -> pd.DataFrame:
    """All rows of all cells, in the order of the cells' names, with a first column `cell`."""
    parts = [pd.DataFrame({"cell": name, **results[name]}) for name in sorted(results)]
    return pd.concat(parts, ignore_index=True)


def write_study(analysis: Analysis, results: Mapping[str, Arrays], directory: Path) -> Report:
    """Write table.csv, figures with captions, and report.md."""
    frame = frame_of(results)
    table = frame.drop(columns=[name for name in frame if "seconds" in str(name)])
    write_text(directory / "table.csv", table.to_csv(index=False, lineterminator="\n"))
    figures, checks, summary = analysis.figures(frame), analysis.checks(frame), analysis.summary(frame)
    save(figures, directory)
    header, rows = _printed(summary)
    parts = [f"# {analysis.TITLE}\n", analysis.INTRODUCTION.strip() + "\n", "## Findings\n"]
    parts += [analysis.findings(frame).strip() + "\n", "## Table\n", markdown_table(header, rows)]
    parts.append(f"All {len(table)} rows are in table.csv, the times of the cells in times.csv.\n")
    parts.append("## Figures\n")
    parts += [f"![{name}]({name}.png)\n\n*{caption}*\n" for name, (_, caption) in figures.items()]
    parts.append("## Checks\n")
    parts.append("".join(check.line() for check in checks))
    write_text(directory / "report.md", "\n".join(parts))
    return Report([header, *rows], checks)


def pick(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows whose columns have these values; `name=[...]` any of several."""
    kept = np.ones(len(frame), dtype=bool)
    for name, value in values.items():
        kept &= frame[name].isin(value) if isinstance(value, list) else frame[name] == value
    return frame[kept]


def bounded(name: str, measured: Iterable[float], bound: Iterable[float], slack: float = 1e-12) -> Check:
    """The check that measured <= bound row by row; the detail names the tightest row."""
    left, right = np.asarray(list(measured), float), np.asarray(list(bound), float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(right > 0.0, left / right, np.where(left > right, np.inf, -np.inf))
    worst = int(np.argmax(share))
    room = slack * np.maximum(1.0, np.abs(right))
    holds = bool((left <= right + room).all())
    rounding = f" + {room[worst]:.0e} for rounding" if left[worst] > right[worst] else ""
    return Check(name, holds, f"tightest of {len(left)}: {left[worst]:.4g} <= {right[worst]:.4g}{rounding}")


def units(part: pd.DataFrame, value: str, by: str) -> pd.DataFrame:
    """(units, values of `by`) of `value`: an MRP a unit where there are several, averaged over its replications, else
    a replication; so intervals are over MRPs, or over samples of one MRP, never over both at once."""
    index = "mrp" if part["mrp"].nunique() > 1 else "replication"
    return part.pivot_table(index=index, columns=by, values=value, aggfunc="mean")


def _printed(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    def word(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)

    return [str(name) for name in table], [[word(value) for value in row] for row in table.itertuples(index=False)]
