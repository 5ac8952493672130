"""The cells, and how one is solved."""

from typing import Any

import numpy as np

import distrl
from distrl.generative import Bootstrap, Delta
from experiments.coverage.family import DESIGNS
from experiments.protocol import Arrays, Cell, columns

#: Functional and its argument; the CDF is asked for at the atom next to the truth's mean.
FUNCTIONALS = (
    ("mean", None),
    ("variance", None),
    ("quantile", 0.25),
    ("cvar", 0.25),
    ("cdf", None),
    ("expectile", 0.2),
)
METHODS = ("delta", "bootstrap", "finite-sample", "delta band", "bootstrap band")
LEVEL = 0.95
#: `every`: of the designs, each so many of them.
_SIZES: dict[str, dict[str, int]] = {
    "quick": {"every": 4, "repeats": 2, "blocks": 1, "resamples": 20},
    "default": {"every": 1, "repeats": 100, "blocks": 4, "resamples": 100},
    "full": {"every": 1, "repeats": 100, "blocks": 25, "resamples": 400},
}


def cells(size: str) -> list[Cell]:
    """A cell for each design and block of repeats."""
    chosen = dict(_SIZES[size])
    blocks, every = chosen.pop("blocks"), chosen.pop("every")
    return [
        Cell(f"{design}-{block:02d}", {"design": design, "block": block, **chosen})
        for design in list(DESIGNS)[::every]
        for block in range(blocks)
    ]


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """For every repeat, functional and method: whether the interval holds the truth, its width, and the warning."""
    arguments = cell.arguments
    design = DESIGNS[str(arguments["design"])]
    grid = distrl.Grid(design.low, design.high, design.atoms)
    method = distrl.CategoricalFixedPoint(grid=grid, threads=1)
    truth = distrl.evaluate(design.model, method, design.policy).returns
    fine = distrl.CategoricalFixedPoint(grid=distrl.Grid(design.low, design.high, 1001), threads=1)
    exact = distrl.evaluate(design.model, fine, design.policy).returns
    moments = distrl.evaluate(design.model, distrl.Moments(2), design.policy).returns
    source = distrl.GenerativeModel(design.model)
    middle = grid.low + grid.spacing * round((float(truth.mean()[0]) - grid.low) / grid.spacing)
    rows = []
    for repeat, child in enumerate(seed.spawn(arguments["repeats"])):
        samples = source.sample(design.samples, np.random.default_rng(child))
        estimate = distrl.estimate(samples, method, design.policy)
        number, redraws = int(child.generate_state(1)[0]), int(arguments["resamples"])
        for name, share in FUNCTIONALS:
            at = middle if name == "cdf" else share
            known = moments if name in ("mean", "variance") else exact
            for how in METHODS:
                ends = _ends(estimate, name, at, how, number, redraws)
                wanted = _value(name, at, known if how == "finite-sample" else truth)
                if len(ends) == 1:
                    wanted = wanted[:1]
                rows.append(
                    {
                        "design": cell.arguments["design"],
                        "block": arguments["block"],
                        "repeat": repeat,
                        "functional": name,
                        "method": how,
                        "given": bool(np.isfinite(ends).all()),
                        "covered": bool(((ends[:, 0] <= wanted + 1e-9) & (wanted - 1e-9 <= ends[:, 1])).all()),
                        "width": float(ends[0, 1] - ends[0, 0]),
                        "warned": bool(_warned(estimate, name, at, "band" in how)),
                    }
                )
    return columns(rows)


def _ends(
    estimate: distrl.Estimate[Any], name: str, at: float | None, how: str, number: int, resamples: int
) -> np.ndarray:
    """(1, 2) at state 0, (S, 2) of a band or what is said of all states; NaN where there is none."""
    everywhere = "band" in how
    states = None if everywhere or how == "finite-sample" else [0]
    try:
        if how == "finite-sample":
            return estimate.interval(name, at, LEVEL, how)
        if how.startswith("delta"):
            return estimate.interval(name, at, LEVEL, Delta(everywhere, False), states=states)
        return estimate.interval(name, at, LEVEL, Bootstrap(everywhere, False, resamples, number, 1), states=states)
    except ValueError as error:
        if "CDF" not in str(error) and "holds every return" not in str(error):
            raise
        return np.full((1, 2), np.nan)


def _value(name: str, at: float | None, laws: Any) -> np.ndarray:
    """(S,) of the truth."""
    return np.asarray(distrl.returns.functionals.parse(name, at).value(laws))


def _warned(estimate: distrl.Estimate[Any], name: str, at: float | None, everywhere: bool) -> bool:
    return bool(estimate.few_samples_decide(name, at, None if everywhere else [0]).any())
