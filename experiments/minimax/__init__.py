"""Rates of estimators in samples, horizon and accuracy, on random and on hard problems."""

from experiments.minimax import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="rates in samples, horizon and accuracy of model-based and incremental estimators",
    seconds={"quick": 20.0, "default": 270.0, "full": 100_000.0},
)
