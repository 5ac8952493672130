"""The first experiment: two real environments, solved, certified and compared with their exact return laws.

family.py    the environments and the policies
exact.py     the oracle: exact return laws, without distrl
sweep.py     the cells, and how one is solved and compared
analysis.py  certified intervals, the table, the checks
figures.py, report.py: its results are whole laws, so it writes a report of its own
"""

from experiments.protocol import Experiment
from experiments.quickstart import report, sweep

EXPERIMENT = Experiment(
    __name__,
    description="FrozenLake 8x8 and CliffWalking: return laws with certificates, checked against the exact laws",
    seconds={"quick": 8.0, "default": 60.0, "full": 300.0},
    cells=sweep.cells,
    solve=sweep.solve,
    report=report.report,
)
