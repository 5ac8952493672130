"""The designs: models, what is drawn of them, and what is asked."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

import distrl


class Design(NamedTuple):
    """A model, how many samples each source gets, and on which grid.

    Attributes
    ----------
    text : for reports
    model : MRP or MDP
    policy : for an MDP
    samples : int, or (S, A) ints
    low, high, atoms : the grid
    """

    text: str
    model: Any
    samples: Any
    low: float
    high: float
    policy: Any = None
    atoms: int = 31


_DENSE = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.4, 0.1, 0.5]])
_COINS = [distrl.FiniteLaw([0.0, mean], [0.5, 0.5]) for mean in (1.0, 0.6, 0.2)]


def _loop(p: float, discount: float) -> distrl.MRP:
    """Reward 1 a step in two states until an end of probability p."""
    stay = np.full((2, 2), (1.0 - p) / 2.0)
    rows = [(x, stay[x, y], y, 1.0 - x, False) for x in (0, 1) for y in (0, 1)]
    return distrl.MRP.from_outcomes([*rows, (0, p, 0, 0.0, True), (1, p, 1, 0.0, True)], discount)


def _row(slip: float) -> distrl.MRP:
    """Four states in a row: on with reward 1 at the end of the row, or with probability `slip` back to the start."""
    rows = [(x, 1.0 - slip, (x + 1) % 4, float(x == 3), False) for x in range(4)]
    return distrl.MRP.from_outcomes([*rows, *((x, slip, 0, 0.0, False) for x in range(4))], 0.9)


def _lossy(p: float) -> distrl.MRP:
    """Two noisy states, and with probability p a loss of ten times the reward's range."""
    laws = [distrl.FiniteLaw([0.0, 1.0, -10.0], [(1 - p) / 2, (1 - p) / 2, p]), distrl.FiniteLaw([0.0, 1.0])]
    return distrl.MRP([[0.5, 0.5], [0.5, 0.5]], laws, 0.8)


def _choices() -> distrl.MDP:
    """Three states, two actions that lead to other states and pay differently."""
    other = np.array([[0.1, 0.3, 0.6], [0.6, 0.2, 0.2], [0.3, 0.6, 0.1]])
    laws = [[_COINS[0], _COINS[2]], [_COINS[1], _COINS[0]], [_COINS[2], distrl.FiniteLaw([0.0, 3.0], [0.8, 0.2])]]
    return distrl.MDP(np.stack([_DENSE, other]), laws, 0.8)


_TARGET = np.array([[0.1, 0.9]] * 3)


def _designs() -> dict[str, Design]:
    dense = distrl.MRP(_DENSE, _COINS, 0.8)
    far = distrl.MRP(_DENSE, _COINS, 0.97)
    near = distrl.MRP(_DENSE, _COINS, 0.1)
    uniform = distrl.MRP(_DENSE, [stats.uniform(0, scale) for scale in (1.0, 0.6, 0.2)], 0.8)
    normal = distrl.MRP(_DENSE, [stats.norm(mean, 1.0) for mean in (1.0, 0.0, -1.0)], 0.8)
    skewed = distrl.MRP(_DENSE, [stats.expon(scale=scale) for scale in (1.0, 0.5, 0.2)], 0.8)
    # of a log that took the target's action rarely
    logged, few = np.array([[180, 20]] * 3), np.array([[95, 5]] * 3)
    return {
        "dense": Design("3 states, dense rows, coins as rewards, N = 100", dense, 100, 0.0, 5.0),
        "dense, 10": Design("the same, N = 10", dense, 10, 0.0, 5.0),
        "discount .97": Design("the same, discount .97, N = 400", far, 400, 0.0, 34.0),
        "discount .1": Design("the same, discount .1, N = 50", near, 50, 0.0, 1.2),
        "uniform": Design("dense, uniform rewards, N = 50", uniform, 50, 0.0, 5.0),
        "normal": Design("dense, normal rewards, unbounded, N = 50", normal, 50, -12.0, 12.0),
        "exponential": Design("dense, exponential rewards, unbounded, N = 50", skewed, 50, 0.0, 15.0),
        "ends, 20": Design("ends with probability .05, N = 200 of 2 states", _loop(0.05, 0.95), 200, 0.0, 20.0),
        "ends, 3": Design("ends with probability .01, N = 150", _loop(0.01, 0.95), 150, 0.0, 20.0),
        "slips, 20": Design("4 in a row, slips with probability .02, N = 1,000", _row(0.02), 1000, 0.0, 4.0),
        "slips, 2": Design("the same, N = 100", _row(0.02), 100, 0.0, 4.0),
        "losses, 20": Design("losses of -10, probability .01, N = 2,000", _lossy(0.01), 2000, -50.0, 5.0, atoms=111),
        "losses, 3": Design("the same, N = 300", _lossy(0.01), 300, -50.0, 5.0, atoms=111),
        "off-policy": Design("3 states, 2 actions, N = 180, 20, target .1, .9", _choices(), logged, 0.0, 15.0, _TARGET),
        "off-policy, 5": Design("the same, N = 95 and 5", _choices(), few, 0.0, 15.0, _TARGET),
    }  # fmt: skip


DESIGNS = _designs()
