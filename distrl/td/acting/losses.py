"""Tables of losses at targets, and the policies that play by them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import target_learning as kernels
from distrl._validation import FloatArray, float_array, real_number, whole_number
from distrl.models.choices import Choices
from distrl.returns.arrays import StateIndex, state_index
from distrl.returns.base import NotKnown, Returns
from distrl.returns.grid import Grid


@dataclass(frozen=True)
class TargetLosses(Returns):
    """The least E(b - G)+ after every action, at every target b: of each target by a policy of its own, so no laws.

    Attributes
    ----------
    grid : Grid
        The targets: knots (K,).
    losses : batch + (K,)
    """

    grid: Grid
    losses: FloatArray

    why_not = (
        "losses at targets are known (method TargetQ): ask for mean() and cvar(level), each under its own best policy"
    )
    moments_alone = True

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.losses.shape[:-1]

    def mean(self) -> FloatArray:
        """The largest mean: that of the last target, which no return exceeds."""
        return np.asarray(self.grid.high - self.losses[..., -1])

    def cvar(self, level: ArrayLike, tail: str = "lower") -> FloatArray:
        """The largest CVaR that a policy reaches from there: the largest b - U(b) / level over the knots b.

        Raises
        ------
        ValueError
            If a level is outside (0, 1].
        NotKnown
            For the upper tail, which losses do not say.
        """
        if tail != "lower":
            raise NotKnown(f"losses below targets say nothing of the {tail} tail")
        levels = float_array(level, "level", ndim=(0, 1))
        if ((levels <= 0.0) | (levels > 1.0)).any():
            raise ValueError(f"level must lie in (0, 1], got {level!r}")
        found = [(self.grid.points - self.losses / each).max(axis=-1) for each in np.atleast_1d(levels)]
        return np.asarray(np.stack(found, axis=-1) if levels.ndim else found[0])

    def arrays(self) -> dict[str, FloatArray]:
        return {"targets": self.grid.points, "losses": self.losses}

    def __getitem__(self, index: StateIndex) -> "TargetLosses":
        return TargetLosses(self.grid, self.losses[state_index(index, self.batch_shape)])


@dataclass(frozen=True, eq=False)
class TargetPolicy:
    """A policy that plays for what is left of a target; its memory is that target.

        memory = policy.start(state)
        while not ended:
            action = policy.act(state, memory)
            ...                                   # the environment gives reward and next_state
            memory = policy.observe(state, memory, reward, next_state)     # not after an end

    Attributes
    ----------
    grid : Grid
        The knots, (K,).
    losses : (pairs, K)
    choices : Choices
    level : float
        The level whose CVaR it is after.
    discount : float or None
        None where transitions have their own.
    """

    grid: Grid
    losses: FloatArray
    choices: Choices
    level: float
    discount: float | None

    def at(self, level: float) -> "TargetPolicy":
        """The policy for another level: the table is the same, and starts with another target.

        Parameters
        ----------
        level : float in (0, 1]

        Raises
        ------
        ValueError, TypeError
            If it is no level.
        """
        return replace(self, level=check_level(level))

    def start(self, state: int) -> float:
        """The target to start with: the knot b of the largest b - U(state, b) / level.

        Parameters
        ----------
        state : int
        """
        return float(kernels.start_target(self.losses, *self._pairs(state), *self._lattice, self.level))

    def act(self, state: int, memory: float) -> int:
        """The action of the least loss at the target, the first where some tie.

        Parameters
        ----------
        state : int
        memory : what `start` or `observe` gave
        """
        pair = kernels.least(self.losses, *self._pairs(state), real_number(memory, "memory"), *self._lattice, 0.0, 1.0)
        return int(self.choices.actions[pair])

    def observe(
        self, state: int, memory: float, reward: float, next_state: int, discount: float | None = None
    ) -> float:
        """The target that is left after a reward: (target - reward) / discount, moved into the lattice.

        Parameters
        ----------
        state, memory : int, and what `start` or `observe` gave before
        reward, next_state : float, int
            What came of it.
        discount : float, optional
            The transition's own, where the model's differ by outcome.

        Raises
        ------
        ValueError, TypeError
            If no discount is known, there is no such state, or a number is not finite.
        """
        weight = self.discount if discount is None else real_number(discount, "discount", low=0.0, high=1.0)
        if weight is None:
            raise ValueError("the model's discount differs by outcome: observe(..., discount=) says each transition's")
        whole_number(next_state, "next_state", high=self.choices.n_states - 1)
        target, gained = real_number(memory, "memory"), real_number(reward, "reward")
        return float(kernels.left(target, gained, weight, self.grid.low, self.grid.high))

    @property
    def _lattice(self) -> tuple[float, float]:
        return self.grid.low, self.grid.spacing

    def _pairs(self, state: int) -> tuple[int, int]:
        place = whole_number(state, "state", high=self.choices.n_states - 1)
        return int(self.choices.indptr[place]), int(self.choices.indptr[place + 1])


def check_level(level: object) -> float:
    """A level in (0, 1].

    Raises
    ------
    ValueError, TypeError
    """
    number = real_number(level, "level", low=0.0, high=1.0)
    if number == 0.0:
        raise ValueError("level must be above 0; the mean of the worst mass 0 is the worst return")
    return number
