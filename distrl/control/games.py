"""Newton steps for the values of a game: of fixed points V(x) = max_a Q(x, a; V) where Q takes a choice of its own.

Definitions. T V(x) = max_a Q(x, a; V) is monotone, and T (V + c) <= T V + g c for c >= 0, g < 1: a g-contraction in the
sup norm. Q is the least (or the largest) of means of r + g V(y) under the laws that a second player may choose.

Algorithm. Each one's choice at V makes a process without choices, whose values are solved for (Hoffman and Karp 1966):
a Newton step for T V = V. Where one makes the residual larger, as it may, it is a sweep V <- T V instead.

Bounds. Let d = T V - V, rounding included. With m = min(d, 0) and M = max(d, 0) over all states

    T V(x) + g m / (1 - g) <= what the greedy policy reaches,    what no policy exceeds <= T V(x) + g M / (1 - g),

valid for any V. Claim `nested-residual`.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from distrl._tolerances import EPS, TINY
from distrl._validation import FloatArray, IntArray
from distrl.control.bellman import Pairs
from distrl.control.method import largest_size
from distrl.dp.call import Call

_STEPS = 100_000  # at most


class Backup(NamedTuple):
    """Q of some values: of every pair, what float64 may be off by, the weights of the outcomes, and what is added.

    The second player's choice: Q(x, a; V) = constant + sum of weights * (r + g V(y)) over the outcomes of the pair.
    """

    pairs: FloatArray
    error: FloatArray
    weights: FloatArray
    constants: FloatArray


class Game(Protocol):
    """What steps ask of a game."""

    @property
    def pairs(self) -> Pairs:
        """The pairs of state and action."""

    @property
    def g(self) -> float:
        """The discount."""

    def backup(self, values: FloatArray) -> Backup:
        """Q of `values` (S,)."""

    def solved(self, backup: Backup, policy: IntArray) -> FloatArray:
        """(S,) the values of the process that both choices make: `policy` one pair a state, and the backup's weights.

        Raises
        ------
        ValueError
            Where they are beyond float64.
        """


class Reached(NamedTuple):
    """T V of some V, the greedy pairs, the second player's choice, and ends of what these reach and none exceeds."""

    values: FloatArray
    policy: IntArray
    backup: Backup
    low: FloatArray
    high: FloatArray

    @property
    def gap(self) -> float:
        """The largest distance of the ends."""
        return float((self.high - self.low).max())


def by_newton(game: Game, start: FloatArray, call: Call, goal: Callable[[float], float]) -> tuple[Reached, bool, str]:
    """Steps from `start` (S,) until the gap of the ends is at most `goal` of the values' size, or rounding is reached.

    Returns
    -------
    What was reached, whether the steps were used up, and how it was found.
    """
    limit = _STEPS if call.max_iterations is None else call.max_iterations
    if call.interrupted:  # in an earlier game: the start's own ends are valid
        limit = 0
    best, steps, newton = _reached(game, start, None), 0, 0
    aim = goal(largest_size(best.values, game.pairs.largest_reward))
    with call.interruptible():
        while steps < limit and best.gap > aim:
            try:
                tried = _reached(game, game.solved(best.backup, best.policy), best)
            except ValueError:  # beyond float64
                tried = best
            if tried.gap < 0.9 * best.gap:
                found, newton = tried, newton + 1
            else:
                found = _reached(game, best.values, best)
            if not found.gap < best.gap and not tried.gap < best.gap:
                break  # rounding is reached
            best, steps = (found if found.gap < tried.gap else tried), steps + 1
            aim = goal(largest_size(best.values, game.pairs.largest_reward))
            call.count()
            call.report(best.gap, max(aim, TINY))
    return best, steps >= limit, f"{newton} Newton steps and {steps - newton} sweeps"


def _reached(game: Game, values: FloatArray, before: Reached | None) -> Reached:
    pairs, g = game.pairs, game.g
    backup = game.backup(values)
    policy = pairs.first_best(backup.pairs)
    image = backup.pairs[policy]
    least, most = image - backup.error[policy], pairs.largest(backup.pairs + backup.error)
    onward = g / (1.0 - g) * (1.0 + 8.0 * EPS)
    low = least + onward * min(float((least - values).min()), 0.0)
    high = most + onward * max(float((most - values).max()), 0.0)
    room = 8.0 * EPS * (1.0 + onward) * float(np.abs(values).max() + np.abs(image).max())
    high = high + room if before is None else np.minimum(high + room, before.high)
    return Reached(image, policy, backup, low - room, high)
