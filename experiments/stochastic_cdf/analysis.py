"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd

import distrl
from distrl.plotting import plot_map
from experiments.protocol import Check
from experiments.statistics import Interval, slope
from experiments.stochastic_cdf.family import FAMILIES, ROOM, model_of
from experiments.stochastic_cdf.sweep import FAMILY_ATOMS
from experiments.study import bounded, pick
from experiments.style import curve, look, panels, shaded, shared_legend

TITLE = "The random CDF equation and the variance corollary"
INTRODUCTION = (
    """
Phi(x) is the categorical image of one infinite trajectory from x, a random CDF on the grid [0, 1/(1-g)] with m atoms;
its mean is the categorical fixed point F*. Local variation sigma(x): what one transition adds to it; global variation
Sigma(x) = E ||Phi(x) - F*(x)||^2 (integrated over the grid, units of reward). The corollary (claim variance-corollary):
Sigma <= (I - g P)^{-1} sigma <= int F* (1 - F*) <= 1/(4 (1-g)). Sums of squares are exact, by linear equations; draws
check them. For the ratio of accumulated variation
to int F*(1 - F*) two families of many small MRPs are searched, with """
    + "; ".join(f"{name}: {text}" for name, text in FAMILIES.items())
    + f""", {FAMILY_ATOMS} atoms; the tightest one of each discount is in table.csv (column instance).
"""
)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Both sides of the corollary at the worst state, at the most atoms."""
    rows = []
    known = _named(frame)
    for (name, g), part in pick(known, atoms=int(known["atoms"].max())).groupby(["problem", "discount"]):
        worst = part.groupby("mrp")[["local", "global", "accumulated", "bound", "limit"]].max().mean()
        rows.append(
            {
                "problem": name,
                "discount": g,
                "MRPs": part["mrp"].nunique(),
                "sup local": worst["local"],
                "sup global": worst["global"],
                "sup accumulated": worst["accumulated"],
                "sup int F(1-F)": worst["bound"],
                "1/(4(1-g))": worst["limit"],
                "sup local / (1-g)": worst["local"] / (1.0 - g),
            }
        )
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    table = _worst(_named(frame))
    most = table[table["atoms"] == table["atoms"].max()]
    gap = 1.0 - most["accumulated"] / most["bound"]
    lost = 1.0 - most["global"] / most["accumulated"]
    naive = most["local"] / (1.0 - most["discount"]) / most["accumulated"]
    rate = _gap_rate(frame)
    many = frame[frame["problem"].isin(list(FAMILIES))]
    ratio = many["accumulated"] / many["bound"].where(many["bound"] > 1e-9)
    by_family = "; ".join(
        f"{name}: median {part.median():.3f}, largest {part.max():.6f}, over {part.count()} MRPs"
        for name, part in ratio.groupby(many["problem"], sort=False)
    )
    tightest = many.loc[ratio.idxmax()]
    return (
        f"At the most atoms, adding up local variations along trajectories uses {1.0 - gap.median():.1%} of the "
        f"corollary's right side int F*(1 - F*) (median over {len(most)} problems and MRPs), and the global variation "
        f"is {lost.median():.1%} below the sum. The gap of the right inequality shrinks with the number of atoms like "
        f"m^{rate.estimate:.2f} [{rate.low:.2f}, {rate.high:.2f}] (dense random MRPs): it is what projection takes "
        f"away. Bounding every local variation by the largest one instead, as sup sigma / (1 - g), is "
        f"{naive.median():.2g} times larger than the sum (at most {naive.max():.2g} times). The largest global "
        f"variation is {(most['global'] / most['limit']).max():.1%} of the limit 1/(4(1-g)), in "
        f"{most.loc[(most['global'] / most['limit']).idxmax(), 'problem']}. The ratio accumulated / int F*(1 - F*) in "
        f"the families: {by_family}. The tightest: discount {tightest['discount']:g}, {tightest['instance']}."
    )


def checks(frame: pd.DataFrame) -> list[Check]:
    """The corollary, and draws against the exact variation."""
    # empirical Bernstein bound (Maurer and Pontil 2009), the squares are in [0, 1/(1-g)]; 0.1% over all rows
    drawn = _named(frame)
    weight, n = np.log(2.0 * len(drawn) / 0.001), drawn["draws"]
    width = 1.0 / (1.0 - drawn["discount"])
    reach = drawn["drawn_sd"] * np.sqrt(2.0 * weight / n) + 7.0 * width * weight / (3.0 * (n - 1.0))
    return [
        bounded("global variation <= accumulated local variation", frame["global"], frame["accumulated"], 1e-9),
        bounded("accumulated local variation <= int F*(1 - F*)", frame["accumulated"], frame["bound"], 1e-9),
        bounded("int F*(1 - F*) <= 1/(4(1-g))", frame["bound"], frame["limit"], 1e-9),
        bounded("draws agree with the exact variation", (drawn["drawn"] - drawn["global"]).abs(), reach),
    ]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Draws, maps, and the gap against atoms."""
    return {"draws": _draws(), "maps": _maps(_named(frame)), "gap": _gap(_named(frame))}


def _draws() -> tuple[Any, str]:
    g, atoms, count = 0.9, 101, 5
    model = model_of("two-state", g, None)
    phi = distrl.operators.StochasticCDFBellman(model, distrl.Grid(0.0, 1.0 / (1.0 - g), atoms))
    drawn = phi.sample(count, rng=1)
    with panels(1, 2, 2.0, sharey=True) as (figure, axes):
        for state, ax in enumerate(axes[0]):
            for k in range(count):
                style = {**look(k), "marker": ""}
                ax.plot(phi.grid.points, drawn[k, state], label=f"draw {k + 1}", **style)
            ax.plot(phi.grid.points, phi.mean()[state], color="0.6", linewidth=3.0, zorder=0, label="mean $F^*$")
            ax.set_title(f"state {state}")
            ax.set_xlabel("return z (units of reward)")
        axes[0, 0].set_ylabel("CDF")
        shared_legend(figure, axes[0, 0], 6)
    return figure, (
        f"n = {count} independent draws of the random CDF Phi, and its mean, the categorical fixed point: two states "
        f"with rewards 1 and 0, g = {g:g}, m = {atoms} atoms."
    )


def _maps(frame: pd.DataFrame) -> tuple[Any, str]:
    part = pick(frame, problem="room", discount=float(frame["discount"].max()), atoms=int(frame["atoms"].max()))
    with panels(1, 3, 2.2) as (figure, axes):
        for ax, key, title in zip(
            axes[0], ("local", "global", "bound"), ("local", "global", "$\\int F^*(1-F^*)$"), strict=True
        ):
            values = part.sort_values("state")[key].to_numpy()
            mask = part.sort_values("state")["terminal"].to_numpy()
            plot_map(ROOM, values, ax=ax, title=title, label="", mask=mask, annotate=False)
    return figure, (
        f"Variation of the random CDF on a room of 6 x 6 cells walked uniformly, goal at the bottom right (reward 1), "
        f"g = {part['discount'].iloc[0]:g}, m = {part['atoms'].iloc[0]} atoms, units of reward: of one step, of the "
        f"whole trajectory, and the corollary's bound. n = 1 MRP, no sampling."
    )


def _gap(frame: pd.DataFrame) -> tuple[Any, str]:
    table = _worst(frame)
    names = list(dict.fromkeys(frame["problem"]))
    g = float(frame["discount"].max())
    with panels(1, 2, 2.2) as (figure, axes):
        for number, name in enumerate(names):
            part = pick(table, problem=name, discount=g)
            for ax, top, bottom in zip(axes[0], ("accumulated", "global"), ("bound", "accumulated"), strict=True):
                gap = part.assign(gap=np.maximum(1.0 - part[top] / part[bottom], 1e-12))
                curve(ax, gap.pivot_table(index="mrp", columns="atoms", values="gap"), number, name)
        axes[0, 0].set_ylabel("1 - accumulated / bound")
        axes[0, 1].set_ylabel("1 - global / accumulated")
        for ax in axes[0]:
            ax.set_xscale("log")
            ax.set_xlabel("atoms m")
        axes[0, 0].set_yscale("log")
        shared_legend(figure, axes[0, 0], 6)
    return figure, (
        f"How much each inequality of the corollary gives away, at the state of the largest bound, g = {g:g}. "
        + shaded(f"n = {table['mrp'].nunique()} MRPs (random families; others n = 1)")
        + "."
    )


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the families of many MRPs."""
    return frame[~frame["problem"].isin(list(FAMILIES))]


def _worst(frame: pd.DataFrame) -> pd.DataFrame:
    """The state of the largest bound, for each cell and number of atoms."""
    return frame.loc[frame.groupby(["cell", "atoms"])["bound"].idxmax()]


def _gap_rate(frame: pd.DataFrame) -> Interval:
    part = pick(_worst(frame), problem="high-random")
    table = part.assign(gap=1.0 - part["accumulated"] / part["bound"]).pivot_table(
        index=["discount", "mrp"], columns="atoms", values="gap"
    )
    return slope(list(table), np.maximum(table.to_numpy(), 1e-15))
