"""Claims on control: the distributional optimality operator, convergence with and without ties, and risk.

The optimality operator is written out here over the rationals: greedy in the mean, the first of tied actions.
"""

TITLE = "Bellemare, Dabney, Rowland 2023: control and risk"
PLACE = 9
SOURCE = "Bellemare, Dabney, Rowland 2023, chapter 7"
DERIVED = "derived: docs/proofs.md"
CONTROL = "own result: docs/control.md"
