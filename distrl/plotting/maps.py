"""One number a state, on the model's map."""

from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from distrl._validation import BoolArray, bool_array, check_layout, float_array
from distrl.plotting.style import styled


class Mapped(Protocol):
    """A model that may have a map."""

    @property
    def layout(self) -> tuple[int, int] | None:
        """The shape of the map, if there is one."""

    @property
    def n_states(self) -> int:
        """The number of states."""

    @property
    def terminal(self) -> BoolArray:
        """(S,) which states have no return."""


def plot_map(
    model_or_layout: Mapped | tuple[int, int],
    values: ArrayLike,
    *,
    ax: Axes | None = None,
    title: str = "",
    label: str = "",
    annotate: bool = True,
    mask: ArrayLike | None = None,
    cmap: str = "cividis",
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw one number a state on the model's map: a mean, a CVaR, a certificate.

    Parameters
    ----------
    model_or_layout : MRP, MDP or (rows, columns)
        A model with a `layout`, or the shape itself; state `row * columns + column`.
    values : (S,)
        NaN leaves a cell empty.
    ax : matplotlib Axes, optional
        Drawn on; a new figure when left out.
    title, label : str
        Of the axes, and of the colour bar (name the unit there).
    annotate : bool
        Write the numbers into the cells.
    mask : (S,) booleans, optional
        Cells left empty. A model's terminal states are, when left out.
    cmap : str
        Name of a matplotlib colour map; the default is perceptually uniform, for colour-blind readers too.
    limits : (low, high), optional
        Ends of the colour scale, to compare maps; from the values when left out.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If the model has no layout or `values` does not fit it.
    """
    data = float_array(values, "values", ndim=1, finite=False)
    layout, hidden = _layout_and_mask(model_or_layout, len(data), mask)
    shown = np.ma.masked_invalid(np.where(hidden, np.nan, data).reshape(layout))
    low, high = limits if limits is not None else (shown.min(), shown.max()) if shown.count() else (0.0, 1.0)
    rows, columns = layout
    with styled(ax, (min(0.8 * columns + 1.6, 12.0), min(0.8 * rows + 0.8, 9.0))) as axes:
        colours = matplotlib.colormaps[cmap].with_extremes(bad="#dddddd")
        image = axes.imshow(shown, cmap=colours, vmin=float(low), vmax=float(high), interpolation="nearest")
        axes.set_xticks(np.arange(columns), labels=[])
        axes.set_yticks(np.arange(rows), labels=[])
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=0.8)
        axes.tick_params(which="minor", length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(title)
        axes.figure.colorbar(image, ax=axes, label=label, shrink=0.9 if rows >= columns / 2 else 0.6)
        if annotate:
            _write_numbers(axes, image, shown)
    return axes


def _layout_and_mask(source: Any, states: int, mask: ArrayLike | None) -> tuple[tuple[int, int], BoolArray]:
    hidden = np.zeros(states, dtype=np.bool_)
    layout = source
    if hasattr(source, "layout"):
        if source.layout is None:
            raise ValueError("the model has no layout; give the shape of its map, plot_map((rows, columns), values)")
        if source.n_states != states:
            raise ValueError(f"values has {states} entries for {source.n_states} states")
        layout, hidden = source.layout, source.terminal
    checked = check_layout(layout, states)
    if checked is None:
        raise TypeError("model_or_layout must be a model or (rows, columns), got None")
    return checked, hidden if mask is None else bool_array(mask, "mask", states)


def _write_numbers(axes: Axes, image: Any, shown: Any) -> None:
    """Numbers in black or white, whichever stands out from the cell."""
    size = float(np.ma.filled(np.abs(shown), 0.0).max(initial=0.0))
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    points = 9 if shown.shape[1] <= 8 else 7
    for (row, column), value in np.ndenumerate(shown.filled(np.nan)):
        if np.isnan(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.18  # luminance, WCAG's middle
        text = f"{value:.{digits}f}"
        text = text.lstrip("-") if float(text) == 0.0 else text
        axes.text(column, row, text, ha="center", va="center", fontsize=points, color="white" if dark else "black")
