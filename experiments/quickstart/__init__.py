"""The first experiment: two real environments, solved, certified and compared with their exact return laws.

family.py            the environments and the policies
sweep.py             which cells there are
exact.py             the oracle: exact return laws, without distrl
cell.py              one cell: solve, compare
analysis.py          intervals, table, checks
figures.py, report.py
"""

from experiments.quickstart.cell import solve
from experiments.quickstart.report import report
from experiments.quickstart.sweep import cells

DESCRIPTION = "FrozenLake 8x8 and CliffWalking: return laws with certificates, checked against the exact laws"

SECONDS = {"quick": 8.0, "default": 60.0, "full": 300.0}

__all__ = ["DESCRIPTION", "SECONDS", "cells", "report", "solve"]
