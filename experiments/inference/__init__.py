"""Coverage and width of confidence intervals, on the design of Zhang et al. 2023 and on our own.

sweep.py     the problems, the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.inference import analysis
from experiments.inference.sweep import cells, solve
from experiments.protocol import Arrays, Outcome
from experiments.study import write_study

DESCRIPTION = "coverage and width of every interval method"
SECONDS = {"quick": 25.0, "default": 3300.0, "full": 420_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
