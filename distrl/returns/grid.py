"""Uniform grids of atoms, and the intervals that suit a model."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from distrl._tolerances import LARGEST_NUMBER, NOT_ZERO
from distrl._validation import FloatArray, real_number, whole_number
from distrl.returns.intervals import best_sums, closed_interval
from distrl.returns.spans import largest_sums, likely_end, short_episodes

if TYPE_CHECKING:
    from distrl.models.mdp import MDP
    from distrl.models.mrp import MRP


@dataclass(frozen=True)
class Grid:
    """`atoms` equally spaced points from `low` to `high`, both included.

    Parameters
    ----------
    low, high : float
        Ends, low < high, in units of reward.
    atoms : int
        Number of points, at least 2.

    Raises
    ------
    ValueError, TypeError
        If low >= high, atoms < 2, an end is not finite, or the points are too close to be told apart in float64.
    """

    low: float
    high: float
    atoms: int

    def __post_init__(self) -> None:
        low = real_number(self.low, "Grid low")
        high = real_number(self.high, "Grid high")
        atoms = whole_number(self.atoms, "Grid atoms", low=2)
        if low >= high:
            raise ValueError(f"Grid needs low < high, got low={low:g}, high={high:g}")
        if max(abs(low), abs(high)) > LARGEST_NUMBER:
            raise ValueError(f"Grid from {low:g} to {high:g} goes beyond {LARGEST_NUMBER:g} in size; scale the rewards")
        if (high - low) / (atoms - 1) <= max(16 * np.spacing(max(abs(low), abs(high))), 1e-100):
            raise ValueError(
                f"Grid from {low!r} to {high!r} with {atoms} atoms: the atoms are too close to be told apart in "
                "float64; widen the interval, shift the rewards or use fewer atoms"
            )
        for name, value in (("low", low), ("high", high), ("atoms", atoms)):
            object.__setattr__(self, name, value)

    @property
    def width(self) -> float:
        """high - low."""
        return self.high - self.low

    @property
    def spacing(self) -> float:
        """Distance between neighbouring atoms."""
        return self.width / (self.atoms - 1)

    @cached_property
    def points(self) -> FloatArray:
        """The atoms, shape (atoms,), read-only."""
        points = np.linspace(self.low, self.high, self.atoms)
        points.flags.writeable = False
        return points

    @classmethod
    def covering(cls, model: "MRP | MDP", atoms: int, *, tail: float | None = None) -> "Grid":
        """The smallest interval closed under every outcome: nothing is ever clipped, so every guarantee holds.

        high = max over outcomes of positive probability of r (the outcome ends) and r / (1 - discount) (it goes on, by
        its own one), low likewise: see `closed_interval`. Widened by 0.5 on each side if that leaves one point.

        Parameters
        ----------
        model : MRP or MDP
        atoms : int
        tail : float in (0, 0.5), optional
            Cut unbounded reward laws at these quantiles: rewards beyond are clipped, the certificate says how much.

        Raises
        ------
        ValueError
            At discount 1, where no interval is closed, and for unbounded laws without `tail`.
        """
        _check_model(model)
        if model.uniform_discount == 1.0:
            raise ValueError(
                "at discount 1 no interval is closed under the outcomes; use Grid.tight(model, atoms), with tail=1e-9 "
                "where a cycle pays, or give grid=Grid(low, high, atoms)"
            )
        lows, highs = _reward_ranges(model, tail)
        return cls.spanning(*closed_interval(model, lows, highs), atoms)

    @classmethod
    def tight(cls, model: "MRP | MDP", atoms: int, *, tail: float | None = None) -> "Grid":
        """The range of attainable returns, by dynamic programming over best and worst outcomes.

        Finer than `covering`; the operator may clip a little on it, and the certificate says how much.

        Parameters
        ----------
        model : MRP or MDP
        atoms : int
        tail : float in (0, 0.5), optional
            Cut unbounded reward laws at these quantiles. At discount 1 (MRP only), where a cycle pays, so that returns
            have no largest or no smallest value: an end that no state's return goes beyond with a higher probability.

        Raises
        ------
        ValueError
            Where the range is not finite and no `tail` is given, or the returns of an MRP need not end.

        Notes
        -----
        Time O(outcomes) a sweep, up to 10,000 sweeps; stopped early the interval is too wide, never too narrow. At
        discount 1 the range is that of the longest walks over the graph's components; a likely end is the nearer one of
        what exponential moments allow (`distrl.returns.spans`), some linear solves, and of what episodes of so many
        steps can make that longer ones have probability `tail`.
        """
        _check_model(model)
        model.check_ends()
        lows, highs = _reward_ranges(model, tail)
        if model.uniform_discount == 1.0:
            low, high = _range_undiscounted(model, lows, highs, tail)
        elif model.largest_discount == 1.0:
            low, high = -float(best_sums(model, -lows).max()), float(best_sums(model, highs).max())
        else:
            high = float(_best_returns(model, highs, 10_000).max())
            low = -float(_best_returns(model, -lows, 10_000).max())
        return cls.spanning(low, high, atoms)

    @classmethod
    def spanning(cls, low: float, high: float, atoms: int) -> "Grid":
        """The grid from `low` to `high`, widened by .5 on each side where that is one point.

        Raises
        ------
        ValueError
            If an end is too large for float64, or there are less than two atoms.
        """
        atoms = whole_number(atoms, "Grid atoms", low=2)
        if max(abs(low), abs(high)) > LARGEST_NUMBER:
            raise ValueError(f"returns reach from {low:g} to {high:g}, too far for float64; scale the rewards down")
        # one point, or so narrow that rounding made the width
        if high - low <= max(32 * (atoms - 1) * np.spacing(max(abs(low), abs(high))), (atoms - 1) * 2e-100):
            margin = 0.5 * max(1.0, 1e-9 * max(abs(low), abs(high)))
            low, high = low - margin, high + margin
        return cls(low, high, atoms)


def _check_model(model: object) -> None:
    if not hasattr(model, "outcomes"):
        raise TypeError(f"model must be an MRP or an MDP, got {model!r}")


def _reward_ranges(model: "MRP | MDP", tail: float | None) -> tuple[FloatArray, FloatArray]:
    if tail is not None:
        tail = real_number(tail, "tail", low=0.0, high=0.5)
        if tail in (0.0, 0.5):
            raise ValueError(f"tail must lie in (0, 0.5), got {tail:g}")
    lows, highs = model.outcomes.reward_ranges(tail)
    unbounded = ~(np.isfinite(lows) & np.isfinite(highs))
    if unbounded.any():
        law = model.outcomes.reward_laws[model.outcomes.laws[np.argmax(unbounded)]]
        raise ValueError(
            f"the reward law {law!r} is unbounded, so no interval holds every return; give "
            "grid=Grid(low, high, atoms), or Grid.covering(model, atoms, tail=1e-6), which cuts it at that quantile"
        )
    return lows, highs


def return_ranges(model: "MRP") -> tuple[FloatArray, FloatArray]:
    """(S,) and (S,): ends that no return from a state goes beyond, rounding included; infinite where none is known.

    Value iteration over best and worst outcomes from an interval that is closed under all of them, stopped after 1,000
    sweeps: too wide then, never too narrow. At discount 1 the longest walks to an end: infinite where a cycle pays.
    """
    lows, highs = model.outcomes.reward_ranges()
    return 0.0 - _largest_returns(model, -lows), _largest_returns(model, highs)


def _largest_returns(model: "MRP", rewards: FloatArray) -> FloatArray:
    """(S,) what no return exceeds, `rewards` being each outcome's largest."""
    table, g = model.outcomes, model.largest_discount
    unbounded = np.zeros(model.n_states)
    unbounded[table.sources[np.isinf(rewards)]] = 1.0
    if unbounded.any():
        reaching = -1.0
        while g > 0.0 and unbounded.sum() > reaching:  # a state that may meet an unbounded reward has no largest return
            reaching = unbounded.sum()
            unbounded[table.continuation @ unbounded > 0.0] = 1.0
        rewards = np.where(np.isinf(rewards), 0.0, rewards)
    if g < 1.0:
        best, steps = _best_returns(model, rewards, 1_000), 1.0 / (1.0 - g)
    else:
        best, steps = _best_episodes(model, rewards)
    known = np.isfinite(best)
    largest = float(np.abs(best[known]).max(initial=0.0) + np.abs(rewards).max())
    if not np.isfinite(largest):
        return np.full(model.n_states, np.inf)
    best = best + 8.0 * steps * np.spacing(largest)
    return np.where(unbounded > 0.0, np.inf, np.minimum(best, 0.0) if rewards.max() <= 0.0 else best)


def _best_episodes(model: "MRP", rewards: FloatArray) -> tuple[FloatArray, float]:
    """(S,) the largest undiscounted sums of an episode, inf where a cycle pays; and the most steps of one that do."""
    if model.uniform_discount is None:  # sums of returns that never end are not known after any number of steps
        return np.full(model.n_states, np.inf), 0.0
    return largest_sums(model, rewards), model.n_states + 1.0


def _best_returns(model: "MRP | MDP", rewards: FloatArray, sweeps: int) -> FloatArray:
    """(S,) the largest discounted returns; value iteration from above, so early stops stay valid."""
    table, g = model.outcomes, model.factors
    going_on = ~table.terminals
    with np.errstate(over="ignore", invalid="ignore"):
        top = float(np.where(going_on, rewards / (1.0 - g), rewards).max())
        best = np.full(table.n_states, top)
        for _ in range(sweeps):
            outcome = rewards + np.where(going_on, g * best[table.next_states], 0.0)
            better = np.maximum.reduceat(outcome, model.state_rows[:-1])
            gain = float(np.max(best - better))
            best = np.minimum(best, better)
            if not gain > 1e-13 * max(abs(top), NOT_ZERO):
                break
    return np.asarray(best)


def _range_undiscounted(
    model: "MRP | MDP", lows: FloatArray, highs: FloatArray, tail: float | None
) -> tuple[float, float]:
    """Smallest and largest return; where a cycle pays, of the likely ones."""
    high, low = _largest(largest_sums(model, highs)), -_largest(largest_sums(model, -lows))
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    one_policy = model.outcomes.n_sources == model.n_states
    if tail is None:
        under = "" if one_policy else ", of mdp.under(policy)"
        raise ValueError(
            "at discount 1 the returns of this model have no largest or smallest value, since a cycle pays; give a "
            f"tail probability, Grid.tight(model, atoms, tail=1e-9){under}, or "
            "grid=Grid(low, high, atoms)"
        )
    if not one_policy:
        raise ValueError("at discount 1 how long episodes last depends on the policy; pass mdp.under(policy)")
    process = cast("MRP", model)
    shortest, longest = short_episodes(process, lows, highs, tail)
    if math.isinf(high):
        high = min(longest, likely_end(process, highs, tail, upwards=True))
    if math.isinf(low):
        low = max(shortest, -likely_end(process, -lows, tail, upwards=False))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            "returns of this model have tails that are too long to be bounded: some state hardly ever ends; give "
            "grid=Grid(low, high, atoms), or use a discount below 1"
        )
    return low, high


def _largest(sums: FloatArray) -> float:
    """The largest of those that some walk makes; 0 where none ends."""
    made = sums[sums > -np.inf]
    return float(made.max()) if made.size else 0.0
