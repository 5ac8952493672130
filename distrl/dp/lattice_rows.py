"""A model's rewards as multiples of one step, and its outcomes as moves between levels.

The step d of a set of rewards is found from their ratios to the smallest of them, each a fraction with a denominator of
at most 10,000 up to rounding: floats such as 0.1 and 0.3 share the step 0.1, though no float is exactly a third of
the other. What a reward then differs from its multiple of d is counted as an error of the reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.discounts import said_discount
from distrl.models.laws import FiniteLaw
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.returns.spans import largest_sums

_DENOMINATOR = 10_000  # of a reward's ratio to the smallest one
_ROUNDINGS = 8.0  # of a reward that somebody computed, in units of its last digit
_FINEST = 2.0**40  # levels of the largest reward: beyond, a float says nothing of multiples any more
_SPLIT = 134_217_729.0  # 2^27 + 1


#: What errors offer in place of a lattice with fewer levels, and of any.
GENERAL = "distrl.CategoricalFixedPoint(), which works on a coarser grid"
INSTEAD = "use distrl.CategoricalFixedPoint() or distrl.Brackets(), which need no lattice"


class TooManyLevels(ValueError):
    """The laws have more levels than were allowed; the message says how many, and what to use instead."""


class OffLattice(ValueError):
    """The rewards are no multiples of one step; the message says which and what to use instead."""


@dataclass(frozen=True, eq=False)
class LatticeRows:
    """Outcomes whose rewards are `step` times a level, finite reward laws spread out.

    Attributes
    ----------
    step : float
        d > 0, in units of reward.
    sources, next_states, levels : (n,) int
    probs : (n,) float
    terminals : (n,) bool
    error : (S,) how far one step's reward may be from its level, in W1: what rounding left of multiples of `step`
    """

    step: float
    sources: IntArray
    next_states: IntArray
    levels: IntArray
    probs: FloatArray
    terminals: BoolArray
    error: FloatArray

    @property
    def sign(self) -> int:
        """1 if no reward is negative, -1 if none is positive, 0 if there are both."""
        if self.levels.min() >= 0:
            return 1
        return -1 if self.levels.max() <= 0 else 0

    def reach(self, model: MRP) -> tuple[IntArray, IntArray]:
        """(S,) and (S,) the smallest and the largest size of a return, in levels, for rewards of one sign."""
        lows, highs = model.outcomes.reward_ranges()
        ends = (largest_sums(model, highs), -largest_sums(model, -lows))
        small, large = np.sort(np.abs(np.stack(ends)), axis=0) / self.step
        # a level more on each side: these are sums of floats
        least = np.maximum(np.floor(small * (1.0 - 1e-9)) - 1.0, 0.0)
        most = np.minimum(np.ceil(large * (1.0 + 1e-9)) + 1.0, 2.0**62)
        return least.astype(np.int64), most.astype(np.int64)

    @classmethod
    def of(cls, model: MRP | MDP, step: float | None = None) -> LatticeRows:
        """The outcomes of a model; `step` is that of its rewards, by default their largest.

        Raises
        ------
        OffLattice
            If a reward law is not finite, or the rewards have no common step.
        """
        table = model.outcomes
        if step is None:
            step = common_step(distinct_rewards(model))
        constant = np.flatnonzero(table.laws < 0)
        picked, values, probs = [constant], [table.rewards[constant]], [table.probs[constant]]
        for index, law in enumerate(table.reward_laws):
            assert isinstance(law, FiniteLaw)
            rows = np.flatnonzero(table.laws == index)
            picked.append(np.repeat(rows, len(law.values)))
            values.append(np.tile(law.values, len(rows)))
            probs.append(np.multiply.outer(table.probs[rows], law.probs).ravel())
        row, rewards, masses = np.concatenate(picked), np.concatenate(values), np.concatenate(probs)
        levels = np.rint(rewards / step)
        off = masses * _difference(rewards, levels, step)
        return cls(
            step=step,
            sources=table.sources[row],
            next_states=table.next_states[row],
            levels=levels.astype(np.int64),
            probs=masses,
            terminals=table.terminals[row],
            error=np.asarray(np.bincount(table.sources[row], weights=off, minlength=table.n_states), dtype=np.float64),
        )


def distinct_rewards(model: MRP | MDP) -> FloatArray:
    """All rewards of a model, each once.

    Raises
    ------
    OffLattice
        If a reward law is not finite.
    """
    table = model.outcomes
    values = [table.rewards[table.laws < 0]]
    for index, law in enumerate(table.reward_laws):
        if not isinstance(law, FiniteLaw):
            raise OffLattice(f"the reward law {law!r} has infinitely many values, so no step divides them all")
        values += [law.values] if (table.laws == index).any() else []
    return np.unique(np.concatenate(values))


def rows_or_why(model: MRP) -> LatticeRows | str:
    """A model's outcomes on a lattice, or why they are on none."""
    if model.uniform_discount != 1.0:
        return f"discounted returns (discount {said_discount(model)}) are on no lattice"
    try:
        return LatticeRows.of(model)
    except OffLattice as error:
        return str(error)


def common_step(values: FloatArray) -> float:
    """The largest d of which all values are multiples, up to `_ROUNDINGS` roundings each; 1 if all are 0.

    Raises
    ------
    OffLattice
        Naming two rewards that have none.
    """
    sizes = np.unique(np.abs(values[values != 0.0]))
    if not sizes.size:
        return 1.0
    parts = 1
    while True:
        step = float(sizes[0]) / parts
        levels = np.rint(sizes / step)
        off = np.abs(sizes - levels * step) > _ROUNDINGS * EPS * sizes
        if not off.any() and levels[-1] <= _FINEST:
            return step
        odd = float(sizes[int(np.argmax(off)) if off.any() else -1])
        more = Fraction(odd / step).limit_denominator(_DENOMINATOR).denominator
        if more == 1 or parts * more > _DENOMINATOR or not off.any():
            raise OffLattice(
                f"the rewards {float(sizes[0])!r} and {odd!r} are no multiples of one step (ratios with denominators "
                f"up to {_DENOMINATOR} were tried)"
            )
        parts *= more


def _difference(rewards: FloatArray, levels: FloatArray, step: float) -> FloatArray:
    """|rewards - levels * step|, the product's own rounding included (Dekker's exact product)."""
    product = levels * step
    a, b = _halves(levels), _halves(np.full(len(levels), step))
    low = ((a[0] * b[0] - product) + a[0] * b[1] + a[1] * b[0]) + a[1] * b[1]
    return np.abs(rewards - product) + np.abs(low)


def _halves(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two floats of half the digits whose sum is x."""
    shifted = _SPLIT * x
    high = shifted - (shifted - x)
    return high, x - high
