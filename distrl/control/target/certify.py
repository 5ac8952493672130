"""What a table of actions reaches for certain: the upper function of its own loss.

With the actions fixed, c in each cell, let T f be the least function on the knots that is above "play c, then lose f".

Discount below 1. For any f let T f <= f + h everywhere. Then f + h / (1 - g) is above its own image, so that it is
above the loss U_c of the policy (T is monotone, and contracts), and U_c <= T f + g h / (1 - g).

Discount 1. If T f + e <= f for some e > 0, and f is above the line of slope `low` through V*, then f less that line is
a non-negative function that falls by e a step on average: the policy ends, after f / e steps on average, and f is above
its loss.

Rewards of infinitely many values are rounded down in T, and the functions on the knots are made to rise with b. What
the true reward r leaves, f(y, (b - r) / g), is at most what T counts then: all of this holds for the true rewards, and
for the policy whose memory is the true target.
"""

from dataclasses import replace

import numpy as np

from distrl._validation import IntArray
from distrl.control.target.knots import Curve
from distrl.control.target.problem import Known
from distrl.control.target.sweeps import Bracket, Marks
from distrl.dp.call import Call

_MOST = 1_000  # sweeps
_EVERY = 4  # sweeps, a look at whether they are enough


def certified(bracket: Bracket, known: Known, order: IntArray, toll: float, spare: float, call: Call) -> Curve | None:
    """A function that is above the loss of the bracket's actions, whatever the memory; None if nothing was found.

    Parameters
    ----------
    bracket : Bracket
        Its upper function is where the search begins; it stays as it is.
    known : Known
    order : (S,) int
    toll : float
        What each step costs more in these sweeps.
    spare : float
        How much larger than the loss the function may be.
    call : Call
        Ctrl-C and its limit end the sweeps.
    """
    work = _Certified(bracket, known, toll)
    ways = order, np.ascontiguousarray(order[::-1])
    limit = np.inf if call.max_iterations is None else call.max_iterations
    with call.interruptible():
        for number in range(_MOST):
            if call.interrupted or call.iterations >= limit:
                break
            rise = work.sweep(ways[number % 2])
            call.count()
            if (rise <= 0.5 * toll or number % _EVERY == 1) and work.look() <= spare:
                return work.found
    work.look()
    return work.found


class _Certified:
    """The search for a function above its own image; the best one yet is `found`."""

    def __init__(self, bracket: Bracket, known: Known, toll: float) -> None:
        self.bracket, self.known, self.toll = bracket, known, toll
        self.values = bracket.above.values.copy()
        self.everyone = len(known.largest_mean)
        self.marks = Marks.all(self.everyone, 0.2 * toll)
        self.found: Curve | None = None
        self.least = np.inf

    def sweep(self, order: IntArray) -> float:
        """One sweep in place; the largest rise."""
        values, choice = self.values, self.bracket.choice
        return self.bracket.sweeper.fixed(order, values, values, choice, self.toll, self.marks)[0]

    def look(self) -> float:
        """How much too large what was found may be at most, from one application to the values as they are."""
        sweeper, above = self.bracket.sweeper, self.bracket.above
        image = self.values.copy()
        everyone = np.arange(self.everyone)
        rise, _ = sweeper.fixed(everyone, self.values, image, self.bracket.choice, 0.0, Marks.all(self.everyone))
        g = sweeper.problem.g
        if g < 1.0:
            excess = max(rise, 0.0) * g / (1.0 - g) * (1.0 + 1e-12)
            if excess < self.least:
                self.found, self.least = replace(above, values=image + excess), excess
        else:
            line = above.loss.low * (above.knots.points - self.known.least_mean[above.knots.states])
            if rise <= -0.25 * self.toll and bool((self.values >= line).all()):
                self.found, self.least = replace(above, values=self.values.copy()), 0.0
        return self.least
