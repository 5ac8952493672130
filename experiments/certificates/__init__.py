"""How far certificates, bounds known beforehand and brackets are from the true error, against atoms and discount.

sweep.py     the problems, the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.certificates import analysis
from experiments.certificates.sweep import cells, solve
from experiments.protocol import Arrays, Outcome
from experiments.study import write_study

DESCRIPTION = "certificates, a-priori bounds and brackets against the true error"
SECONDS = {"quick": 15.0, "default": 120.0, "full": 20_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
