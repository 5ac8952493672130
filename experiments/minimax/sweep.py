"""The cells, and how one is solved."""

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import distrl
from distrl.td import Constant, Harmonic, VarianceReduced
from experiments.problems import problem, truth
from experiments.protocol import Arrays, Cell, columns

FAMILIES = ("high-random", "hard")
METHODS = ("DCFP", "plug-in", "CTD", "CTD, variance-reduced", "QTD")
#: Atoms by two conditions for a rounding error of e / 2, e a quarter of the minimax rate (1-g)^-1.5 N^-0.5.
ATOM_RULES = ("linear in 1/e", "quadratic in 1/e")
_QUANTILES = 64
_MOST_FOR_ATOMS = 3162  # samples: the quadratic rule takes 64 N (1 - g) atoms
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.7, 0.9), "samples": (100, 1000), "mrps": 2, "replications": 1, "fineness": 50},
    "default": {
        "discounts": (0.6, 0.8, 0.9, 0.95),
        "samples": (100, 316, 1000, 3162, 10_000, 31_623),
        "mrps": 8,
        "replications": 1,
        "fineness": 400,
    },
    "full": {
        "discounts": (0.6, 0.8, 0.9, 0.95, 0.98, 0.99),
        "samples": (100, 316, 1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000),
        "mrps": 50,
        "replications": 10,
        "fineness": 2000,
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each discount and MRP; the hard problem has no draw, its MRPs are sets of samples."""
    chosen = _SIZES[size]
    shared = {key: chosen[key] for key in ("samples", "replications", "fineness")}
    return [
        Cell(f"{name}-{discount:.2f}-{mrp:02d}", {"problem": name, "discount": discount, "mrp": mrp, **shared})
        for name in FAMILIES
        for discount in chosen["discounts"]
        for mrp in range(chosen["mrps"])
    ]


def atoms_for(discount: float, fineness: float) -> int:
    """A grid of spacing 1 / (fineness sqrt(1 - g)): its rounding is of order 1 / fineness at every discount."""
    return math.ceil(fineness / math.sqrt(1.0 - discount)) + 1


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """sup-W1 error of every method after N samples of every state."""
    arguments = cell.arguments
    name, g = str(arguments["problem"]), float(arguments["discount"])
    drawn, sampled = seed.spawn(2)
    model = problem(name, g, np.random.default_rng(drawn))
    exact, _ = truth(name, model)
    rows = []
    for replication, child in enumerate(sampled.spawn(arguments["replications"])):
        for method, samples, error, atoms, seconds in _errors(
            model, exact, arguments["samples"], arguments["fineness"], child
        ):
            rows.append(
                {
                    "problem": name,
                    "discount": g,
                    "mrp": arguments["mrp"],
                    "replication": replication,
                    "method": method,
                    "samples": samples,
                    "w1": error,
                    "atoms": atoms,
                    "seconds": seconds,
                }
            )
    return columns(rows)


def atoms_by(rule: str, discount: float, samples: int) -> int:
    """Atoms on [0, 1/(1-g)] for the accuracy e = (1-g)^-1.5 N^-0.5 / 4.

    linear: 1 + 1 / (e (1-g)^1.5 (1+g)^0.5), which bounds the rounding by e / 2 (claim fixed-point-w1).
    quadratic: 1 + 4 e^-2 (1-g)^-2, of the order e^-2 (1-g)^-2 that is published; the constant is only recalled.
    """
    g, accuracy = discount, 0.25 * (1.0 - discount) ** -1.5 / math.sqrt(samples)
    if rule == "linear in 1/e":
        return 1 + math.ceil(1.0 / (accuracy * (1.0 - g) ** 1.5 * (1.0 + g) ** 0.5))
    return 1 + math.ceil(4.0 / (accuracy * (1.0 - g)) ** 2)


def _errors(
    model: distrl.MRP, exact: distrl.Returns, samples: tuple[int, ...], fineness: float, seed: np.random.SeedSequence
) -> Iterator[tuple[str, int, float, int, float]]:
    """Method, samples, error, atoms, seconds. N samples of every state are N synchronous updates."""
    g = model.discount
    grid = distrl.Grid(0.0, 1.0 / (1.0 - g), atoms_for(g, fineness))
    source = distrl.GenerativeModel(model)
    for count, child in zip(samples, seed.spawn(len(samples)), strict=True):
        empirical = source.sample(count, np.random.default_rng(child))
        by_rule = {
            rule: distrl.Grid(grid.low, grid.high, atoms_by(rule, g, count))
            for rule in ATOM_RULES
            if count <= _MOST_FOR_ATOMS
        }
        for method, options in (
            ("DCFP", distrl.CategoricalFixedPoint(grid=grid, threads=1)),
            ("plug-in", distrl.ParticleDP(grid=grid)),
            *((rule, distrl.CategoricalFixedPoint(grid=chosen, threads=1)) for rule, chosen in by_rule.items()),
        ):
            started = time.perf_counter()
            solution = distrl.evaluate(empirical, options)
            seconds = time.perf_counter() - started
            error = float(distrl.wasserstein(solution.returns, exact).max())
            yield method, count, error, options.grid.atoms, seconds
        # epochs grow with N, or their averages would not
        quarter = VarianceReduced(epoch=max(count // 4, 2), gathering=max(count // 8, 1))
        run = distrl.learn(
            model, distrl.CategoricalTD(grid=grid, variant=quarter), step_size=Constant(0.5), updates=count, records=1,
            rng=child, threads=1,
        )  # fmt: skip
        yield "CTD, variance-reduced", count, float(run.errors(exact)[-1, 0]), grid.atoms, run.elapsed
    horizon = 1.0 / (1.0 - g)
    spread = 4.0 * float(np.asarray(exact.std()).max())
    for label, learner, scale, atoms in (
        ("CTD", distrl.CategoricalTD(grid=grid), 1.0, grid.atoms),
        ("QTD", distrl.QuantileTD(_QUANTILES), spread, _QUANTILES),
    ):
        run = distrl.learn(
            model, learner, step_size=Harmonic(2.0 * horizon * scale, 2.0 * horizon), updates=samples[-1],
            records=np.array(samples), rng=seed, threads=1,
        )  # fmt: skip
        for count, error in zip(samples, run.errors(exact)[:, 0].tolist(), strict=True):
            yield label, count, error, atoms, run.elapsed * count / samples[-1]
