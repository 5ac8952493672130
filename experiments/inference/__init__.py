"""Coverage and width of confidence intervals, on the design of Zhang et al. 2023 and on our own."""

from experiments.inference import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="coverage and width of every interval method",
    seconds={"quick": 25.0, "default": 3300.0, "full": 420_000.0},
)
