"""The cells, and how one is solved."""

import time
from typing import Any

import numpy as np

import distrl
from distrl import theory
from distrl.returns.grid import return_ranges
from experiments.control.family import WORDS, decisions
from experiments.control.rounding import rounded
from experiments.protocol import Arrays, Cell, columns

LEVEL = 0.1
METHODS = ("piecewise linear", "rounding")
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"environments": ("Garnet", "FrozenLake"), "discounts": (0.9,), "cells": (32, 128)},
    "default": {"environments": tuple(WORDS), "discounts": (0.9, 0.97), "cells": (32, 64, 128, 256, 512)},
    "full": {
        "environments": tuple(WORDS),
        "discounts": (0.9, 0.97, 0.99),
        "cells": (32, 64, 128, 256, 512, 1024, 2048, 4096),
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each environment and discount."""
    chosen = _SIZES[size]
    return [
        Cell(f"{name}-{discount:.2f}", {"environment": name, "discount": discount, "cells": chosen["cells"]})
        for name in chosen["environments"]
        for discount in chosen["discounts"]
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """The largest gap of all states, as a share of the range of returns, by both methods; nothing is random."""
    arguments = cell.arguments
    name, g = str(arguments["environment"]), float(arguments["discount"])
    mdp = decisions(name, g)
    ends = return_ranges(mdp.under("uniform"))
    width = float(ends[1].max() - ends[0].min())
    distrl.optimize(mdp, distrl.CVaR(LEVEL), distrl.TargetDP(cells=8), tol=width, throw=False)  # compiles
    rows = []
    for count in arguments["cells"]:
        started = time.process_time()
        other = rounded(mdp, LEVEL, count)
        rounding_seconds = time.process_time() - started
        seconds = np.inf
        for _ in range(3):  # hundredths of a second: the least of three
            started = time.process_time()
            ctl = distrl.optimize(mdp, distrl.CVaR(LEVEL), distrl.TargetDP(cells=count), tol=1e-9 * width, throw=False)
            seconds = min(seconds, time.process_time() - started)
        apart = max(float((ctl.lower - other.upper).max()), float((other.lower - ctl.upper).max()))
        promised = theory.rounded_target_gap(other.spacing, g) / LEVEL + other.spacing
        for method, lower, upper, sweeps, spent, bound in (
            (METHODS[0], ctl.lower, ctl.upper, ctl.iterations, seconds, np.nan),
            (METHODS[1], other.lower, other.upper, other.sweeps, rounding_seconds, promised / width),
        ):
            rows.append(
                {
                    "environment": name,
                    "discount": g,
                    "method": method,
                    "cells": count,
                    "gap": float((upper - lower).max()) / width,
                    "promised": bound,  # of rounding, beforehand
                    "apart": apart / width,  # above 0 the two would contradict each other
                    "sweeps": sweeps,
                    "seconds": spent,
                }
            )
    return columns(rows)
