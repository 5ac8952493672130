"""One independent run: a stream of targets and what is learnt from it."""

from typing import NamedTuple

import numpy as np

from distrl._kernels.transitions import count_visits
from distrl._validation import FloatArray, IntArray
from distrl.td.methods import Memory, TDMethod
from distrl.td.sampling import Position, Source, Stream, Targets
from distrl.td.step_sizes import StepSize

_CHUNK = 8192  # targets drawn at a time: arrays that stay in cache


class Kept(NamedTuple):
    """What a replication needs to go on: bit for bit as if it had not stopped."""

    memory: Memory
    visits: IntArray
    position: Position

    def copy(self) -> "Kept":
        """One that goes on independently."""
        memory = {name: array.copy() for name, array in self.memory.items()}
        return Kept(memory, self.visits.copy(), self.position.copy())


def renew(
    method: TDMethod, memory: Memory, visits: IntArray, step_size: StepSize, targets: Targets, block: int
) -> None:
    """Learn from `targets`, all of a block from the estimates before it."""
    if not len(targets.states):
        return
    counts = np.empty(len(targets.states), np.int64)
    count_visits(targets.states, visits, counts)
    steps = step_size(counts if step_size.clock == "visits" else targets.updates)
    method._renew(memory, targets, counts, steps, block)


class Replication:
    """A replication at work."""

    def __init__(
        self, method: TDMethod, step_size: StepSize, source: Source, seed: np.random.SeedSequence, kept: Kept
    ) -> None:
        self.method = method
        self.step_size = step_size
        self.source = source
        self.kept = kept
        self._stream = Stream(source, seed, kept.position)

    def advance(self, updates: int) -> None:
        """Do `updates` updates."""
        memory, visits, position = self.kept
        block = self.source.targets_per_update
        chunk = max(_CHUNK // block, 1)
        stop = position.updates + updates
        while position.updates < stop:
            targets = self._stream.take(min(chunk, stop - position.updates))
            renew(self.method, memory, visits, self.step_size, targets, block)

    def estimates(self) -> FloatArray:
        """(S, width) the estimates to report."""
        return self.method._estimates(self.kept.memory)
