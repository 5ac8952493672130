"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.protocol import Check
from experiments.statistics import Interval, each_level, geometric, ratio, slope
from experiments.study import bounded, pick, units
from experiments.style import curve, look, problem_panels, shaded

TITLE = "Model-based estimators of return laws"
INTRODUCTION = """
An empirical model is made from N samples of every state; DCFP (the categorical fixed point), CDP (categorical dynamic
programming, 30 to 3,000 sweeps from a mid-grid Dirac), QDP (quantile dynamic programming, flat CDF regions resolved
at 0, 1/2 or 1) and the nonparametric plug-in (particles, merged in the cells of the grid) are run on it with m atoms.
Grids: "global" is [0, 1/(1-g)], "tight" the range of the attainable returns. The error is the largest W1 distance over
states to the true return law (closed form, or certified: column truth_bound), in units of reward.
Every method sees the same MRPs and samples, so comparisons are paired. Errors and ratios are geometric means, with t
intervals of the mean logarithm, over MRPs where there are several (after averaging over samples), else over samples.
Those of the errors are 95% intervals, each by itself; those of the ratios in the table are at the level at which all
hold together (Bonferroni).
"""
METHODS = ("DCFP", "CDP-30", "CDP-300", "QDP-0", "QDP-0.5", "QDP-1", "plug-in")
_RIVALS = ("CDP-30", "CDP-300", "QDP-0.5", "plug-in")
_DRAWN = ["cell", "replication", "samples"]
_LONG = 0.95  # discounts from here on are long horizons


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Error of DCFP and paired ratios to its rivals, at most samples and atoms."""
    best = _at_most(frame)
    groups = list(best.groupby(["problem", "discount"]))
    level = each_level(0.95, len(groups) * len(_RIVALS))
    rows = []
    for (name, g), group in groups:
        table = units(group, "w1", "method")
        rows.append(
            {"problem": name, "discount": g, "n": len(table), "DCFP error": geometric(table["DCFP"]).text()}
            | {f"{rival} / DCFP": ratio(table[rival], table["DCFP"], level).text() for rival in _RIVALS}
        )
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    best, top = _at_most(frame), float(frame["discount"].max())
    high = pick(best, discount=top)
    order = high.groupby("method")["w1"].mean().loc[list(METHODS)].sort_values()
    fast = high.groupby("method")["seconds"].median()
    rates = {method: _rate(frame, method) for method in ("DCFP", "QDP-0.5", "plug-in")}
    sweeps = 300 * np.log(top)
    said = ", ".join(f"N^{rates[m].estimate:.2f} ({m})" for m in rates)
    winners = best.groupby(["problem", "discount", "method"])["w1"].mean().unstack()[list(METHODS)].idxmin(axis=1)
    counted = ", ".join(f"{name} {count}" for name, count in winners.value_counts().items())
    tight = pick(frame, method="DCFP", samples=int(frame["samples"].max()))
    coarse = pick(tight, atoms=int(tight["atoms"].min())).groupby("grid")["w1"].mean()
    return (
        f"With the most samples and atoms on the global grid the lowest mean error belongs to: {counted} (of "
        f"{len(winners)} pairs of problem and discount). At discount {top:g} the order by mean error is "
        f"{' < '.join(order.index)} ({order.iloc[0]:.3g} to {order.iloc[-1]:.3g}); 300 sweeps leave a share "
        f"{np.exp(sweeps):.2g} of CDP's start, 30 sweeps {np.exp(sweeps / 10):.2g}. Median seconds there: "
        f"DCFP {fast['DCFP']:.3g}, CDP-300 {fast['CDP-300']:.3g}, QDP-0.5 {fast['QDP-0.5']:.3g}, plug-in "
        f"{fast['plug-in']:.3g}. With the most atoms errors fall like {said}. With few atoms the tight grid changes "
        f"DCFP's error by a factor {coarse['tight'] / coarse['global']:.2g} on average. {_sooner(frame)}"
    )


def _sooner(frame: pd.DataFrame) -> str:
    """How much longer rivals take to DCFP's error, in the setting of theirs that is there first."""
    here = frame[(frame["discount"] >= _LONG) & frame["grid"].isin(["global", "none"])]
    said = []
    for (g, atoms), goals in pick(here, method="DCFP").groupby(["discount", "atoms"]):
        for rival in ("CDP", "QDP"):
            tried = here[here["method"].str.startswith(rival)].set_index(_DRAWN).sort_index()
            ratios = []
            for goal in goals.itertuples():
                theirs = tried.loc[tuple(getattr(goal, key) for key in _DRAWN)]
                ratios.append(theirs[theirs["w1"] <= 1.05 * goal.w1]["seconds"].min() / goal.seconds)
            found = pd.Series(ratios).dropna()
            middle = f"{found.median():.2g} times as long" if len(found) else "never"
            said.append(f"g = {g:g}, {atoms} atoms: {rival} {middle} ({len(found)} of {len(ratios)} cases)")
    if not said:
        return ""
    return (
        "To DCFP's error, within 5%, with the sweeps, flat value and atoms chosen afterwards that are there first, "
        f"others take (median over the cases that get there): {'; '.join(said)}."
    )


def checks(frame: pd.DataFrame) -> list[Check]:
    """What the theory says surely."""
    same = pick(frame, grid="global").pivot_table(
        index=["cell", "replication", "samples", "atoms"], columns="method", values="w1"
    )
    spread = frame.groupby("cell")["discount"].first()
    reach = same.index.get_level_values("cell").map(spread).to_numpy()
    atoms = same.index.get_level_values("atoms").to_numpy()
    # W1(CDP-k, DCFP) <= g^k of the first distance, at most the grid's width; both laws of one empirical model
    gap = np.abs(same["CDP-300"] - same["DCFP"])
    merged = np.abs(same["plug-in"] - same["DCFP"])
    return [
        bounded("|error of CDP-300 - error of DCFP| <= g^300 / (1 - g)", gap, reach**300 / (1.0 - reach), 1e-9),
        bounded(
            "|error of the plug-in - error of DCFP| <= twice s / (2 sqrt(1 - g^2))",
            merged,
            1.0 / (1.0 - reach) / (atoms - 1) / np.sqrt(1.0 - reach**2),
            1e-9,
        ),
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Error against samples, and against seconds."""
    names, shown = list(dict.fromkeys(frame["problem"])), sorted(frame["discount"].unique())[-2:]
    most = int(frame["atoms"].max())
    usual = pick(frame, atoms=most, grid=["global", "none"])
    with problem_panels(names, shown, 1.75, "samples a state, N", "sup-$W_1$ error", columns=7, sharex=True) as (
        figure,
        each,
    ):
        for name, g, ax in each:
            part = pick(usual, problem=name, discount=g)
            for number, method in enumerate(METHODS):
                curve(ax, units(pick(part, method=method), "w1", "samples"), number, method)
    count = units(pick(usual, problem="high-random"), "w1", "samples").shape[0]
    caption = (
        f"Error, worst state, units of reward, against the number of samples; m = {most} atoms, global grid. "
        + shaded(f"n = {count} MRPs (random families) or {frame['replication'].nunique()} sets of samples (others)")
        + "."
    )
    return {"samples": (figure, caption), "time": _time_figure(frame, names, shown)}


def _time_figure(frame: pd.DataFrame, names: list[str], shown: list[float]) -> tuple[Any, str]:
    samples = int(frame["samples"].max())
    part = pick(frame, samples=samples, grid=["global", "none"])
    with problem_panels(names, shown, 1.75, "seconds", "sup-$W_1$ error", columns=7) as (figure, each):
        for name, g, ax in each:
            here = pick(part, problem=name, discount=g)
            for number, method in enumerate(METHODS):
                found = pick(here, method=method).groupby("atoms")[["seconds", "w1"]].median()
                ax.plot(found["seconds"], found["w1"], label=method, **look(number))
    return figure, (
        f"Error against the time of solving the empirical model, medians over n = {part['mrp'].nunique()} MRPs (random "
        f"families) and {part['replication'].nunique()} sample sets; along a curve the atoms grow from "
        f"{part['atoms'].min()} to {part['atoms'].max()}. N = {samples:,} samples a state, global grid, one thread."
    )


def _at_most(frame: pd.DataFrame) -> pd.DataFrame:
    """Most samples and atoms, global grid."""
    most = {"samples": int(frame["samples"].max()), "atoms": int(frame["atoms"].max())}
    return pick(frame, grid=["global", "none"], **most)


def _rate(frame: pd.DataFrame, method: str) -> Interval:
    part = pick(frame, method=method, grid=["global", "none"], atoms=int(frame["atoms"].max()))
    table = part.pivot_table(index=["problem", "discount", "mrp"], columns="samples", values="w1")
    return slope(list(table), table.to_numpy())
