"""Objectives of model checking: models whose return says whether a set of states is reached, or in how many steps.

Definitions. A walk satisfies "allowed until target" if it enters `target`, all states before that being `allowed`; a
walk that starts in `target` satisfies it at once. It is decided when it enters `target`, leaves `allowed`, ends, or
enters a state from which no path within `allowed` leads to `target` any more: those are found by graph search.

The models are undiscounted and end where a walk is decided, so that `evaluate` answers for all states at once: P(reach)
is the mean of the return, and P(reach within k steps) a value of the CDF of the steps.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from distrl._lazy import csgraph, sparse
from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import BoolArray, IntArray
from distrl.models.endings import never_ending
from distrl.models.outcomes import OutcomeTable, Rows, build_table

_KINDS = ("reach", "steps")


def until_table(
    table: OutcomeTable,
    sources: IntArray,
    allowed: BoolArray,
    target: BoolArray,
    reward: str,
    states: Sequence[Hashable],
) -> OutcomeTable:
    """The table whose return says whether a walk stays in `allowed` until it enters `target`, or how long it takes.

    Parameters
    ----------
    table : OutcomeTable
        Of any MRP or MDP; its rewards are not used.
    sources : (sources,) the state of each source
    allowed, target : (S,) masks
    reward : "reach" or "steps"
        reach: 1 on entering `target` (at once from its own states), else 0. steps: 1 for every move before the walk
        enters `target` or leaves `allowed`; 0 from states where that is so already.
    states : names for errors

    Raises
    ------
    ValueError
        For an unknown `reward`; for "steps", if a walk may end before it enters `target` or leaves `allowed`, naming a
        state, and of an MRP the probability.

    Notes
    -----
    Time O(n log n) in the number of outcomes, memory O(n).
    """
    if reward not in _KINDS:
        raise ValueError(f"reward must be 'reach' or 'steps', got {reward!r}")
    decided = target | ~allowed
    hopeful = can_reach(table, sources, allowed, target)
    here, following = sources[table.sources], table.next_states
    moving = ~decided[here] & (hopeful[here] if reward == "reach" else True)
    keep = np.flatnonzero(moving)
    at, entered = following[keep], target[following[keep]]
    if reward == "reach":
        ends, paid = table.terminals[keep] | decided[at] | ~hopeful[at], entered.astype(np.float64)
    else:
        ends, paid = decided[at] | table.terminals[keep], np.ones(len(keep))
    still = np.unique(table.sources[~moving])
    value = target[sources[still]].astype(np.float64) if reward == "reach" else np.zeros(len(still))
    rows = Rows(
        sources=np.concatenate([table.sources[keep], still]),
        probs=np.concatenate([table.probs[keep], np.ones(len(still))]),
        next_states=np.concatenate([at, sources[still]]),
        rewards=np.concatenate([paid, value]),
        terminals=np.concatenate([ends, np.ones(len(still), dtype=np.bool_)]),
        laws=np.full(len(keep) + len(still), -1),
        reward_laws=(),
    )
    told = build_table(
        rows,
        n_sources=table.n_sources,
        n_states=table.n_states,
        describe=lambda source: f"state {states[sources[source]]!r}",
        tolerance=MIXED_ROW_SUM,
    )
    told = told if table.known_defects is None else replace(told, known_defects=table.known_defects)
    if reward == "steps":
        _refuse_lost(told, sources, told.terminals & ~decided[told.next_states], states)
    return told


def _refuse_lost(told: OutcomeTable, sources: IntArray, lost: BoolArray, states: Sequence[Hashable]) -> None:
    """A walk that ends undecided never gets anywhere, so that no number of steps is its own."""
    if not lost.any():
        return
    source = int(told.sources[np.argmax(lost)])
    chance = f", with probability {never_ending(told, lost)[source]:.3g}" if told.n_sources == told.n_states else ""
    raise ValueError(
        f"reward='steps' counts the moves until the target is reached, but from state {states[int(sources[source])]!r} "
        f"a walk may end without reaching it, after which it never does{chance}; use reward='reach', whose return is "
        "whether it is reached (with horizon=H: within H moves), or let `allowed` leave out the states in which walks "
        "end"
    )


def can_reach(table: OutcomeTable, sources: IntArray, allowed: BoolArray, target: BoolArray) -> BoolArray:
    """(S,) the states from which some path enters `target`, all states before that `allowed`; O(number of outcomes)."""
    n = table.n_states
    onward = ~table.terminals | target[table.next_states]
    here, following = sources[table.sources], table.next_states
    used = onward & allowed[here] & ~target[here]
    goals = np.flatnonzero(target)
    tails = np.concatenate([following[used], np.full(len(goals), n)])
    heads = np.concatenate([here[used], goals])
    backwards = sparse.coo_array((np.ones(len(tails)), (tails, heads)), shape=(n + 1, n + 1)).tocsr()
    reached = np.zeros(n + 1, dtype=np.bool_)
    reached[csgraph.breadth_first_order(backwards, n, return_predecessors=False)] = True
    return reached[:n]
