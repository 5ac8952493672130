"""Estimating return laws from samples: the categorical fixed point, categorical and quantile DP, the plug-in.

In the style of the experiments of Rowland et al. 2024, "Near-Minimax-Optimal Distributional Reinforcement Learning
with a Generative Model", on problems of our own (`experiments.problems`).

sweep.py     the cells, and how one is solved
analysis.py  table, findings, checks, figures
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.dcfp import analysis
from experiments.dcfp.sweep import cells, solve
from experiments.protocol import Arrays, Outcome
from experiments.study import write_study

DESCRIPTION = "model-based estimators against samples, atoms and time"
SECONDS = {"quick": 15.0, "default": 1470.0, "full": 900_000.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]


def report(results: Mapping[str, Arrays], directory: Path) -> Outcome:
    """Write table, figures and report."""
    return write_study(analysis, results, directory)
