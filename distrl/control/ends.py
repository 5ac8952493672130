"""Which policies end at discount 1: found in the graph of what is possible, exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from distrl._lazy import csgraph, sparse
from distrl._tolerances import MIXED_ROW_SUM
from distrl._validation import BoolArray, IntArray
from distrl.control.bellman import Pairs
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.models.outcomes import Rows, build_table


def undiscounted(mdp: MDP) -> bool:
    """Whether returns have to end by themselves: at discount 1.

    Raises
    ------
    ValueError
        Where some outcomes have discount 1 and others less, naming a state: then neither all policies nor those that
        end are the ones to compare.
    """
    if mdp.uniform_discount is not None:
        return mdp.uniform_discount == 1.0
    row = int(np.argmax(mdp.discounts))
    if mdp.discounts[row] < 1.0:
        return False
    state, action = mdp.pairs[mdp.outcomes.sources[row]]
    raise ValueError(
        f"state {mdp.states[state]!r}, action {mdp.actions[action]!r} has an outcome with discount 1, and others have "
        "less; without a horizon optimize needs discounts below 1, or 1 for all: give horizon=, or evaluate one policy"
    )


def with_silent_ends(mdp: MDP) -> MDP:
    """The same process, whose returns end where nothing is paid any more: in states that lead, whatever is done, to
    states without reward alone. The return from there is 0, whether or not it ends; itself where there are none."""
    table, states = mdp.outcomes, mdp.choices.states
    paying = (table.rewards != 0.0) | (table.laws >= 0)
    here = states[table.sources]
    silent = np.bincount(here, weights=paying, minlength=mdp.n_states) == 0
    while True:
        leaving = silent[here] & ~table.terminals & ~silent[table.next_states]
        if not leaving.any():
            break
        silent[here[leaving]] = False
    ends = table.terminals | silent[table.next_states]
    if np.array_equal(ends, table.terminals):
        return mdp
    built = build_table(
        table.rows._replace(terminals=ends),
        n_sources=table.n_sources,
        n_states=mdp.n_states,
        describe=mdp.choices.described(mdp.states, mdp.actions),
        tolerance=MIXED_ROW_SUM,
    )
    built = replace(built, known_defects=table.known_defects)
    return MDP.from_table(built, mdp.discount, available=mdp.choices, states=mdp.states, actions=mdp.actions)


def nearer_end(pairs: Pairs) -> IntArray:
    """(S,) a pair of each state that may lead one step nearer to an end: the policy of these surely ends.

    Raises
    ------
    ValueError
        Naming a state from which no policy ends.
    """
    table, n = pairs.table, pairs.mdp.n_states
    chosen = np.full(n, -1, dtype=np.int64)
    ending = np.unique(table.sources[table.terminals])
    fresh = _first_of_state(pairs, ending, chosen)
    on = ~table.terminals
    back = sparse.csr_array(
        (np.ones(int(on.sum())), (table.next_states[on], table.sources[on])), shape=(n, table.n_sources)
    )
    while fresh.size:  # breadth first, backwards
        before = np.unique(np.concatenate([back.indices[back.indptr[s] : back.indptr[s + 1]] for s in fresh]))
        fresh = _first_of_state(pairs, before.astype(np.int64), chosen)
    if (chosen < 0).any():
        state = int(np.argmax(chosen < 0))
        raise ValueError(
            f"at discount 1 a return has to end, but from state {pairs.mdp.states[state]!r} no policy ends; mark its "
            "end as terminal (from_outcomes(..., absorbing='end') does it for loops of reward 0), use a discount below "
            "1, or give horizon="
        )
    return chosen


def _first_of_state(pairs: Pairs, found: IntArray, chosen: IntArray) -> IntArray:
    """Put the first found pair of every state without one into `chosen`; the states that got one."""
    states = pairs.states[found]
    open_ones = chosen[states] < 0
    fresh, first = np.unique(states[open_ones], return_index=True)
    chosen[fresh] = found[open_ones][first]
    return np.asarray(fresh, dtype=np.int64)


def never_ending(pairs: Pairs, policy: IntArray) -> BoolArray:
    """(S,) mask of the states from which a policy, one pair a state, reaches no end."""
    table, n = pairs.table, pairs.mdp.n_states
    played = np.zeros(table.n_sources, dtype=np.bool_)
    played[policy] = True
    rows = np.flatnonzero(played[table.sources])
    here, ends = pairs.states[table.sources[rows]], table.terminals[rows]
    heads = np.where(ends, n, table.next_states[rows])
    backwards = sparse.csr_array((np.ones(len(rows)), (heads, here)), shape=(n + 1, n + 1))
    reached = csgraph.breadth_first_order(backwards, n, return_predecessors=False)
    missing = np.ones(n + 1, dtype=np.bool_)
    missing[reached] = False
    return missing[:n]


def made_ending(pairs: Pairs, policy: IntArray) -> IntArray:
    """A policy that surely ends: as given, but where that reaches no end one step nearer to it.

    Where a policy can end, the way there meets no state from which it cannot.
    """
    lost = never_ending(pairs, policy)
    return np.where(lost, nearer_end(pairs), policy) if lost.any() else policy


class Components(NamedTuple):
    """Maximal end components: sets of states within which pairs lead from everywhere to everywhere, and never out.

    Attributes
    ----------
    number : (S,) that of each state's component; a state may be one alone
    staying : (pairs,) mask of the pairs that never leave theirs
    """

    number: IntArray
    staying: BoolArray


def components_of(pairs: Pairs, allowed: BoolArray) -> Components:
    """The maximal end components of the `allowed` pairs that never end; a few graph searches."""
    table, n = pairs.table, pairs.mdp.n_states
    inside = allowed & (np.bincount(table.sources, weights=table.terminals, minlength=table.n_sources) == 0)
    while True:
        rows = np.flatnonzero(inside[table.sources])
        here = pairs.states[table.sources[rows]]
        graph = sparse.csr_array((np.ones(len(rows)), (here, table.next_states[rows])), shape=(n, n))
        _, component = csgraph.connected_components(graph, directed=True, connection="strong")
        leaving = component[here] != component[table.next_states[rows]]
        left = np.unique(table.sources[rows][leaving])
        if not left.size:
            return Components(np.asarray(component, dtype=np.int64), inside)
        inside[left] = False


def free_components(pairs: Pairs) -> Components:
    """The components of the pairs whose every outcome goes on with reward 0: one moves about in them for nothing.

    All their states have one optimal value, and staying in them for ever is no way to end.
    """
    table = pairs.table
    paying = (table.rewards != 0.0) | (table.laws >= 0)
    return components_of(pairs, np.bincount(table.sources, weights=paying, minlength=table.n_sources) == 0)


class Merged(NamedTuple):
    """A process whose states are components.

    Attributes
    ----------
    mdp : MDP
    number : (S,) its state for each one that was merged
    kept : (its pairs,) the pairs that its own stand for
    """

    mdp: MDP
    number: IntArray
    kept: IntArray


def merged(pairs: Pairs, components: Components) -> Merged:
    """The process whose states are the components, without the pairs that stay in one; each state's pairs in the order
    of its states, and its name that of the first of these with a pair that is left.

    A component without another pair cannot be left: `nearer_end` has refused that before.
    """
    table, component = pairs.table, components.number
    kept = ~components.staying
    sources = np.flatnonzero(kept)
    home = component[pairs.states[sources]]
    order = np.argsort(home, kind="stable")
    sources, home = sources[order], home[order]
    names, indptr = np.unique(home, return_index=True)
    states = [pairs.mdp.states[pairs.states[pair]] for pair in sources[indptr].tolist()]
    indptr = np.append(indptr, len(home)).astype(np.int64)
    actions = np.arange(len(home)) - np.repeat(indptr[:-1], np.diff(indptr))
    place = np.full(table.n_sources, -1, dtype=np.int64)
    place[sources] = np.arange(len(sources))
    rows = table.rows.take(np.flatnonzero(kept[table.sources]))
    number = np.zeros(int(component.max()) + 1, dtype=np.int64)
    number[names] = np.arange(len(names))
    small = Rows(
        place[rows.sources],
        rows.probs,
        number[component[rows.next_states]],
        rows.rewards,
        rows.terminals,
        rows.laws,
        rows.reward_laws,
    )
    built = build_table(
        small,
        n_sources=len(sources),
        n_states=len(names),
        describe=lambda source: f"pair {source} of the merged process",
    )
    if table.known_defects is not None:
        built = replace(built, known_defects=table.known_defects[sources])
    choices = Choices(int(actions.max()) + 1, indptr, actions.astype(np.int64))
    small_mdp = MDP.from_table(built, 1.0, available=choices, states=states)
    return Merged(small_mdp, number[component], sources)


def spread_out(pairs: Pairs, small: Merged, policy: IntArray) -> IntArray:
    """(S,) the pairs that a policy of the merged process means, one pair a state: go to where its pair is without
    leaving the component, and play it."""
    table, n = pairs.table, pairs.mdp.n_states
    chosen = np.full(n, -1, dtype=np.int64)
    played = small.kept[policy]
    chosen[pairs.states[played]] = played
    staying = np.ones(table.n_sources, dtype=np.bool_)
    staying[small.kept] = False
    rows = np.flatnonzero(staying[table.sources])
    while (chosen < 0).any():
        nearer = rows[chosen[table.next_states[rows]] >= 0]
        _first_of_state(pairs, np.unique(table.sources[nearer]), chosen)
    return chosen
