"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.minimax.sweep import ATOM_RULES, FAMILIES, METHODS
from experiments.protocol import Check
from experiments.statistics import Interval, ratio, slope
from experiments.study import pick
from experiments.style import curve, logarithmic, panels, shaded, shared_legend

TITLE = "Rates in samples, horizon and accuracy"
INTRODUCTION = """
N samples of every state (N synchronous updates): the categorical fixed point (DCFP) and the nonparametric plug-in on
the empirical model, categorical TD, variance-reduced categorical TD (four epochs, half of each gathers) and quantile TD
(64 quantiles), with harmonic steps 2h/(2h + k), h = 1/(1-g). Grids on [0, 1/(1-g)] of spacing 1/(f sqrt(1-g)), f the
fineness in the manifest. The error is the worst state's W1 distance to the true law. The minimax error is
(1-g)^-1.5 N^-0.5 up to logarithms: slopes -0.5 in N and 1.5 in the horizon 1/(1-g), so N grows like
epsilon^-2 (1-g)^-3. Random MRPs do not show the worst exponent in the horizon; the hard family (near-absorbing states,
ending with probability (1-g)/(3g)) is made to. DCFP is also run with as many atoms as two conditions ask for when
rounding may add e/2, e a quarter of that rate: 1 + 1/(e (1-g)^1.5 (1+g)^0.5), by the bound spacing / (2 sqrt(1-g^2)) of
docs/certificate.md, and 1 + 4 e^-2 (1-g)^-2, of the published order (its constant is recalled, not read). Slopes are
those of geometric means: a least-squares slope of log error for each MRP (random) or set of samples (hard), after
averaging over replications; intervals: 95% t intervals of their mean, each by itself.
"""


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Slopes by family and method."""
    rows = []
    for name in FAMILIES:
        for method in METHODS:
            part = pick(frame, problem=name, method=method)
            rows.append(
                {
                    "family": name,
                    "method": method,
                    "n": part["mrp"].nunique(),
                    "slope in N, largest discount": _in_samples(part).text(2),
                    "slope in 1/(1-g), most samples": _in_horizon(part).text(2),
                    "slope of N in 1/epsilon": _in_accuracy(part),
                }
            )
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    said = []
    for name in FAMILIES:
        parts = {method: pick(frame, problem=name, method=method) for method in METHODS}
        horizon = {method: _in_horizon(part) for method, part in parts.items()}
        samples = {method: _in_samples(part) for method, part in parts.items()}
        last = pick(frame, problem=name, samples=int(frame["samples"].max()), discount=float(frame["discount"].max()))
        order = pick(last, method=list(METHODS)).groupby("method")["w1"].mean().sort_values()
        near = [m for m, found in horizon.items() if not found.excludes(1.5)]
        said.append(
            f"{name}: DCFP's error grows like (1/(1-g))^{horizon['DCFP'].text(2)} and falls like "
            f"N^{samples['DCFP'].text(2)}. The interval of the horizon's exponent holds 1.5 for "
            f"{', '.join(near) or 'no method'}. Order at the largest discount with the most samples: "
            + " < ".join(f"{method} ({value:.3g})" for method, value in order.items())
            + "."
        )
    gap = _in_horizon(pick(frame, problem="hard", method="DCFP")).estimate
    gap -= _in_horizon(pick(frame, problem="high-random", method="DCFP")).estimate
    said.append(
        f"The hard family's exponent exceeds that of the dense random MRPs by {gap:.2f}: a slope in the horizon says "
        f"little without its family."
    )
    said.append(_atoms(frame))
    return " ".join(said)


def _atoms(frame: pd.DataFrame) -> str:
    """What fewer atoms cost in accuracy, and save in time."""
    keys = ["problem", "discount", "mrp", "replication", "samples"]
    few, many = (pick(frame, method=rule).set_index(keys) for rule in ATOM_RULES)
    most = int(few.index.get_level_values("samples").max())
    error = ratio(few["w1"], many["w1"])
    last = few.xs(most, level="samples"), many.xs(most, level="samples")
    atoms, seconds = ((last[1][key] / last[0][key]).median() for key in ("atoms", "seconds"))
    return (
        f"Atoms linear in 1/e instead of quadratic: DCFP's error is {error.text()} times as large (geometric mean over "
        f"{len(few)} problems and sample sizes, paired); at N = {most:,} it takes {1.0 / atoms:.2g} of the atoms and "
        f"{1.0 / seconds:.2g} of the time (medians)."
    )


def checks(frame: pd.DataFrame) -> list[Check]:
    """More samples help the plug-in estimators on average."""
    few, many = int(frame["samples"].min()), int(frame["samples"].max())
    part = pick(frame, method=["DCFP", "plug-in"])
    table = part.pivot_table(index=["problem", "discount", "method"], columns="samples", values="w1")
    ratio = table[many] / table[few]
    return [
        Check(
            "mean error falls from fewest to most samples", bool((ratio < 1).all()), f"largest ratio {ratio.max():.3g}"
        ),
        Check("errors are finite", bool(np.isfinite(frame["w1"]).all()), f"{len(frame)} rows"),
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Error against samples, and against the horizon."""
    g, most = float(frame["discount"].max()), int(frame["samples"].max())
    with panels(2, len(FAMILIES), 2.1) as (figure, axes):
        for column, name in enumerate(FAMILIES):
            for number, method in enumerate(METHODS):
                part = pick(frame, problem=name, method=method)
                by_samples = pick(part, discount=g).pivot_table(index="mrp", columns="samples", values="w1")
                curve(axes[0, column], by_samples, number, method)
                by_horizon = _horizons(pick(part, samples=most))
                curve(axes[1, column], by_horizon, number, method)
            x = np.array(sorted(frame["samples"].unique()), float)
            anchor = pick(frame, problem=name, method="DCFP", discount=g, samples=int(x[0]))["w1"].mean()
            axes[0, column].plot(
                x, anchor * (x / x[0]) ** -0.5, color="0.6", linewidth=2.5, zorder=0, label="slope of the rate"
            )
            h = np.array(list(by_horizon), float)
            anchor = pick(frame, problem=name, method="DCFP", samples=most, discount=float(frame["discount"].min()))[
                "w1"
            ].mean()
            axes[1, column].plot(h, anchor * (h / h[0]) ** 1.5, color="0.6", linewidth=2.5, zorder=0)
            axes[0, column].set_title(f"{name}, g = {g:g}")
            axes[1, column].set_title(f"{name}, N = {most:,}")
            axes[0, column].set_xlabel("samples a state, N")
            axes[1, column].set_xlabel("horizon 1/(1-g)")
        for ax in axes.ravel():
            logarithmic(ax)
        for ax in axes[:, 0]:
            ax.set_ylabel("sup-$W_1$ error")
        shared_legend(figure, axes[0, 0], 6)
    caption = (
        "Error, worst state, units of reward: above against samples, below against the horizon. "
        + shaded(f"n = {frame['mrp'].nunique()} MRPs (random) or sets of samples (hard)")
        + "; grey: the minimax slopes, -1/2 and 3/2, through DCFP's first point."
    )
    return {"rates": (figure, caption)}


def _horizons(part: pd.DataFrame) -> pd.DataFrame:
    """(MRPs, horizons) of errors; MRPs of different discounts are independent, row k pairs them by number alone."""
    return part.assign(horizon=1.0 / (1.0 - part["discount"])).pivot_table(index="mrp", columns="horizon", values="w1")


def _in_samples(part: pd.DataFrame) -> Interval:
    table = pick(part, discount=float(part["discount"].max())).pivot_table(index="mrp", columns="samples", values="w1")
    return slope(list(table), table.to_numpy())


def _in_horizon(part: pd.DataFrame) -> Interval:
    table = _horizons(pick(part, samples=int(part["samples"].max())))
    return slope(list(table), table.to_numpy())


def _in_accuracy(part: pd.DataFrame) -> float:
    """Samples that an accuracy takes, N ~ epsilon^-slope: the inverse of the slope in N."""
    return -1.0 / _in_samples(part).estimate
