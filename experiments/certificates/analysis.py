"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.certificates.sweep import LEVEL
from experiments.protocol import Check
from experiments.statistics import Interval, geometric, slope
from experiments.study import bounded, pick
from experiments.style import curve, logarithmic, panels, problem_panels, shaded, shared_legend

TITLE = "Certificates, bounds known beforehand, brackets and the true error"
INTRODUCTION = f"""
Each problem is solved on the grid [0, 1/(1-g)] (g the discount, rewards in [0, 1]) with m atoms, and compared with its
return law, which is a closed form (chain, hard) or certified to 1e-4 of the range (the others; column truth_bound).
All numbers are the worst state's, in units of reward. "a priori" is s / (2 sqrt(1 - g^2)), s the spacing; "range" is
s / (2 (1 - g)). The bracket is that of CVaR at {LEVEL:.0%} in convex order. The table shows geometric means over MRPs.
"""
_BOUNDS = {
    "range_bound": "range bound",
    "a_priori": "a priori",
    "certificate": "certificate",
    "true_w1": "true error",
}


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Ratios bound / true error at the most atoms, by problem and discount."""
    most = pick(frame, atoms=int(frame["atoms"].max()))
    rows = []
    for (name, g), group in most.groupby(["problem", "discount"]):
        rows.append(
            {
                "problem": name,
                "discount": g,
                "MRPs": len(group),
                "true W1": geometric(group["true_w1"]).estimate,
                "certificate": geometric(group["certificate"]).estimate,
                "a priori": geometric(group["a_priori"]).estimate,
                "range bound": geometric(group["range_bound"]).estimate,
                "quantile W1": geometric(group["quantile_true_w1"]).estimate,
                "its certificate": geometric(group["quantile_certificate"]).estimate,
                f"CVaR {LEVEL:.0%} bracket": geometric(group["cvar_width"]).estimate,
            }
        )
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    sharp = np.median(frame["certificate"] / frame["true_w1"])
    gain = frame["range_bound"] / frame["certificate"]
    top = float(frame["discount"].max())
    quantile = np.median(frame["quantile_certificate"] / frame["quantile_true_w1"])
    better = (frame["quantile_true_w1"] < frame["true_w1"]).mean()
    high = pick(frame, problem="high-random")
    rates = [_rate(pick(high, discount=g), "cvar_width") for g in sorted(high["discount"].unique())]
    return (
        f"The certificate is {sharp:.2g} times the true error (median of {len(frame)} solutions) and never below it. "
        f"It is {gain.median():.2g} times sharper than the range bound s / (2 (1 - g)), and "
        f"{pick(frame, discount=top).pipe(lambda f: f['range_bound'] / f['certificate']).median():.2g} times at "
        f"discount {top:g}: rounding errors add in squares along a trajectory. The certificate of quantile dynamic "
        f"programming is {quantile:.2g} times its true error; with as many quantiles as atoms its true error is the "
        f"smaller one in {better:.0%} of the solutions. On the dense random MRPs the bracket of CVaR shrinks like "
        f"m^{rates[0].estimate:.2f} at the lowest discount and m^{rates[-1].estimate:.2f} at the highest, the true W1 "
        f"error like m^{_rate(high, 'true_w1').estimate:.2f}."
    )


def checks(frame: pd.DataFrame) -> list[Check]:
    """Bounds bound."""
    floor = frame["truth_bound"]
    return [
        bounded("true error <= certificate of that state", frame["true_w1"] - floor, frame["certificate_there"]),
        bounded("certificate <= s / (2 sqrt(1 - g^2))", frame["certificate"], frame["a_priori"], 1e-9),
        bounded("a priori <= range bound", frame["a_priori"], frame["range_bound"]),
        bounded("quantile error <= its certificate", frame["quantile_true_w1"] - floor, frame["quantile_certificate"]),
        bounded("exact CVaR within the bracket", frame["cvar_outside"], floor / LEVEL),
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Bounds against atoms, by problem; brackets against atoms."""
    names = list(dict.fromkeys(frame["problem"]))
    shown = sorted(frame["discount"].unique())[-2:]
    with problem_panels(names, shown, 1.7, "atoms m", "$W_1$, worst state", sharex=True) as (figure, each):
        for name, g, ax in each:
            part = pick(frame, problem=name, discount=g)
            for number, (key, label) in enumerate(_BOUNDS.items()):
                curve(ax, _by_atoms(part, key), number, label)
    count = frame.groupby("problem")["mrp"].nunique().max()
    bounds_caption = (
        "Bounds on W1 and the true error against the number of atoms, worst state, units of reward. "
        + shaded(f"n = {count} MRPs (random families; others n = 1)")
        + "."
    )
    with panels(1, 2, 2.3) as (second, axes):
        for number, name in enumerate(names):
            part = pick(frame, problem=name, discount=shown[0])
            for ax, key in zip(axes[0], ("cvar_width", "quantile_certificate"), strict=True):
                curve(ax, _by_atoms(part, key), number, name)
        axes[0, 0].set_ylabel(f"CVaR {LEVEL:.0%} bracket, width")
        axes[0, 1].set_ylabel("certificate of quantile DP")
        for ax in axes[0]:
            logarithmic(ax)
            ax.set_xlabel("atoms m, or quantiles")
        shared_legend(second, axes[0, 0], 5)
    brackets_caption = (
        f"Left: certified width of CVaR at {LEVEL:.0%}, convex order. Right: certificate of quantile dynamic "
        f"programming. Discount {shown[0]:g}, worst state, units of reward; n and bands as in the first figure."
    )
    return {"bounds": (figure, bounds_caption), "brackets": (second, brackets_caption)}


def _by_atoms(part: pd.DataFrame, key: str) -> pd.DataFrame:
    """(MRPs, numbers of atoms) of the column."""
    return part.pivot_table(index="mrp", columns="atoms", values=key)


def _rate(part: pd.DataFrame, key: str) -> Interval:
    table = part.pivot_table(index=["discount", "mrp"], columns="atoms", values=key)
    return slope(list(table.columns), table.to_numpy())
