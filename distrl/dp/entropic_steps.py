"""One step of the recursion of entropic risk, for ends of it."""

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.exponents import EnclosedExponent, log_mean_exp
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.returns.functionals import Ends


class RewardExponents:
    """Ends of (1/b) log E exp(b R) of the reward R of every outcome of a table."""

    def __init__(self, table: OutcomeTable) -> None:
        self.table = table
        self.laws = [EnclosedExponent(law) for law in table.reward_laws]

    def ends(self, b: float) -> Ends:
        """(outcomes,) each."""
        ends = [(0.0, 0.0), *(law.exponent(b) for law in self.laws)]
        low, high = (np.array(side)[self.table.laws + 1] for side in zip(*ends, strict=True))
        return self.table.rewards + low, self.table.rewards + high

    def farthest(self, b: float, discount: float, surely: bool) -> float:
        """What bounds (1/b) log E exp(b G) from above for b > 0, from below for b < 0, whatever is done, for returns of
        discounts up to `discount`, that of every outcome if `surely`: the farthest end over outcomes, in every step, or
        in one alone where returns may end and that is farther."""
        low, high = self.ends(b)
        end = float(high.max()) if b > 0.0 else float(low.min())
        for_ever = end / (1.0 - discount)
        if surely and not self.table.terminals.any():
            return for_ever
        return max(end, for_ever) if b > 0.0 else min(end, for_ever)


class Steps:
    """One application of the recursion to ends, with the outcomes laid out for it."""

    def __init__(self, model: MRP) -> None:
        self.model, table = model, model.outcomes
        self.starts, self.sources = table.indptr[:-1], table.sources
        sums = np.add.reduceat(table.probs, self.starts)
        self.probs = table.probs / sums[self.sources]
        self.going_on = ~table.terminals
        self.count = np.diff(table.indptr)
        self.defects = table.defects
        self.rewards = RewardExponents(table)

    def exponents(self, b: float) -> Ends:
        """(outcomes,) ends of (1/b) log E exp(b R)."""
        return self.rewards.ends(b)

    def farthest(self, b: float) -> float:
        """What bounds h_b from above for b > 0, from below for b < 0; infinite where nothing is known."""
        g, differ = self.model.largest_discount, self.model.uniform_discount is None
        if g == 1.0 and differ:
            return np.inf if b > 0.0 else -np.inf
        return self.rewards.farthest(b, g, surely=not differ)

    def back(self, b: float, low: FloatArray, high: FloatArray) -> Ends:
        """Ends of h_b from those of h_{bg}."""
        table, g = self.model.outcomes, self.model.discount
        below = np.where(self.going_on, g * low[table.next_states], 0.0)
        above = np.where(self.going_on, g * high[table.next_states], 0.0)
        return self.ends(b, below, above, (min(g * low.min(), 0.0), max(g * high.max(), 0.0)))

    def ends(self, b: float, low: FloatArray, high: FloatArray, far: tuple[float, float]) -> Ends:
        """Ends of h_b from those of what follows each outcome, (outcomes,); `far`: of what follows any, and 0."""
        reward_low, reward_high = self.exponents(b)
        lowest, highest = float(reward_low.min() + far[0]), float(reward_high.max() + far[1])
        return self._mixed(b, reward_low + low, -1.0, lowest), self._mixed(b, reward_high + high, 1.0, highest)

    def _mixed(self, b: float, values: FloatArray, side: float, farthest: float) -> FloatArray:
        """(S,) (1/b) log sum p exp(b value), moved to the given side by what floating point can have cost.

        And by what mass of which nothing is known can do, whose value is at most `farthest` on that side.
        """
        known = np.where(np.isfinite(values), values, 0.0)
        mixed = log_mean_exp(b, known, self.probs, self.starts, self.sources)
        size = np.maximum.reduceat(np.abs(known), self.starts)
        mixed = mixed + side * 4.0 * (self.count + 16.0) * EPS * size
        if self.defects.any():
            mixed = self._with_unknown_mass(b, known, mixed, side, farthest)
        lost = np.add.reduceat(np.where(np.isfinite(values), 0.0, 1.0), self.starts) > 0.0
        return np.where(lost, side * np.inf, mixed)

    def _with_unknown_mass(
        self, b: float, values: FloatArray, mixed: FloatArray, side: float, farthest: float
    ) -> FloatArray:
        """`mixed` moved to the given side by what the mass `defects` may do, whose value is at most `farthest` there.

        Any row within d in total variation has E_q exp(b V) <= E_p exp(b V) + d exp(b v), v the farthest value, and
        >= E_p exp(b V) - d exp(b v), v the value of the row that counts most.
        """
        if b * side > 0.0:  # a larger moment is the end on this side
            more = self.defects * np.exp(b * (farthest - mixed))
            moved = np.where(np.isfinite(more), mixed + np.log1p(more) / b, farthest)
        else:
            counting = np.maximum.reduceat(b * values, self.starts)
            lost = self.defects * np.exp(counting - b * mixed)
            moved = np.where(lost < 1.0, mixed + np.log1p(-np.minimum(lost, 1.0)) / b, farthest)
        nearer = np.minimum(moved, farthest) if side > 0.0 else np.maximum(moved, farthest)
        return np.where(self.defects > 0.0, nearer, mixed)
