"""Undiscounted returns have to end: which states never do, and which of these are ends themselves."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from distrl._lazy import csgraph, sparse
from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import BoolArray, IntArray
from distrl.models.discounts import Discounted
from distrl.models.outcomes import OutcomeTable, build_table

_NAMED = 5  # states that an error names


def with_ends(table: OutcomeTable, states: Sequence[Hashable]) -> OutcomeTable:
    """`table` of an MRP, in which a closed class of states whose every reward is 0 is an end.

    From such a class the return is 0, however long it goes on: a move into it ends the return after the move's reward.
    The law of the return is the same. A class that pays stays as it is: `refuse_endless` says so where returns have to
    end. Found by graph search: O(number of outcomes).
    """
    if table.never_ending_source() is None:
        return table
    classes = closed_classes(table)
    endless = (classes > 0) & ~np.isin(classes, classes[table.sources[_pays(table)]])
    if not endless.any():
        return table
    rows = table.rows._replace(terminals=table.terminals | endless[table.next_states])
    ended = build_table(
        rows,
        n_sources=table.n_sources,
        n_states=table.n_states,
        describe=lambda source: f"state {states[source]!r}",
        tolerance=MIXED_ROW_SUM,
    )
    return replace(ended, known_defects=table.known_defects, before_ends=table)


def refuse_endless(model: Discounted, states: Sequence[Hashable]) -> None:
    """Refuse a reward process whose returns need not end, naming states. O(number of outcomes), once a table.

    Parameters
    ----------
    model : whose outcome table is that of an MRP
    states : their names

    Raises
    ------
    ValueError
        At discount 1 where no terminal outcome can be reached; where outcomes have discounts of their own, where none
        that ends or has one below 1 can be.
    """
    table = model.outcomes
    loop = table.never_ending_source() if model.largest_discount == 1.0 else None
    if loop is None:
        return
    if model.uniform_discount is None:
        raise ValueError(
            f"no outcome that ends or has a discount below 1 can be reached from state {states[loop]!r}; mark its end "
            "as terminal, change the policy or use a discount below 1"
        )
    classes, pays = closed_classes(table), _pays(table)
    paying = classes[table.sources[pays]]
    if paying.any():
        _refuse(table, states, classes == paying[np.argmax(paying > 0)], pays)
    raise ValueError(
        f"discount 1 needs every return to end, but no terminal outcome can be reached from state {states[loop]!r}, "
        "which never pays: mark its end as terminal (terminal=mask), or use a discount below 1"
    )


def _pays(table: OutcomeTable) -> BoolArray:
    return np.asarray((table.rewards != 0.0) | (table.laws >= 0))


def closed_classes(table: OutcomeTable) -> IntArray:
    """(S,) 1, 2, ... for the states of each class that is never left and in which nothing ends; 0 for all others."""
    n, going_on = table.n_states, ~table.terminals
    tails, heads = table.sources[going_on], table.next_states[going_on]
    graph = sparse.coo_array((np.ones(len(tails)), (tails, heads)), shape=(n, n)).tocsr()
    count, part = csgraph.connected_components(graph, connection="strong")
    open_ = np.zeros(count, dtype=np.bool_)
    open_[part[tails[part[tails] != part[heads]]]] = True
    open_[part[table.sources[table.terminals]]] = True
    number = np.where(open_, 0, np.cumsum(~open_))
    return np.asarray(number[part], dtype=np.int64)


def _refuse(table: OutcomeTable, states: Sequence[Hashable], inside: BoolArray, pays: BoolArray) -> None:
    members = np.flatnonzero(inside)
    row = int(np.flatnonzero(pays & inside[table.sources])[0])
    named = ", ".join(repr(states[state]) for state in members[:_NAMED].tolist())
    more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    what = f"state {named}" if len(members) == 1 else f"the closed class of states {named}{more}"
    paid = f"a reward of {table.rewards[row]:g}" if table.laws[row] < 0 else f"{table.reward_laws[table.laws[row]]!r}"
    raise ValueError(
        f"discount 1 needs every return to end, but no terminal outcome can be reached from state "
        f"{states[int(members[0])]!r}: {what} is never left and pays, as state {states[table.sources[row]]!r} does "
        f"({paid}); mark its end as terminal (terminal=mask), change the policy, or use a discount below 1, such as "
        "model.with_discount(0.99)"
    )
