"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from experiments.coverage.family import DESIGNS
from experiments.coverage.sweep import FUNCTIONALS, LEVEL, METHODS
from experiments.protocol import Check
from experiments.statistics import Interval, each_level, proportion
from experiments.study import pick
from experiments.style import bars, look, panels, shared_legend

TITLE = "Coverage of intervals where it is hard, and their warnings"
INTRODUCTION = f"""
Designs: {"; ".join(f"{name}: {design.text}" for name, design in DESIGNS.items())}. Every repeat draws the samples anew,
estimates the return laws by the categorical fixed point and asks for {LEVEL:.0%} intervals for the true law's
functionals: at the first state by delta and bootstrap, at all states together by their bands and by the finite-sample
method. Delta and bootstrap are shown without the solver's own error: the truth is the true model's fixed point on the
same grid, solved to rounding. For finite-sample intervals it is the exact law (moments exactly, the rest on 1,001
atoms). Quantile and CVaR are at 25%, the CDF at the atom next to the mean, the expectile at 20%. The warning is
`Estimate.few_samples_decide`. Intervals of coverage are exact binomial ones (Clopper-Pearson), such that all cells of
the table hold together with 95%. A cell falls short if its interval lies below {LEVEL - 0.02:.0%}. A quantile's
intervals end at points of the grid, and cover too often.
"""
_NEAR = (LEVEL - 0.02, LEVEL + 0.02)
_SAMPLED = tuple(method for method in METHODS if method != "finite-sample")


def tabulated(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each design, functional and method: repeats, coverage with its joint interval, width, share of warnings."""
    groups = frame.groupby(["design", "functional", "method"], sort=False)
    level, rows = each_level(0.95, groups.ngroups), []
    for (design, functional, method), part in groups:
        given = pick(part, given=True)
        if len(given):
            found = proportion(given["covered"], level)
            rows.append((design, functional, method, len(given), *found, given["width"].mean(), given["warned"].mean()))
    names = ["design", "functional", "method", "repeats", "coverage", "low", "high", "width", "warned"]
    return pd.DataFrame(rows, columns=names)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Coverage by design, functional and method, the width of finite-sample intervals over delta's, and warnings."""
    table, rows = tabulated(frame), []
    for (design, functional), part in table.groupby(["design", "functional"], sort=False):
        row: dict[str, Any] = {"design": design, "functional": functional, "repeats": int(part["repeats"].max())}
        by = part.set_index("method")
        for method in METHODS:
            row[method] = (
                Interval(*by.loc[method, ["coverage", "low", "high"]]).text() if method in by.index else "none"
            )
        wide = "finite-sample" in by.index and "delta" in by.index and by.loc["delta", "width"] > 0.0
        row["finite-sample width / delta"] = by["width"]["finite-sample"] / by["width"]["delta"] if wide else np.nan
        row["warned"] = by.loc["bootstrap", "warned"]
        rows.append(row)
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    table, said = tabulated(frame), []
    for method in _SAMPLED:
        part = pick(table, method=method)
        short = part[part["high"] < _NEAR[0]]
        wide = part[part["low"] > _NEAR[1]]
        least = part.loc[part["coverage"].idxmin()]
        said.append(
            f"{method}: {len(part) - len(short) - len(wide)} of {len(part)} cells are not surely outside of "
            f"{_NEAR[0]:.0%} to {_NEAR[1]:.0%}, {len(short)} fall short and {len(wide)} cover more; the least coverage "
            f"is {least['coverage']:.3f} ({least['design']}: {least['functional']}). The warning fires on "
            f"{_ends(short['warned'])} of the data sets of cells that fall short and on "
            f"{_ends(part.drop(short.index)['warned'])} of the others."
        )
    sure = pick(table, method="finite-sample")
    said.append(
        f"Finite-sample intervals cover all states together in {sure['coverage'].min():.3f} or more of repeats."
    )
    return " ".join(said)


def _ends(shares: pd.Series) -> str:
    return f"{shares.min():.0%} to {shares.max():.0%}" if len(shares) else "none"


def checks(frame: pd.DataFrame) -> list[Check]:
    """Finite-sample intervals hold; cells that surely fall short are warned of."""
    table = tabulated(frame)
    sure = pick(table, method="finite-sample")
    least = (sure["coverage"] - stats.binom.ppf(1e-4, sure["repeats"], LEVEL) / sure["repeats"]).min()
    found = [Check("finite-sample intervals cover all states at once", bool(least >= 0.0), f"margin {least:.3f}")]
    short = table[table["method"].isin(_SAMPLED) & (table["high"] < _NEAR[0])]
    missed = short[short["warned"] < 0.9]
    names = "; ".join(f"{row.design}, {row.functional}, {row.method}" for row in missed.itertuples()) or "none missed"
    found.append(Check("cells that fall short are warned of on 90% of data sets", missed.empty, names))
    return found


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Coverage by design, a panel a functional."""
    table = tabulated(frame)
    designs = list(dict.fromkeys(table["design"]))
    with panels(3, 2, 2.2, sharex=True, sharey=True) as (figure, axes):
        for ax, (functional, _) in zip(axes.ravel(), FUNCTIONALS, strict=True):
            for number, method in enumerate(METHODS):
                part = pick(table, functional=functional, method=method)
                at = np.array([designs.index(design) for design in part["design"]]) + (number - 2) * 0.15
                found = [Interval(*row) for row in part[["coverage", "low", "high"]].to_numpy()]
                if found:
                    bars(ax, at, found, label=method, elinewidth=0.6, **{**look(number), "linestyle": "none"})
            ax.axhline(LEVEL, color="0.5", linewidth=0.8)
            ax.set_title(functional)
            ax.set_xticks(range(len(designs)), labels=designs, rotation=90)
        for ax in axes[:, 0]:
            ax.set_ylabel("coverage")
        shared_legend(figure, axes[0, 0], 5)
    repeats = int(table["repeats"].max())
    caption = (
        f"Coverage of {LEVEL:.0%} intervals by design (n = {repeats} repeats each); bars: exact binomial intervals "
        "that hold together over all panels with 95%; line: the nominal level. Of bands and finite-sample intervals: "
        "all states."
    )
    return {"coverage": (figure, caption)}
