"""Outcome tables in, transition and reward matrices out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from distrl._lazy import sparse
from distrl._memory import check_memory
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.outcomes import OutcomeTable

M = TypeVar("M")


@dataclass(frozen=True, eq=False)
class Arrays(Generic[M]):
    """A model as (P, R, terminal), and its discount beside them: what `MRP` or `MDP(..., axes="ass")` makes it of.

    `P, R, terminal = arrays` takes it apart. Where an MDP has an action that is not available, its row is zero, and
    `available=mdp.available` has to be given.

    Attributes
    ----------
    P, R : arrays, sparse matrices or lists of these
    terminal : (S,) mask
    discount : float or array
        A number; where outcomes have discounts of their own an array of them, in the order of `P`: 0 where the return
        ends, and where `P` is 0.
    """

    P: M
    R: M
    terminal: BoolArray
    discount: float | FloatArray

    def __iter__(self) -> Iterator[M | BoolArray]:
        return iter((self.P, self.R, self.terminal))


def terminal_sources(table: OutcomeTable) -> BoolArray:
    """(sources,) mask: the source's only outcome is terminal with reward 0."""
    first = table.indptr[:-1]
    alone = np.diff(table.indptr) == 1
    mask: BoolArray = alone & table.terminals[first] & (table.rewards[first] == 0.0) & (table.laws[first] == -1)
    return mask


def ending_states(table: OutcomeTable, terminal: BoolArray) -> BoolArray:
    """The `terminal` states in which returns end: a state that only moves on to one of them is left to its own row."""
    reached = np.zeros(table.n_states, dtype=np.bool_)
    reached[table.next_states[table.terminals]] = True
    return terminal & reached


class Written(NamedTuple):
    """A table with one reward and one factor a transition, (sources, states) in CSR form.

    `discount` is the number, or the factors (sources,) where the source says them, else (sources, states).
    """

    P: sparse.csr_array
    R: sparse.csr_array
    terminal: BoolArray
    discount: float | FloatArray | sparse.csr_array


def written(
    table: OutcomeTable,
    number: float | None,
    terminal: BoolArray,
    owners: IntArray,
    describe: Callable[[int], str],
    states: Sequence[Hashable],
) -> Written:
    """A model's table as matrices.

    Parameters
    ----------
    table : OutcomeTable
    number : float or None
        The discount, None where the table has factors of its own: then an outcome may end anywhere, by a factor of 0.
    terminal : (S,) mask of the states whose return is 0
    owners : (sources,) the states of the sources
    describe : what names a source in errors
    states : the names of the states

    Raises
    ------
    ValueError
        As for `MRP.to_sparse`.
    """
    ends = ending_states(table, terminal)
    if number is not None:
        return Written(*table_to_sparse(table, ends, describe), ends, number)
    assert table.discounts is not None
    # a mask says of all moves into a state that they end, and of the state that it stays: only where that is so
    here = owners[table.sources]
    ends[table.next_states[~table.terminals]] = False
    ends[here[table.next_states != here]] = False
    factors = _factors(table, table.discounts, describe, states)
    p, r = table_to_sparse(table, ends, describe, beside_factors=True)
    live = ~ends[table.next_states]
    least, most = (np.full(table.n_sources, end) for end in (np.inf, -np.inf))
    np.minimum.at(least, table.sources[live], table.discounts[live])
    np.maximum.at(most, table.sources[live], table.discounts[live])
    return Written(p, r, ends, factors if (least < most).any() else np.maximum(most, 0.0))


def dense_discount(discount: float | FloatArray | sparse.csr_array, n_states: int) -> float | FloatArray:
    """What a model takes as its discount: the number or array itself, a matrix as an array of its shape.

    Raises
    ------
    ValueError
        If that does not fit into memory.
    """
    if isinstance(discount, float | np.ndarray):
        return discount
    check_memory(discount.shape[0], n_states, 2.0, "take to_frame(), whose column discount has one for each outcome")
    return np.asarray(discount.toarray())


def _factors(
    table: OutcomeTable, factors: FloatArray, describe: Callable[[int], str], states: Sequence[Hashable]
) -> sparse.csr_array:
    """(sources, states) the factors, zeros stored; refused where a transition has several, by name."""
    order = np.lexsort((factors, table.next_states, table.sources))
    pair = table.sources[order] * table.n_states + table.next_states[order]
    again = pair[1:] == pair[:-1]
    differ = again & (np.diff(factors[order]) > 0.0)
    if differ.any():
        row, other = order[np.argmax(differ) :][:2]
        raise ValueError(
            f"{describe(int(table.sources[row]))} reaches state {states[int(table.next_states[row])]!r} with the "
            f"discounts {factors[row]:g} and {factors[other]:g} (0: the return ends); an array holds one a transition, "
            "to_frame() and distrl.save keep both"
        )
    single = order[np.append(True, ~again)]  # rows with different rewards, which have the same factor
    entries = (factors[single], (table.sources[single], table.next_states[single]))
    return sparse.csr_array(entries, shape=(table.n_sources, table.n_states))


def table_to_sparse(
    table: OutcomeTable, terminal: BoolArray, describe: Callable[[int], str], *, beside_factors: bool = False
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """(P, R) in CSR form, (sources, states), for tables with one constant reward a transition.

    `beside_factors`: there is a matrix of factors beside them, which says what ends.
    """
    shape = (table.n_sources, table.n_states)
    if (table.laws >= 0).any():
        source = int(table.sources[np.argmax(table.laws >= 0)])
        raise ValueError(f"{describe(source)} has a random reward; (P, R) arrays hold constants only")
    if table.discounts is not None and not beside_factors:
        raise ValueError(
            "the outcomes have discounts of their own, which such files do not hold; distrl.save and to_frame() keep "
            "them, and model.with_discount(number) has one for all"
        )
    loose = table.terminals & ~terminal[table.next_states]
    if loose.any() and not beside_factors:
        row = int(np.argmax(loose))
        raise ValueError(
            f"{describe(int(table.sources[row]))} ends on the way to state {table.next_states[row]}, which goes on "
            "itself; (P, R, terminal) cannot say that"
        )
    order = np.lexsort((table.next_states, table.sources))
    pair = table.sources[order] * table.n_states + table.next_states[order]
    again = np.flatnonzero(pair[1:] == pair[:-1])
    if again.size:
        row = order[again[0]]
        raise ValueError(
            f"{describe(int(table.sources[row]))} reaches state {table.next_states[row]} with different rewards; "
            "(P, R) arrays hold one reward a transition"
        )
    where = (table.sources, table.next_states)
    p = sparse.coo_array((table.probs, where), shape=shape).tocsr()
    r = sparse.coo_array((table.rewards, where), shape=shape).tocsr()
    return p, r
