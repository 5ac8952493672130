"""The transitions that a replication learns from.

Replication k has one stream of numbers, `numpy.random.default_rng(child k of SeedSequence(rng))`, for states and
outcomes, and one for each family of reward laws, drawn in blocks (`distrl.td.noise`). The positions of the streams, a
few counts, say all about where sampling stands: nothing depends on how many updates were asked for at a time.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from distrl._kernels import transitions as kernels
from distrl._kernels.td import Transitions as Transitions  # where kernels that act make them
from distrl._validation import BoolArray, FloatArray, IntArray, RandomSource, generator
from distrl.models.mrp import MRP
from distrl.models.sampling import cumulative_marks
from distrl.td.noise import Blocks, Noise

#: Single steps as columns: states, rewards, next states, terminals, discounts.
Columns = tuple[IntArray, FloatArray, IntArray, BoolArray, FloatArray]

SAMPLINGS = ("synchronous", "generative", "trajectory")


class Table(NamedTuple):
    """An outcome table as kernels sample it: `marks` are cumulative probabilities within each state."""

    n_states: int
    indptr: IntArray
    marks: FloatArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    laws: IntArray
    discounts: FloatArray


@dataclass(frozen=True, eq=False)
class Sampler:
    """What is sampled, and how; the same for all replications."""

    table: Table
    noise: Noise
    initial: FloatArray
    sampling: str
    steps: int  # of a target; 0: to the end of the episode

    @classmethod
    def of(cls, model: MRP, sampling: str, steps: int) -> "Sampler":
        """What is sampled of `model`; `sampling` is one of `SAMPLINGS`, and `steps` is 0 for whole episodes."""
        outcomes = model.outcomes
        if model.initial is None:
            live = ~model.terminal
            initial = live / live.sum() if live.any() else np.full(model.n_states, 1.0 / model.n_states)
        else:
            initial = model.initial
        cumulative = np.cumsum(initial)
        table = Table(
            model.n_states,
            outcomes.indptr,
            cumulative_marks(outcomes),
            outcomes.next_states,
            outcomes.rewards,
            outcomes.terminals,
            outcomes.laws,
            model.discounts,
        )
        noise = Noise.of(outcomes.reward_laws)
        return cls(table, noise, cumulative / cumulative[-1], sampling, steps)

    @property
    def per_update(self) -> int:
        """The transitions that an update learns from: one for each state, or (on average, along a trajectory) one."""
        return self.table.n_states if self.sampling == "synchronous" else 1


def no_steps() -> Columns:
    """Columns without entries."""
    return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_), np.empty(0)


@dataclass
class Position:
    """Where a replication's streams stand: all that is needed to go on.

    Attributes
    ----------
    updates : int
        Updates done so far.
    drawn : int
        How many numbers were taken from the stream of outcomes.
    used : (families,) int
        How many draws were taken of each family of reward laws.
    state : int
        Where the trajectory is; -1: at the start of a new episode.
    waiting : columns
        The steps of visits whose targets are not complete.
    """

    updates: int
    drawn: int
    used: IntArray
    state: int = -1
    waiting: Columns = field(default_factory=no_steps)

    def copy(self) -> "Position":
        """One that goes on independently."""
        return replace(self, used=self.used.copy())


class Stream:
    """One replication's transitions."""

    def __init__(self, sampler: Sampler, seed: np.random.SeedSequence, position: Position | None = None) -> None:
        self.sampler = sampler
        families = len(sampler.noise.families)
        self.position = position or Position(0, 0, np.zeros(families, np.int64))
        if len(self.position.waiting) == 4:  # of a run that was saved when all steps had one discount
            discounts = np.full(len(self.position.waiting[0]), sampler.table.discounts.max())
            self.position.waiting = (*self.position.waiting, discounts)
        bits = np.random.PCG64(seed)
        self._blocks = Blocks(sampler.noise, bits)
        self._rng = np.random.Generator(bits.advance(self.position.drawn))

    def take(self, updates: int) -> Transitions:
        """The transitions of the next `updates` updates."""
        first = self.position.updates
        self.position.updates += updates
        if self.sampler.sampling == "trajectory":
            return self._along_trajectory(updates, first)
        return self._by_state(updates, first)

    def _by_state(self, updates: int, first: int) -> Transitions:
        sampler = self.sampler
        n, uniform = sampler.table.n_states, sampler.sampling == "generative"
        states = np.empty(updates, np.int64) if uniform else np.tile(np.arange(n), updates)
        count = len(states)
        next_states, weights, ends = np.empty(count, np.int64), np.empty(count), np.empty(count, np.int64)
        rewards, laws, discounts, drawn = kernels.rollouts(
            self._rng, sampler.table, sampler.steps, uniform, states, next_states, weights, ends
        )
        self.position.drawn += drawn
        self._draw_rewards(laws, rewards)
        if sampler.steps != 1:
            sums = np.empty(count)
            kernels.discounted_sums(rewards, discounts, ends, sums)
            rewards = sums
        numbers = np.repeat(np.arange(first + 1, first + updates + 1), sampler.per_update)
        return Transitions(states, rewards, next_states, weights, numbers)

    def _along_trajectory(self, updates: int, first: int) -> Transitions:
        sampler, position = self.sampler, self.position
        states, next_states, laws = (np.empty(updates, np.int64) for _ in range(3))
        rewards, terminals, discounts = np.empty(updates), np.empty(updates, np.bool_), np.empty(updates)
        columns = (states, rewards, laws, next_states, terminals, discounts)
        position.state, drawn = kernels.walk(self._rng, sampler.table, sampler.initial, position.state, *columns)
        position.drawn += drawn
        self._draw_rewards(laws, rewards)
        transitions, position.waiting = windowed(
            position.waiting, (states, rewards, next_states, terminals, discounts), sampler.steps, first
        )
        return transitions

    def _draw_rewards(self, laws: IntArray, rewards: FloatArray) -> None:
        """Draw the rewards that have a law."""
        noise, at = self.sampler.noise, 0
        while len(noise.families):
            at = kernels.fill_rewards(
                laws,
                rewards,
                noise.family_of,
                noise.locations,
                noise.scales,
                self._blocks.draws,
                self._blocks.loaded,
                self.position.used,
                at,
            )
            if at == len(laws):
                return
            family = int(noise.family_of[laws[at]])
            self._blocks.load(family, int(self.position.used[family]) // noise.block)


def windowed(waiting: Columns, steps: Columns, n: int, first: int) -> tuple[Transitions, Columns]:
    """The n-step transitions that `steps` complete, after the steps `waiting`, and what waits then.

    n = 0 goes to the end of the episode; `first` updates came before.
    """
    pairs = zip(waiting, steps, strict=True)
    states, rewards, next_states, terminals, discounts = (np.concatenate(pair) for pair in pairs)
    count = len(states)
    out = Transitions(
        np.empty(count, np.int64),
        np.empty(count),
        np.empty(count, np.int64),
        np.empty(count),
        np.empty(count, np.int64),
    )
    made, left = kernels.windows(states, rewards, next_states, terminals, discounts, n, *out)
    transitions = Transitions(*(column[:made] for column in out))  # type: ignore[arg-type]
    transitions.updates[:] += first + 1 - len(waiting[0])
    return transitions, (states[left:], rewards[left:], next_states[left:], terminals[left:], discounts[left:])


def seed_root(rng: RandomSource) -> np.random.SeedSequence:
    """The root of the replications' seeds: `SeedSequence(rng)`, or one made of numbers drawn from a generator.

    Raises
    ------
    TypeError, ValueError
        If `rng` is nothing that `numpy.random.default_rng` takes.
    """
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator | np.random.BitGenerator | np.random.RandomState):
        return np.random.SeedSequence(generator(rng).integers(2**63, size=4).tolist())
    try:
        return np.random.SeedSequence(rng)
    except (TypeError, ValueError) as error:
        raise TypeError(f"rng must be None, a seed or a numpy Generator, got {rng!r}") from error


def child(root: np.random.SeedSequence, index: int) -> np.random.SeedSequence:
    """Child `index` of `root`, as `root.spawn` numbers them, without counting it as spawned."""
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, index), pool_size=root.pool_size)
