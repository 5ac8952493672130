"""Table, findings, checks and figures."""

from typing import Any

import numpy as np
import pandas as pd

from experiments.protocol import Check
from experiments.study import bounded, pick
from experiments.style import logarithmic, look, panels, shared_legend

TITLE = "Which evaluator to pick: quality against time"
INTRODUCTION = """
Every method evaluates every environment on its default grid, [0, 1/(1-g)] or less, with one thread; times are the
least of several, after a first one that is not counted. The error is the worst state's W1 distance to the true return
law (closed form, or certified: column truth_bound), the certificate is what the method itself guarantees (for Monte
Carlo with confidence 95% a state). Both are shown as a share of 1/(1-g), the range of returns. There is one MRP an
environment: the numbers describe these problems, they are no sample of a family, and have no intervals.
"""
#: Shares of the range of returns that a user may ask for.
TARGETS = (1e-2, 1e-3)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """How small the certificate and the error get, by environment and method."""
    rows = []
    for (name, g, method), part in _shared(frame).groupby(["environment", "discount", "method"]):
        rows.append(
            {
                "environment": name,
                "discount": g,
                "method": method,
                "best error": part["error"].min(),
                "its certificate": part.loc[part["error"].idxmin(), "promise"],
                **{f"setting for error {target:g}": _least(part, "error", target, "setting") for target in TARGETS},
            }
        )
    return pd.DataFrame(rows)


def findings(frame: pd.DataFrame) -> str:
    """A paragraph written from the numbers."""
    shared = _shared(frame)
    said = []
    for key, what in (("error", "a true error"), ("promise", "a certificate")):
        for target in TARGETS:
            reached = shared[shared[key] <= target]
            if reached.empty:
                said.append(f"No method reaches {what} of {target:g} of the range in the settings tried.")
                continue
            first = reached.loc[reached.groupby(["environment", "discount"])["seconds"].idxmin()]
            wins = first["method"].value_counts()
            total = shared.groupby(["environment", "discount"]).ngroups
            listed = ", ".join(f"{method} {count}" for method, count in wins.items())
            said.append(
                f"The first to {what} of {target:g} of the range: {listed} (of {total} problems; "
                f"{total - len(first)} not reached by any)."
            )
    sweeps = shared.pivot_table(index=["environment", "discount", "setting"], columns="method", values="seconds")
    faster = sweeps["plain sweeps"] / sweeps["fixed point"]
    for g, part in faster.groupby("discount"):
        said.append(
            f"At discount {g:g} the fixed point is reached {part.median():.2g} times faster (median) by the rule of "
            f"`CategoricalFixedPoint` than by plain sweeps."
        )
    return " ".join(said)


def checks(frame: pd.DataFrame) -> list[Check]:
    """Certificates that are sure hold."""
    sure = frame[frame["sure"]]
    return [bounded("true error <= certificate", sure["w1"] - sure["truth_bound"], sure["certificate"])]


def figures(frame: pd.DataFrame) -> dict[str, tuple[Any, str]]:
    """Error and certificate against time."""
    shared = _shared(frame)
    names, g = list(dict.fromkeys(frame["environment"])), float(frame["discount"].max())
    methods = list(dict.fromkeys(frame["method"]))
    found = {}
    for key, what in (("error", "True error"), ("promise", "Certificate")):
        with panels(2, 4, 1.9) as (figure, axes):
            for ax, name in zip(axes.ravel(), names, strict=False):
                for number, method in enumerate(methods):
                    part = pick(shared, environment=name, discount=g, method=method).sort_values("setting")
                    ax.plot(part["seconds"], np.maximum(part[key], 1e-9), label=method, **look(number))
                logarithmic(ax)
                ax.set_title(f"{name}, g = {g:g}")
                ax.set_xlabel("seconds")
            for ax in axes[:, 0]:
                ax.set_ylabel(f"{what.lower()} / range")
            for ax in axes.ravel()[len(names) :]:
                ax.set_visible(False)
            shared_legend(figure, axes[0, 0], 4)
        caption = (
            f"{what}, worst state, as a share of the range of returns, against time; along a curve atoms (or episodes) "
            f"grow. Discount {g:g}, one thread, least of several times, n = 1 MRP a panel; no intervals."
        )
        found[key] = (figure, caption)
    return found


def _shared(frame: pd.DataFrame) -> pd.DataFrame:
    reach = 1.0 / (1.0 - frame["discount"])
    return frame.assign(error=frame["w1"] / reach, promise=frame["certificate"] / reach)


def _least(part: pd.DataFrame, key: str, target: float, column: str) -> str:
    reached = part[part[key] <= target]
    return f"{reached[column].min():g}" if len(reached) else "none tried"
