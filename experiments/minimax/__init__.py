"""Rates of estimators in samples, horizon and accuracy, on random and on hard problems.

sweep.py     the problems, the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.minimax import analysis
from experiments.minimax.sweep import cells, solve
from experiments.protocol import Arrays, Outcome
from experiments.study import write_study

DESCRIPTION = "rates in samples, horizon and accuracy of model-based and incremental estimators"
SECONDS = {"quick": 20.0, "default": 270.0, "full": 100_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
