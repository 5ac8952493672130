"""How far certificates, bounds known beforehand and brackets are from the true error, against atoms and discount."""

from experiments.certificates import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="certificates, a-priori bounds and brackets against the true error",
    seconds={"quick": 15.0, "default": 120.0, "full": 20_000.0},
)
