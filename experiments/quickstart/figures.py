"""The figures of the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from distrl._files import replacing
from distrl.plotting import PALETTE, STYLE, plot_map, save_figure
from experiments.protocol import Arrays
from experiments.quickstart.analysis import a_priori, laws
from experiments.quickstart.family import lake_letters
from experiments.quickstart.sweep import LEVELS

POLICIES = {"uniform": "uniform policy", "careless": "careless policy (one step of ten at random)"}
POLICIES["optimal"] = "optimal policy (best mean)"
_LOOKS = {"uniform": (PALETTE[3], "--"), "careless": (PALETTE[1], "-"), "optimal": (PALETTE[0], "-")}


def draw(results: Mapping[str, Arrays], directory: Path) -> list[tuple[str, str]]:
    """Draw all as PNG and PDF; gives (name, caption) of each."""
    lake = {p: [results[c] for c in sorted(results) if c.startswith(f"lake-{p}-")] for p in ("uniform", "optimal")}
    cliff = {p: results[f"cliff-{p}"] for p in ("optimal", "careless", "uniform")}
    percent = f"{LEVELS[-1]:.0%}"
    figures = {
        "returns": (_returns(lake, cliff), "The return from the start: solved (coloured) and exact (grey, wide)."),
        "maps": (_maps(lake["optimal"][-1]), f"FrozenLake 8x8, optimal policy: mean, and mean of the worst {percent}."),
        "bounds": (_bounds(lake), "FrozenLake 8x8: true distance, certificate and a priori bound, worst state."),
    }
    for name, (figure, _) in figures.items():
        for suffix in (".png", ".pdf"):
            with replacing(directory / f"{name}{suffix}") as partial:
                save_figure(figure, partial)
        plt.close(figure)
    return [(name, caption) for name, (_, caption) in figures.items()]


def survival(axes: Any, result: Arrays, policy: str, label: str | None = None) -> None:
    """P(return > x) at the start state: the exact law as a wide grey band under the solved one."""
    returns = laws(result)[int(result["start"])]
    for values, weights, look in (
        (result["exact_values"], result["exact_weights"], {"color": "0.78", "linestyle": "-", "linewidth": 5.0}),
        (returns.atoms, returns.probs, {"linewidth": 1.5, "label": label or POLICIES[policy]}),
    ):
        seen = np.flatnonzero(weights > 1e-13)
        values, weights = values[seen[0] : seen[-1] + 1], weights[seen[0] : seen[-1] + 1]
        above = np.maximum(1.0 - np.cumsum(weights), 0.0)
        x = np.concatenate([values[:1] - 0.02 * max(np.ptp(values), 1e-3 * abs(values[0])), values])
        colour, dashes = _LOOKS[policy]
        axes.step(x, np.concatenate([[1.0], above]), where="post", **{"color": colour, "linestyle": dashes, **look})


def _returns(lake: Mapping[str, list[Arrays]], cliff: Mapping[str, Arrays]) -> Any:
    with plt.rc_context(STYLE):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
        for policy, runs in lake.items():
            survival(left, runs[-1], policy)
        left.set_yscale("log")
        left.set_ylim(1e-4, 1.5)
        left.set_title("FrozenLake 8x8, discount 0.99")
        for policy in ("careless", "optimal"):
            survival(middle, cliff[policy], policy)
        middle.set_xlim(-420, 5)
        middle.set_title("CliffWalking, undiscounted")
        survival(right, cliff["uniform"], "uniform")
        right.set_title("CliffWalking, undiscounted")
        right.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}".replace("-", "−"))
        right.xaxis.set_major_locator(plt.MaxNLocator(4))
        for axes in (left, middle, right):
            axes.plot([], [], color="0.78", linewidth=5.0, label="exact law")
            axes.set_xlabel("return x (units of reward)")
            axes.legend(loc="upper left" if axes is not left else "lower left", fontsize="small")
        left.set_ylabel("P(return > x)")
        for axes in (middle, right):  # room for the legend
            axes.set_ylim(0, 1.35)
            axes.set_yticks(np.linspace(0, 1, 6))
    return figure


def lake_map(axes: Any, values: np.ndarray, title: str) -> None:
    """One number a cell of the 8x8 lake, holes and goal by name."""
    letters = lake_letters()
    words = {"H": "hole", "G": "goal"}
    ends = np.isin(letters, list(words)).ravel()
    plot_map(letters.shape, values, ax=axes, title=title, label="units of reward", mask=ends, limits=(0.0, 1.0))
    for (row, column), letter in np.ndenumerate(letters):
        if letter in words:
            axes.text(column, row, words[letter], ha="center", va="center", fontsize=8, color="0.35", style="italic")


def _maps(result: Arrays) -> Any:
    returns, level = laws(result), LEVELS[-1]
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
        lake_map(left, returns.mean(), "mean return")
        lake_map(right, returns.cvar(level), f"mean of the worst {level:.0%} of returns (CVaR)")
    return figure


def _bounds(lake: Mapping[str, list[Arrays]]) -> Any:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
        for policy, runs in lake.items():
            atoms = [len(run["points"]) for run in runs]
            colour, _ = _LOOKS[policy]
            for key, dashes, marker, what in (("bound", "--", "s", "certificate"), ("w1", "-", "o", "true distance")):
                heights = [run[key].max() for run in runs]
                look = {"color": colour, "linestyle": dashes, "marker": marker}
                inside = "white" if policy == "uniform" else colour
                axes.plot(atoms, heights, **look, markerfacecolor=inside, label=f"{what}, {policy} policy")
        prior = [a_priori(run) for run in lake["optimal"]]
        axes.plot(
            atoms, prior, color="black", linestyle=":", marker="^", label="$s / (2\\sqrt{1-\\gamma^2})$, a priori"
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(atoms, labels=[str(m) for m in atoms])
        axes.minorticks_off()
        axes.set_xlabel("atoms m of the grid, spacing $s = 1/(m-1)$")
        axes.set_ylabel("$W_1$ to the exact law, worst state\n(units of reward)")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
        figure.set_size_inches(8.2, 4.2)
    return figure
