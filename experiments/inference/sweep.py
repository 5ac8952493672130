"""The problems, the cells, and how one is solved."""

from typing import Any

import numpy as np
from scipy import stats

import distrl
from experiments.problems import problem
from experiments.protocol import Arrays, Cell
from experiments.study import columns

#: Functional and its argument: CDF at the middle of [0, 1/(1-g)] as a share of it.
FUNCTIONALS = (("mean", None), ("variance", None), ("quantile", 0.25), ("cvar", 0.25), ("cdf", 0.5), ("w1", None))
METHODS = ("delta", "bootstrap", "finite-sample")
DESIGNS = {
    "Zhang": "5 states, 2 actions, P entries U(.1, .9) normalised, reward means U(0, 1), truncated normal, sd .1",
    "hard": "5 near-absorbing states, rewards 1",
}
LEVEL = 0.95
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.8,), "samples": (100,), "atoms": 51, "blocks": 1, "repeats": 3, "resamples": 20},
    "default": {
        "discounts": (0.9,),
        "samples": (100, 1000),
        "atoms": 51,
        "blocks": 6,
        "repeats": 5,
        "resamples": 50,
    },
    "full": {
        "discounts": (0.7, 0.8, 0.9, 0.97),
        "samples": (10, 100, 1000, 10_000),
        "atoms": 1000,
        "blocks": 50,
        "repeats": 20,
        "resamples": 400,
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each design, discount, number of samples and block of repeats; a block has its own random model."""
    chosen = dict(_SIZES[size])
    shared = {key: chosen[key] for key in ("atoms", "repeats", "resamples")}
    return [
        Cell(
            f"{design}-{discount:.2f}-{samples:05d}-{block:02d}",
            {"design": design, "discount": discount, "samples": samples, "block": block, **shared},
        )
        for design in DESIGNS
        for discount in chosen["discounts"]
        for samples in chosen["samples"]
        for block in range(chosen["blocks"])
    ]


def model_of(design: str, discount: float, rng: np.random.Generator) -> tuple[distrl.MRP | distrl.MDP, Any]:
    """The model, and its policy if it is an MDP."""
    if design == "hard":
        return problem("hard", discount), None
    states, actions = 5, 2
    p = rng.uniform(0.1, 0.9, (actions, states, states))
    means = rng.uniform(0.0, 1.0, (states, actions))
    laws = [
        [stats.truncnorm((0.0 - mean) / 0.1, (1.0 - mean) / 0.1, mean, 0.1) for mean in row] for row in means.tolist()
    ]
    return distrl.MDP(p / p.sum(axis=2, keepdims=True), laws, discount), "uniform"


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """For every repeat, functional and method: the share of states whose interval holds the truth, and its width."""
    arguments = cell.arguments
    g, design = float(arguments["discount"]), str(arguments["design"])
    drawn, sampled = seed.spawn(2)
    model, policy = model_of(design, g, np.random.default_rng(drawn))
    width = 1.0 / (1.0 - g)
    fine = distrl.CategoricalFixedPoint(grid=distrl.Grid(0.0, width, 8 * arguments["atoms"]), threads=1)
    exact = distrl.evaluate(model, fine, policy).returns
    moments = distrl.evaluate(model, distrl.Moments(2), policy).returns
    options = distrl.CategoricalFixedPoint(grid=distrl.Grid(0.0, width, arguments["atoms"]), threads=1)
    rows = []
    for repeat, child in enumerate(sampled.spawn(arguments["repeats"])):
        estimate = distrl.estimate(model, options, policy, arguments["samples"], np.random.default_rng(child))
        for functional, share in FUNCTIONALS:
            at = share * width if functional == "cdf" and share is not None else share
            truth = _value(functional, at, exact, moments, estimate)
            for method in METHODS:
                no_derivative = method == "delta" and functional == "cvar"
                try:
                    ends = estimate.interval(
                        functional, at, LEVEL, method, resamples=arguments["resamples"], rng=child, threads=1
                    )
                except ValueError:  # at a level that is a value of the CDF
                    if not no_derivative:
                        raise
                    ends = np.full((len(truth), 2), np.nan)
                covered = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
                rows.append(
                    {
                        "design": design,
                        "discount": g,
                        "samples": arguments["samples"],
                        "block": arguments["block"],
                        "repeat": repeat,
                        "functional": functional,
                        "method": method,
                        "given": bool(np.isfinite(ends).all()),
                        "covered": covered.mean(),
                        "width": (ends[:, 1] - ends[:, 0]).mean(),
                    }
                )
    return columns(rows)


def _value(functional: str, at: float | None, exact: Any, moments: Any, estimate: distrl.Estimate) -> np.ndarray:
    """(S,) the truth: moments exactly, the rest from a grid eight times as fine."""
    if functional == "mean":
        return np.asarray(moments.mean())
    if functional == "variance":
        return np.asarray(moments.var())
    if functional == "quantile":
        return np.asarray(exact.quantile(at))
    if functional == "cvar":
        return np.asarray(exact.cvar(at))
    if functional == "cdf":
        return np.asarray(exact.cdf([at]))[:, 0]
    return distrl.wasserstein(estimate.returns, exact)
