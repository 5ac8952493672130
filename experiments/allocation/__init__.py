"""Whether adaptive samples buy the interval of uniform ones with less, and still cover.

sweep.py     the environments, the cells, and how one is solved
analysis.py  table, findings, checks, figure
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.allocation import analysis
from experiments.allocation.sweep import cells, solve
from experiments.protocol import Arrays, Outcome
from experiments.study import write_study

DESCRIPTION = "adaptive against uniform samples: width and coverage of the start state's CVaR interval"
SECONDS = {"quick": 2.0, "default": 210.0, "full": 165_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figure and report."""
    return write_study(analysis, results, directory)
