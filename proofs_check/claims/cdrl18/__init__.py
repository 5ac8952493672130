"""Claims of Rowland et al. 2018, *An Analysis of Categorical Distributional Reinforcement Learning*."""

from proofs_check.families import on_grid

TITLE = "Rowland et al. 2018: the categorical operator"
PLACE = 2
SOURCE = "Rowland et al. 2018"
GRID = on_grid(2)
