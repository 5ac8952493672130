"""The environments, and the grids that hold every return of their optimal policies."""

from typing import Any

#: Gymnasium's id and options, and the ends of a grid that holds every return of the optimal policy: rewards are 0 and
#: 1 at the end; -1 a step, at least -100 in all, and 20 at the end.
ENVIRONMENTS: dict[str, tuple[str, dict[str, Any], tuple[float, float]]] = {
    "FrozenLake": ("FrozenLake-v1", {"map_name": "8x8", "is_slippery": True}, (0.0, 1.0)),
    "Taxi": ("Taxi-v4", {"is_rainy": True}, (-100.0, 20.0)),
}
