"""Models that a program describes: a function of the state and the action."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from distrl._memory import check_memory
from distrl._validation import FloatArray, IntArray, bool_array, real_number, shortened, whole_number
from distrl.models.collected import Collected, Known, collected_mdp
from distrl.models.given import Reward
from distrl.models.labels import Labels, labels_of
from distrl.models.mdp import MDP
from distrl.models.reading import split_laws

#: What a model may say of a state and an action: see `from_function`.
Outcomes: TypeAlias = Iterable[Sequence[Any]] | tuple[Mapping[Any, float], Reward]
#: The outcomes of a state and an action.
Model: TypeAlias = Callable[[Any, Any], Outcomes]
#: {state: probability}, or states.
FirstStates: TypeAlias = Mapping[Any, float] | Iterable[Hashable]
#: The actions of all states, or of each.
Actions: TypeAlias = int | Sequence[Hashable] | Callable[[Any], Iterable[Hashable]]


def from_function(
    states: int | Iterable[Hashable] | None,
    actions: Actions,
    model: Model,
    discount: float,
    *,
    initial: FirstStates | None = None,
    absorbing: str | None = None,
    normalise: bool = False,
    layout: tuple[int, int] | None = None,
    max_states: int = 1_000_000,
) -> MDP:
    """The MDP that a function `model(state, action)` describes.

    Parameters
    ----------
    states : sequence of names, int or None
        The states, each any hashable thing; a number: 0..n-1. None: they are found by going from those of `initial`
        wherever the model leads, and have the order in which they are found (breadth first).
    actions : sequence of names, int, or function
        The actions of every state, or a function that gives those of a state, which are counted in the order in which
        they come then. A state without actions, or without
        outcomes under any, is terminal: the return from it is 0, and a move into it ends the return after its reward.
    model : function of (state, action)
        It gives the outcomes, as an iterable of (probability, next_state, reward) or (probability, next_state, reward,
        terminal), or as a pair ({next_state: probability}, reward). A reward is a number or a law; `terminal` says
        that the return ends after it. Repeated outcomes add up. No outcomes at all: the action is not available there.
        What the function raises is passed on.
    discount : float in [0, 1]
    initial : {state: probability}, or an iterable of states, optional
        The law of the first state, uniform over those of an iterable. One state s is [s].
    absorbing, normalise
        As for `MDP.from_outcomes`.
    layout
        As for `MDP`.
    max_states : int
        Refuse to find more states than that: a model may lead on for ever.

    Returns
    -------
    MDP
        `mdp.states` and `mdp.actions` are the names. The function is called once for each state and action.

    Raises
    ------
    ValueError, TypeError
        Naming the state, the action, and what the function gave there.

    Examples
    --------
    >>> def walk(state, action):
    ...     return [(0.5, state + action, -1.0), (0.5, state, -1.0)]
    >>> mdp = from_function(None, lambda state: [-1, 1] if 0 < state < 5 else [], walk, 0.9, initial=[2])
    >>> list(mdp.states)
    [2, 1, 3, 0, 4, 5]
    """
    if not callable(model):
        raise TypeError(f"model must be a function of a state and an action, got {shortened(model)}")
    number = real_number(discount, "discount", low=0.0, high=1.0)
    firsts = _first_law(initial)
    found = _Found(_given_states(states), firsts, whole_number(max_states, "max_states", low=1))
    doing = _Actions(actions)
    columns: tuple[list[Any], ...] = ([], [], [], [], [], [])
    ends: list[int] = []
    for position, state in found:
        before = len(columns[0])
        for action in doing.of(state):
            for outcome in _outcomes(model(state, action), state, action):
                probability, successor, reward, terminal = outcome
                row = (position, doing.position(action), probability, found.position(successor, state, action))
                for column, entry in zip(columns, (*row, reward, terminal), strict=True):
                    column.append(entry)
        if len(columns[0]) == before:
            ends.append(position)
    if not columns[0]:
        raise ValueError("the model has no outcome in any state; it needs an action that leads somewhere")
    rewards, laws, given = split_laws(columns[4], "the model's rewards, outcome by outcome,")
    rows = Collected(
        _whole(columns[0]),
        _whole(columns[1]),
        np.array(columns[2], dtype=np.float64),
        _whole(columns[3]),
        rewards,
        bool_array(columns[5], "the model's terminal flags", len(columns[5])),
        laws,
        given,
    )
    n = len(found.names)
    ended = np.zeros(n, dtype=np.bool_)
    ended[ends] = True
    names, known_actions = _names(found.names), _names(doing.names)
    known = Known(n, len(doing.names), names, known_actions, found.law(firsts), layout, ends=ended)
    return collected_mdp(rows, known, number, absorbing=absorbing, normalise=normalise)


def _given_states(states: Any) -> Sequence[Hashable] | None:
    if states is None:
        return None
    if isinstance(states, int | np.integer) and not isinstance(states, bool):
        return range(_count(states, "states"))
    if isinstance(states, Iterable) and not isinstance(states, str | bytes | Mapping):
        states = list(states)
        if not states:
            raise ValueError("states is empty; a model needs at least one")
    return labels_of(states, "states")


def _count(given: object, what: str) -> int:
    """A number of states or actions that can be listed."""
    count = whole_number(given, what, low=1)
    check_memory(count, 1, 20.0, f"{what} is a number of them, or a list of their names")
    return count


def _first_law(initial: Any) -> dict[Hashable, float]:
    """{state: probability}, empty where there is no law of the first state."""
    if initial is None:
        return {}
    if isinstance(initial, str | bytes | tuple) or not isinstance(initial, Iterable):
        raise TypeError(f"initial must be a list of states or {{state: probability}}; give [{initial!r}] for one state")
    if isinstance(initial, Mapping):
        return {state: real_number(share, f"initial[{state!r}]") for state, share in initial.items()}
    listed = list(dict.fromkeys(initial))
    if not listed:
        raise ValueError("initial is empty; it needs at least one state")
    return dict.fromkeys(listed, 1.0 / len(listed))


class _Found:
    """The states, as they are given or as they are found, each visited once."""

    def __init__(self, given: Sequence[Hashable] | None, firsts: Mapping[Hashable, float], most: int) -> None:
        self.open = given is None
        if given is None and not firsts:
            raise ValueError("states is None, so initial has to say where to start: a list of states")
        self.names: list[Hashable] = list(firsts if given is None else given)
        self._positions = {name: position for position, name in enumerate(self.names)}
        self._most = most
        unknown = [state for state in firsts if state not in self._positions]
        if unknown:
            raise ValueError(f"initial names {shortened(unknown[0])}, which is none of the states")

    def __iter__(self) -> Iterator[tuple[int, Hashable]]:
        waiting = deque(enumerate(self.names))
        while waiting:
            before = len(self.names)
            yield waiting.popleft()
            waiting.extend((position, self.names[position]) for position in range(before, len(self.names)))

    def position(self, state: Any, source: Any, action: Any) -> int:
        """The position of a state to which the model leads."""
        where = f"state {source!r}, action {action!r}"
        try:
            position = self._positions.get(state)
        except TypeError as error:
            raise TypeError(f"{where} leads to {shortened(state)}, which cannot be a state: {error}") from error
        if position is not None:
            return position
        if not self.open:
            raise ValueError(f"{where} leads to {shortened(state)}, which is none of the states")
        if len(self.names) >= self._most:
            raise ValueError(
                f"{where} leads to {shortened(state)}, one more than {self._most} states; the model may lead on for "
                "ever: bound it, or give a larger max_states"
            )
        self._positions[state] = len(self.names)
        self.names.append(state)
        return len(self.names) - 1

    def law(self, firsts: Mapping[Hashable, float]) -> FloatArray | None:
        """The (S,) law of the first state."""
        if not firsts:
            return None
        law = np.zeros(len(self.names))
        for state, share in firsts.items():
            law[self._positions[state]] = share
        return law


class _Actions:
    """The actions of each state, and their positions: in the order given, or in that in which they come."""

    def __init__(self, given: Any) -> None:
        self._of: Callable[[Any], Iterable[Hashable]] | None = None
        names: list[Hashable] = []
        if callable(given):
            self._of = given
        elif isinstance(given, int | np.integer) and not isinstance(given, bool):
            names.extend(range(_count(given, "actions")))
        else:
            names.extend(labels_of(given, "actions"))
            if not names:
                raise ValueError("actions is empty; a model needs at least one")
        self.names: list[Hashable] = names
        self._positions: dict[Hashable, int] = {name: position for position, name in enumerate(names)}

    def of(self, state: Any) -> list[Hashable]:
        """The actions of a state."""
        if self._of is None:
            return self.names
        given = self._of(state)
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise TypeError(f"actions({state!r}) gives {shortened(given)}; expected a list of actions")
        listed = list(given)
        for action in listed:
            if not isinstance(action, Hashable):
                raise TypeError(f"actions({state!r}) gives {shortened(action)}, which cannot be an action")
            if self._positions.setdefault(action, len(self.names)) == len(self.names):
                self.names.append(action)
        if len(set(listed)) < len(listed):
            raise ValueError(f"actions({state!r}) gives one action twice: {shortened(listed)}")
        return listed

    def position(self, action: Hashable) -> int:
        """The position of an action that some state has."""
        return self._positions[action]


def _outcomes(given: Any, state: Any, action: Any) -> Iterator[tuple[float, Any, Any, Any]]:
    """(probability, next state, reward, terminal) of each outcome, in either form."""
    where = f"model({state!r}, {action!r})"
    forms = "expected (probability, next_state, reward[, terminal]) tuples, or ({next_state: probability}, reward)"
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise TypeError(f"{where} gives {shortened(given)}; {forms}")
    listed: Any = list(given)
    if len(listed) == 2 and isinstance(listed[0], Mapping):
        listed = [(probability, successor, listed[1]) for successor, probability in listed[0].items()]
    for outcome in listed:
        if not isinstance(outcome, Sequence | np.ndarray) or isinstance(outcome, str) or len(outcome) not in (3, 4):
            raise TypeError(f"{where} holds {shortened(outcome)}; {forms}")
        probability = real_number(outcome[0], f"{where}: the probability of {shortened(outcome[1])}")
        yield probability, outcome[1], outcome[2], outcome[3] if len(outcome) == 4 else False


def _names(names: list[Hashable]) -> Sequence[Hashable] | None:
    """The names, or None where they are the positions themselves."""
    plain = all(isinstance(name, int | np.integer) and name == position for position, name in enumerate(names))
    return None if plain else Labels(names)


def _whole(column: list[Any]) -> IntArray:
    return np.array(column, dtype=np.int64)
