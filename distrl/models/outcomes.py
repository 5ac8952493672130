"""The outcome table: what can happen from each source, one row an outcome.

A source is a state of an MRP, or a (state, action) pair of an MDP. A row is (probability, next state, reward,
terminal): collapsing rows to an expected reward would keep the mean return and destroy its distribution.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from distrl._lazy import csgraph, sparse
from distrl._tolerances import EPS, LARGEST_NUMBER, ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray, without_noise
from distrl.models.laws import Law
from distrl.models.sorting import Unsorted, sorted_rows


class Rows(NamedTuple):
    """Outcomes as parallel columns, one row an outcome, in any order: what `build_table` makes a table of.

    `laws` is an index into `reward_laws`, -1 for the constant that `rewards` holds; `discounts` multiply the return of
    the next state, None where one number does for all rows.
    """

    sources: IntArray
    probs: FloatArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    laws: IntArray
    reward_laws: Sequence[Law]
    discounts: FloatArray | None = None

    def take(self, rows: IntArray) -> Rows:
        """Some of the rows."""
        columns: list[Any] = [*(column[rows] for column in self[:6]), self.reward_laws]
        return Rows(*columns)._replace(discounts=None if self.discounts is None else self.discounts[rows])


@dataclass(frozen=True, eq=False)
class OutcomeTable:
    """Rows sorted by source, reward and discount, CSR-like: rows `indptr[i]:indptr[i+1]` belong to source i.

    Attributes
    ----------
    n_states : int
        Number of states that `next_states` points into.
    indptr : (sources + 1,) int
    probs : (n,) float
        Positive; zero-probability outcomes are dropped, repeated rows are added up.
    next_states : (n,) int
    rewards : (n,) float
        The reward, or the mean of its law.
    terminals : (n,) bool
        True: the return ends after this reward.
    laws : (n,) int
        Index into `reward_laws`, -1 for a constant reward.
    reward_laws : tuple of Law
        Distinct laws; equal ones are stored once.
    known_defects : (sources,) float or None
        The `defects` of the rows that `probs` was made from, where it no longer shows them.
    discounts : (n,) float or None
        What multiplies the return of the next state, 0 where the return ends; None where the model has one number.
    before_ends : OutcomeTable or None
        Where closed classes of reward 0 were made ends (`distrl.models.endings.with_ends`), the table with their loops:
        what one of several steps does, after which these classes may pay.
    """

    n_states: int
    indptr: IntArray
    probs: FloatArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    laws: IntArray
    reward_laws: tuple[Law, ...]
    known_defects: FloatArray | None = None
    discounts: FloatArray | None = None
    before_ends: OutcomeTable | None = None

    @property
    def n_sources(self) -> int:
        """Number of states (MRP) or (state, action) pairs (MDP)."""
        return len(self.indptr) - 1

    @cached_property
    def sources(self) -> IntArray:
        """(n,) the source of each row."""
        return np.repeat(np.arange(self.n_sources), np.diff(self.indptr))

    @property
    def rows(self) -> Rows:
        """The table's columns."""
        columns = (self.sources, self.probs, self.next_states, self.rewards, self.terminals, self.laws)
        return Rows(*columns, self.reward_laws, self.discounts)

    @cached_property
    def continuation(self) -> sparse.csr_array:
        """(sources, states) probabilities of going on; rows sum to 1 minus the probability of ending."""
        going_on = ~self.terminals
        entries = (self.probs[going_on], (self.sources[going_on], self.next_states[going_on]))
        return sparse.coo_array(entries, shape=(self.n_sources, self.n_states)).tocsr()

    @cached_property
    def expected_rewards(self) -> FloatArray:
        """(sources,) mean one-step reward."""
        return _sum_by(self.sources, self.probs * self.rewards, self.n_sources)

    @cached_property
    def defects(self) -> FloatArray:
        """(sources,) how far the rows sum from 1, rounding of their entries aside: mass of which nothing is known."""
        if self.known_defects is not None:
            return self.known_defects
        defects = np.abs(np.add.reduceat(self.probs, self.indptr[:-1]) - 1.0)
        rounding = EPS * (8.0 + np.diff(self.indptr))
        return np.where(defects > rounding, defects, 0.0)

    @cached_property
    def whole(self) -> OutcomeTable:
        """The table with rows that sum to 1 to rounding, and the `defects` of this one, which certificates count.

        A row p that lacks the mass d is part of some row q: p / (1 - d) and q differ by d in total variation, whatever
        q is; likewise for a row with d too much.
        """
        if not self.defects.any():
            return self
        sums = np.add.reduceat(self.probs, self.indptr[:-1])
        scale = np.where(self.defects > 0.0, sums, 1.0)
        return replace(self, probs=self.probs / scale[self.sources], known_defects=self.defects)

    @cached_property
    def law_errors(self) -> FloatArray:
        """(sources,) W1 between one step's reward and that of the laws as they were given, at most."""
        return self._of_laws([law.error for law in self.reward_laws])

    @cached_property
    def law_cdf_errors(self) -> FloatArray:
        """(sources,) the same for the largest difference of the CDFs."""
        return self._of_laws([law.cdf_error for law in self.reward_laws])

    def _of_laws(self, numbers: list[float]) -> FloatArray:
        each = np.array([*numbers, 0.0])[self.laws]  # the last serves the constants' index -1
        return _sum_by(self.sources, self.probs * each, self.n_sources)

    def reward_ranges(self, tail: float | None = None) -> tuple[FloatArray, FloatArray]:
        """(n,) smallest and largest reward of each row; unbounded laws are cut at their `tail` quantiles if given."""
        low, high = self.rewards.copy(), self.rewards.copy()
        for index, law in enumerate(self.reward_laws):
            rows = self.laws == index
            bounds = np.array(law.support)
            if tail is not None:
                cut = law.quantile(np.array([tail, 1.0 - tail]))
                bounds = np.where(np.isfinite(bounds), bounds, cut)
            low[rows], high[rows] = bounds
        return low, high

    def never_ending_source(self) -> int | None:
        """A state from which no outcome is reached that ends or discounts, or None (MRP tables only). O(n), once."""
        return self._never_ending_source

    @cached_property
    def _never_ending_source(self) -> int | None:
        going_on = ~self.terminals
        ending = np.unique(self.sources[self.terminals if self.discounts is None else self.discounts < 1.0])
        end = self.n_states
        tails = np.concatenate([self.next_states[going_on], np.full(len(ending), end)])
        heads = np.concatenate([self.sources[going_on], ending])
        backwards = sparse.coo_array((np.ones(len(tails)), (tails, heads)), shape=(end + 1, end + 1)).tocsr()
        reached = csgraph.breadth_first_order(backwards, end, return_predecessors=False)
        missing = np.ones(end + 1, dtype=bool)
        missing[reached] = False
        return int(np.argmax(missing)) if missing.any() else None


def build_table(
    rows: Rows,
    *,
    n_sources: int,
    n_states: int,
    describe: Callable[[int], str],
    normalise: bool | None = None,
    tolerance: float = ROW_SUM,
) -> OutcomeTable:
    """Validate, merge and sort raw rows into an `OutcomeTable`.

    `describe(source)` names a source in errors. Probabilities in [-1e-12, 0) count as 0. `normalise=True` divides the
    rows of a source by their sum where that is not 1 within 1e-9, with a warning; None: no such choice is offered to
    the user. Time O(n log n), memory O(n).

    Raises
    ------
    ValueError
        A negative probability, a source without rows, or rows that do not sum to 1.
    """
    if not (normalise is None or isinstance(normalise, bool)):
        raise TypeError(f"normalise must be True or False, got {normalise!r}")
    sources, probs, next_states, rewards, terminals, laws, given, discounts = rows
    probs = without_noise(probs)
    if (probs < 0).any():
        row = int(np.argmax(probs < 0))
        raise ValueError(
            f"{describe(int(sources[row]))} goes to state {next_states[row]} with probability {probs[row]:g}; "
            "probabilities cannot be negative"
        )
    missing = _source_without_rows(sources, n_sources)
    if missing is not None:
        raise ValueError(f"{describe(missing)} has no outcome; every one needs rows that sum to 1")
    sums = _sum_by(sources, probs, n_sources)
    wrong = np.abs(sums - 1.0) > tolerance
    if wrong.any() and normalise and np.isfinite(sums).all() and (sums > 0.0).all():
        source = int(np.argmax(np.abs(sums - 1.0)))
        warnings.warn(
            f"normalise: {np.count_nonzero(wrong)} of {n_sources} rows did not sum to 1 within {tolerance:g} and "
            f"were divided by their sum; the largest defect: {describe(source)} summed to {sums[source]:.12g}",
            UserWarning,
            stacklevel=3,
        )
        probs = np.where(wrong[sources], probs / sums[sources], probs)
    elif wrong.any():
        source = int(np.argmax(wrong))
        offer = "" if normalise is None else ", or pass normalise=True, which does it for all rows and says so"
        raise ValueError(
            f"the probabilities of {describe(source)} sum to {sums[source]:.12g}, not 1 "
            f"(tolerance {tolerance:g}); add the missing outcomes or divide the row by its sum{offer}"
        )
    if (np.abs(rewards) > LARGEST_NUMBER).any():
        row = int(np.argmax(np.abs(rewards) > LARGEST_NUMBER))
        raise ValueError(
            f"{describe(int(sources[row]))} has a reward of {rewards[row]:g}, beyond {LARGEST_NUMBER:g} in size; "
            "scale the rewards down"
        )
    rewards, laws, distinct = _merge_laws(rewards + 0.0, laws, given)  # + 0.0 turns -0.0 into 0.0
    columns = sorted_rows(Unsorted(sources, probs, next_states, rewards, terminals, laws, discounts), n_sources)
    return OutcomeTable(n_states, *columns[:6], reward_laws=distinct, discounts=columns.discounts)


def _source_without_rows(sources: IntArray, n_sources: int) -> int | None:
    """The first source that has no row, or None; nothing of the size of a stray index of 1e15 is allocated."""
    if n_sources > len(sources):
        present = np.append(np.unique(sources), -1)
        return int(np.argmax(present != np.arange(len(present))))
    absent = np.bincount(sources, minlength=n_sources) == 0
    return int(np.argmax(absent)) if absent.any() else None


def _sum_by(index: IntArray, weights: FloatArray, size: int) -> FloatArray:
    return np.asarray(np.bincount(index, weights=weights, minlength=size), dtype=np.float64)


def _merge_laws(
    rewards: FloatArray, laws: IntArray, given: Sequence[Law]
) -> tuple[FloatArray, IntArray, tuple[Law, ...]]:
    """Store equal laws once, turn one-valued laws into constants, put each law's mean in `rewards`."""
    if not given:
        return rewards, laws, ()
    position: dict[Any, int] = {}
    distinct: list[Law] = []
    renumber = np.full(len(given) + 1, -1, dtype=np.int64)  # the last entry serves the constants' index -1
    means = np.zeros(len(given) + 1)
    for index in np.unique(laws[laws >= 0]):
        law = given[index]
        means[index] = law.mean
        if law.support[0] == law.support[1]:
            means[index] = law.support[0]
            continue
        if law.key not in position:
            position[law.key] = len(distinct)
            distinct.append(law)
        renumber[index] = position[law.key]
    return np.where(laws >= 0, means[laws], rewards), renumber[laws], tuple(distinct)
