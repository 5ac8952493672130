"""Coverage of intervals where it is hard: rare ends and losses, near-deterministic chains, few samples, weights."""

from experiments.coverage import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="coverage of intervals on designs that are hard, and their warnings",
    seconds={"quick": 10.0, "default": 3000.0, "full": 60_000.0},
)
