"""The cells, and how one is solved."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import distrl
from experiments.anytime.family import ENVIRONMENTS, environment
from experiments.problems import truth
from experiments.protocol import Arrays, Cell, columns

_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.9,), "atoms": (30,), "sweeps": (30,), "episodes": (100,), "repeats": 1, "most": 2000},
    "default": {
        "discounts": (0.9, 0.99),
        "atoms": (30, 100, 300, 1000),
        "sweeps": (30, 300),
        "episodes": (100, 1000),
        "repeats": 1,
        "most": 40_000,
    },
    "full": {
        "discounts": (0.9, 0.99, 0.999),
        "atoms": (30, 100, 300, 1000, 3000),
        "sweeps": (30, 300, 3000),
        "episodes": (100, 1000, 10_000, 100_000),
        "repeats": 5,
        "most": 40_000,
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each environment and discount, so that all methods are timed on one machine side by side."""
    chosen = dict(_SIZES[size])
    discounts = chosen.pop("discounts")
    return [
        Cell(f"{name}-{discount:.3f}", {"environment": name, "discount": discount, **chosen})
        for name in ENVIRONMENTS
        for discount in discounts
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """Worst state's error, certificate, and the least of some times, for every method and setting."""
    arguments = cell.arguments
    name, g = str(arguments["environment"]), float(arguments["discount"])
    drawn, sampled = seed.spawn(2)
    model = environment(name, g, np.random.default_rng(drawn))
    most = arguments["most"] if model.n_states <= 10 else min(arguments["most"], 10_000)
    exact, exact_bound = truth(name, model, most=most)
    rows = []
    for method, setting, options in _methods(arguments):
        seconds = []
        for _ in range(1 + arguments["repeats"]):  # the first one compiles and is not counted
            started = time.perf_counter()
            solution = distrl.evaluate(model, options, rng=np.random.default_rng(sampled), throw=False)
            seconds.append(time.perf_counter() - started)
        assert solution.certificate is not None
        rows.append(
            {
                "environment": name,
                "discount": g,
                "states": model.n_states,
                "method": method,
                "setting": setting,
                "w1": distrl.wasserstein(solution.returns, exact).max(),
                "certificate": solution.certificate.w1.max(),
                "sure": solution.certificate.confidence is None,
                "truth_bound": exact_bound,
                "seconds": min(seconds[1:]),
            }
        )
    return columns(rows)


def _methods(arguments: Any) -> Iterator[tuple[str, int, Any]]:
    """Name, atoms or episodes, and options."""
    for atoms in arguments["atoms"]:
        yield "fixed point", atoms, distrl.CategoricalFixedPoint(atoms, threads=1)
        yield "plain sweeps", atoms, distrl.CategoricalFixedPoint(atoms, solver="iterate", threads=1)
        for sweeps in arguments["sweeps"]:
            yield f"DP, {sweeps} sweeps", atoms, distrl.CategoricalDP(atoms, sweeps)
        yield "quantile DP", atoms, distrl.QuantileDP(atoms, flat=0.5, threads=1)
        yield "particles", atoms, distrl.ParticleDP(atoms)
    for episodes in arguments["episodes"]:
        yield "Monte Carlo", episodes, distrl.MonteCarlo(episodes)
