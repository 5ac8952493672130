"""The environments and the policies."""

from typing import Any

import gymnasium
import numpy as np

import distrl
from experiments.policy_iteration import optimal_policy

#: Gymnasium's keywords and the discount.
ENVIRONMENTS: dict[str, tuple[dict[str, Any], float]] = {
    "FrozenLake-v1": ({"map_name": "8x8", "is_slippery": True}, 0.99),
    "CliffWalking-v1": ({}, 1.0),
}
POLICIES = ("uniform", "optimal", "careless")
CARELESS = 0.1


def model(environment: str) -> distrl.MDP:
    """The environment as distrl reads it."""
    keywords, discount = ENVIRONMENTS[environment]
    return distrl.from_gymnasium(environment, discount=discount, **keywords)


def table(environment: str) -> Any:
    """Gymnasium's own table, for the oracle."""
    env = gymnasium.make(environment, **ENVIRONMENTS[environment][0])
    try:
        return env.unwrapped.P  # type: ignore[attr-defined]
    finally:
        env.close()


def policy(mdp: distrl.MDP, name: str) -> np.ndarray:
    """(S, A) probabilities: "uniform", "optimal" for the mean, or "careless": optimal, uniform in one step of ten."""
    uniform = np.full((mdp.n_states, mdp.n_actions), 1.0 / mdp.n_actions)
    if name == "uniform":
        return uniform
    best = optimal_policy(mdp)
    return best if name == "optimal" else (1.0 - CARELESS) * best + CARELESS * uniform


def lake_letters() -> np.ndarray:
    """(8, 8) map of FrozenLake: S start, F frozen, H hole, G goal."""
    env = gymnasium.make("FrozenLake-v1", **ENVIRONMENTS["FrozenLake-v1"][0])
    try:
        return np.char.decode(env.unwrapped.desc)  # type: ignore[attr-defined]
    finally:
        env.close()
