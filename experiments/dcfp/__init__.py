"""Estimating return laws from samples: the categorical fixed point, categorical and quantile DP, the plug-in.

In the style of the experiments of Rowland et al. 2024, "Near-Minimax-Optimal Distributional Reinforcement Learning
with a Generative Model", on problems of our own (`experiments.problems`).
"""

from experiments.dcfp import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="model-based estimators against samples, atoms and time",
    seconds={"quick": 15.0, "default": 1470.0, "full": 900_000.0},
)
