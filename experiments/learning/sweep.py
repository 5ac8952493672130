"""The cells, and how one is solved."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import distrl
from distrl.td import Constant, Harmonic, Polynomial
from experiments.problems import problem
from experiments.protocol import Arrays, Cell, columns

PROBLEMS = ("high-random", "low-random", "two-state", "hard")
SAMPLINGS = ("synchronous", "generative")
ATOMS, QUANTILES = 51, 32
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.8,), "updates": 1000, "records": 4, "replications": 5},
    "default": {"discounts": (0.8, 0.9), "updates": 10_000, "records": 8, "replications": 20},
    "full": {"discounts": (0.8, 0.9, 0.99), "updates": 1_000_000, "records": 13, "replications": 100},
}


def cells(size: str) -> list[Cell]:
    """A cell for each problem, discount and way of sampling: all steps see the same transitions."""
    chosen = dict(_SIZES[size])
    discounts = chosen.pop("discounts")
    return [
        Cell(
            f"{name}-{discount:.2f}-{sampling}",
            {"problem": name, "discount": discount, "sampling": sampling, **chosen},
        )
        for name in PROBLEMS
        for discount in discounts
        for sampling in SAMPLINGS
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """sup-W1 error of every replication at renewals spaced evenly in logarithms, to the method's own fixed point."""
    arguments = cell.arguments
    name, g = str(arguments["problem"]), float(arguments["discount"])
    sampled = seed.spawn(2)[1]
    # the same MRP for every way of sampling: its seed does not depend on the cell's name
    model = problem(name, g, np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(0,))))
    # a generative update renews one state, a synchronous one all of them
    each = 1 if arguments["sampling"] == "synchronous" else model.n_states
    renewals = np.unique(np.geomspace(30, arguments["updates"], arguments["records"]).astype(int))
    rows = []
    for label, family, method, step, fixed in _learners(model):
        run = distrl.learn(
            model, method, step_size=step, updates=int(renewals[-1]) * each, records=renewals * each,
            replications=arguments["replications"], sampling=arguments["sampling"], rng=sampled, threads=1,
        )  # fmt: skip
        errors = run.errors(fixed)
        rows += [
            {
                "problem": name,
                "discount": g,
                "sampling": arguments["sampling"],
                "method": label,
                "steps": family,
                "renewals": count,
                "replication": replication,
                "w1": errors[t, replication],
            }
            for t, count in enumerate(renewals.tolist())
            for replication in range(run.replications)
        ]
    return columns(rows)


def _learners(model: distrl.MRP) -> Iterator[tuple[str, str, Any, Any, Any]]:
    """Method, family of steps, and the fixed point that is learnt; quantile steps are in units of reward."""
    grid = distrl.Grid(0.0, 1.0 / (1.0 - model.discount), ATOMS)
    horizon = 1.0 / (1.0 - model.discount)
    categorical = distrl.evaluate(model, distrl.CategoricalFixedPoint(grid=grid, threads=1)).returns
    quantile = distrl.evaluate(model, distrl.QuantileDP(QUANTILES, flat=0.5, threads=1))
    spread = 4.0 * float(quantile.returns.std().max())
    for family, step, average in (
        ("constant", Constant(0.05), None),
        ("harmonic", Harmonic(2.0 * horizon, 2.0 * horizon), None),
        ("polynomial", Polynomial(1.0, 0.7), None),
        ("polynomial, averaged", Polynomial(1.0, 0.7), 30),
    ):
        yield "CTD", family, distrl.CategoricalTD(grid=grid, average_from=average), step, categorical
        scaled = _scaled(step, spread)
        yield "QTD", family, distrl.QuantileTD(QUANTILES, average_from=average), scaled, quantile.returns


def _scaled(step: Any, factor: float) -> Any:
    if isinstance(step, Constant):
        return Constant(step.size * factor)
    if isinstance(step, Harmonic):
        return Harmonic(step.scale * factor, step.offset)
    return Polynomial(step.scale * factor, step.exponent, step.offset)
