"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from experiments.inference.family import DESIGNS
from experiments.inference.sweep import FUNCTIONALS, LEVEL, METHODS, STATE
from experiments.protocol import Check
from experiments.statistics import Interval, each_level, proportion
from experiments.study import pick
from experiments.style import bars, look, panels, shared_legend

TITLE = "Coverage and width of confidence intervals"
INTRODUCTION = f"""
Designs: {"; ".join(f"{name}: {text}" for name, text in DESIGNS.items())}. The first is that of Zhang et al. 2023 with a
uniform policy. Every repeat draws N samples of every state (and action), estimates the return laws by the categorical
fixed point and asks for {LEVEL:.0%} intervals for the true law's functionals by each method: quantile and CVaR at 25%,
the CDF at the middle of the range, the W1 and Kolmogorov (ks) distance from the estimate to the truth. Delta and
bootstrap intervals are shown without the solver's own error (numerical=False), so that sampling alone is judged: the
truth is the true model's fixed point on the same grid, at state {STATE}. Finite-sample intervals are for the exact law
(moments exactly, the rest from a grid eight times as fine), at all states at once. Intervals of coverage are exact 95%
binomial ones (Clopper-Pearson), each by itself; a block of repeats shares a random model. Delta intervals of CVaR do
not exist where the level is a value of the CDF: coverage is of the intervals given. A quantile is a point of the grid,
and its intervals end at points of the grid: where the grid is coarse against the sampling error they cover too often.
"""
_NEAR = (0.93, 0.97)
_POWERS = {"cdf": 0, "ks": 0, "variance": 2}  # of the range of returns, that a width is measured in; 1 for the others


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Coverage and width by design, discount, samples, functional and method."""
    rows = []
    for (design, g, samples, functional), part in frame.groupby(
        ["design", "discount", "samples", "functional"], sort=False
    ):
        row: dict[str, Any] = {"design": design, "discount": g, "N": samples, "functional": functional}
        for method in METHODS:
            given = pick(part, method=method, given=True)
            row[f"{method}: coverage"] = proportion(given["covered"]).text() if len(given) else "no interval"
            row[f"{method}: width"] = given["width"].mean()
        rows.append(row | {"repeats": len(part) // len(METHODS)})
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    said = []
    for method in METHODS[:2]:
        part = pick(frame[frame["samples"] >= 1000], method=method, given=True, design="Zhang")
        groups = part.groupby(["discount", "samples", "functional"])["covered"]
        if groups.ngroups == 0:
            continue
        means = groups.mean()
        inside = means.between(*_NEAR)
        smooth = means.index.get_level_values("functional") != "quantile"
        level = each_level(0.95, groups.ngroups)
        off = [
            f"{f} at g = {g:g}, N = {n:,} ({c.mean():.3f})"
            for (g, n, f), c in groups
            if proportion(c, level).high < _NEAR[0] or proportion(c, level).low > _NEAR[1]
        ]
        said.append(
            f"{method}, design of Zhang et al., N >= 1,000: coverage {means[~smooth].min():.3f} to "
            f"{means[~smooth].max():.3f} for quantiles, {means[smooth].min():.3f} to {means[smooth].max():.3f} for all "
            f"else; {inside[smooth].mean():.0%} of the {smooth.sum()} cells without quantiles in "
            f"{_NEAR[0]:.0%}-{_NEAR[1]:.0%}. Surely outside of it (jointly 95%): {', '.join(off) if off else 'none'}."
        )
    for design in DESIGNS:
        least = pick(frame, design=design, given=True)
        least = least[least["method"] != "finite-sample"].groupby(["method", "samples", "functional"])["covered"].mean()
        method, samples, functional = least.idxmin()
        said.append(f"Lowest coverage in design {design}: {least.min():.3f} ({method}, {functional}, N = {samples:,}).")
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
        f"(geometric means over repeats and functionals). Delta intervals of CVaR exist in {given:.0%} of the repeats."
    )
    return " ".join(said)


def checks(frame: pd.DataFrame) -> list[Check]:
    """Finite-sample intervals hold at every N; the others cannot be far off."""
    found = []
    for method in METHODS:
        covered = pick(frame, method=method, given=True)["covered"]
        share, n = float(covered.mean()), len(covered)
        if method == "finite-sample":
            least = stats.binom.ppf(0.001, n, LEVEL) / n  # 0.1% for the chance of the repeats themselves
            detail = f"{share:.4f} >= {least:.4f}, {n} intervals"
            found.append(Check("finite-sample intervals cover all states at once", bool(share >= least), detail))
        else:
            found.append(Check(f"{method} intervals cover mostly", share > 0.8, f"{share:.3f} > 0.8"))
    return found


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Coverage and width by functional, a figure a design."""
    return {f"coverage_{design.lower()}": _coverages(pick(frame, design=design)) for design in DESIGNS}


def _coverages(frame: pd.DataFrame) -> tuple[Any, str]:
    samples, discounts = sorted(frame["samples"].unique()), sorted(frame["discount"].unique())
    names = [name for name, _ in FUNCTIONALS]
    with panels(2, len(discounts), 2.0, sharex=True, sharey="row") as (figure, axes):
        for column, g in enumerate(discounts):
            for number, method in enumerate(METHODS):
                for k, count in enumerate(samples):
                    at = np.arange(len(names)) + (number - 1) * 0.28 + (k - (len(samples) - 1) / 2) * 0.08
                    kept = pick(frame, discount=g, method=method, samples=count, given=True)
                    parts = [pick(kept, functional=name) for name in names]
                    found = [proportion(part["covered"]) if len(part) else Interval(*[np.nan] * 3) for part in parts]
                    style = {**look(number), "linestyle": "none", "alpha": (k + 1) / len(samples), "markersize": 2.5}
                    label = method if k == len(samples) - 1 else None
                    bars(axes[0, column], at, found, label=label, elinewidth=0.6, **style)
                    units = [(1.0 - g) ** _POWERS.get(name, 1) for name in names]
                    widths = [part["width"].mean() * unit for part, unit in zip(parts, units, strict=True)]
                    axes[1, column].plot(at, widths, **style)
            axes[0, column].axhline(LEVEL, color="0.5", linewidth=0.8)
            axes[0, column].set_title(f"g = {g:g}")
            axes[1, column].set_yscale("log")
            axes[1, column].set_xticks(range(len(names)), labels=names, rotation=90)
        axes[0, 0].set_ylabel("coverage")
        axes[1, 0].set_ylabel("mean width, share of range")
        shared_legend(figure, axes[0, -1], 3)
    repeats = frame.groupby("samples").size() // (len(METHODS) * len(names) * len(discounts))
    caption = (
        f"Coverage and mean width of {LEVEL:.0%} intervals by functional and method, design "
        f"{frame['design'].iloc[0]}; left to right within a method, and darker, N = "
        f"{', '.join(f'{count:,} (n = {repeats[count]} repeats)' for count in samples)}. Bars: exact 95% binomial "
        f"intervals, each by itself; line: the nominal level. Widths in units of reward are times 1 - g, a share "
        f"of the range of returns; those of the CDF and of ks are "
        f"probabilities; that of the variance is in squared units of reward, times (1 - g)^2."
    )
    return figure, caption
