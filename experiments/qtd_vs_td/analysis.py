"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.protocol import Check
from experiments.qtd_vs_td.family import DISCOUNT, LAWS, STATES, STRUCTURES
from experiments.statistics import Interval, each_level, geometric, ratio
from experiments.study import pick
from experiments.style import band, curve, logarithmic, outer_labels, panels, shaded, shared_legend

TITLE = "Quantile TD against TD for the mean"
INTRODUCTION = f"""
MRPs of {STATES} states, discount {DISCOUNT:g}; mean rewards N(0, 1), noise around them as named (scale 1; t2 has no
variance). Structures: {"; ".join(f"{name}: {text}" for name, text in STRUCTURES.items())}. Synchronous updates
from 0 with constant steps, in the style of Rowland et al. 2023. The error of an MRP is the squared error of the value,
averaged over states and replications. "best": of each method the step with the least mean error over MRPs at that
number of updates, chosen on the same MRPs; "fixed": 0.1 for TD, 0.3 for QTD. Ratios are geometric means over MRPs,
both methods on the same transitions; intervals are t intervals of the mean logarithm over MRPs, in the table at the
level at which all hold together (Bonferroni); that steps were chosen on the same MRPs is not counted in them. "noise"
is the standard deviation of a unit step where the method settles, divided by the pull back towards it; "bias" is that
of the mean there.
"""
_FIXED = {"TD": 0.1, "QTD": 0.3}


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """MSE ratios QTD / TD by structure and law."""
    updates = _usual_updates(frame)
    level = each_level(0.95, 2 * len(STRUCTURES) * len(LAWS))
    quantiles = _usual_quantiles(frame)
    rows = []
    for structure in STRUCTURES:
        for law in LAWS:
            part = pick(frame, structure=structure, law=law, updates=updates)
            td, qtd = _best(pick(part, quantiles=0)), _best(pick(part, quantiles=quantiles))
            fixed = [
                pick(part, quantiles=q, step=_FIXED[name]).set_index("mrp")["mse"]
                for q, name in ((quantiles, "QTD"), (0, "TD"))
            ]
            rows.append(
                {
                    "structure": structure,
                    "rewards": law,
                    "MRPs": len(td),
                    f"QTD-{quantiles} / TD, best steps": ratio(qtd, td, level).text(),
                    "fixed steps": ratio(*fixed, level).text(),
                    "MSE of TD": geometric(td).estimate,
                    "bias^2 of QTD": pick(part, quantiles=quantiles)["bias_mse"].mean(),
                    "noise QTD / TD": _noise(part, quantiles).estimate,
                }
            )
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    table = summary(frame)
    updates, quantiles = _usual_updates(frame), _usual_quantiles(frame)
    column = f"QTD-{quantiles} / TD, best steps"
    verdicts: dict[str, list[str]] = {"lower": [], "higher": [], "undecided": []}
    level = each_level(0.95, 2 * len(table))
    for structure, law in zip(table["structure"], table["rewards"], strict=True):
        part = pick(frame, structure=structure, law=law, updates=updates)
        found = ratio(_best(pick(part, quantiles=quantiles)), _best(pick(part, quantiles=0)), level)
        name = f"{structure}/{law} ({found.estimate:.2g})"
        verdicts["undecided" if not found.excludes(1.0) else "lower" if found.high < 1.0 else "higher"].append(name)
    said = [
        f"After {updates} updates with the best steps, QTD with {quantiles} quantiles has, surely at the joint level, "
        f"the lower error in {', '.join(verdicts['lower']) or 'no combination'}; the higher one in "
        f"{', '.join(verdicts['higher']) or 'none'}; undecided: {', '.join(verdicts['undecided']) or 'none'} (column "
        f"'{column}')."
    ]
    last = int(frame["updates"].max())
    ends = []
    for (structure, law), part in pick(frame, updates=last, quantiles=[0, quantiles]).groupby(["structure", "law"]):
        td, bias = _best(pick(part, quantiles=0)).mean(), pick(part, quantiles=quantiles)["bias_mse"].mean()
        if bias > max(td, 1e-20):  # 0 but for rounding is no bias
            ends.append(f"{structure}/{law} ({bias:.2g} > {td:.2g})")
    said.append(
        f"The squared bias of the quantile limit exceeds TD's whole error after {last} updates in "
        f"{', '.join(ends) or 'no combination'}: there the advantage is over."
    )
    heavy, light = (
        np.exp(np.log(table[table["rewards"] == law]["noise QTD / TD"].astype(float)).mean())
        for law in ("t2", "Gaussian")
    )
    said.append(
        f"The reason for the gain is the variance of the step: relative to the pull, QTD's noise is {heavy:.2g} times "
        f"TD's under t2 rewards and {light:.2g} times under Gaussian ones (geometric means over structures; TD's is "
        f"the spread of 500 sampled steps, infinite in law under t2)."
    )
    return " ".join(said)


def checks(frame: pd.DataFrame) -> list[Check]:
    """Exactness of TD where nothing is random."""
    # V_k = V + (I - a (I - g P))^k (V_0 - V): with step 1 on a cycle every sweep multiplies the error by g
    part = pick(frame, structure="cycle", law="Dirac", quantiles=0, step=1.0)
    first, last = (
        pick(part, updates=int(u)).set_index("mrp")["mse"] for u in (part["updates"].min(), part["updates"].max())
    )
    shrink = DISCOUNT ** (2.0 * float(part["updates"].max() - part["updates"].min()))
    holds = bool((last <= first * shrink * (1 + 1e-6) + 1e-24).all())
    return [
        Check("TD with step 1 is exact on a deterministic cycle", holds, f"largest MSE {last.max():.3g}"),
        Check("errors are finite", bool(np.isfinite(frame["mse"]).all()), f"{len(frame)} rows"),
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """MSE against updates, and ratios against the number of quantiles."""
    quantiles = _usual_quantiles(frame)
    counts, fewest = sorted(frame["updates"].unique()), min(q for q in frame["quantiles"].unique() if q)
    with panels(len(STRUCTURES), len(LAWS), 1.6, sharex=True) as (figure, axes):
        for row, structure in enumerate(STRUCTURES):
            for column, law in enumerate(LAWS):
                ax, part = axes[row, column], pick(frame, structure=structure, law=law)
                for number, (q, label) in enumerate(
                    ((0, "TD"), (fewest, f"QTD-{fewest}"), (quantiles, f"QTD-{quantiles}"))
                ):
                    best = {u: _best(pick(part, quantiles=q, updates=int(u))) for u in counts}
                    curve(ax, pd.DataFrame(best), number, label)
                level = pick(part, quantiles=quantiles)["bias_mse"].mean()
                ax.axhline(
                    max(level, 1e-30), color="0.5", linewidth=0.8, linestyle=(0, (2, 2)), label="bias² of the limit"
                )
                logarithmic(ax)
                low = max(ax.get_ylim()[0], 1e-6)
                ax.set_ylim(bottom=low, top=max(ax.get_ylim()[1], 10 * low))
                ax.set_title(f"{structure}, {law}")
        outer_labels(axes, "updates", "MSE")
        shared_legend(figure, axes[0, -1], 4)
    count = frame["mrp"].nunique()
    curves = (
        "Mean squared error of the value, best constant step at every point. "
        + shaded(f"n = {count} MRPs")
        + ". Errors below 1e-6 are cut off."
    )
    shown = sorted(q for q in frame["quantiles"].unique() if q)
    updates = _usual_updates(frame)
    with panels(1, len(STRUCTURES), 2.0, sharey=True) as (second, axes):
        for ax, structure in zip(axes[0], STRUCTURES, strict=True):
            for number, law in enumerate(LAWS):
                part = pick(frame, structure=structure, law=law, updates=updates)
                td = _best(pick(part, quantiles=0))
                found = [ratio(_best(pick(part, quantiles=int(q))), np.maximum(td, 1e-12)) for q in shown]
                band(ax, shown, found, number, law)
            ax.axhline(1.0, color="0.5", linewidth=0.8)
            logarithmic(ax)
            ax.set_ylim(0.05, 50)
            ax.set_title(structure)
            ax.set_xlabel("quantiles m")
        axes[0, 0].set_ylabel("MSE ratio QTD / TD")
        shared_legend(second, axes[0, 0], 4)
    ratios = (
        f"Paired ratio of mean squared errors, QTD / TD, after {updates} updates, best steps; geometric mean over n = "
        f"{count} MRPs, bands 95% t intervals of the mean logarithm, each by itself. Below 1 QTD is better. On the "
        f"deterministic cycle with Dirac rewards TD is exact and the ratio leaves the figure."
    )
    return {"curves": (figure, curves), "quantiles": (second, ratios)}


def _usual_updates(frame: pd.DataFrame) -> int:
    return 1000 if 1000 in set(frame["updates"]) else int(frame["updates"].max())


def _usual_quantiles(frame: pd.DataFrame) -> int:
    return 128 if 128 in set(frame["quantiles"]) else int(frame["quantiles"].max())


def _best(part: pd.DataFrame) -> pd.Series:
    """Errors by MRP at the step whose mean error over MRPs is least."""
    table = part.pivot_table(index="mrp", columns="step", values="mse")
    return table[table.mean().idxmin()]


def _noise(part: pd.DataFrame, quantiles: int) -> Interval:
    first, second = (pick(part, quantiles=q).groupby("mrp")["noise"].first() for q in (quantiles, 0))
    return ratio(first, np.maximum(second, 1e-12)) if (second > 1e-9).all() else Interval(np.nan, np.nan, np.nan)
