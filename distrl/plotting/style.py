"""The house style: colours, dashes, fonts, and saving."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import TypedDict

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distrl._files import path_of, replacing

#: Okabe and Ito's colours, told apart by colour-blind readers; ordered so that neighbours differ in grey too.
PALETTE = ("#0072B2", "#E69F00", "#000000", "#D55E00", "#56B4E9", "#009E73", "#CC79A7")
#: Fonts are embedded as TrueType, so that text in a PDF or SVG stays text.
STYLE = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}

Dashes = str | tuple[int, tuple[int, ...]]
#: Told apart without colour.
DASHES: tuple[Dashes, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKERS = "osD^vPX"


class Look(TypedDict):
    """How one curve is drawn."""

    color: str
    linestyle: Dashes
    linewidth: float


def save_figure(figure: Figure, *paths: str | PathLike[str], dpi: int = 150) -> None:
    """Save a figure under each name, with its fonts embedded and without a date, so that the files of two runs compare.

    Parameters
    ----------
    figure : matplotlib Figure
    *paths : paths
        Names that end in .png, .pdf or .svg. Each file appears whole or not at all.
    dpi : int
        Dots an inch, of a .png.

    Raises
    ------
    ValueError, TypeError
        If a file cannot be written, naming it.
    """
    for path in map(path_of, paths):
        dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
        with plt.rc_context({**STYLE, "svg.hashsalt": "distrl"}), replacing(path) as partial:
            figure.savefig(partial, dpi=dpi, metadata=dates.get(path.suffix))


@contextmanager
def styled(ax: Axes | None, size: tuple[float, float]) -> Iterator[Axes]:
    """The axes to draw on, in the house style; the user's settings are restored afterwards."""
    with plt.rc_context(STYLE):
        yield plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def look_of(number: int) -> Look:
    """Colour and dashes of the curve with this number."""
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number % len(DASHES)], "linewidth": 1.6}
