"""Replications: independent streams of transitions, and what is learnt from each."""

import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from distrl._kernels.transitions import count_visits
from distrl._threads import side_by_side
from distrl._validation import FloatArray, IntArray
from distrl.dp.call import Call
from distrl.returns.base import Returns
from distrl.td.rule import LearningRule, Memory
from distrl.td.sampling import Position, Sampler, Stream, Transitions
from distrl.td.step_sizes import StepSize

_CHUNK = 8192  # transitions drawn at a time: arrays that stay in cache
_PAUSE = 0.25  # seconds between two looks at the keyboard
_GROWTH = 8  # how much longer one stretch of updates may be than the one before


class Checkpoint(NamedTuple):
    """What a replication needs to go on: bit for bit as if it had not stopped."""

    memory: Memory
    visits: IntArray
    position: Position

    def copy(self) -> "Checkpoint":
        """One that goes on independently."""
        memory = {name: array.copy() for name, array in self.memory.items()}
        return Checkpoint(memory, self.visits.copy(), self.position.copy())


class Recipe(NamedTuple):
    """How all replications of a run learn."""

    rule: LearningRule[Returns]
    step_size: StepSize
    sampler: Sampler


def renew(
    rule: LearningRule[Returns],
    memory: Memory,
    visits: IntArray,
    step_size: StepSize,
    transitions: Transitions,
    block: int,
) -> None:
    """Learn from `transitions`, all of a block from the estimates before it."""
    if not len(transitions.states):
        return
    counts = np.empty(len(transitions.states), np.int64)
    count_visits(transitions.states, visits, counts)
    steps = step_size(counts if step_size.clock == "visits" else transitions.updates)
    rule.renew(memory, transitions, counts, steps, block)


class Replication:
    """A replication at work."""

    def __init__(self, recipe: Recipe, seed: np.random.SeedSequence, checkpoint: Checkpoint) -> None:
        self.recipe = recipe
        self.checkpoint = checkpoint
        self._stream = Stream(recipe.sampler, seed, checkpoint.position)

    @property
    def done(self) -> int:
        """Updates made."""
        return self.checkpoint.position.updates

    def advance(self, updates: int) -> None:
        """Do `updates` updates."""
        rule, step_size, sampler = self.recipe
        memory, visits, position = self.checkpoint
        block = sampler.per_update
        chunk = max(_CHUNK // block, 1)
        stop = position.updates + updates
        while position.updates < stop:
            transitions = self._stream.take(min(chunk, stop - position.updates))
            renew(rule, memory, visits, step_size, transitions, block)

    def estimates(self) -> FloatArray:
        """(S, width) the estimates to report."""
        return self.recipe.rule.estimates(self.checkpoint.memory)


class Working(Protocol):
    """A replication at work, whatever it does."""

    checkpoint: Checkpoint

    @property
    def done(self) -> int:
        """Updates made."""

    def advance(self, updates: int) -> None:
        """Do `updates` updates."""

    def estimates(self) -> FloatArray:
        """(S, width) the estimates to report."""


class Replications:
    """All replications of a run at work, side by side and in step.

    Attributes
    ----------
    recorded : list of (update count, (R, S, width) estimates)
    """

    def __init__(self, replications: Sequence[Working], call: Call, threads: int | None) -> None:
        self._all = replications
        self._call = call
        self._threads = threads
        self._first = self.done
        self.recorded: list[tuple[int, FloatArray]] = []

    @property
    def done(self) -> int:
        """Updates that each has made."""
        return self._all[0].done

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """What each needs to go on."""
        return tuple(each.checkpoint for each in self._all)

    def record(self) -> None:
        """Keep the estimates as they are."""
        self.recorded.append((self.done, np.stack([each.estimates() for each in self._all])))

    def run(self, moments: IntArray, stop: int) -> None:
        """To each moment in turn, where the estimates are recorded, and on to `stop`, or until Ctrl-C.

        After Ctrl-C the replications that were left behind are brought to where the others are, and what they know is
        the last record.
        """
        with self._call.interruptible():
            self._advance(moments, stop)
        if self._call.interrupted:
            furthest = max(each.done for each in self._all)
            side_by_side([partial(each.advance, furthest - each.done) for each in self._all], self._threads)
            if not self.recorded or self.recorded[-1][0] != self.done:
                self.record()

    def _advance(self, moments: IntArray, stop: int) -> None:
        """In stretches of about `_PAUSE` seconds: between them Ctrl-C takes effect."""
        stretch, tell = 1, self._call.progress
        for moment in [*moments.tolist(), stop]:
            while self.done < moment:
                now = time.perf_counter()
                count = min(stretch, moment - self.done)
                side_by_side([partial(each.advance, count) for each in self._all], self._threads)
                taken = time.perf_counter() - now
                if count == stretch or taken > _PAUSE:
                    stretch = max(int(count * min(_PAUSE / max(taken, 1e-9), _GROWTH)), 1)
                if tell is not None:
                    share = (self.done - self._first) / (stop - self._first)
                    tell(share, self.done, now + taken - self._call.started)
            if len(self.recorded) < len(moments) and moment == moments[len(self.recorded)]:
                self.record()
