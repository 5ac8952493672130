"""Drawing outcomes of a model."""

import numpy as np

from distrl._validation import FloatArray
from distrl.models.outcomes import OutcomeTable


def cumulative_marks(table: OutcomeTable) -> FloatArray:
    """(rows,) the cumulative probabilities within each source, as shares of their sum: the last is 1."""
    before = np.concatenate([[0.0], np.cumsum(table.probs)])
    starts, counts = table.indptr[:-1], np.diff(table.indptr)
    within = before[1:] - np.repeat(before[starts], counts)
    return np.asarray(within / np.repeat(before[table.indptr[1:]] - before[starts], counts))


class OutcomeSampler:
    """Draws rows of an outcome table: one uniform and one binary search each."""

    def __init__(self, table: OutcomeTable) -> None:
        self.table = table
        # row k of source x covers (x + mark of the row before, x + its mark]
        self._marks = table.sources + cumulative_marks(table)
        self._last = table.indptr[1:] - 1

    def rows(self, sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One row for each source."""
        found = np.searchsorted(self._marks, sources + rng.random(len(sources)), side="right")
        return np.clip(found, self.table.indptr[sources], self._last[sources])

    def one(self, source: int, rng: np.random.Generator) -> tuple[int, float]:
        """A row of one source and its reward, by the numbers that `rows` and `rewards` would take."""
        table = self.table
        found = int(self._marks.searchsorted(source + rng.random(), side="right"))
        row = min(max(found, int(table.indptr[source])), int(self._last[source]))
        law = int(table.laws[row])
        return row, float(table.rewards[row] if law < 0 else table.reward_laws[law].sample(1, rng)[0])

    def rewards(self, rows: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """A reward for each row; laws are sampled."""
        drawn = np.asarray(self.table.rewards[rows])
        for index, law in enumerate(self.table.reward_laws):
            with_law = np.flatnonzero(self.table.laws[rows] == index)
            if with_law.size:
                drawn[with_law] = law.sample(with_law.size, rng)
        return drawn
