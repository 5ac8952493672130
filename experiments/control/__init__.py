"""How wide the bounds on the best CVaR are: the piecewise linear bracket against targets that are rounded."""

from experiments.control import analysis, sweep
from experiments.study import study

EXPERIMENT = study(
    sweep,
    analysis,
    description="the best CVaR: gap and time of the piecewise linear bracket and of rounded targets",
    seconds={"quick": 5.0, "default": 30.0, "full": 600.0},
)
