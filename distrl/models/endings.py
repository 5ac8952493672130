"""Undiscounted returns have to end: which states never do, and which of these are ends themselves."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from distrl._lazy import csgraph, linalg, sparse
from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray
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


def refuse_endless(model: Discounted, states: Sequence[Hashable], initial: FloatArray | None = None) -> None:
    """Refuse a reward process whose returns need not end, naming states. O(number of outcomes), once a table.

    Parameters
    ----------
    model : whose outcome table is that of an MRP
    states : their names
    initial : (S,) probabilities of the first state, optional
        From which of them it never ends is said first.

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
        _refuse(table, states, classes == paying[np.argmax(paying > 0)], pays, initial)
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


def never_ending(table: OutcomeTable, lost: BoolArray | None = None) -> FloatArray:
    """(S,) the probability that a walk of an MRP's table comes to a closed class, or makes a move that is `lost`.

    u = 1 in closed classes, else u(x) = sum_y P(y | x) u(y), a lost move counting 1: one sparse solve, for people to
    read.
    """
    n, gained = table.n_states, np.zeros(len(table.probs), dtype=np.bool_) if lost is None else lost
    endless = closed_classes(table) > 0
    going_on = ~table.terminals
    good = gained | (going_on & endless[table.next_states])
    known = np.bincount(table.sources, weights=table.probs * good, minlength=n)
    on = going_on & ~endless[table.next_states] & ~endless[table.sources]
    edges = table.sources[on], table.next_states[on]
    starts = np.flatnonzero(known > 0.0)  # what never meets any of them has u = 0, and is left out of the solve
    tails, heads = np.concatenate([edges[1], np.full(len(starts), n)]), np.concatenate([edges[0], starts])
    backwards = sparse.coo_array((np.ones(len(tails)), (tails, heads)), shape=(n + 1, n + 1)).tocsr()
    inside = np.zeros(n + 1, dtype=np.bool_)
    inside[csgraph.breadth_first_order(backwards, n, return_predecessors=False)] = True
    open_ = np.flatnonzero(inside[:n] & ~endless)
    system = sparse.eye_array(n, format="csr") - sparse.csr_array((table.probs[on], edges), shape=(n, n))
    chances = endless.astype(np.float64)
    if open_.size:
        chances[open_] = linalg.spsolve(system[open_][:, open_].tocsc(), known[open_])
    return np.clip(chances, 0.0, 1.0)


def _refuse(
    table: OutcomeTable,
    states: Sequence[Hashable],
    inside: BoolArray,
    pays: BoolArray,
    initial: FloatArray | None,
) -> None:
    members = np.flatnonzero(inside)
    row = int(np.flatnonzero(pays & inside[table.sources])[0])
    named = ", ".join(repr(states[state]) for state in members[:_NAMED].tolist())
    more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    what = f"state {named}" if len(members) == 1 else f"the closed class of states {named}{more}"
    paid = f"a reward of {table.rewards[row]:g}" if table.laws[row] < 0 else f"{table.reward_laws[table.laws[row]]!r}"
    chances = never_ending(table)
    begun = (chances > 0.0) & (True if initial is None else initial > 0.0)
    start = int(np.argmax(begun if begun.any() else chances > 0.0))
    raise ValueError(
        f"discount 1 needs every return to end, but no terminal outcome can be reached from state "
        f"{states[int(members[0])]!r}: {what} is never left and pays, as state {states[table.sources[row]]!r} does "
        f"({paid}); from state {states[start]!r} a return never ends with probability {chances[start]:.3g}. Mark an "
        "end as terminal (terminal=mask), change the policy, give horizon=H, the steps that are looked at, or use a "
        "discount below 1, such as model.with_discount(0.99); where the steps to a target are counted, "
        "reward='reach' says whether it is reached"
    )
