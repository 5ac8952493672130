"""Items 1 and 3: against optima in fractions, and against rounded targets on the same lattice."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from benchmarks.control_acceptance.said import Line, percent, share, solved
from distrl import CVaR, TargetDP, environments
from experiments.control.rounding import rounded
from tests.control.history import Tree, best, executed_law, layers, random_small, value_of

_MODELS = 200
_LEVELS = {0.25: 0.003, 0.05: 0.012}  # what the gap is to be at most, as a share of the range
_PLACES = 4  # targets at knots, and as many between them, of every state
_FEW = 400  # returns, beyond which the best CVaR itself is not looked for in fractions


def nearest(cells: int) -> TargetDP:
    """The search that ends with a number of cells as near to `cells` as halving comes: at most sqrt(2) times it."""
    return TargetDP(cells=int(2.0**0.5 * cells))


def fractions() -> Iterator[Line]:
    """Random processes of up to 4 states, 3 actions and 5 steps: the least loss at targets at and off the knots, the
    best CVaR, and what the policy reaches.

    Processes are unfolded in time, so that the search without a horizon, from coarse to fine, is what is tested. Some
    states have one action, some three; some pairs pay one of two rewards; discounts are .3, .4, ..., 1.
    """
    worst = {"at knots": -np.inf, "off knots": -np.inf, "best CVaR": -np.inf, "policy": -np.inf}
    counts, gaps, used = dict.fromkeys(worst, 0), {level: [] for level in _LEVELS}, []
    for number in range(_MODELS):
        rng = np.random.default_rng([20, number])
        states, steps, discount = (
            int(rng.integers(1, 5)),
            int(rng.integers(1, 6)),
            Fraction(int(rng.integers(3, 11)), 10),
        )
        model = random_small(rng, discount, states)
        ctl = solved(layers(model, steps).mdp(), CVaR(0.25), nearest(1024), tol=1e-9)[1]
        size, knots = ctl.family.size, ctl.family.above.knots
        used.append(size / knots.spacing)
        found = {level: ctl.at(level) for level in _LEVELS}
        for level, each in found.items():
            gaps[level].append(share(each))
        for x in range(states):
            tree = Tree(model, x, steps)
            low, high = float(tree.totals[0]) - 0.5, float(tree.totals[-1]) + 0.5
            near = np.rint((rng.uniform(low, high, _PLACES) - knots.origin) / knots.spacing)
            for kind, targets in (
                ("at knots", knots.origin + knots.spacing * near),
                ("off knots", rng.uniform(low, high, _PLACES)),
            ):
                for target in targets.tolist():
                    least = float(tree.put(Fraction(target)))
                    ends = ctl.family.below.at_least(target)[x], ctl.family.above.at_most(target)[x]
                    worst[kind] = max(worst[kind], (ends[0] - least) / size, (least - ends[1]) / size)
                    counts[kind] += 1
            if len(tree.totals) > _FEW:
                continue
            for level, each in found.items():
                value = best(tree, CVaR(level)).low
                wrong = max(each.lower[x] - value, value - each.upper[x]) / size
                own = value_of(executed_law(model, x, steps, each.policy, True), CVaR(level)).high
                worst["best CVaR"] = max(worst["best CVaR"], wrong)
                worst["policy"] = max(worst["policy"], (each.lower[x] - own) / size)
                counts["best CVaR"] += 1
                counts["policy"] += 1
    for kind, value in worst.items():
        said = f"largest violation of {counts[kind]} comparisons {max(value, 0.0):.1e} of the range"
        yield Line(f"{_MODELS} processes in fractions, {kind}", said, "at most 1e-9", value <= 1e-9)
    for level, most in _LEVELS.items():
        large, mean = max(gaps[level]), float(np.mean(gaps[level]))
        yield Line(
            f"the same, gap at level {level:g} with about 1,024 cells at most",
            f"largest {percent(large)}, mean {percent(mean)} of the range (median of cells {np.median(used):.0f})",
            f"largest at most {percent(most)}",
            large <= most,
        )


def rounding() -> Iterator[Line]:
    """The gap of rounded targets over that of the piecewise linear functions, on lattices of one spacing."""
    for discount in (0.9, 0.95, 0.99):
        mdp = environments.garnet(100, 4, 5, rng=0, discount=discount)
        ctl = solved(mdp, CVaR(0.1), nearest(512), tol=1e-6)[1]
        size, spacing = ctl.family.size, ctl.family.above.knots.spacing
        coarse = rounded(mdp, 0.1, 2, most=0)  # two cells over the range of all returns
        other = rounded(mdp, 0.1, round(2.0 * coarse.spacing / spacing), settled=1e-5)
        wide = float((other.upper - other.lower).max()) * spacing / other.spacing
        own = float(ctl.gap.max())
        yield Line(
            f"gap of rounded targets against chords, Garnet 100 at {discount:g}, {size / spacing:.0f} cells",
            f"{percent(wide / size)} against {percent(own / size)} of the range, {wide / own:.0f} times as wide",
            "30 times",
            wide >= 30.0 * own,
        )
