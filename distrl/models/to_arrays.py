"""Outcome tables in, transition and reward matrices out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from distrl._lazy import sparse
from distrl._validation import BoolArray
from distrl.models.outcomes import OutcomeTable


class Arrays(NamedTuple):
    """A model as (P, R, terminal): `MRP(P, R, discount, terminal)` or `MDP(P, R, discount, terminal, axes="ass")`.

    Where an MDP has an action that is not available, its row is zero, and `available=mdp.available` has to be given.
    """

    P: Any
    R: Any
    terminal: BoolArray


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


def table_to_sparse(
    table: OutcomeTable, terminal: BoolArray, describe: Callable[[int], str]
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """(P, R) in CSR form, (sources, states), for tables with one constant reward a transition."""
    shape = (table.n_sources, table.n_states)
    if (table.laws >= 0).any():
        source = int(table.sources[np.argmax(table.laws >= 0)])
        raise ValueError(f"{describe(source)} has a random reward; (P, R) arrays hold constants only")
    if table.discounts is not None:
        raise ValueError(
            "the outcomes have discounts of their own, which (P, R, terminal) arrays do not hold; distrl.save keeps "
            "them, and model.with_discount(number) has one for all"
        )
    loose = table.terminals & ~terminal[table.next_states]
    if loose.any():
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
