"""MRPs by transition structure and reward law."""

import numpy as np
from scipy import stats

import distrl

STATES, DISCOUNT = 10, 0.9
STRUCTURES = {
    "cycle": "a deterministic cycle",
    "sparse": "2 successors a state (Garnet)",
    "dense": "Dirichlet(1) rows",
}
LAWS = ("Dirac", "Gaussian", "exponential", "t2")


def model_of(structure: str, law: str, rng: np.random.Generator) -> distrl.MRP:
    """Mean rewards N(0, 1) a state, and noise of scale 1 and mean 0 around them."""
    means = rng.standard_normal(STATES)
    noise = {
        "Dirac": lambda mean: mean,
        "Gaussian": lambda mean: stats.norm(mean, 1.0),
        "exponential": lambda mean: stats.expon(mean - 1.0, 1.0),
        "t2": lambda mean: stats.t(2, mean, 1.0),
    }[law]
    rewards = [noise(float(mean)) for mean in means] if law != "Dirac" else means
    if structure == "cycle":
        return distrl.environments.cycle(STATES, rewards, DISCOUNT)
    if structure == "dense":
        return distrl.environments.dirichlet(STATES, 1.0, DISCOUNT, rewards=rewards, rng=rng)
    garnet = distrl.environments.garnet(STATES, 1, 2, DISCOUNT, rewards=means[:, None], rng=rng)
    return distrl.MRP(garnet.under(np.zeros(STATES, dtype=int)).continuation, rewards, DISCOUNT)
