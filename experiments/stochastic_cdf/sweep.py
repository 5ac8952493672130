"""The cells, and how one is solved."""

import json
from typing import Any

import numpy as np

import distrl
from experiments.problems import PROBLEMS
from experiments.protocol import Arrays, Cell, columns
from experiments.stochastic_cdf.family import FAMILIES, member_of, model_of

FAMILY_ATOMS = 31
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.9,), "atoms": (11, 31), "mrps": 1, "draws": 200, "instances": 10},
    "default": {
        "discounts": (0.8, 0.9, 0.95),
        "atoms": (11, 31, 101, 201),
        "mrps": 8,
        "draws": 1000,
        "instances": 200,
    },
    "full": {
        "discounts": (0.8, 0.9, 0.95, 0.99),
        "atoms": (11, 31, 101, 301),
        "mrps": 50,
        "draws": 10_000,
        "instances": 10_000,
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each MRP and discount; the map and the families have one for each discount."""
    chosen = _SIZES[size]
    shared = {"atoms": chosen["atoms"], "draws": chosen["draws"]}
    families = [
        Cell(f"{name}-{discount:.2f}", {"problem": name, "discount": discount, "instances": chosen["instances"]})
        for name in FAMILIES
        for discount in chosen["discounts"]
    ]
    return families + [
        Cell(f"{name}-{discount:.2f}-{mrp:02d}", {"problem": name, "discount": discount, "mrp": mrp, **shared})
        for name in (*PROBLEMS, "room")
        for discount in chosen["discounts"]
        for mrp in range(chosen["mrps"] if "random" in name else 1)
    ]


def _solve_family(name: str, g: float, seeds: list[np.random.SeedSequence]) -> Arrays:
    """Both sides of the corollary at the state of each member where its ratio is largest; the tightest one is kept."""
    rows: list[dict[str, Any]] = []
    for k, seed in enumerate(seeds):
        p, rewards = member_of(name, g, np.random.default_rng(seed))
        phi = distrl.operators.StochasticCDFBellman(
            distrl.MRP(p, rewards, g), distrl.Grid(0.0, 1.0 / (1.0 - g), FAMILY_ATOMS)
        )
        sides, local = phi.variance_corollary(), phi.local_variation()
        # a law of one atom has 0 on both sides
        ratio = np.where(sides.bound > 1e-9, sides.accumulated / np.maximum(sides.bound, 1e-9), 0.0)
        x = int(ratio.argmax())
        rows.append(
            {
                "problem": name,
                "discount": g,
                "mrp": k,
                "atoms": FAMILY_ATOMS,
                "state": x,
                "terminal": False,
                "local": local[x],
                "global": sides.global_variation[x],
                "accumulated": sides.accumulated[x],
                "bound": sides.bound[x],
                "limit": 0.25 / (1.0 - g),
                "drawn": np.nan,
                "drawn_sd": np.nan,
                "draws": 0,
                "instance": json.dumps({"p": p.tolist(), "rewards": rewards.tolist()}),
            }
        )
    tightest = max(rows, key=lambda row: row["accumulated"] / max(row["bound"], 1e-9))
    return columns([row | {"instance": row["instance"] if row is tightest else ""} for row in rows])


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """Local and global variation, both sides of the corollary, and the variation of draws, of every state."""
    arguments = cell.arguments
    if arguments["problem"] in FAMILIES:
        seeds = seed.spawn(arguments["instances"])
        return _solve_family(str(arguments["problem"]), float(arguments["discount"]), seeds)
    name, g = str(arguments["problem"]), float(arguments["discount"])
    drawn, sampled = seed.spawn(2)
    model = model_of(name, g, np.random.default_rng(drawn))
    rows = []
    for atoms in arguments["atoms"]:
        grid = distrl.Grid(0.0, 1.0 / (1.0 - g), atoms)
        phi = distrl.operators.StochasticCDFBellman(model, grid)
        sides, local = phi.variance_corollary(), phi.local_variation()
        draws = phi.sample(arguments["draws"], np.random.default_rng(sampled))
        squares = grid.spacing * np.square(draws - phi.mean()).sum(axis=2)
        for state in range(model.n_states):
            rows.append(
                {
                    "problem": name,
                    "discount": g,
                    "mrp": arguments["mrp"],
                    "atoms": atoms,
                    "state": state,
                    "terminal": bool(model.terminal[state]),
                    "local": local[state],
                    "global": sides.global_variation[state],
                    "accumulated": sides.accumulated[state],
                    "bound": sides.bound[state],
                    "limit": 0.25 / (1.0 - g),
                    "drawn": squares[:, state].mean(),
                    "drawn_sd": squares[:, state].std(ddof=1),
                    "draws": len(squares),
                    "instance": "",
                }
            )
    return columns(rows)
