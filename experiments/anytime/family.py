"""The environments: the problems that studies share, and two larger ones."""

import numpy as np

import distrl
from experiments.problems import PROBLEMS, problem

ENVIRONMENTS = {
    **PROBLEMS,
    "garnet": "200 states, 5 successors each, rewards U(0, 1)",
    "room": "10 x 10 cells, uniform policy, slip 0.2, reward 1 at the goal",
}


def environment(name: str, discount: float, rng: np.random.Generator) -> distrl.MRP:
    """The MRP of that name; rewards are in [0, 1]."""
    if name == "garnet":
        garnet = distrl.environments.garnet(200, 1, 5, discount, rewards="uniform", rng=rng)
        return garnet.under(np.zeros(200, dtype=int))
    if name == "room":
        room = distrl.environments.gridworld((10, 10), discount, step_reward=0.0, goal_reward=1.0, slip=0.2)
        return room.under("uniform")
    return problem(name, discount, rng)
