"""The problems that studies share, a room, and two families of many small MRPs."""

from typing import Any

import numpy as np

import distrl
from experiments.problems import problem

ROOM = (6, 6)
#: Many small MRPs each, for the corollary's ratio alone.
FAMILIES = {
    "random family": "2 to 5 states, Dirichlet rows of concentration .1, 1 or 10, rewards 0 or 1 or uniform in [0, 1]",
    "hard family": "a state left with probability in [1-g, 1], log-uniform, for ever after rewards 1 or 0",
}


def model_of(name: str, discount: float, rng: Any) -> distrl.MRP:
    """The MRP of that name; the room is walked uniformly, to a goal that pays 1."""
    if name == "room":
        return distrl.environments.gridworld(ROOM, discount, step_reward=0.0, goal_reward=1.0, slip=0.2).under(
            "uniform"
        )
    return problem(name, discount, rng)


def member_of(family: str, discount: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Transition probabilities and rewards of a member of a family."""
    if family == "hard family":
        leave = (1.0 - discount) ** rng.uniform()
        up = rng.uniform()
        return np.array([[1.0 - leave, leave * up, leave * (1.0 - up)], [0, 1, 0], [0, 0, 1]]), np.array(
            [rng.uniform(), 1.0, 0.0]
        )
    n = int(rng.integers(2, 6))
    p = rng.dirichlet(np.full(n, rng.choice([0.1, 1.0, 10.0])), n)
    return p, rng.integers(0, 2, n).astype(float) if rng.integers(2) else rng.uniform(size=n)
