"""The problems, the cells, and how one is solved."""

from typing import Any

import numpy as np

import distrl
from experiments.problems import PROBLEMS, problem
from experiments.protocol import Arrays, Cell
from experiments.study import columns

ROOM = (6, 6)
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.9,), "atoms": (11, 31), "mrps": 1, "draws": 200},
    "default": {"discounts": (0.8, 0.9, 0.95), "atoms": (11, 31, 101, 201), "mrps": 4, "draws": 1000},
    "full": {"discounts": (0.8, 0.9, 0.95, 0.99), "atoms": (11, 31, 101, 301), "mrps": 50, "draws": 10_000},
}


def cells(size: str) -> list[Cell]:
    """A cell for each MRP and discount; the map has one for each discount."""
    chosen = _SIZES[size]
    shared = {"atoms": chosen["atoms"], "draws": chosen["draws"]}
    return [
        Cell(f"{name}-{discount:.2f}-{mrp:02d}", {"problem": name, "discount": discount, "mrp": mrp, **shared})
        for name in (*PROBLEMS, "room")
        for discount in chosen["discounts"]
        for mrp in range(chosen["mrps"] if "random" in name else 1)
    ]


def model_of(name: str, discount: float, rng: Any) -> distrl.MRP:
    """The MRP of that name; the room is walked uniformly, to a goal that pays 1."""
    if name == "room":
        return distrl.environments.gridworld(ROOM, discount, step_reward=0.0, goal_reward=1.0, slip=0.2).under(
            "uniform"
        )
    return problem(name, discount, rng)


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """Local and global variation, both sides of the corollary, and the variation of draws, of every state."""
    arguments = cell.arguments
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
                }
            )
    return columns(rows)
