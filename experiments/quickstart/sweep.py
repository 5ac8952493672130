"""The cells, and how one is solved: with distrl, and compared with the exact law."""

import numpy as np

import distrl
from experiments.protocol import Arrays, Cell
from experiments.quickstart import exact, family

LAKE, CLIFF = "FrozenLake-v1", "CliffWalking-v1"
#: A fifth of the episodes of the optimal policy fall into a hole: the worst 5% or 10% of returns are 0 everywhere.
LEVELS = (0.25, 0.5)
#: What is read from the laws, with certified intervals.
FUNCTIONALS = (distrl.Mean(), distrl.Std(), *(f(q) for q in LEVELS for f in (distrl.Quantile, distrl.CVaR)))
_MOST_DRAWN = 5_000  # values of an exact law that are kept for the figures


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


def solve(cell: Cell, seed: np.random.SeedSequence) -> Arrays:
    """The law of every state, its certificate, and what the exact law says. Nothing is random: `seed` is not used."""
    arguments = cell.arguments
    environment = str(arguments["environment"])
    mdp = family.model(environment)
    policy = family.policy(mdp, str(arguments["policy"]))
    if environment == LAKE:
        method = distrl.CategoricalFixedPoint(atoms=int(arguments["atoms"]))
    else:
        low, spacing = int(arguments["low"]), int(arguments["spacing"])
        # no reward is positive, so the sparse factors stay thin; episodes of thousands of steps are slow to iterate on
        method = distrl.CategoricalFixedPoint(grid=distrl.Grid(low, 0, 1 - low // spacing), solver="direct")
    solution = distrl.evaluate(mdp, method, policy=policy)
    certificate = solution.certificate
    assert certificate is not None and isinstance(solution.returns, distrl.CategoricalReturns)
    points, probs = solution.returns.atoms, np.asarray(solution.returns.probs)
    return {
        "points": points,
        "probs": probs,
        "start": np.argmax(mdp.initial),
        "layout": np.array(mdp.layout),
        "terminal": mdp.terminal,
        "discount": np.array(mdp.discount),
        "bound": certificate.w1,
        **{f"interval of {functional.label}": solution.interval(functional) for functional in FUNCTIONALS},
        "clipped": certificate.clipped_mass,
        "claim": np.array(certificate.claim),
        "solver": np.array(solution.solver),
        **_truth(environment, policy, mdp, points, probs),
    }


def _truth(environment: str, policy: np.ndarray, mdp: distrl.MDP, points: np.ndarray, probs: np.ndarray) -> Arrays:
    """Exact functionals of every state, W1 to the exact law, and how much of that law the oracle leaves out; and the
    room, what rounding and the tails that it cuts can cost the oracle: some hundred eps of the largest return."""
    table = family.table(environment)
    mean, sd = exact.moments(table, policy, mdp.discount)
    if environment == LAKE:
        values, weights = exact.frozen_lake_law(table, policy, mdp.discount)
        missing = np.zeros(len(mean))
    else:
        lowest = round(points[0])
        values = np.arange(lowest, 1.0)
        weights = exact.cliff_walking_law(table, policy, lowest)
        weights[:, 0] += 1.0 - weights.sum(axis=1)  # returns below the grid are put at its end ...
        missing = np.maximum(weights @ values - mean, 0.0)  # ... which moves them by this much on average
    distance = [
        exact.categorical_w1(points, probs[s : s + 1], values, weights[s : s + 1])[0] for s in range(len(probs))
    ]
    start = int(np.argmax(mdp.initial))
    drawn, masses = values, weights[start]
    if len(values) > _MOST_DRAWN:
        drawn = points
        masses = np.bincount(np.searchsorted(points, values), weights=weights[start], minlength=len(points))
    tails = [exact.lower_tail(values, weights, level) for level in LEVELS]
    return {
        "w1": np.array(distance),
        "missing": missing,
        "room": np.array(1e-13 * max(1.0, abs(points[0]))),
        "exact_mean": mean,
        "exact_sd": sd,
        "exact_var": np.array([quantile for quantile, _ in tails]),
        "exact_cvar": np.array([cvar for _, cvar in tails]),
        "exact_values": drawn,
        "exact_weights": masses,
    }
