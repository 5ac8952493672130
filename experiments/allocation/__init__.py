"""Whether adaptive samples buy the interval of uniform ones with less, and still cover."""

from experiments.allocation import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="adaptive against uniform samples: width and coverage of the start state's CVaR interval",
    seconds={"quick": 2.0, "default": 210.0, "full": 165_000.0},
)
