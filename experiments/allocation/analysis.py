"""Table, findings, checks and the figure."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.allocation.sweep import ARMS, AT, BATCHES, DISCOUNT, LEVEL
from experiments.protocol import Check
from experiments.statistics import Interval, each_level, geometric, proportion, ratio
from experiments.study import pick
from experiments.style import bars, look, panels

TITLE = "Adaptive against uniform allocation of samples"
INTRODUCTION = f"""
FrozenLake 8x8 (slippery) and Taxi (rainy) at discount {DISCOUNT:g}, their optimal policies. The full budget is N
samples a (state, action) pair on average. Uniform allocation spends it evenly; adaptive allocation spends a share of it
in {BATCHES} batches, where the influence function says that samples shrink the interval for the start state's CVaR at
{AT:.0%} most. Width and coverage are of the {LEVEL:.0%} delta interval for the fixed point that the true model has on
the same grid: sampling error alone. Where the level is a value of the CDF, CVaR has no derivative and the interval is
from a one-sided one ("one-sided": how many). Allocations of a replication have samples of their own.

Widths, and ratios of a replication's width to its uniform width, are geometric means with 95% t intervals of the mean
logarithm; intervals of coverage are 95% Clopper-Pearson; each by itself. "needed" is the share of the
full budget at which the allocation would be as wide as uniform allocation at all of it: share times squared ratio,
since widths fall like 1 / sqrt(budget) to first order. The smaller share tries that assumption. An estimate whose worst
outcome has more than {AT:.0%} of the mass has no influence and an interval of no width ("no width": how many); such
intervals count in coverage, not in widths and ratios.
"""
_KEYS = ["environment", "samples"]


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Width, ratio to uniform, budget needed and coverage by environment, budget and allocation."""
    rows = []
    for (environment, samples), part in frame.groupby(_KEYS):
        for allocation, share in ARMS:
            arm = pick(part, allocation=allocation, share=share)
            rows.append(
                {
                    "environment": environment,
                    "N": samples,
                    "allocation": _label(allocation, share),
                    "budget": arm["budget"].iloc[0],
                    "width": geometric(arm["width"][arm["width"] > 0.0]).text(),
                    "ratio to uniform": _ratio(part, allocation, share).text(),
                    "needed": _needed(part, allocation, share).text(),
                    "coverage": proportion(arm["covered"]).text(),
                    "one-sided": int(arm["one_sided"].sum()),
                    "no width": int((arm["width"] == 0.0).sum()),
                    "replications": len(arm),
                }
            )
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    said = []
    allocation, share = ARMS[1]
    for (environment, samples), part in frame.groupby(_KEYS):
        found = _ratio(part, allocation, share)
        verdict = (
            "narrower" if found.high < 1.0 else "wider" if found.low > 1.0 else "neither surely narrower nor wider"
        )
        arm, all_of_it = pick(part, allocation=allocation, share=share), pick(part, allocation=ARMS[0][0])
        needed = [f"{_needed(part, *each).estimate:.2g} by the widths at {each[1]:.0%}" for each in ARMS[1:]]
        reached, pairs = int(part["reached"].iloc[0]), int(part["pairs"].iloc[0])
        said.append(
            f"{environment}, N = {samples:,}: adaptive intervals at {share:.0%} of the budget are {verdict} than "
            f"uniform ones at all of it, {found.text(2)} times as wide, and cover {proportion(arm['covered']).text(2)} "
            f"against {proportion(all_of_it['covered']).text(2)}. For the same width adaptive allocation needs of the "
            f"budget {', '.join(needed)}. The policy reaches {reached} of the {pairs:,} (state, action) pairs from "
            f"the start: an even allocation that knew them would need {reached / pairs:.2g}."
        )
    return " ".join(said)


def checks(frame: pd.DataFrame) -> list[Check]:
    """Budgets are kept; coverage is not far off for the arms that are compared.

    The smallest share is not among them: with N = 100 it is 10 samples a pair, where estimates without a width are
    common and the normal limit promises nothing. Its coverage is in the table.
    """
    kept = frame["drawn"] == frame["budget"]
    least = int(frame["least"].min())
    compared = pick(frame, share=[share for _, share in ARMS[:2]])
    groups = compared.groupby([*_KEYS, "allocation", "share"])
    level = each_level(0.99, groups.ngroups)
    highs = {keys: proportion(arm["covered"], level).high for keys, arm in groups}
    worst = min(highs, key=lambda keys: highs[keys])
    return [
        Check("every budget is spent, to the sample", bool(kept.all()), f"{kept.sum()} of {len(kept)}"),
        Check("every pair is sampled at least twice", least >= 2, f"least: {least}"),
        Check(
            f"coverage is nowhere surely below 80%, {_label(*ARMS[0])} and {_label(*ARMS[1])}",
            highs[worst] >= 0.8,
            f"upper ends that hold jointly at 99%: least {highs[worst]:.3f}, of {worst[0]}, {_label(*worst[2:])}",
        ),
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Widths of all replications, and coverage."""
    most = pick(frame, samples=int(frame["samples"].max()))
    names = list(dict.fromkeys(most["environment"]))
    with panels(2, len(names), 1.9, sharex=True) as (figure, axes):
        for column, name in enumerate(names):
            above, below = axes[:, column]
            for number, (allocation, share) in enumerate(ARMS):
                arm = pick(most, environment=name, allocation=allocation, share=share)
                style = {**look(number), "linestyle": "none"}
                aside = number + np.linspace(-0.25, 0.25, len(arm))
                above.plot(aside, arm["width"], **{**style, "alpha": 0.5, "markeredgewidth": 0.0})
                above.hlines(
                    geometric(arm["width"][arm["width"] > 0.0]).estimate,
                    number - 0.32,
                    number + 0.32,
                    color=style["color"],
                )
                found = proportion(arm["covered"])
                bars(below, [number], [found], capsize=2.0, **style)
            above.set_title(name)
            above.set_yscale("log")
            below.axhline(LEVEL, color="0.5", linewidth=0.8)
            below.set_xticks(range(len(ARMS)), labels=[_label(*arm) for arm in ARMS])
            below.set_xlim(-0.5, len(ARMS) - 0.5)
        axes[0, 0].set_ylabel("width, units of reward")
        axes[1, 0].set_ylabel("coverage")
    n = len(pick(most, environment=names[0], share=1.0))
    caption = (
        f"Top: widths of the {LEVEL:.0%} intervals for the start state's CVaR at {AT:.0%}, one point a replication, "
        f"n = {n}; lines: geometric means. Bottom: coverage with 95% Clopper-Pearson intervals; line: the nominal "
        f"level. "
        f"Percentages: shares of the full budget of N = {most['samples'].iloc[0]:,} samples a (state, action) pair."
    )
    return {"widths": (figure, caption)}


def _label(allocation: str, share: float) -> str:
    return f"{allocation}, {share:.0%}"


def _ratio(part: pd.DataFrame, allocation: str, share: float) -> Interval:
    """Width over uniform width, by replication where both have one."""
    by = ["block", "replication"]
    first, base = (
        pick(part, allocation=a, share=s).set_index(by)["width"].sort_index() for a, s in ((allocation, share), ARMS[0])
    )
    both = (first > 0.0) & (base > 0.0)
    return ratio(first[both], base[both])


def _needed(part: pd.DataFrame, allocation: str, share: float) -> Interval:
    """Share of the budget for the width of uniform allocation."""
    return Interval(*(share * end**2 for end in _ratio(part, allocation, share)))
