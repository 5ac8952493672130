"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.learning.sweep import ATOMS, PROBLEMS, QUANTILES
from experiments.protocol import Check
from experiments.statistics import Interval, geometric, slope
from experiments.study import pick
from experiments.style import curve, logarithmic, outer_labels, panels, shaded, shared_legend

TITLE = "Convergence of categorical and quantile TD"
INTRODUCTION = f"""
Categorical TD ({ATOMS} atoms) and quantile TD ({QUANTILES} quantiles) with four families of steps: constant 0.05;
harmonic 2h/(2h + k), h = 1/(1-g); polynomial k^-0.7; the same with averages after 30 renewals. Quantile steps are these
times 4 sd of the returns. Synchronous: every update renews all states; generative: one uniformly random state; both are
shown against the renewals of a state (its expectation). The error is the worst state's W1 distance to the method's own
fixed point, in units of reward, as a geometric mean over replications. Slopes are of the log error against log
renewals, over the second half of the records, a replication at a time; intervals: 95% t intervals over replications of
one MRP (of the mean logarithm, or of the mean slope), each by itself.
"""


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Last error and slope, by problem, method and steps, synchronous."""
    rows = []
    keys = ["problem", "discount", "method", "steps"]
    last = int(frame["renewals"].max())
    for values, part in frame.groupby(keys):
        row = dict(zip(keys, values, strict=True))
        for sampling in ("synchronous", "generative"):
            here = pick(part, sampling=sampling)
            row[f"error, {sampling}"] = geometric(pick(here, renewals=last)["w1"]).text(2)
            row[f"slope, {sampling}"] = _slope(here).text(2)
        rows.append(row | {"replications": part["replication"].nunique()})
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    synchronous = pick(frame, sampling="synchronous")
    last = int(frame["renewals"].max())
    said = []
    for method in ("CTD", "QTD"):
        slopes = {
            steps: np.median([_slope(part).estimate for _, part in group.groupby(["problem", "discount"])])
            for steps, group in pick(synchronous, method=method).groupby("steps")
        }
        ends = pick(synchronous, method=method, renewals=last).groupby(["problem", "discount", "steps"])["w1"].mean()
        best = ends.unstack().idxmin(axis=1).value_counts()
        said.append(
            f"{method}: median slopes "
            + ", ".join(f"{value:.2f} ({steps})" for steps, value in slopes.items())
            + f"; the least error after {last} renewals belongs to "
            + ", ".join(f"{steps} {count}" for steps, count in best.items())
            + f" (of {ends.unstack().shape[0]} problems)."
        )
    ends = pick(frame, renewals=last).pivot_table(
        index=["problem", "discount", "method", "steps"], columns="sampling", values="w1"
    )
    change = np.exp(np.log(ends["generative"] / ends["synchronous"]).mean())
    said.append(
        f"Renewing one random state at a time instead of all together changes the last error by a factor "
        f"{change:.2f} at as many renewals a state (geometric mean over all rows). A slope of -0.5 is the rate "
        f"of averages of independent samples; constant steps end on a plateau."
    )
    return " ".join(said)


def checks(frame: pd.DataFrame) -> list[Check]:
    """Robbins-Monro steps converge: the error falls."""
    ends = pick(frame, renewals=[int(frame["renewals"].min()), int(frame["renewals"].max())])
    table = ends[ends["steps"] != "constant"].pivot_table(
        index=["cell", "method", "steps"], columns="renewals", values="w1"
    )
    ratio = table.iloc[:, -1] / table.iloc[:, 0]
    worst = ratio.idxmax()
    return [
        Check(
            "errors fall with decreasing steps",
            bool((ratio < 1.0).all()),
            f"{len(ratio)} runs; {worst}: {ratio.max():.3g}",
        )
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Traces of the error, by method and sampling."""
    g = float(frame["discount"].max())
    found = {}
    for sampling in ("synchronous", "generative"):
        with panels(2, len(PROBLEMS), 1.75, sharex=True) as (figure, axes):
            for row, method in enumerate(("CTD", "QTD")):
                for column, name in enumerate(PROBLEMS):
                    ax = axes[row, column]
                    part = pick(frame, discount=g, sampling=sampling, method=method, problem=name)
                    for number, steps in enumerate(dict.fromkeys(frame["steps"])):
                        table = pick(part, steps=steps).pivot_table(
                            index="replication", columns="renewals", values="w1"
                        )
                        curve(ax, table, number, steps)
                    logarithmic(ax)
                    ax.set_title(f"{method}, {name}")
            outer_labels(axes, "renewals of a state", "$W_1$, worst state")
            shared_legend(figure, axes[0, 0], 4)
        caption = (
            f"W1 distance to the method's own fixed point, worst state, units of reward, on one MRP, {sampling} "
            f"sampling, g = {g:g}. " + shaded(f"n = {frame['replication'].nunique()} replications") + "."
        )
        found[sampling] = (figure, caption)
    return found


def _slope(part: pd.DataFrame) -> Interval:
    table = part.pivot_table(index="replication", columns="renewals", values="w1")
    late = table.iloc[:, table.shape[1] // 2 - (table.shape[1] < 4) :]
    return slope(list(late), late.to_numpy())
