"""What comes out: the report on the terminal, and the figure."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import distrl
from distrl._display import OFF, at_most
from distrl.cli.saying import count
from distrl.returns.finite import as_finite

MOST_CURVES = 6


def drawing() -> "Callable[[distrl.Solution[distrl.Returns], list[int], Path], None]":
    """How to plot; importing matplotlib now tells early that it is missing."""
    from distrl.plotting import plot_returns, save_figure

    def draw(solution: "distrl.Solution[distrl.Returns]", states: list[int], path: Path) -> None:
        axes = plot_returns(as_finite(solution.returns), states[:MOST_CURVES], certificate=solution.certificate)
        save_figure(axes.figure, path)  # type: ignore[arg-type]  # a figure, and no part of one

    return draw


def show(
    solution: "distrl.Solution[distrl.Returns]", title: str, states: list[int], level: float, wants_start: bool
) -> None:
    """Print how it ended, the certificate, and a table of the states, with a row for the start if that is wanted."""
    certificate = solution.certificate
    if certificate is None:
        raise TypeError(f"{solution.method!r} gives no certificate")
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]{escape(title)}[/bold]")
    console.print(escape(solution.status.value))
    console.print(
        f"solver {solution.solver}: {solution.iterations} applications, {solution.elapsed:.2g} s "
        f"({escape(solution.reason)})"
    )
    console.print(escape(solution.ended))
    grid = getattr(solution.returns, "grid", None)
    if grid is not None:
        clipped = f", clips probability {solution.clipped_mass:.2g} a step" if solution.clipped_mass > 0 else ""
        console.print(
            f"grid: {grid.atoms} atoms on \\[{grid.low:g}, {grid.high:g}], spacing {grid.spacing:.4g}{escape(clipped)}"
        )
    worst = int(np.argmax(certificate.w1))
    console.print(
        f"certificate: W1 to {certificate.of} <= {at_most(certificate.w1[worst], 4)} in every state "
        f"(the worst is {worst}) \\[{certificate.claim}]"
    )
    if certificate.overshoot[worst] > 0.5 * certificate.w1[worst]:
        console.print("most of it is clipping: a wider --grid makes it smaller")
    said, table = _table(solution, states, level, wants_start)
    console.print(said)
    console.print(table)
    left = solution.model.n_states - len(set(states))
    if left and not (wants_start and solution.model.initial is not None):
        console.print(f"and {count(left, 'more state')}: --states all prints, --save keeps them")


def _table(
    solution: "distrl.Solution[distrl.Returns]", states: list[int], level: float, wants_start: bool
) -> tuple[str, Table]:
    """What the intervals are, and a row for the start and for every state: values over their intervals."""
    functionals = (distrl.Mean(), distrl.Std(), distrl.Quantile(level), distrl.CVaR(level))
    initial = solution.model.initial
    start = wants_start and initial is not None and int(np.count_nonzero(initial)) > 1
    said, columns = solution.text_columns(states, functionals, start=start)
    starred = any("*" in cell for cells in columns.values() for cell in cells)
    table = Table(caption=OFF if starred else None, caption_justify="left")
    for name in columns:
        table.add_column(name, justify="right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(cell.replace(", ", ",\n").replace(" [", "\n\\[") for cell in row))
    return said, table
