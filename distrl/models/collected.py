"""Outcomes that an importer has collected, by position, as a decision process: the last steps are the same for all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from distrl._memory import check_memory
from distrl._validation import BoolArray, FloatArray, IntArray, real_number
from distrl.models.choices import Choices, end_absorbing
from distrl.models.labels import labels_of
from distrl.models.laws import Law
from distrl.models.mdp import MDP
from distrl.models.outcomes import Rows, build_table


class Collected(NamedTuple):
    """Outcomes as parallel columns, one row an outcome, in any order; states and actions are positions.

    `laws` is an index into `reward_laws`, -1 for the constant that `rewards` holds.
    """

    states: IntArray
    actions: IntArray
    probs: FloatArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    laws: IntArray
    reward_laws: Sequence[Law]

    @classmethod
    def numbers(
        cls, states: IntArray, actions: IntArray, probs: FloatArray, next_states: IntArray, rewards: FloatArray
    ) -> Collected:
        """Outcomes with numbers for rewards, none of which ends the return."""
        terminals, laws = np.zeros(len(states), dtype=np.bool_), np.full(len(states), -1)
        return cls(states, actions, probs, next_states, rewards, terminals, laws, ())


class Known(NamedTuple):
    """What an importer knows besides the outcomes: numbers, names, the first state's law, and which states end."""

    n_states: int
    n_actions: int
    states: Sequence[Hashable] | None = None
    actions: Sequence[Hashable] | None = None
    initial: ArrayLike | None = None
    layout: tuple[int, int] | None = None
    labels: Mapping[str, ArrayLike] | None = None
    ends: BoolArray | None = None


def collected_mdp(
    rows: Collected, known: Known, discount: float, *, absorbing: str | None = None, normalise: bool = False
) -> MDP:
    """The decision process of these outcomes. Time O(n log n), memory O(n) in the number of rows.

    Parameters
    ----------
    rows : Collected
        A pair without rows is not available. None leaves a state that ends.
    known : Known
        Where `ends` is given, the return from the states that it marks is 0: they have all actions, and a move into
        one ends the return after the move's reward, as with `MDP(terminal=mask)`.
    discount, absorbing, normalise
        As for `MDP.from_outcomes`.

    Raises
    ------
    ValueError, TypeError
        Naming the state and the action.
    """
    number = real_number(discount, "discount", low=0.0, high=1.0)
    n_states, n_actions = known.n_states, known.n_actions
    stray = "look for a stray number among the actions"
    if known.ends is not None and known.ends.any():
        check_memory(int(known.ends.sum()), n_actions, 20.0, stray)
        rows = _with_ends(rows, known.ends, n_actions)
    choices = Choices.of_keys(rows.states * n_actions + rows.actions, n_states, n_actions)
    if not choices.even:
        check_memory(n_states, n_actions, 2.0, stray)
    states = labels_of(known.states, "states", n_states)
    actions = labels_of(known.actions, "actions", n_actions)
    if (choices.numbers == 0).any():
        without = states[int(np.argmax(choices.numbers == 0))]
        raise ValueError(
            f"state {without!r} has no available action; every state needs one, with outcomes whose probabilities sum "
            "to 1: for a state that ends the return, a loop with reward 0"
        )
    describe = choices.described(states, actions)
    sources = choices.sources(rows.states, rows.actions)
    columns = Rows(sources, *rows[2:])
    pairs = len(choices.actions)
    table = build_table(columns, n_sources=pairs, n_states=n_states, describe=describe, normalise=normalise)
    named: dict[str, Any] = {"states": states, "actions": actions, "labels": known.labels}
    mdp = MDP.from_table(table, number, known.initial, known.layout, available=choices, **named)
    return ended(mdp, absorbing)


def ended(mdp: MDP, absorbing: str | None) -> MDP:
    """`mdp` as it is, or with returns that end in its absorbing states; `absorbing` as for `MDP.from_outcomes`."""
    describe = mdp.choices.described(mdp.states, mdp.actions)
    table = end_absorbing(mdp.outcomes, absorbing, mdp.uniform_discount, mdp.choices.states, describe)
    if table is mdp.outcomes:
        return mdp
    named: dict[str, Any] = {"states": mdp.states, "actions": mdp.actions, "labels": mdp.labels}
    return MDP.from_table(table, mdp.uniform_discount, mdp.initial, mdp.layout, available=mdp.choices, **named)


def _with_ends(rows: Collected, ends: BoolArray, n_actions: int) -> Collected:
    """`rows` that end on reaching one of the states `ends`, which stay where they are with reward 0."""
    here = np.repeat(np.flatnonzero(ends), n_actions)
    doing = np.tile(np.arange(n_actions), len(here) // n_actions)
    return Collected(
        np.append(rows.states, here),
        np.append(rows.actions, doing),
        np.append(rows.probs, np.ones(len(here))),
        np.append(rows.next_states, here),
        np.append(rows.rewards, np.zeros(len(here))),
        np.append(rows.terminals | ends[rows.next_states], np.ones(len(here), dtype=np.bool_)),
        np.append(rows.laws, np.full(len(here), -1)),
        rows.reward_laws,
    )
