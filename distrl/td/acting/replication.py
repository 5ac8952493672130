"""Replications that act: each has its own numbers, four a transition, whatever becomes of them.

Update k of a replication takes the numbers 4 B (k - 1) .. 4 B k of its generator, B its transitions: so nothing depends
on how many updates are made at a time, and the count of updates says where the numbers stand.
"""

from typing import NamedTuple

import numpy as np

from distrl._kernels.td import Stride
from distrl._validation import FloatArray
from distrl.returns.base import Returns
from distrl.td.acting.exploration import Exploration, explorations
from distrl.td.acting.method import ActingMethod
from distrl.td.acting.player import Player, number_of
from distrl.td.noise import Blocks
from distrl.td.replication import Checkpoint
from distrl.td.step_sizes import Constant, Harmonic, Listed, Polynomial, StepSize

_CHUNK = 8192  # transitions at a time
_NUMBERS = 4  # of each


class Pace(NamedTuple):
    """Step sizes as kernels compute them: listed, or scale / (offset + k)^exponent."""

    sizes: FloatArray
    scale: float
    exponent: float
    offset: float


def pace_of(step_size: StepSize) -> Pace | None:
    """The `Pace` of the library's own step sizes; None for those of others."""
    kind, none = type(step_size), np.empty(0)
    if kind is Constant:
        return Pace(none, step_size.largest, 0.0, 0.0)
    if isinstance(step_size, Listed) and kind is Listed:
        return Pace(np.array(step_size.sizes), 0.0, 0.0, 0.0)
    if isinstance(step_size, Harmonic) and kind is Harmonic:
        return Pace(none, step_size.scale, 1.0, step_size.offset)
    if isinstance(step_size, Polynomial) and kind is Polynomial:
        return Pace(none, step_size.scale, step_size.exponent, step_size.offset)
    return None


class ActingRecipe(NamedTuple):
    """How all replications of a run learn."""

    method: ActingMethod[Returns, object]
    step_size: StepSize
    exploration: Exploration


class ActingReplication:
    """A replication at work.

    Parameters
    ----------
    recipe : ActingRecipe
    player : Player
    seed : SeedSequence
    checkpoint : Checkpoint
        Where it stands; it is changed.
    """

    def __init__(
        self, recipe: ActingRecipe, player: Player, seed: np.random.SeedSequence, checkpoint: Checkpoint
    ) -> None:
        self.recipe, self.player, self.checkpoint = recipe, player, checkpoint
        bits = np.random.PCG64(seed)
        self._blocks = Blocks(player.noise, bits)
        self._rng = np.random.Generator(bits.advance(_NUMBERS * player.block * self.done))
        self._pace = pace_of(recipe.step_size)
        self._steps, self._known = np.empty(0), 0

    @property
    def done(self) -> int:
        """Updates made."""
        return self.checkpoint.position.updates

    def advance(self, updates: int) -> None:
        """Do `updates` updates."""
        method, step_size, _ = self.recipe
        memory, visits, position = self.checkpoint
        chunk, stop = max(_CHUNK // self.player.block, 1), self.done + updates
        while self.done < stop:
            count = min(chunk, stop - self.done)
            stride = self._stride(self.done, count)
            method.play(memory, visits, step_size, self.player, stride)
            position.updates += count

    def _stride(self, first: int, count: int) -> Stride:
        """The next `count` updates, after `first`."""
        block, pace = self.player.block, self._pace or Pace(self._listed(first + count), 0.0, 0.0, 0.0)
        return Stride(
            sampling=number_of(self.player.sampling),
            sarsa=self.recipe.method.update == "sarsa",
            block=block,
            first=first,
            numbers=self._rng.random((count * block, _NUMBERS)),
            explorations=explorations(self.recipe.exploration, first, count),
            noise=self._blocks.between(first * block, (first + count) * block),
            sizes=pace.sizes,
            scale=pace.scale,
            exponent=pace.exponent,
            offset=pace.offset,
            by_visits=self.recipe.step_size.clock == "visits",
        )

    def _listed(self, last: int) -> FloatArray:
        """(last,) the steps a_1, a_2, ... of somebody's own step sizes."""
        if last > len(self._steps):
            steps = np.empty(max(last, 2 * len(self._steps)))
            steps[: self._known] = self._steps[: self._known]
            self._steps = steps
        if last > self._known:
            self._steps[self._known : last] = self.recipe.step_size(np.arange(self._known + 1, last + 1))
            self._known = last
        return self._steps[:last]

    def estimates(self) -> FloatArray:
        """(pairs, width) the estimates to report."""
        return self.recipe.method.estimates(self.checkpoint.memory)
