"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from experiments.inference.sweep import DESIGNS, FUNCTIONALS, LEVEL, METHODS
from experiments.protocol import Check
from experiments.statistics import each_level, interval
from experiments.study import pick
from experiments.style import look, panels, shared_legend

TITLE = "Coverage and width of confidence intervals"
INTRODUCTION = f"""
Designs: {"; ".join(f"{name}: {text}" for name, text in DESIGNS.items())}. The first is that of Zhang et al. 2023 with a
uniform policy. Every repeat draws N samples of every state (and action), estimates the return laws by the categorical
fixed point and asks for {LEVEL:.0%} intervals for the true law's functionals by each method: quantile and CVaR at 25%,
the CDF at the middle of the range, the W1 distance from the estimate to the truth. The truth is exact for moments and
from a grid eight times as fine for the rest. Coverage is the share of states whose interval holds the truth, averaged
over repeats; the states of a repeat are dependent, so repeats are the units: intervals of coverage are 95% percentile
bootstrap intervals over repeats, each by itself. Delta intervals of CVaR do not exist where the level is a value of the
CDF: "given" is the share of repeats with an interval, coverage is of those.
"""


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Coverage and relative width by design, samples, functional and method."""
    rows = []
    for design in DESIGNS:
        for samples in sorted(frame["samples"].unique()):
            for functional, _ in FUNCTIONALS:
                row: dict[str, Any] = {"design": design, "N": samples, "functional": functional}
                for method in METHODS:
                    part = pick(frame, design=design, samples=int(samples), functional=functional, method=method)
                    given = part[part["given"]]
                    found = interval(given["covered"]) if len(given) else None
                    row[f"{method}: coverage"] = found.text() if found else "no interval"
                    row[f"{method}: width"] = given["width"].mean()
                rows.append(row | {"repeats": len(part)})
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    most = int(frame["samples"].max())
    said = []
    for method in METHODS:
        part = pick(frame, method=method, samples=most)
        part = part[part["given"]]
        groups = part.groupby(["design", "functional"])["covered"]
        level = each_level(0.95, groups.ngroups)
        low = [f"{d}/{f} ({c.mean():.3f})" for (d, f), c in groups if interval(c, level=level).high < LEVEL]
        said.append(
            f"{method}: coverage {groups.mean().min():.3f} to {groups.mean().max():.3f} at N = {most:,}"
            + (f", surely below {LEVEL:.0%} for {', '.join(low)}" if low else f", nowhere surely below {LEVEL:.0%}")
            + "."
        )
    widths = (
        frame[frame["given"]]
        .pivot_table(index=["cell", "repeat", "functional"], columns="method", values="width")
        .dropna()
    )
    boot, sure = (
        np.exp(np.log(np.maximum(widths[m], 1e-12) / np.maximum(widths["delta"], 1e-12)).mean()) for m in METHODS[1:]
    )
    given = pick(frame, method="delta", functional="cvar")["given"].mean()
    said.append(
        f"Bootstrap intervals are {boot:.2f} times as wide as delta intervals, finite-sample ones {sure:.3g} times "
        f"(geometric means over repeats and functionals). Delta intervals of CVaR exist in {given:.0%} of the repeats. "
        f"All intervals include the enclosure of the solver's own error, so coverage above {LEVEL:.0%} is expected "
        f"where the grid is coarse against the sampling error."
    )
    return " ".join(said)


def checks(frame: pd.DataFrame) -> list[Check]:
    """Finite-sample intervals hold at every N; the others cannot be far off."""
    found = []
    for method in METHODS:
        part = frame[(frame["method"] == method) & frame["given"]]
        if method == "finite-sample":
            covered, n = (part["covered"] == 1.0).mean(), len(part)
            # its level holds for all states at once; 0.1% for the chance of the repeats themselves
            least = stats.binom.ppf(0.001, n, LEVEL) / n
            detail = f"{covered:.4f} >= {least:.4f}, {n} intervals"
            found.append(Check("finite-sample intervals cover all states at once", bool(covered >= least), detail))
        else:
            covered = part["covered"].mean()
            found.append(Check(f"{method} intervals cover mostly", bool(covered > 0.8), f"{covered:.3f} > 0.8"))
    return found


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Coverage and width by functional."""
    samples = sorted(frame["samples"].unique())
    names = [name for name, _ in FUNCTIONALS]
    with panels(2, len(DESIGNS), 2.1, sharex=True) as (figure, axes):
        for column, design in enumerate(DESIGNS):
            for number, method in enumerate(METHODS):
                for k, count in enumerate(samples):
                    at = np.arange(len(names)) + (number - 1) * 0.25 + (k / max(len(samples) - 1, 1) - 0.5) * 0.12
                    parts = [
                        pick(frame, design=design, method=method, samples=int(count), functional=name) for name in names
                    ]
                    found = [
                        interval(part[part["given"]]["covered"]) if part["given"].any() else None for part in parts
                    ]
                    style = {**look(number), "linestyle": "none", "alpha": 1.0 if k == len(samples) - 1 else 0.5}
                    centre = np.array([each.estimate if each else np.nan for each in found])
                    ends = np.array([[each.low, each.high] if each else [np.nan] * 2 for each in found]).T
                    away = np.nan_to_num(np.abs(ends - centre))
                    label = method if k == len(samples) - 1 else None
                    axes[0, column].errorbar(at, centre, yerr=away, label=label, elinewidth=0.8, **style)
                    widths = [part[part["given"]]["width"].mean() for part in parts]
                    axes[1, column].plot(at, widths, **style)
            axes[0, column].axhline(LEVEL, color="0.5", linewidth=0.8)
            axes[0, column].set_title(design)
            axes[1, column].set_yscale("log")
            axes[1, column].set_xticks(range(len(names)), labels=names)
        axes[0, 0].set_ylabel("coverage")
        axes[1, 0].set_ylabel("mean width")
        shared_legend(figure, axes[0, 0], 3)
    n = len(pick(frame, design="hard", method="delta", functional="mean", samples=int(samples[-1])))
    caption = (
        f"Coverage and mean width of {LEVEL:.0%} intervals by functional and method; left to right within a method, "
        f"N = {', '.join(f'{count:,}' for count in samples)} samples (the last one dark). n = {n} repeats a point, all "
        f"discounts; bars: 95% bootstrap intervals over repeats, each by itself; line: the nominal level."
    )
    return {"coverage": (figure, caption)}
