"""Rewards of infinitely many values, rounded down or up to finitely many: laws between which the true one lies.

Points from the least to the largest value cut a law into parts of about equal probability. All mass within a part goes
to its lower end, or to its upper one; atoms at points stay. So down <= R <= up, value by value, and the means differ by
at most (largest - least) / parts. Means of parts would not do: the least loss is not convex in the reward.
"""

from enum import IntEnum

import numpy as np

from distrl._validation import FloatArray
from distrl.models.laws import FiniteLaw, Law
from distrl.models.mdp import MDP


class Side(IntEnum):
    """Which way rewards of a law are rounded; NONE where such laws are not taken."""

    DOWN = -1
    NONE = 0
    UP = 1


def is_wide(law: Law) -> bool:
    """Whether a law has more than finitely many values."""
    return not isinstance(law, FiniteLaw)


def has_wide_laws(mdp: MDP) -> bool:
    """Whether some reward of a model has such a law."""
    return any(is_wide(law) for law in mdp.outcomes.reward_laws)


def refused(mdp: MDP, index: int, side: Side) -> ValueError:
    """What is wrong with the law of that number, at the first state with it."""
    table = mdp.outcomes
    pair = int(table.sources[int(np.argmax(table.laws == index))])
    state, action = (int(i) for i in mdp.pairs[pair])
    who = f"state {mdp.states[state]!r}, action {mdp.actions[action]!r} has a reward with the law"
    if side is Side.NONE:
        return ValueError(
            f"{who} {table.reward_laws[index]!r}; this needs rewards of finitely many values: give a distrl.FiniteLaw, "
            "such as its quantiles; returns under a policy that is there can be drawn, by simulate(episodes)"
        )
    return ValueError(
        f"{who} {table.reward_laws[index]!r}, which has no bounds; targets need bounded rewards: cut the law where "
        "little is left, as scipy.stats.truncnorm does, or give a distrl.FiniteLaw, such as its quantiles"
    )


def cut(law: Law, parts: int, side: Side) -> tuple[FloatArray, FloatArray]:
    """Values and masses of a bounded law that is rounded.

    Parameters
    ----------
    law : Law
    parts : int
    side : Side
        DOWN or UP.
    """
    low, high = law.support
    inner = np.clip(law.quantile(np.arange(1, parts) / parts), low, high)
    points = np.unique(np.concatenate([[low], inner, [high]]))
    upto, before = np.clip(law.cdf(points), 0.0, 1.0), np.clip(law.cdf_left(points), 0.0, 1.0)
    upto[-1], before[0] = 1.0, 0.0
    atoms, within = np.maximum(upto - before, 0.0), np.maximum(before[1:] - upto[:-1], 0.0)
    masses = np.concatenate([atoms, within])
    values = np.concatenate([points, points[:-1] if side is Side.DOWN else points[1:]])
    kept = masses > 0.0
    return values[kept], masses[kept] / masses.sum()
