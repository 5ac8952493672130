"""Pictures of return laws and of anything that has one number a state; needs the extra `plot` (matplotlib).

Nothing in distrl imports this module until something is drawn.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from distrl._display import at_most
from distrl._files import path_of, replacing
from distrl._validation import BoolArray, FloatArray, bool_array, float_array
from distrl.dp.certificate import Certificate
from distrl.models.mrp import check_layout
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.metrics import wasserstein
from distrl.td.run import LearningRun

try:
    import matplotlib
    from matplotlib import pyplot as plt
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("plots need matplotlib: pip install 'distrl[plot]'", name="matplotlib") from error

__all__ = ["DASHES", "MARKERS", "PALETTE", "STYLE", "plot_errors", "plot_map", "plot_returns", "save_figure"]

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

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKERS = "osD^vPX"
_FEWEST = 8  # replications below which an interval says too little, and points say more
_FIRST_STATES = 6  # more curves than this cannot be told apart
_FEW_ATOMS = 25  # laws on so few values are drawn as stems
_VISIBLE = 1e-4  # share of the height below which nothing can be seen
_LUMPY = 0.05  # an atom of this probability flattens any density beside it

Kind = Literal["auto", "pmf", "cdf"]


def plot_returns(
    returns: Returns,
    states: Any = None,
    *,
    kind: Kind = "auto",
    ax: Any = None,
    labels: str | Sequence[str] | None = None,
    certificate: Certificate | None = None,
) -> Any:
    """Draw return laws, one curve a law.

    Parameters
    ----------
    returns : Returns
        Categorical or particles, batch (), (S,) or (S, A).
    states : int, list of ints, slice or mask, optional
        Whose laws; the first six states when left out.
    kind : {"auto", "pmf", "cdf"}
        pmf: probabilities as stems where every law has at most 25 values, else the density (probability divided by the
        spacing; for particles a histogram). cdf: P(return <= x), a step function. auto: stems for few values, the CDF
        for laws that have both a lump of probability (5% on one atom) and a spread part, or that are particles, and
        the density otherwise.
    ax : matplotlib Axes, optional
        Drawn on; a new figure when left out.
    labels : str or sequence of str, optional
        One for each law; "state s" when left out.
    certificate : Certificate, optional
        Of all the states of `returns`: each label then carries the bound on W1, and to which law it is.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError, IndexError
        If an option does not fit the laws.
    ModuleNotFoundError
        On import, without matplotlib.

    Examples
    --------
    >>> ax = solution.returns.plot(states=[0, 3], certificate=solution.certificate)  # doctest: +SKIP
    """
    if not isinstance(returns, Returns):
        raise TypeError(f"returns must be return laws such as solution.returns, got {returns!r}")
    if kind not in ("auto", "pmf", "cdf"):
        raise ValueError(f'kind must be "auto", "pmf" or "cdf", got {kind!r}')
    chosen, names, bounds = _select(returns, states, certificate)
    if labels is not None:
        names = [labels] if isinstance(labels, str) else [str(label) for label in labels]
        if len(names) != len(chosen):
            raise ValueError(f"labels holds {len(names)} entries for {len(chosen)} law(s)")
    if bounds is not None:
        names = [f"{name} ({_bound(certificate, b)})" for name, b in zip(names, bounds, strict=True)]
    curves = [_support(law) for law in chosen]
    few = all(np.count_nonzero(_seen(w)) <= _FEW_ATOMS for _, w in curves)
    if kind == "auto":
        lumpy = any(w.max() > _LUMPY for _, w in curves) or not isinstance(returns, CategoricalReturns)
        kind = "pmf" if few or not lumpy else "cdf"
    ends = _visible_ends(curves)
    with _styled(ax, (6.4, 4.0)) as axes:
        for number, (law, (values, weights), name) in enumerate(zip(chosen, curves, names, strict=True)):
            if kind == "cdf":
                _draw_cdf(axes, values, weights, name, number, ends)
            elif few:
                _draw_stems(axes, values, weights, name, number, len(curves))
            else:
                _draw_density(axes, law, values, weights, name, number)
        axes.set_xlabel("return (units of reward)")
        density = "probability density (per unit of reward)"
        axes.set_ylabel("P(return ≤ x)" if kind == "cdf" else "probability" if few else density)
        axes.set_ylim(bottom=0.0)
        if any(names):
            _legend(axes, kind)
    return axes


def plot_map(
    model_or_layout: Any,
    values: ArrayLike,
    *,
    ax: Any = None,
    title: str = "",
    label: str = "",
    annotate: bool = True,
    mask: ArrayLike | None = None,
    cmap: str = "cividis",
    limits: tuple[float, float] | None = None,
) -> Any:
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
    with _styled(ax, (min(0.8 * columns + 1.6, 12.0), min(0.8 * rows + 0.8, 9.0))) as axes:
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


def plot_errors(
    run: LearningRun,
    truth: Any,
    metric: Callable[..., FloatArray] = wasserstein,
    *,
    over: Literal["max", "mean"] = "max",
    level: float = 0.95,
    ax: Any = None,
    label: str | None = None,
) -> Any:
    """Draw a learner's mean error over replications against the number of updates, both in logarithms.

    Parameters
    ----------
    run : LearningRun
    truth, metric, over
        As for `LearningRun.errors`.
    level : float in (0, 1)
        Of the t intervals of the mean error that are shaded; with fewer than 8 replications there are none, and points
        show the replications.
    ax : matplotlib Axes, optional
        Drawn on, to compare runs; a new figure when left out.
    label : str, optional
        The method's name when left out.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If truth does not fit the run.
    ModuleNotFoundError
        On import, without matplotlib.
    """
    errors = run.errors(truth, metric, over)
    with _styled(ax, (6.4, 4.0)) as axes:
        look = _look(len(axes.lines))
        name = type(run.method).__name__ if label is None else label
        axes.plot(run.updates, errors.mean(axis=1), label=name, **look)
        if run.replications >= _FEWEST:
            low, high = run.interval(truth, metric, over, level).T
            axes.fill_between(run.updates, low, high, color=look["color"], alpha=0.2, linewidth=0)
        elif run.replications > 1:
            axes.scatter(
                np.repeat(run.updates, run.replications), errors, s=8, color=look["color"], alpha=0.5, linewidth=0
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("updates")
        axes.set_ylabel(f"error, {over} over states (units of reward)")
        axes.legend()
    return axes


def save_figure(figure: Any, *paths: Any, dpi: int = 150) -> None:
    """Save a figure under each name (.png, .pdf, .svg), fonts embedded and without a date, so that runs compare."""
    for path in map(path_of, paths):
        dates = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
        with plt.rc_context({**STYLE, "svg.hashsalt": "distrl"}), replacing(path) as partial:
            figure.savefig(partial, dpi=dpi, metadata=dates.get(path.suffix))


@contextmanager
def _styled(ax: Any, size: tuple[float, float]) -> Iterator[Any]:
    """The axes to draw on, in the house style; the user's settings are restored afterwards."""
    with plt.rc_context(STYLE):
        yield plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _select(
    returns: Returns, states: Any, certificate: Certificate | None
) -> tuple[list[Returns], list[str], FloatArray | None]:
    """The laws to draw, their names and their bounds."""
    shape = returns.batch_shape
    bounds = None if certificate is None else np.asarray(certificate.w1).reshape(-1)
    if bounds is not None and len(bounds) != int(np.prod(shape)):
        raise ValueError(f"certificate is of {len(bounds)} states, returns of {int(np.prod(shape))}")
    if not shape:
        if states is not None:
            raise ValueError("returns is the law of one state; leave states out")
        return [returns], [""], bounds
    everyone = np.arange(shape[0])
    index = np.atleast_1d(everyone[:_FIRST_STATES] if states is None else everyone[_as_index(states, shape)])
    members = index.tolist()
    if not members:
        raise ValueError("states selects no state")
    if len(shape) == 1:
        return [returns[s] for s in members], [f"state {s}" for s in members], None if bounds is None else bounds[index]
    pairs = [(s, a) for s in (members if states is not None else members[:1]) for a in range(shape[1])]
    kept = None if bounds is None else np.array([bounds[s * shape[1] + a] for s, a in pairs])
    return [returns[pair] for pair in pairs], [f"state {s}, action {a}" for s, a in pairs], kept


def _bound(certificate: Any, bound: float) -> str:
    """What a legend says of a certificate."""
    sure = "" if certificate.confidence is None else f", confidence {certificate.confidence:g}"
    return f"$W_1$ to {certificate.of} $\\leq$ {at_most(bound, 2)}{sure}"


def _as_index(states: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(states, slice):
        return states
    try:
        index = np.asarray(states)
        np.empty(shape[0])[index]
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"states must select among 0..{shape[0] - 1}, got {states!r}") from error
    if index.dtype.kind not in "iub" or index.ndim > 1:
        raise ValueError(f"states must be an int, a list of ints, a slice or a mask, got {states!r}")
    return index


def _support(law: Returns) -> tuple[FloatArray, FloatArray]:
    """Distinct values of one law and their probabilities."""
    values, weights = law.support_weights()
    distinct, place = np.unique(values, return_inverse=True)
    return distinct, np.bincount(place, weights=np.broadcast_to(weights, values.shape)).astype(np.float64)


def _look(number: int) -> dict[str, Any]:
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number % len(DASHES)], "linewidth": 1.6}


def _seen(weights: FloatArray) -> BoolArray:
    return np.asarray(weights > _VISIBLE * weights.max(), dtype=np.bool_)


def _visible_ends(curves: list[tuple[FloatArray, FloatArray]]) -> tuple[float, float]:
    """Where the CDFs can be seen to rise, and a little more to show a jump at the first or last value."""
    ends = []
    for values, weights in curves:
        place = np.searchsorted(np.cumsum(weights), [_VISIBLE, 1.0 - _VISIBLE])
        ends.append(values[np.minimum(place, len(values) - 1)])
    low, high = float(np.min(ends)), float(np.max(ends))
    floats = 8.0 * float(np.spacing(max(abs(low), abs(high))))  # neighbours of a float, or of one that dwarfs 0.5
    margin = max(0.03 * (high - low) or 0.5, floats)
    return low - margin, high + margin


def _draw_cdf(
    axes: Any, values: FloatArray, weights: FloatArray, name: str, number: int, ends: tuple[float, float]
) -> None:
    inside = (values > ends[0]) & (values < ends[1])
    start = weights[values <= ends[0]].sum()
    heights = start + np.cumsum(weights[inside])
    x, y = [ends[0], *values[inside], ends[1]], [start, *heights, heights[-1]]
    axes.step(x, y, where="post", label=name, **_look(number))


def _draw_stems(axes: Any, values: FloatArray, weights: FloatArray, name: str, number: int, total: int) -> None:
    seen = _seen(weights)
    gaps = np.diff(values)
    # beside each other, so that laws on one grid do not hide each other
    shift = (number - (total - 1) / 2) * 0.12 * float(gaps.min()) if gaps.size else 0.0
    look = _look(number)
    x, colour = values[seen] + shift, look["color"]
    axes.vlines(x, 0.0, weights[seen], color=colour, linestyle=look["linestyle"], linewidth=look["linewidth"])
    axes.plot(x, weights[seen], MARKERS[number % len(MARKERS)], color=colour, markersize=5, label=name)


def _draw_density(axes: Any, law: Returns, values: FloatArray, weights: FloatArray, name: str, number: int) -> None:
    if isinstance(law, CategoricalReturns):  # one cell of a spacing's width around each atom
        seen = np.flatnonzero(_seen(weights))
        cells = slice(seen[0], seen[-1] + 1)
        half = law.grid.spacing / 2
        edges = np.append(values[cells] - half, values[seen[-1]] + half)
        heights = weights[cells] / law.grid.spacing
    else:
        heights, edges = np.histogram(values, bins=_bins(values, weights), weights=weights, density=True)
    axes.stairs(heights, edges, label=name, baseline=None, **_look(number))


def _bins(values: FloatArray, weights: FloatArray) -> int:
    """Scott's rule for the effective number of samples, within what a figure can show."""
    mean = weights @ values
    sd = float(np.sqrt(weights @ np.square(values - mean)))
    samples = 1.0 / float(np.square(weights).sum())
    width = 3.5 * sd * samples ** (-1 / 3)
    return int(np.clip((values[-1] - values[0]) / width, 5, 200)) if width > 0 else 5


def _legend(axes: Any, kind: str) -> None:
    curves = len(axes.get_legend_handles_labels()[0])
    size = "small" if curves > 2 else "medium"
    if kind == "cdf":  # leaves a corner free
        axes.legend(loc="best", fontsize=size)
    else:
        axes.set_ylim(top=axes.dataLim.y1 * (1.08 + 0.09 * curves))
        axes.legend(loc="upper right", fontsize=size)


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


def _write_numbers(axes: Any, image: Any, shown: Any) -> None:
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
