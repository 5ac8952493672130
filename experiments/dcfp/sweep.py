"""The cells, and how one is solved."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import distrl
from experiments.problems import PROBLEMS, grid_of, problem, truth
from experiments.protocol import Arrays, Cell, columns

SWEEPS = (30, 100, 300, 1000, 3000)  # of categorical DP
FLAT = (0.0, 0.5, 1.0)
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.9,), "atoms": (30, 100), "samples": (100, 10_000), "mrps": 2, "replications": 1},
    "default": {
        "discounts": (0.8, 0.95, 0.99),
        "atoms": (30, 300, 1000),
        "samples": (100, 10_000, 1_000_000),
        "mrps": 8,
        "replications": 1,
    },
    "full": {
        "discounts": (0.8, 0.9, 0.95, 0.99),
        "atoms": (30, 100, 300, 1000),
        "samples": (100, 316, 1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000),
        "mrps": 30,
        "replications": 30,
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each MRP and discount: every method sees the same MRP and the same samples.

    A problem that is one MRP has as many sets of samples as a random one has MRPs, so that all have intervals.
    """
    chosen = _SIZES[size]
    shared = {key: chosen[key] for key in ("atoms", "samples")}
    found = []
    for name in PROBLEMS:
        mrps = chosen["mrps"] if "random" in name else 1
        replications = chosen["replications"] * chosen["mrps"] // mrps
        for discount in chosen["discounts"]:
            for mrp in range(mrps):
                which = {"problem": name, "discount": discount, "mrp": mrp, "replications": replications}
                found.append(Cell(f"{name}-{discount:.2f}-{mrp:02d}", {**which, **shared}))
    return found


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """sup-W1 error and seconds of every method, for every sample size, replication and number of atoms."""
    arguments = cell.arguments
    name, g = str(arguments["problem"]), float(arguments["discount"])
    drawn, sampled = seed.spawn(2)
    model = problem(name, g, np.random.default_rng(drawn))
    exact, exact_bound = truth(name, model)
    source = distrl.GenerativeModel(model)
    rows = []
    for replication, child in enumerate(sampled.spawn(arguments["replications"])):
        for samples, stream in zip(arguments["samples"], child.spawn(len(arguments["samples"])), strict=True):
            empirical = source.sample(samples, np.random.default_rng(stream))
            for atoms in arguments["atoms"]:
                for method, grid, options in _methods(model, atoms):
                    started = time.perf_counter()
                    solution = distrl.evaluate(empirical, options, throw=False)
                    seconds = time.perf_counter() - started
                    rows.append(
                        {
                            "problem": name,
                            "discount": g,
                            "mrp": arguments["mrp"],
                            "replication": replication,
                            "samples": samples,
                            "atoms": atoms,
                            "method": method,
                            "grid": grid,
                            "w1": distrl.wasserstein(solution.returns, exact).max(),
                            "truth_bound": exact_bound,
                            "seconds": seconds,
                        }
                    )
    return columns(rows)


def _methods(model: distrl.MRP, atoms: int) -> Iterator[tuple[str, str, Any]]:
    """Name, grid and options of each method; the grids are known, not estimated."""
    for kind in ("global", "tight"):
        grid = grid_of(model, atoms, kind)
        yield "DCFP", kind, distrl.CategoricalFixedPoint(grid=grid, threads=1)
        for sweeps in SWEEPS:
            yield f"CDP-{sweeps}", kind, distrl.CategoricalDP(grid=grid, sweeps=sweeps)
        yield "plug-in", kind, distrl.ParticleDP(grid=grid)
    for flat in FLAT:
        yield f"QDP-{flat:g}", "none", distrl.QuantileDP(atoms, flat=flat, threads=1)
