"""Which cells there are."""

from experiments.protocol import Cell

LAKE, CLIFF = "FrozenLake-v1", "CliffWalking-v1"


def cells(size: str) -> list[Cell]:
    """FrozenLake on three grids (two if quick, a finer one if full), CliffWalking on one, for each policy.

    CliffWalking is solved undiscounted. Its returns are integers, so on a grid of spacing 1 nothing is rounded, and
    for the optimal and the careless policy every return of visible probability fits. The uniform walk falls off the
    cliff so often that its return is about -65,000 with a tail as long again: spacing 100, the cost of a fall, leaves
    only the steps of -1 to be rounded.
    """
    quick = size == "quick"
    atoms_of_size = {"quick": (11, 51), "default": (51, 201, 1001), "full": (51, 201, 1001, 4001)}
    lake = [
        Cell(f"lake-{policy}-{atoms:04d}", {"environment": LAKE, "policy": policy, "atoms": atoms})
        for policy in ("uniform", "optimal")
        for atoms in atoms_of_size[size]
    ]
    grids = {
        "optimal": (-200, 1),
        "careless": (-2_500, 1),
        "uniform": (-200_000, 1_000) if quick else (-700_000, 100),
    }
    cliff = [
        Cell(f"cliff-{policy}", {"environment": CLIFF, "policy": policy, "low": low, "spacing": spacing})
        for policy, (low, spacing) in grids.items()
    ]
    return lake + cliff
