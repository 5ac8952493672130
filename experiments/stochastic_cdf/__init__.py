"""The random CDF equation: draws, local and global variation, and the corollary that bounds them."""

from experiments.stochastic_cdf import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="draws of the random CDF, variation maps and the variance corollary",
    seconds={"quick": 10.0, "default": 360.0, "full": 15_000.0},
)
