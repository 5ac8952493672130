"""Claims around Rowland et al. 2024, *Near-Minimax-Optimal Distributional RL with a Generative Model* (2402.07598).

The direct categorical fixed point as a linear system in CDF form, and the stochastic categorical CDF Bellman equation.
"""

from proofs_check.families import on_grid, structured_models, with_grids

TITLE = "Rowland et al. 2024 (near-minimax): the linear system and the random CDF equation"
PLACE = 3
SOURCE = "Rowland et al. 2024 (2402.07598)"
DERIVED = "derived: docs/proofs.md"
GRIDS = with_grids(structured_models())
ANY = on_grid(0)
COVERING = on_grid(0, covering=True)
