"""Quantile TD against TD for the mean, by transition structure, reward law and number of quantiles.

In the style of Rowland et al. 2023, "The Statistical Benefits of Quantile TD Learning for Value Estimation": the grid
of structures and laws is theirs as summarised, sizes, steps and the table are our own.
"""

from experiments.qtd_vs_td import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="quantile TD against TD for the mean, over many MRPs",
    seconds={"quick": 20.0, "default": 830.0, "full": 100_000.0},
)
