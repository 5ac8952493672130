"""What was drawn from a model, or logged."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.laws import FiniteLaw, Law
from distrl.models.outcomes import OutcomeTable, Rows, build_table
from distrl.models.sorting import starts_of_runs


@dataclass(frozen=True, eq=False)
class Samples:
    """What was drawn: distinct (source, terminal, next state, reward), sorted in that order, and how often.

    Attributes
    ----------
    n_sources, n_states : int
    sources, next_states : (n,) int
    rewards : (n,) float, a law's mean where the law is known
    terminals : (n,) bool
    laws : (n,) int, index into `reward_laws` of a known law, -1 for a reward as observed
    counts : (n,) int, positive
    reward_laws : tuple of Law
    indptr : (n_states + 1,) int, sources `indptr[s]:indptr[s + 1]` are those of state s; None: as many for every state
    discounts : (n,) float, what multiplies the return of the next state, 0 at ends; None: one number for all
    adaptive : bool, whether how many were drawn of a source was chosen by looking at earlier ones
    """

    n_sources: int
    n_states: int
    sources: IntArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    laws: IntArray
    counts: IntArray
    reward_laws: tuple[Law, ...] = ()
    indptr: IntArray | None = None
    discounts: FloatArray | None = None
    adaptive: bool = False

    def factors(self, discount: float | None) -> FloatArray:
        """(n,) the samples' discounts: their own, or the one of all of them; 0 at ends.

        Parameters
        ----------
        discount : float or None
            The one of all samples.
        """
        if self.discounts is not None:
            return self.discounts
        assert discount is not None
        return np.where(self.terminals, 0.0, discount)

    def collected(self) -> "Samples":
        """The same, sorted, and what is equal added up. Time O(n log n)."""
        keys: tuple[np.ndarray, ...] = (self.rewards, self.laws, self.next_states, self.terminals, self.sources)
        if self.discounts is not None:
            keys = (*keys[:2], self.discounts, *keys[2:])
        order = np.lexsort(keys)
        starts = np.flatnonzero(starts_of_runs(*(key[order] for key in keys)))
        collected = self._taken(order[starts])
        return replace(collected, counts=_sums(self.counts[order], starts))

    def _taken(self, rows: IntArray) -> "Samples":
        return replace(self, **{name: getattr(self, name)[rows] for name in self._columns})

    @property
    def _columns(self) -> tuple[str, ...]:
        own = () if self.discounts is None else ("discounts",)
        return ("sources", "next_states", "rewards", "terminals", "laws", "counts", *own)

    @cached_property
    def state_sources(self) -> IntArray:
        """(n_states + 1,) sources `state_sources[s]:state_sources[s + 1]` are those of state s."""
        if self.indptr is not None:
            return self.indptr
        return self.n_sources // self.n_states * np.arange(self.n_states + 1)

    @cached_property
    def source_states(self) -> IntArray:
        """(sources,) the state of each source."""
        return np.repeat(np.arange(self.n_states), np.diff(self.state_sources))

    @cached_property
    def totals(self) -> IntArray:
        """(sources,) number of samples."""
        totals = np.zeros(self.n_sources, dtype=np.int64)
        np.add.at(totals, self.sources, self.counts)
        return totals

    @cached_property
    def groups(self) -> IntArray:
        """Where runs of one (source, terminal, next state, discount, law) start, and the end."""
        own = () if self.discounts is None else (self.discounts,)
        fresh = starts_of_runs(self.sources, self.terminals, self.next_states, *own, self.laws)
        return np.append(np.flatnonzero(fresh), len(self.sources)).astype(np.int64)

    def merged(self, other: "Samples") -> "Samples":
        """These and others, whose known laws are the same."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in self._columns}
        columns: dict[str, Any] = {name: np.concatenate(pair) for name, pair in pairs.items()}
        return replace(self, **columns, adaptive=self.adaptive or other.adaptive).collected()

    def redrawn_counts(self, rng: np.random.Generator) -> IntArray:
        """(n,) how often each is drawn when as many samples of every source are drawn from these with replacement.

        Time O(samples) where most samples are seen once, as with continuous rewards, O(n) otherwise.
        """
        counts = np.zeros_like(self.counts)
        edges = np.searchsorted(self.sources, np.arange(self.n_sources + 1))
        for source in np.flatnonzero(self.totals):
            piece, total = slice(edges[source], edges[source + 1]), self.totals[source]
            here = self.counts[piece]
            if total > 8 * len(here):  # a binomial number a row costs as much as some ten samples
                counts[piece] = rng.multinomial(total, here / total)
            else:
                rows = np.repeat(np.arange(len(here)), here)
                counts[piece] = np.bincount(rows[rng.integers(total, size=total)], minlength=len(here))
        return counts

    def redrawn(self, rng: np.random.Generator) -> "Samples":
        """As many samples of every source, drawn from these with replacement. Time O(n)."""
        counts = self.redrawn_counts(rng)
        return replace(self, counts=counts)._taken(np.flatnonzero(counts > 0))

    def ending_at_once(self) -> OutcomeTable:
        """A table of these sources, each of which ends at once with reward 0."""
        n = self.n_sources
        return OutcomeTable(
            n_states=self.n_states,
            indptr=np.arange(n + 1),
            probs=np.ones(n),
            next_states=self.source_states,
            rewards=np.zeros(n),
            terminals=np.ones(n, dtype=np.bool_),
            laws=np.full(n, -1),
            reward_laws=(),
            discounts=None if self.discounts is None else np.zeros(n),
        )

    def table(self, known: OutcomeTable | None, describe: Callable[[int], str]) -> OutcomeTable:
        """Outcome rows with frequencies as probabilities; sources without samples have the rows of `known`.

        The rewards observed on one (source, terminal, next state) become one `FiniteLaw`: they are mixed once, and a
        law of many values acts as one matrix.
        """
        starts, stops = self.groups[:-1], self.groups[1:]
        laws = list(self.reward_laws)
        index = self.laws[starts].copy()
        counts = _sums(self.counts, starts)
        for k in np.flatnonzero(stops - starts > 1):
            piece = slice(starts[k], stops[k])
            index[k] = len(laws)
            laws.append(FiniteLaw(self.rewards[piece], self.counts[piece] / counts[k]))
        seen = self.sources[starts]
        probs = counts / self.totals[seen]
        rows = Rows(seen, probs, self.next_states[starts], self.rewards[starts], self.terminals[starts], index, laws)
        own = None if self.discounts is None else self.discounts[starts]
        if known is not None:
            rest = known.rows.take(np.flatnonzero(self.totals[known.sources] == 0))
            if (rest.discounts is None) != (own is None) and len(rest.sources):
                raise ValueError(
                    "the model for unvisited sources and the samples must agree: either outcomes have discounts of "
                    "their own in both, or in neither"
                )
            rest = rest._replace(laws=np.where(rest.laws >= 0, rest.laws + len(laws), -1))
            both = zip(rows[:6], rest[:6], strict=True)
            columns: list[Any] = [*(np.concatenate(pair) for pair in both), [*laws, *known.reward_laws]]
            rows = Rows(*columns)
            if own is not None and rest.discounts is not None:
                own = np.concatenate([own, rest.discounts])
        table = build_table(
            rows._replace(discounts=own),
            n_sources=self.n_sources,
            n_states=self.n_states,
            describe=describe,
            tolerance=MIXED_ROW_SUM,
        )
        defects = np.zeros(self.n_sources) if known is None else np.where(self.totals == 0, known.defects, 0.0)
        return replace(table.whole, known_defects=defects) if defects.any() else table


def _sums(counts: IntArray, starts: IntArray) -> IntArray:
    """The sums of `counts` from each start to the next."""
    return np.add.reduceat(counts, starts) if len(starts) else np.empty(0, dtype=np.int64)
