"""Convergence of categorical and quantile TD by step sizes, averaging and sampling.

sweep.py     the problems, the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.learning import analysis
from experiments.learning.sweep import cells, solve
from experiments.protocol import Arrays, Outcome
from experiments.study import write_study

DESCRIPTION = "convergence of categorical and quantile TD by step sizes and sampling"
SECONDS = {"quick": 15.0, "default": 45.0, "full": 15_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
