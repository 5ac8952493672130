"""Table, findings, checks and the figure."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.control.family import WORDS
from experiments.control.sweep import LEVEL, METHODS
from experiments.protocol import Check
from experiments.study import bounded, pick
from experiments.style import look, panels, shared_legend

TITLE = "Bounds on the best CVaR: piecewise linear or by rounded targets"
_ENVIRONMENTS = "; ".join(f"{name}: {words}" for name, words in WORDS.items())
INTRODUCTION = f"""
The best CVaR at {LEVEL:.0%} over all policies that look at the history. {_ENVIRONMENTS}.
Both methods enclose the least E(b - G)+ at every state and target b on a lattice. "rounding" rounds the target down at
every step for one side, up for the other (the scheme of the code of Hau, Delage, Derman, Ghavamzadeh and Petrik 2025,
written here with NumPy), with so many cells over the range of all returns. "piecewise linear" is `TargetDP(cells)`:
that many cells at most, and more than half as many, over the range of the mean-optimal policy's returns; coarser
lattices come first, and its time counts them. The gap is the largest of all states, as a share of the range of all
returns; n = 1, since nothing is random. Both methods know that the best CVaR is at most the best mean; rounding that it
is at least the smallest return, `TargetDP` that it is at least what some policy is sure of. Where a cell is wide
against what decides that is all they say: on the cliff walk at 0.97 the range of 3,333 is that of falling for ever, and
a step costs 1. The bounds of `TargetDP` count float64 and are of its policy; those of rounding are up to float64. Times
are CPU seconds of one process, compiled code against NumPy: they say what is affordable, and nothing of the two
schemes.
"""
_KEYS = ["environment", "discount"]


def _both(frame: pd.DataFrame) -> pd.DataFrame:
    """Gaps of both methods side by side."""
    table = frame.pivot_table(index=[*_KEYS, "cells"], columns="method", values="gap", sort=True).reset_index()
    table["times narrower"] = table[METHODS[1]] / table[METHODS[0]]
    return table


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Gaps by environment, discount and cells."""
    table = _both(frame)
    promised = pick(frame, method=METHODS[1]).set_index([*_KEYS, "cells"])["promised"]
    table["promised of rounding"] = promised.reindex(pd.MultiIndex.from_frame(table[[*_KEYS, "cells"]])).to_numpy()
    return table.rename(columns={name: f"gap, {name}" for name in METHODS})


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    said = []
    for (environment, discount), part in _both(frame).groupby(_KEYS):
        last, first = part.iloc[-1], part.iloc[0]
        halvings = np.log2(last["cells"] / first["cells"])
        orders = [np.log2(first[name] / last[name]) / halvings for name in METHODS]
        said.append(
            f"{environment} at {discount:g}: with {last['cells']:.0f} cells the piecewise linear gap is "
            f"{last[METHODS[0]]:.2g} of the range and that of rounding {last[METHODS[1]]:.2g}, "
            f"{last['times narrower']:.3g} times as wide. From {first['cells']:.0f} cells on they shrank by "
            f"{orders[0]:.2f} and {orders[1]:.2f} powers of the spacing."
        )
    return " ".join(said)


def checks(frame: pd.DataFrame) -> list[Check]:
    """Neither method contradicts the other, rounding keeps what is promised of it."""
    apart = float(frame["apart"].max())
    other = pick(frame, method=METHODS[1])
    return [
        Check(
            "no lower end is above the other method's upper end", apart <= 1e-9, f"largest: {apart:.2g} of the range"
        ),
        # sweeps end when they change less than 1e-9 of the range, 1 / (1 - g) of which may be left, over the level
        bounded(
            "rounding keeps 2 s g / (1 - g) / level + s",
            other["gap"],
            other["promised"] + 2e-9 / (LEVEL * (1.0 - other["discount"])),
        ),
        Check(
            "every gap is finite and not negative",
            bool(np.isfinite(frame["gap"]).all() and (frame["gap"] >= 0).all()),
            f"of {len(frame)} rows",
        ),
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Gap against cells, and against time: a figure for each discount."""
    return {f"gaps_{round(100 * g)}": _figure(part, g) for g, part in frame.groupby("discount")}


def _figure(frame: pd.DataFrame, discount: Any) -> tuple[Any, str]:
    groups = list(frame.groupby("environment"))
    with panels(2, len(groups), 1.8, sharey=True) as (figure, axes):
        for column, (environment, part) in enumerate(groups):
            for number, method in enumerate(METHODS):
                rows = pick(part, method=method).sort_values("cells")
                axes[0, column].plot(rows["cells"], rows["gap"], label=method, **look(number))
                axes[1, column].plot(rows["seconds"], rows["gap"], **look(number))
            axes[0, column].set_title(environment)
            axes[0, column].set_xlabel("cells")
            axes[1, column].set_xlabel("seconds of the process")
            for each in axes[:, column]:
                each.set_xscale("log")
                each.set_yscale("log")
            counts = sorted(part["cells"].unique())
            shown = counts[:: 1 + len(counts) // 6]
            axes[0, column].set_xticks(shown, [str(count) for count in shown])
            axes[0, column].set_xticks([], minor=True)
        for each in axes[:, 0]:
            each.set_ylabel("gap / range")
        shared_legend(figure, axes[0, 0])
    caption = (
        f"Discount {discount:g}: the largest gap of the bounds on the best CVaR at {LEVEL:.0%}, of all states, as a "
        "share of the range of returns, against the number of cells (top) and the CPU time (bottom)."
    )
    return figure, caption
