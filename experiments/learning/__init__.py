"""Convergence of categorical and quantile TD by step sizes, averaging and sampling."""

from experiments.learning import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="convergence of categorical and quantile TD by step sizes and sampling",
    seconds={"quick": 15.0, "default": 45.0, "full": 15_000.0},
)
