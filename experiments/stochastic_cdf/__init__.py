"""The random CDF equation: draws, local and global variation, and the corollary that bounds them.

sweep.py     the problems, the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.protocol import Arrays, Outcome
from experiments.stochastic_cdf import analysis
from experiments.stochastic_cdf.sweep import cells, solve
from experiments.study import write_study

DESCRIPTION = "draws of the random CDF, variation maps and the variance corollary"
SECONDS = {"quick": 10.0, "default": 360.0, "full": 15_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
