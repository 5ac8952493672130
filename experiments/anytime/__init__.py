"""Quality against time for every evaluator on every environment: which method a user should pick."""

from experiments.anytime import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="error and certificate of every evaluator against its time",
    seconds={"quick": 15.0, "default": 450.0, "full": 20_000.0},
)
