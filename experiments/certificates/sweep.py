"""The cells, and how one is solved."""

from typing import Any

import numpy as np

import distrl
from distrl.theory import fixed_point_w1, quantile_w1
from experiments.problems import PROBLEMS, grid_of, problem, truth
from experiments.protocol import Arrays, Cell, columns

LEVEL = 0.1  # of CVaR
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.8, 0.95), "atoms": (11, 51, 201), "mrps": 1},
    "default": {"discounts": (0.8, 0.9, 0.95, 0.99), "atoms": (11, 31, 101, 301, 1001), "mrps": 8},
    "full": {"discounts": (0.8, 0.9, 0.95, 0.99, 0.999), "atoms": (11, 31, 101, 301, 1001, 3001), "mrps": 50},
}


def cells(size: str) -> list[Cell]:
    """A cell for each MRP and discount: all numbers of atoms, so that they are compared on the same MRP."""
    chosen = _SIZES[size]
    return [
        Cell(
            f"{name}-{discount:.3f}-{mrp:02d}",
            {"problem": name, "discount": discount, "mrp": mrp, "atoms": chosen["atoms"]},
        )
        for name in PROBLEMS
        for discount in chosen["discounts"]
        for mrp in range(chosen["mrps"] if "random" in name else 1)
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """True errors and bounds of categorical, quantile and bracketing solutions, each the worst state's."""
    arguments = cell.arguments
    name, g = str(arguments["problem"]), float(arguments["discount"])
    model = problem(name, g, np.random.default_rng(seed))
    exact, exact_bound = truth(name, model)
    cvar = exact.cvar(LEVEL)
    rows = []
    for atoms in arguments["atoms"]:
        grid = grid_of(model, atoms, "global")
        categorical = distrl.evaluate(model, distrl.CategoricalFixedPoint(grid=grid, threads=1))
        quantile = distrl.evaluate(model, distrl.QuantileDP(atoms, flat=0.5, threads=1))
        brackets = distrl.evaluate(model, distrl.Brackets(grid=grid))
        low, high = brackets.returns.interval("cvar", LEVEL).T  # type: ignore[attr-defined]
        assert categorical.certificate is not None and quantile.certificate is not None
        error = distrl.wasserstein(categorical.returns, exact)
        worst = int(np.argmax(error))
        rows.append(
            {
                "problem": name,
                "discount": g,
                "mrp": arguments["mrp"],
                "atoms": atoms,
                "true_w1": error[worst],
                "truth_bound": exact_bound,
                "certificate": categorical.certificate.w1.max(),
                # of the state with the largest error: what a user who looks at it is told
                "certificate_there": categorical.certificate.w1[worst],
                "a_priori": fixed_point_w1(grid.spacing, g),
                "range_bound": grid.spacing / (2.0 * (1.0 - g)),
                "quantile_true_w1": distrl.wasserstein(quantile.returns, exact).max(),
                "quantile_certificate": quantile.certificate.w1.max(),
                "quantile_a_priori": quantile_w1(1.0 / (1.0 - g), atoms, g),
                "cvar_width": (high - low).max(),
                # CVaR moves by at most W1 / level
                "cvar_outside": max((low - cvar).max(), (cvar - high).max(), 0.0),
                "cvar_certificate": 2.0 * categorical.certificate.w1.max() / LEVEL,
            }
        )
    return columns(rows)
