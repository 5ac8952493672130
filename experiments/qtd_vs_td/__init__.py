"""Quantile TD against TD for the mean, by transition structure, reward law and number of quantiles.

In the style of Rowland et al. 2023, "The Statistical Benefits of Quantile TD Learning for Value Estimation": the grid
of structures and laws is theirs as summarised, sizes, steps and the table are our own.

sweep.py     the problems, the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.protocol import Arrays, Outcome
from experiments.qtd_vs_td import analysis
from experiments.qtd_vs_td.sweep import cells, solve
from experiments.study import write_study

DESCRIPTION = "quantile TD against TD for the mean, over many MRPs"
SECONDS = {"quick": 20.0, "default": 830.0, "full": 100_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
