"""The cells, and how one is solved."""

from typing import Any

import numpy as np

import distrl
from experiments.inference.family import DESIGNS, model_of
from experiments.protocol import Arrays, Cell, columns

#: Functional and its argument: CDF at the middle of [0, 1/(1-g)] as a share of it.
FUNCTIONALS = (
    ("mean", None),
    ("variance", None),
    ("quantile", 0.25),
    ("cvar", 0.25),
    ("cdf", 0.5),
    ("w1", None),
    ("ks", None),
)
METHODS = ("delta", "bootstrap", "finite-sample")
LEVEL = 0.95
STATE = 0
#: `samples`: numbers of samples of every state (and action), with the repeats of each; a tenth of them in design hard.
_SIZES: dict[str, dict[str, Any]] = {
    "quick": {"discounts": (0.8,), "samples": {100: 3}, "atoms": 51, "blocks": 1, "resamples": 20},
    "default": {
        "discounts": (0.7, 0.9, 0.97),
        "samples": {100: 400, 1000: 1000, 10_000: 400},
        "atoms": 51,
        "blocks": 20,
        "resamples": 100,
    },
    "full": {
        "discounts": (0.7, 0.8, 0.9, 0.97),
        "samples": {10: 10_000, 100: 10_000, 1000: 10_000, 10_000: 10_000},
        "atoms": 251,
        "blocks": 100,
        "resamples": 400,
    },
}


def cells(size: str) -> list[Cell]:
    """A cell for each design, discount, number of samples and block of repeats; a block has its own random model."""
    chosen = _SIZES[size]
    blocks, shared = chosen["blocks"], {key: chosen[key] for key in ("atoms", "resamples")}
    return [
        Cell(
            f"{design}-{discount:.2f}-{samples:05d}-{block:02d}",
            {
                "design": design,
                "discount": discount,
                "samples": samples,
                "block": block,
                "repeats": max(repeats // (blocks if design == "Zhang" else 10 * blocks), 1),
                **shared,
            },
        )
        for design in DESIGNS
        for discount in chosen["discounts"]
        for samples, repeats in chosen["samples"].items()
        for block in range(blocks)
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """For every repeat, functional and method: whether the interval holds the truth, and its width at one state."""
    arguments = cell.arguments
    g, design = float(arguments["discount"]), str(arguments["design"])
    drawn, sampled = seed.spawn(2)
    model, policy = model_of(design, g, np.random.default_rng(drawn))
    width = 1.0 / (1.0 - g)
    fine = distrl.CategoricalFixedPoint(grid=distrl.Grid(0.0, width, 8 * arguments["atoms"]), threads=1)
    exact = distrl.evaluate(model, fine, policy).returns
    moments = distrl.evaluate(model, distrl.Moments(2), policy).returns
    options = distrl.CategoricalFixedPoint(grid=distrl.Grid(0.0, width, arguments["atoms"]), threads=1)
    same_grid = distrl.evaluate(model, options, policy).returns
    rows = []
    for repeat, child in enumerate(sampled.spawn(arguments["repeats"])):
        estimate = distrl.estimate(model, options, policy, arguments["samples"], np.random.default_rng(child))
        redraws = {"resamples": arguments["resamples"], "rng": int(child.generate_state(1)[0]), "threads": 1}
        for functional, share in FUNCTIONALS:
            at = share * width if functional == "cdf" and share is not None else share
            for method in METHODS:
                if method == "finite-sample":  # for the exact law, at all states at once
                    truth = _value(functional, at, exact, moments, estimate)
                    ends = estimate.interval(functional, at, LEVEL, method)
                else:
                    truth = _value(functional, at, same_grid, same_grid, estimate)[[STATE]]
                    ends = _sampling_interval(estimate, functional, at, method, redraws)
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
                        "covered": bool(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).all()),
                        "width": ends[STATE, 1] - ends[STATE, 0],
                    }
                )
    return columns(rows)


def _sampling_interval(
    estimate: distrl.Estimate, functional: str, at: float | None, method: str, redraws: Any
) -> np.ndarray:
    """(1, 2) for the fixed point on the same grid; NaN where CVaR has no derivative: at a level that is a CDF value."""
    try:
        return estimate.interval(functional, at, LEVEL, method, states=[STATE], numerical=False, **redraws)
    except ValueError:
        if method != "delta" or functional != "cvar":
            raise
        return np.full((1, 2), np.nan)


def _value(functional: str, at: float | None, laws: Any, moments: Any, estimate: distrl.Estimate) -> np.ndarray:
    """(S,) the truth: mean and variance from `moments`, the rest from `laws`."""
    if functional == "mean":
        return np.asarray(moments.mean())
    if functional == "variance":
        return np.asarray(moments.var())
    if functional == "quantile":
        return np.asarray(laws.quantile(at))
    if functional == "cvar":
        return np.asarray(laws.cvar(at))
    if functional == "cdf":
        return np.asarray(laws.cdf([at]))[:, 0]
    return {"w1": distrl.wasserstein, "ks": distrl.kolmogorov}[functional](estimate.returns, laws)
