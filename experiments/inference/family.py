"""The designs: models on which intervals are asked for."""

from typing import Any

import numpy as np

import distrl
from experiments.problems import problem

DESIGNS = {
    "Zhang": "5 states, 2 actions, P entries U(.1, .9) normalised, reward means U(0, 1), truncated normal, sd .1",
    "hard": "5 near-absorbing states, rewards 1",
}


def model_of(design: str, discount: float, rng: np.random.Generator) -> tuple[distrl.MRP | distrl.MDP, Any]:
    """The model, and its policy if it is an MDP."""
    if design == "hard":
        return problem("hard", discount), None
    return distrl.environments.truncated_normal(discount=discount, rng=rng), "uniform"
