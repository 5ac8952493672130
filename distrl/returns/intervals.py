"""Intervals that hold every return where outcomes have discounts of their own.

An interval [low, high] is closed under an outcome that pays r and goes on with the discount g if r + g [low, high] lies
in it. Since g >= 0 that is r + g high <= high and r + g low >= low, each an end of its own: r / (1 - g) <= high and
low <= r / (1 - g). So the smallest interval closed under all outcomes has the largest r / (1 - g) as its upper and the
smallest as its lower end, however discounts and signs mix; an outcome that ends counts with r. Where g is 1 there is
none for r not 0, and r = 0 asks for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distrl._validation import FloatArray

if TYPE_CHECKING:
    from distrl.models.mdp import MDP
    from distrl.models.mrp import MRP


def closed_interval(model: MRP | MDP, lows: FloatArray, highs: FloatArray) -> tuple[float, float]:
    """The smallest interval closed under the outcomes, whose rewards reach from `lows` (n,) to `highs` (n,).

    Raises
    ------
    ValueError
        If there is none: an outcome goes on with discount 1 and a reward that is not 0.
    """
    share = np.where(model.outcomes.terminals, 1.0, 1.0 - model.factors)
    asking = (share > 0.0) | (lows != 0.0) | (highs != 0.0)  # without discount a reward of 0 holds everywhere
    if (share[asking] == 0.0).any():
        raise ValueError(
            "an outcome goes on with discount 1 and a reward, so no interval is closed under the outcomes; give "
            "grid=Grid(low, high, atoms), or Grid.tight(model, atoms)"
        )
    with np.errstate(over="ignore"):
        return float((lows[asking] / share[asking]).min()), float((highs[asking] / share[asking]).max())


def best_sums(model: MRP | MDP, rewards: FloatArray) -> FloatArray:
    """(S,) the largest sums of any number of discounted rewards, none included, where some discounts are 1.

    Value iteration from 0, whose iterates rise to them; what is left when they stop is within rounding.

    Raises
    ------
    ValueError
        If they still rise after 10,000 sweeps.
    """
    table = model.outcomes
    best = np.zeros(table.n_states)
    for _ in range(10_000):
        outcome = rewards + model.factors * best[table.next_states]
        better = np.maximum(np.maximum.reduceat(outcome, model.state_rows[:-1]), 0.0)
        gain = float(np.max(better - best))
        best = better
        if not gain > 1e-13 * best.max():
            return best
    raise ValueError(
        "the returns of this model, in which outcomes go on with discount 1, have no largest or smallest value that "
        "10,000 steps show; give grid=Grid(low, high, atoms)"
    )
