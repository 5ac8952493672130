"""Quality against time for every evaluator on every environment: which method a user should pick.

sweep.py     the environments, the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.anytime import analysis
from experiments.anytime.sweep import cells, solve
from experiments.protocol import Arrays, Outcome
from experiments.study import write_study

DESCRIPTION = "error and certificate of every evaluator against its time"
SECONDS = {"quick": 15.0, "default": 450.0, "full": 20_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
