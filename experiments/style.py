"""How figures look: journal widths, embedded fonts, curves that colour-blind readers and grey prints tell apart."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib import ticker

from distrl._files import replacing
from distrl.plotting import DASHES, MARKERS, PALETTE, STYLE, save_figure
from experiments.files import write_text
from experiments.statistics import FEWEST, Interval, geometric

COLUMN, PAGE = 3.4, 7.0  # inches: one column of a journal, and its page
PAPER = {
    **STYLE,
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 6.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.7,
    "legend.handlelength": 2.6,
}


def look(number: int) -> dict[str, Any]:
    """Colour, dashes and marker of the `number`-th curve: any one of them tells it from the others."""
    k = number % len(PALETTE)
    return {"color": PALETTE[k], "linestyle": DASHES[k], "marker": MARKERS[k]}


@contextmanager
def panels(rows: int, columns: int, height: float = 2.2, width: float = PAGE, **options: Any) -> Iterator[Any]:
    """A figure and its (rows, columns) axes, in the house style; `height` is that of a row, in inches."""
    with plt.rc_context(PAPER):
        size = (width, height * rows)
        yield plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)


def shared_legend(figure: Any, axes: Any, columns: int = 4) -> None:
    """One legend under all panels, from the curves of `axes`."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


@contextmanager
def problem_panels(
    names: Sequence[str], discounts: Sequence[float], height: float, x: str, y: str, columns: int = 4, **options: Any
) -> Iterator[tuple[Any, Iterator[tuple[str, float, Any]]]]:
    """A figure, and its panels as (problem, discount, axes), a row a discount; both axes are logarithmic, and one
    legend is under all."""
    with panels(len(discounts), len(names), height, **options) as (figure, axes):
        places = [(row, column) for row in range(len(discounts)) for column in range(len(names))]
        yield figure, ((names[column], discounts[row], axes[row, column]) for row, column in places)
        for row, column in places:
            logarithmic(axes[row, column])
            axes[row, column].set_title(f"{names[column]}\ng = {discounts[row]:g}")
        outer_labels(axes, x, y)
        shared_legend(figure, axes[0, 0], columns)


def logarithmic(axes: Any) -> None:
    """Logarithms on both axes."""
    axes.set_xscale("log")
    axes.set_yscale("log")


def outer_labels(axes: Any, x: str, y: str) -> None:
    """What the panels share, said below the last row and beside the first column."""
    for ax in axes[-1]:
        ax.set_xlabel(x)
    for ax in axes[:, 0]:
        ax.set_ylabel(y)


def band(axes: Any, x: Any, found: Sequence[Interval], number: int, label: str) -> None:
    """A curve of estimates with their intervals shaded."""
    estimate, low, high = zip(*found, strict=True)
    style = look(number)
    axes.plot(x, estimate, label=label, **style)
    axes.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)


def bars(axes: Any, x: Any, found: Sequence[Interval], **options: Any) -> None:
    """Estimates with their intervals as bars; `options` as for `errorbar`."""
    estimate, low, high = np.array(found).T
    axes.errorbar(x, estimate, yerr=np.abs([estimate - low, high - estimate]), **options)


def curve(axes: Any, table: Any, number: int, label: str) -> None:
    """The geometric mean over the units (rows) of a frame against its columns: with its interval shaded, or with the
    units as points where there are too few for one."""
    band(axes, list(table), [geometric(table[x]) for x in table], number, label)
    if 1 < len(table) < FEWEST:
        points = {**look(number), "linestyle": "none", "markersize": 1.8, "alpha": 0.6, "markeredgewidth": 0.0}
        axes.plot(list(table), table.to_numpy().T, **points)


def shaded(units: str) -> str:
    """What a caption says of the bands of `curve`."""
    return (
        f"Geometric means over {units}; bands: 95% t intervals of the mean logarithm, each by itself, where there are "
        f"at least {FEWEST} units, else points: the units"
    )


def _plain_logs(axes: Any) -> None:
    """Few labels on logarithmic axes: powers of ten, or 1, 2 and 5 times them where the axis is short, or those set."""
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        if axis.get_scale() != "log" or isinstance(axis.get_major_locator(), ticker.FixedLocator):
            continue
        decades = np.log10(high / low)
        axis.set_minor_formatter(ticker.NullFormatter())
        if decades < 1.3:
            axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(lambda x, _: f"{x:g}")
        else:
            axis.set_major_locator(ticker.LogLocator(numticks=5))


def save(figures: Mapping[str, tuple[Any, str]], directory: Path) -> None:
    """Each figure as NAME.png and NAME.pdf, its caption as NAME.txt beside them."""
    for name, (figure, caption) in figures.items():
        for axes in figure.axes:
            _plain_logs(axes)
        for suffix in (".png", ".pdf"):
            with replacing(directory / f"{name}{suffix}") as partial:
                save_figure(figure, partial, dpi=220)
        write_text(directory / f"{name}.txt", caption + "\n")
        plt.close(figure)
