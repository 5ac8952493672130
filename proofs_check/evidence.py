"""Evidence against a statistical claim, collected until it is clear.

A likelihood ratio of a violation to the claim, multiplied up over independent observations, exceeds 1 / alpha at any
time with probability alpha at most if the claim holds (Ville's inequality): so it may be looked at after each, and
collecting may stop when one likes. It stops at 1 / alpha, against the claim, and at 1 / `ENOUGH`, for it; if the
violation is there as large as was said, the second happens with probability 1 / `ENOUGH` at most (Wald 1945).
"""

import math

import numpy as np

from distrl._validation import BoolArray, FloatArray, IntArray
from proofs_check.claim import Reading, share_of_alarm

#: How many times likelier the claim is than the violation when no more is drawn.
ENOUGH = 500.0


class Evidence:
    """The logarithm of a likelihood ratio, violation over claim, as observations come in.

    Parameters
    ----------
    comparisons : int
        How many such there are in one case; the case's share of the false alarm is divided by them.
    simple : bool
        Whether the ratio is to one stated violation: only then what speaks for the claim ends it.
    """

    def __init__(self, comparisons: int = 1, simple: bool = True) -> None:
        self.most = -math.log(share_of_alarm(comparisons))
        self.least = -math.log(ENOUGH) if simple else -math.inf
        self.total = self.highest = 0.0
        self.seen = 0

    @property
    def open(self) -> bool:
        """Whether more observations are wanted."""
        return self.least < self.total < self.most

    def add(self, ratios: FloatArray) -> None:
        """Take in the log ratios of observations, one by one, until the evidence is clear; the rest is left out."""
        if not self.open:
            return
        path = self.total + np.cumsum(ratios)
        clear = np.flatnonzero((path >= self.most) | (path <= self.least) | np.isnan(path))
        stop = int(clear[0]) + 1 if len(clear) else len(path)
        if stop:
            self.total = float(path[stop - 1])
            self.highest = float(np.maximum(self.highest, path[:stop].max()))  # what is not a number stays and fails
            self.seen += stop

    @property
    def reading(self) -> Reading:
        """The largest evidence against the claim, and what would refute it."""
        return Reading(self.highest, self.most)


def scale(z: FloatArray, claimed: float, violation: float) -> FloatArray:
    """Log ratios of N(0, violation^2) to N(0, claimed^2); further from it than claimed, N has less of them still."""
    return np.asarray(0.5 * z**2 * (claimed**-2 - violation**-2) - math.log(violation / claimed))


def rate(happened: BoolArray, claimed: float, violation: float) -> FloatArray:
    """Log ratios of events with probability `violation` to `claimed` at most, smaller than it."""
    yes, no = math.log(violation / claimed), math.log((1.0 - violation) / (1.0 - claimed))
    return np.where(happened, yes, no)


def correlated(x: FloatArray, y: FloatArray, rho: float) -> FloatArray:
    """Log ratios of pairs of standard normal numbers with correlation `rho` to independent ones."""
    rest = 1.0 - rho**2
    return np.asarray(-0.5 * math.log(rest) - (rho**2 * (x**2 + y**2) - 2.0 * rho * x * y) / (2.0 * rest))


def dependent(seen: IntArray, then: IntArray, probs: FloatArray) -> FloatArray:
    """Log ratios of categories `then`, predicted from those so far that followed the same `seen`, to `probs`.

    Each is predicted with its share so far, half an observation added to every category (Krichevsky and Trofimov
    1981): a bet that is settled before the next is made, whatever the dependence.
    """
    kinds = len(probs)
    before = np.zeros((int(seen.max(initial=0)) + 1, kinds))
    out = np.empty(len(then))
    for k, (i, j) in enumerate(zip(seen.tolist(), then.tolist(), strict=True)):
        row = before[i]
        out[k] = math.log((row[j] + 0.5) / (row.sum() + 0.5 * kinds))
        row[j] += 1.0
    with np.errstate(divide="ignore"):
        return out - np.log(probs[then])
