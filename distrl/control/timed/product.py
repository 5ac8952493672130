"""The process that a policy on a ladder makes of a decision process: its states are a rung and a state."""

import numpy as np

from distrl._validation import BoolArray, IntArray
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.models.stages import of_samples

#: States of the process of all rungs together that laws are found on at most.
MOST = 200_000


class TooLarge(ValueError):
    """The process has more than `MOST` states."""


def product_of(
    mdp: MDP, actions: IntArray, tail: IntArray | None, first: IntArray, stride: int
) -> tuple[MRP, IntArray]:
    """The process of the (rung, state) that are reached, and the state of it at which each state starts.

    Parameters
    ----------
    mdp, actions, tail, first, stride
        As of `TimedPolicy`.

    Raises
    ------
    TooLarge
        If it has more than `MOST` states.

    Notes
    -----
    Time and memory O(rungs S + outcomes of what is reached).
    """
    n, rungs = mdp.n_states, len(actions)
    table = mdp.outcomes
    layers = np.minimum(first, rungs)
    reached = np.zeros((rungs + 1, n), dtype=np.bool_)
    reached[layers, np.arange(n)] = True
    size = n
    for rung in range(rungs + (tail is not None)):
        if rung + stride < rungs or tail is not None:
            row = actions[rung] if rung < rungs else tail
            size += _spread(mdp, reached, rung, min(rung + stride, rungs), np.asarray(row, dtype=np.int64))
        if size > MOST:
            raise TooLarge(
                f"the policy's law needs a process of more than {MOST} states, each a memory and a state, which is as "
                "many as a method is handed; take distrl.CategoricalFixedPoint() below discount 1, or play the policy "
                "by start, act and observe"
            )
    place = np.cumsum(reached.ravel()).reshape(reached.shape) - 1
    rung_of, state = np.argwhere(reached).T
    rows_of = np.vstack([actions, np.zeros(n, dtype=actions.dtype) if tail is None else tail])
    sources = mdp.choices.sources(state, rows_of[rung_of, state].astype(np.int64))
    own, sizes = _outcomes(table, sources)
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    onward = np.minimum(np.repeat(rung_of, sizes) + stride, rungs)
    ended = table.terminals[own] | ((onward == rungs) & (tail is None))
    following = np.where(ended, 0, place[onward, table.next_states[own]])
    lacking = table.known_defects
    made = MRP.from_table(
        OutcomeTable(
            n_states=size,
            indptr=indptr,
            probs=table.probs[own],
            next_states=following.astype(np.int64),
            rewards=table.rewards[own],
            terminals=ended,
            laws=table.laws[own],
            reward_laws=table.reward_laws,
            known_defects=None if lacking is None else lacking[sources],
        ),
        mdp.discount,
    )
    made.sampled = of_samples(mdp)
    return made, place[layers, np.arange(n)]


def _outcomes(table: OutcomeTable, sources: IntArray) -> tuple[IntArray, IntArray]:
    """The rows of some sources, one source after the other, and how many each has."""
    sizes = np.diff(table.indptr)[sources]
    before = np.cumsum(sizes) - sizes
    rows = np.arange(int(sizes.sum())) + np.repeat(table.indptr[sources] - before, sizes)
    return rows, sizes


def _spread(mdp: MDP, reached: BoolArray, rung: int, onward: int, actions: IntArray) -> int:
    """Mark what is reached on the rung `onward` from the marked states of another, or of the same, rung; how many are
    new."""
    table, count = mdp.outcomes, 0
    fresh = np.flatnonzero(reached[rung])
    while fresh.size:
        rows, _ = _outcomes(table, mdp.choices.sources(fresh, actions[fresh]))
        following = np.unique(table.next_states[rows[~table.terminals[rows]]])
        fresh = following[~reached[onward, following]]
        reached[onward, fresh] = True
        count += len(fresh)
        if onward != rung:
            break
    return count
