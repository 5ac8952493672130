"""Return laws as stems, densities and distribution functions."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from matplotlib.axes import Axes

from distrl._display import at_most
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.plotting.style import MARKERS, look_of, styled

_FIRST_STATES = 6  # more curves than this cannot be told apart
_FEW_ATOMS = 25  # laws on so few values are drawn as stems
_VISIBLE = 1e-4  # share of the height below which nothing can be seen
_LUMPY = 0.05  # an atom of this probability flattens any density beside it

Kind = Literal["auto", "pmf", "cdf"]
#: Whose laws: one state, some of them, a slice or a mask.
States = int | Sequence[int] | Sequence[bool] | slice | IntArray | BoolArray | None


class Drawable(Protocol):
    """A batch of laws on finitely many values: what `FiniteReturns` are."""

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the batch: (), (S,) or (S, A)."""

    @property
    def spacing(self) -> float | None:
        """The distance between neighbouring values; None where they are on no grid."""

    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        """Values and their probabilities, the laws of the batch first."""

    def __getitem__(self, index: int | tuple[int, int]) -> "Drawable":
        """The laws of some states."""


class Bounded(Protocol):
    """Bounds on the distance of laws in W1, such as a `Certificate`."""

    @property
    def w1(self) -> FloatArray:
        """(S,) the bounds."""

    @property
    def of(self) -> str:
        """To which law the distance is."""

    @property
    def confidence(self) -> float | None:
        """With which probability all of them hold; None for certain."""


def plot_returns(
    returns: Drawable,
    states: States = None,
    *,
    kind: Kind = "auto",
    ax: Axes | None = None,
    labels: str | Sequence[str] | None = None,
    certificate: Bounded | None = None,
) -> Axes:
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
    if not (hasattr(returns, "support_weights") and hasattr(returns, "batch_shape")):
        raise TypeError(f"returns must be return laws such as solution.returns, got {returns!r}")
    _check_kind(kind)
    chosen, names, bounds = _select(returns, states, certificate)
    if labels is not None:
        names = [labels] if isinstance(labels, str) else [str(label) for label in labels]
        if len(names) != len(chosen):
            raise ValueError(f"labels holds {len(names)} entries for {len(chosen)} law(s)")
    if certificate is not None and bounds is not None:
        names = [f"{name} ({_bound(certificate, b)})" for name, b in zip(names, bounds, strict=True)]
    return _drawn(chosen, names, kind, ax)


def plot_laws(laws: Mapping[str, Drawable], *, kind: Kind = "auto", ax: Axes | None = None) -> Axes:
    """Draw laws of different policies, methods or models on one axis, one curve a law.

    Parameters
    ----------
    laws : {name: Returns of one state}
        Batch () each, such as `ctl.returns[3]`; grids may differ.
    kind : {"auto", "pmf", "cdf"}
        As for `plot_returns`.
    ax : matplotlib Axes, optional
        Drawn on; a new figure when left out.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If something is no law of one state, naming it, or there is none.

    Examples
    --------
    >>> ax = plot_laws({"best CVaR": ctl.returns[0], "best mean": mean.returns[0]})  # doctest: +SKIP
    """
    if not isinstance(laws, Mapping) or not laws:
        raise TypeError(f'laws must be {{name: law}}, such as {{"best mean": ctl.returns[0]}}, got {laws!r}')
    for name, law in laws.items():
        if not (hasattr(law, "support_weights") and hasattr(law, "batch_shape")):
            raise TypeError(f"laws[{name!r}] must be a return law such as ctl.returns[0], got {law!r}")
        if law.batch_shape:
            raise ValueError(f"laws[{name!r}] holds laws of shape {law.batch_shape}; give one state's, as returns[0]")
    _check_kind(kind)
    return _drawn(list(laws.values()), [str(name) for name in laws], kind, ax)


def _check_kind(kind: str) -> None:
    if kind not in ("auto", "pmf", "cdf"):
        raise ValueError(f'kind must be "auto", "pmf" or "cdf", got {kind!r}')


def _drawn(chosen: Sequence[Drawable], names: Sequence[str], kind: Kind, ax: Axes | None) -> Axes:
    """One curve a law."""
    curves = [_support(law) for law in chosen]
    few = all(np.count_nonzero(_seen(w)) <= _FEW_ATOMS for _, w in curves)
    if kind == "auto":
        lumpy = any(w.max() > _LUMPY for _, w in curves) or any(law.spacing is None for law in chosen)
        kind = "pmf" if few or not lumpy else "cdf"
    ends = _visible_ends(curves)
    with styled(ax, (6.4, 4.0)) as axes:
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


def _select(
    returns: Drawable, states: States, certificate: Bounded | None
) -> tuple[list[Drawable], list[str], FloatArray | None]:
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
    known = getattr(returns, "names", None)
    named = [f"state {s if known is None else known[s]}" for s in members]
    if len(shape) == 1:
        return [returns[s] for s in members], named, None if bounds is None else bounds[index]
    pairs = [(s, a) for s in (members if states is not None else members[:1]) for a in range(shape[1])]
    kept = None if bounds is None else np.array([bounds[s * shape[1] + a] for s, a in pairs])
    each = [f"{named[number // shape[1]]}, action {a}" for number, (_, a) in enumerate(pairs)]
    return [returns[pair] for pair in pairs], each, kept


def _bound(certificate: Bounded, bound: float) -> str:
    """What a legend says of a certificate."""
    sure = "" if certificate.confidence is None else f", confidence {certificate.confidence:g}"
    return f"$W_1$ to {certificate.of} $\\leq$ {at_most(bound, 2)}{sure}"


def _as_index(states: States, shape: tuple[int, ...]) -> slice | IntArray | BoolArray:
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


def _support(law: Drawable) -> tuple[FloatArray, FloatArray]:
    """Distinct values of one law and their probabilities."""
    values, weights = law.support_weights()
    distinct, place = np.unique(values, return_inverse=True)
    return distinct, np.bincount(place, weights=np.broadcast_to(weights, values.shape)).astype(np.float64)


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
    axes: Axes, values: FloatArray, weights: FloatArray, name: str, number: int, ends: tuple[float, float]
) -> None:
    inside = (values > ends[0]) & (values < ends[1])
    start = weights[values <= ends[0]].sum()
    heights = start + np.cumsum(weights[inside])
    x, y = [ends[0], *values[inside], ends[1]], [start, *heights, heights[-1]]
    axes.step(x, y, where="post", label=name, **look_of(number))


def _draw_stems(axes: Axes, values: FloatArray, weights: FloatArray, name: str, number: int, total: int) -> None:
    seen = _seen(weights)
    gaps = np.diff(values)
    # beside each other, so that laws on one grid do not hide each other
    shift = (number - (total - 1) / 2) * 0.12 * float(gaps.min()) if gaps.size else 0.0
    look = look_of(number)
    x, colour = values[seen] + shift, look["color"]
    axes.vlines(x, 0.0, weights[seen], color=colour, linestyle=look["linestyle"], linewidth=look["linewidth"])
    axes.plot(x, weights[seen], MARKERS[number % len(MARKERS)], color=colour, markersize=5, label=name)


def _draw_density(axes: Axes, law: Drawable, values: FloatArray, weights: FloatArray, name: str, number: int) -> None:
    spacing = law.spacing
    if spacing is not None:  # one cell of a spacing's width around each atom
        seen = np.flatnonzero(_seen(weights))
        cells = slice(seen[0], seen[-1] + 1)
        half = spacing / 2
        edges = np.append(values[cells] - half, values[seen[-1]] + half)
        heights = weights[cells] / spacing
    else:
        heights, edges = np.histogram(values, bins=_bins(values, weights), weights=weights, density=True)
    axes.stairs(heights, edges, label=name, baseline=None, **look_of(number))


def _bins(values: FloatArray, weights: FloatArray) -> int:
    """Scott's rule for the effective number of samples, within what a figure can show."""
    mean = weights @ values
    sd = float(np.sqrt(weights @ np.square(values - mean)))
    samples = 1.0 / float(np.square(weights).sum())
    width = 3.5 * sd * samples ** (-1 / 3)
    return int(np.clip((values[-1] - values[0]) / width, 5, 200)) if width > 0 else 5


def _legend(axes: Axes, kind: str) -> None:
    curves = len(axes.get_legend_handles_labels()[0])
    size = "small" if curves > 2 else "medium"
    if kind == "cdf":  # leaves a corner free
        axes.legend(loc="best", fontsize=size)
    else:
        axes.set_ylim(top=axes.dataLim.y1 * (1.08 + 0.09 * curves))
        axes.legend(loc="upper right", fontsize=size)
