"""Which action a policy with a memory plays, as bars along what it remembers."""

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from distrl._validation import FloatArray, IntArray
from distrl.plotting.style import PALETTE, styled

#: Those of `PALETTE`, black last: it is heavy where it fills.
FILLS = tuple(sorted(PALETTE, key=lambda colour: colour == "#000000"))
#: Beside colours, from the eighth action on.
HATCHES = ("", "///", "...", "xxx")


class Strip(Protocol):
    """The actions of one state: `actions[k]` from `edges[k]` to `edges[k + 1]`, and what the policy starts with."""

    @property
    def edges(self) -> FloatArray:
        """(n + 1,) rising; beyond the outer ones the outer actions go on."""

    @property
    def actions(self) -> IntArray:
        """(n,)"""

    @property
    def start(self) -> float:
        """Where the policy starts; NaN for nowhere."""


def plot_policy(
    strips: Sequence[tuple[str, Strip]],
    actions: Sequence[Hashable],
    *,
    label: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw one bar a state along the policy's memory, coloured by action, and a mark where the policy starts.

    Parameters
    ----------
    strips : sequence of (name of the state, Strip)
        Drawn from the top.
    actions : names, by position
    label : str
        What the memory is, with its unit.
    ax : matplotlib Axes, optional
        A new figure when left out.

    Returns
    -------
    matplotlib Axes
        Colours are those of colour-blind readers; from the eighth action on they come again, hatched.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not strips:
        raise ValueError("states selects no state")
    low, high = _ends([strip for _, strip in strips])
    played = sorted({int(action) for _, strip in strips for action in strip.actions})
    with styled(ax, (6.4, min(1.5 + 0.36 * len(strips), 9.0))) as axes:
        for row, (_, strip) in enumerate(strips):
            _draw(axes, row, strip, low, high)
        starts = np.array([strip.start for _, strip in strips])
        shown = np.flatnonzero(np.isfinite(starts))
        if shown.size:
            axes.plot(starts[shown], shown, "D", color="white", markeredgecolor="black", clip_on=False, label="start")
        handles: list[object] = [_patch(action, str(actions[action])) for action in played]
        handles += axes.get_legend_handles_labels()[0][-1:] if shown.size else []
        axes.set_yticks(np.arange(len(strips)), labels=[name for name, _ in strips])
        axes.set_ylim(len(strips) - 0.5, -0.5)
        axes.set_xlim(low, high)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
        size = "small" if len(handles) > 5 else "medium"
        axes.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(len(handles), 5), fontsize=size
        )
    return axes


def _draw(axes: Axes, row: int, strip: Strip, low: float, high: float) -> None:
    """A bar from end to end."""
    edges = np.clip(np.concatenate([[low], strip.edges[1:-1], [high]]), low, high)
    for action, left, right in zip(strip.actions.tolist(), edges[:-1], edges[1:], strict=True):
        look = _patch(action, "")
        style = {"facecolor": look.get_facecolor(), "edgecolor": "white", "hatch": look.get_hatch(), "linewidth": 0.0}
        if right > left:
            axes.broken_barh([(left, right - left)], (row - 0.4, 0.8), **style)


def _patch(action: int, name: str) -> Patch:
    hatch = HATCHES[action // len(FILLS) % len(HATCHES)]
    return Patch(facecolor=FILLS[action % len(FILLS)], edgecolor="white", hatch=hatch, label=name, linewidth=0.0)


def _ends(strips: Sequence[Strip]) -> tuple[float, float]:
    """Where something changes in some state, and a margin: what lies beyond is as at the end."""
    inner = [strip.edges[1:-1] for strip in strips] + [np.array([strip.start]) for strip in strips]
    places = np.concatenate(inner)
    places = places[np.isfinite(places)]
    if not places.size:
        outer = np.concatenate([strip.edges[[0, -1]] for strip in strips])
        return float(outer.min()), float(outer.max())
    low, high = float(places.min()), float(places.max())
    margin = 0.12 * (high - low) or 0.5
    return low - margin, high + margin
