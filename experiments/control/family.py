"""The decision processes."""

from collections.abc import Callable

import distrl

#: What each name stands for, for reports.
WORDS = {
    "FrozenLake": "Gymnasium's FrozenLake 8x8, slippery",
    "cliff": "the cliff walk of 4 x 12, one move in ten slips",
    "Garnet": "30 states, 3 actions to 4 successors each, normal rewards, one draw",
}


def decisions(name: str, discount: float) -> distrl.MDP:
    """The decision process of that name."""
    made: dict[str, Callable[[], distrl.MDP]] = {
        "FrozenLake": lambda: distrl.from_gymnasium("FrozenLake-v1", discount, map_name="8x8", is_slippery=True),
        "cliff": lambda: distrl.environments.gridworld(discount=discount, slip=0.1),
        "Garnet": lambda: distrl.environments.garnet(30, 3, 4, discount, rng=7),
    }
    return made[name]()
