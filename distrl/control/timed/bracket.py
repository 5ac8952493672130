"""EVaR from entropic risks at some betas: the best of them from below, and what no beta between them exceeds.

With h(b) = max over policies of -(1/b) log E exp(-b G) and s = -log(level), the largest EVaR of any policy is the
supremum over b > 0 of h(b) - s / b. h falls in b. Let u1 >= h(b1) and u2 >= h(b2) at two neighbours b1 < b2, lo and W
the smallest return and the width of all returns. For every policy f(b) = -log E exp(-b G) is concave, f' is a mean of G
under another law, so at least lo, and f'' = -Var >= -W^2 / 4. So on [b1, b2] the supremum is at most each of

    u1 - s / b2                                                     since h falls,
    max(u1 - s t, u2 - s / b2),  t = (u1 - lo) / (b2 (u2 - lo))     since f(b) <= b2 u2 - (b2 - b) lo too, equal at 1/t,
    max(u1 - s / b1, u2 - s / b2) + W^2 (b2 - b1)^2 / (32 b1)       by chord and curvature of f.

The second is below the first wherever lo is finite. Below the smallest beta b the mean is above h, which leaves
V* - s / b, and above the largest one h(b) itself is left. Claim `evar-between-betas`.

Sources: Hau, Petrik and Ghavamzadeh 2023 (AISTATS) for the reduction and the first bound; the others are this
library's.
"""

import math

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray


def highest_between(
    betas: tuple[float, float],
    risks: tuple[FloatArray, FloatArray],
    smallest: FloatArray,
    width: FloatArray,
    loss: float,
) -> FloatArray:
    """(S,) what no h(b) - loss / b exceeds for b between two betas, rounding counted.

    Parameters
    ----------
    betas : two floats, rising
    risks : two (S,)
        What h does not exceed at these.
    smallest, width : (S,)
        Of all returns; infinite where they have no bounds.
    loss : float
        -log(level).
    """
    (b1, b2), (u1, u2) = betas, risks
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        first, second = u1 - loss / b1, u2 - loss / b2
        falling = u1 - loss / b2
        above = u2 - smallest
        lost = 8.0 * EPS * (1.0 + (np.abs(u1) + np.abs(u2) + np.abs(smallest)) / above)
        meeting = (u1 - smallest) / (b2 * above) * (1.0 - lost)
        crossing = np.where((above > 0.0) & (lost < 0.5), np.maximum(u1 - loss * meeting, second), np.inf)
        curved = np.maximum(first, second) + width**2 * (b2 - b1) ** 2 / (32.0 * b1) * (1.0 + 8.0 * EPS)
        found = np.fmin(falling, np.fmin(crossing, curved))
        found = found + 16.0 * EPS * (np.abs(u1) + np.abs(u2) + loss / b1)
    return np.where(np.isnan(found), np.inf, found)


class Bracket:
    """The best EVaR of every state among betas that come one by one, from the smallest to the largest.

    Parameters
    ----------
    level : float in (0, 1)
    mean : (S,)
        What no mean exceeds.
    smallest, width : (S,)
        Of all returns.
    """

    def __init__(self, level: float, mean: FloatArray, smallest: FloatArray, width: FloatArray) -> None:
        self.loss, self.mean, self.smallest, self.width = -math.log(level), mean, smallest, width
        self.low, self._high = np.full(len(mean), -np.inf), np.full(len(mean), -np.inf)
        self.rungs, self.betas = np.full(len(mean), -1, dtype=np.int64), np.full(len(mean), np.nan)
        self._last: tuple[float, FloatArray] | None = None

    def add(self, b: float, low: FloatArray, high: FloatArray, rung: int) -> FloatArray:
        """Take the ends of h at the next larger beta; (S,) what no beta exceeds since the last one.

        Parameters
        ----------
        b, low, high, rung : float, (S,), (S,), int
            The number is remembered for the states where this beta is the best.
        """
        room = 4.0 * EPS * (np.abs(np.where(np.isfinite(low), low, 0.0)) + self.loss / b)
        own = low - self.loss / b - room
        better = own > self.low
        self.low = np.where(better, own, self.low)
        self.rungs = np.where(better, rung, self.rungs)
        self.betas = np.where(better, b, self.betas)
        if self._last is None:
            piece = self.mean - self.loss / b + 4.0 * EPS * (np.abs(self.mean) + self.loss / b)
        else:
            piece = highest_between((self._last[0], b), (self._last[1], high), self.smallest, self.width, self.loss)
        self._high, self._last = np.maximum(self._high, piece), (b, high)
        return piece

    @property
    def lower(self) -> FloatArray:
        """(S,) what the policy of the best beta reaches; no return is below the smallest one."""
        return np.asarray(np.maximum(self.low, self.smallest))

    @property
    def upper(self) -> FloatArray:
        """(S,) what no policy exceeds, betas beyond the largest one included."""
        if self._last is None:
            return self.mean
        return np.asarray(np.minimum(np.maximum(self._high, self._last[1]), self.mean))

    @property
    def first(self) -> IntArray:
        """(S,) the number of the best beta; -1 where no beta has a finite risk."""
        return self.rungs


def ratio_for(goal: float, width: float, loss: float) -> float:
    """How much two neighbouring betas may differ, as a factor, so that the gap between them is `goal` at most.

    For b up to loss (ratio - 1) / goal by the curvature, above it since h falls.

    Parameters
    ----------
    goal, width, loss : float
        In units of reward; -log(level).
    """
    if not 0.0 < width < math.inf:
        return 1.01
    return 1.0 + min(math.cbrt(32.0 * (goal / width) ** 2 / loss), 1.0)
