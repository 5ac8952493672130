"""The model that branches, rewards and labels make."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from distrl._kernels.outcomes import fill_outcomes, mark_absorbing
from distrl._memory import available_memory
from distrl._tolerances import LARGEST_NUMBER, ROW_SUM
from distrl._validation import BoolArray, FloatArray, IntArray, real_number
from distrl.models.choices import Choices
from distrl.models.explicit.branches import Branches, Index
from distrl.models.explicit.labels import FileLabels
from distrl.models.explicit.notes import Known
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable, Rows, build_table

#: Transitions (first, targets, probs) and the rewards of states, choices and transitions.
_Arrays: TypeAlias = tuple[IntArray, Index, FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True)
class Reading:
    """How a file is to be taken: the arguments that all its readers share.

    Attributes
    ----------
    discount : float
    terminal, initial : the names of labels, or None
    deadlocks : "loop", "end", "refuse" or None
    absorbing : "end", "keep" or None
    actions : "names", "positions" or None
    normalise : bool
    """

    discount: float
    terminal: str | None
    initial: str | None
    deadlocks: str | None
    absorbing: str | None
    actions: str | None
    normalise: bool

    def __post_init__(self) -> None:
        """Look at every argument before a file is read."""
        real_number(self.discount, "discount", low=0.0, high=1.0)
        for name, label in (("terminal", self.terminal), ("initial", self.initial)):
            if label is not None and not isinstance(label, str):
                raise TypeError(f"{name} must be the name of a label, got {label!r}")
        for name, choice, known in (
            ("deadlocks", self.deadlocks, ("loop", "end", "refuse")),
            ("absorbing", self.absorbing, ("end", "keep")),
            ("actions", self.actions, ("names", "positions")),
        ):
            if choice is not None and choice not in known:
                raise ValueError(f"{name} must be {', '.join(map(repr, known))} or None, got {choice!r}")
        if not isinstance(self.normalise, bool):
            raise TypeError(f"normalise must be True or False, got {self.normalise!r}")

    @property
    def ends_absorbing(self) -> bool:
        """Whether states that surely stay and pay nothing end the return."""
        return self.absorbing == "end" or (self.absorbing is None and self.discount == 1.0)

    def ends(self, labels: FileLabels, states: int) -> BoolArray:
        """(S,) mask of the states whose label is `terminal`."""
        return np.zeros(states, dtype=np.bool_) if self.terminal is None else labels.states(self.terminal).copy()

    def law(self, labels: FileLabels) -> FloatArray | None:
        """The uniform law over the states whose label is `initial`; None where the usual label is not there."""
        if self.initial is None or (self.initial == "init" and "init" not in labels.masks):
            return None
        starts = labels.states(self.initial)
        if not starts.any():
            if self.initial == "init":
                return None
            raise ValueError(
                f"{labels.path}: no state has the label {self.initial!r}, so it gives no law of the first state"
            )
        return np.where(starts, 1.0 / np.count_nonzero(starts), 0.0)


@dataclass(frozen=True)
class Payments:
    """Rewards of states (S,), choices (C,) and transitions (n,), which add up; None pays nothing."""

    of_states: FloatArray | None = None
    of_choices: FloatArray | None = None
    of_transitions: FloatArray | None = None

    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The three, empty where nothing is paid."""
        of_states, of_choices, of_transitions = (
            np.empty(0) if each is None else np.ascontiguousarray(each)
            for each in (self.of_states, self.of_choices, self.of_transitions)
        )
        return of_states, of_choices, of_transitions


def check_size(path: object, states: int, lines: int) -> None:
    """Refuse a damaged count of states before anything is allocated for them."""
    if states > 1000 + 10 * lines or 100.0 * states > available_memory():
        raise ValueError(
            f"{path}: it announces {states} states, but has {lines} lines of transitions; the count is damaged, or the "
            "file is cut short"
        )


def model_of(
    branches: Branches,
    payments: Payments,
    reading: Reading,
    labels: FileLabels,
    known: Known | None = None,
    line_of: Callable[[int, int], int] | None = None,
) -> MRP | MDP:
    """The model of these transitions and rewards. Time O(n), memory O(n) where the files are in order.

    `line_of(state, place)` is the line in which that choice of the state begins, for errors.
    """
    known, place = Known() if known is None else known, f"{branches.path}"
    closed = reading.ends(labels, branches.states)
    ended = closed.copy()
    initial = reading.law(labels)
    bare = np.ones(branches.states, dtype=np.bool_)
    bare[branches.owners] = False
    bare &= ~ended
    if bare.any():
        _say_deadlocks(branches, bare, reading.deadlocks)
        if reading.deadlocks == "end":
            ended |= bare
    probs = np.ascontiguousarray(branches.probs)
    arrays: _Arrays = (branches.first, np.ascontiguousarray(branches.targets), probs, *payments.arrays())
    if reading.ends_absorbing:
        absorbing = np.ones(branches.states, dtype=np.bool_)
        mark_absorbing(branches.owners, *arrays, absorbing)
        if payments.of_states is not None:  # a deadlock's loop pays what its state does
            absorbing[bare & (payments.of_states != 0.0)] = False
        ended |= absorbing
    live = np.ones(len(branches.owners), dtype=np.bool_) if known.listed else ~closed[branches.owners]
    action, n_actions, names = branches.actions(live, reading.actions, known.tokens)
    listed = known.actions if known.actions is not None else names
    loop = 0
    if names is not None and (bare & ~ended).any():  # a deadlock's loop has no name, as in a file in which it is there
        loop = names.index("") if "" in names else len(names)
        names = names if "" in names else [*names, ""]
        listed, n_actions = names, len(names)
    pairs, which = _pairs(branches, live, action, n_actions, ended, loop)
    table, sums = _table(branches, pairs, which, ended, arrays)
    describe: Any = pairs.described(known.states or range(branches.states), listed or range(n_actions))
    if not branches.has_choices:
        describe = _named_state(known.states or range(branches.states))
    try:
        off = np.abs(sums - 1.0) > ROW_SUM
        if off.any() and line_of is not None and not reading.normalise:
            choice = int(which[np.argmax(off)])
            owner = int(branches.owners[choice])
            place += f", line {line_of(owner, choice - int(branches.starts[owner]))}"
        if off.any() or max(table.rewards.max(), -table.rewards.min()) > LARGEST_NUMBER:
            table = build_table(
                _rows(table),
                n_sources=len(sums),
                n_states=branches.states,
                describe=describe,
                normalise=reading.normalise,
            )
        more: dict[str, Any] = {"states": known.states, "labels": labels.masks}
        if not branches.has_choices:
            return MRP.from_table(table, reading.discount, initial, **more)
        return MDP.from_table(table, reading.discount, initial, available=pairs, actions=listed, **more)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _named_state(states: Sequence[Hashable]) -> Any:
    return lambda source: f"state {states[source]!r}"


def _say_deadlocks(branches: Branches, bare: BoolArray, choice: str | None) -> None:
    state, count = int(np.argmax(bare)), int(np.count_nonzero(bare))
    several = "" if count == 1 else f", and {count - 1} more,"
    if choice == "refuse":
        raise ValueError(
            f"{branches.path}: state {state}{several} has no transitions; give it some, or a label and "
            "terminal='that label'"
        )
    if choice is None:
        warnings.warn(
            f"{branches.path}: state {state}{several} has no transitions and is given a loop of probability 1, as "
            "model checkers do; deadlocks='loop' says so without this warning, deadlocks='end' ends the return there",
            UserWarning,
            stacklevel=4,
        )


def _pairs(
    branches: Branches, live: BoolArray, action: IntArray, n_actions: int, ended: BoolArray, loop: int
) -> tuple[Choices, IntArray]:
    """The (state, action) pairs, and the choice of each: -1 for one that the file does not have.

    A state without a live choice has all actions if the return has ended there, else `loop`.
    """
    if not branches.has_choices and len(live) == branches.states and live.all():
        return Choices.full(branches.states, 1), np.arange(branches.states)
    chosen = np.flatnonzero(live)
    owners, action = branches.owners[chosen], action[chosen]
    without = np.ones(branches.states, dtype=np.bool_)
    without[owners] = False
    lone, closed = np.flatnonzero(without & ~ended), np.flatnonzero(without & ended)
    states = np.concatenate([owners, lone, np.repeat(closed, n_actions)])
    actions = np.concatenate([action, np.full(len(lone), loop), np.tile(np.arange(n_actions), len(closed))])
    which = np.concatenate([chosen, np.full(len(states) - len(owners), -1)])
    if not ((states[1:] > states[:-1]) | ((states[1:] == states[:-1]) & (actions[1:] > actions[:-1]))).all():
        order = np.lexsort((actions, states))
        states, actions, which = states[order], actions[order], which[order]
    indptr = np.searchsorted(states, np.arange(branches.states + 1)).astype(np.int64)
    return Choices(n_actions, indptr, actions), which


def _table(
    branches: Branches, pairs: Choices, which: IntArray, ended: BoolArray, arrays: _Arrays
) -> tuple[OutcomeTable, FloatArray]:
    """The table of the pairs, whose rows may not sum to 1 yet, and what they sum to."""
    room = len(branches.probs) + int(np.count_nonzero((which < 0) | ended[pairs.states]))
    indptr = np.empty(len(which) + 1, dtype=np.int64)
    probs, states, rewards = np.empty(room), np.empty(room, dtype=np.int64), np.empty(room)
    terminals, sums = np.empty(room, dtype=np.bool_), np.empty(len(which))
    mixed = np.zeros(len(which), dtype=np.bool_)
    given, paid = arrays[:3], arrays[3:]
    fill_outcomes(pairs.states, which, ended, *given, *paid, indptr, probs, states, rewards, terminals, sums, mixed)
    count = int(indptr[-1])
    if mixed.any():  # sort those that are not, which are few where rewards are of states or choices
        numbers = np.diff(indptr)
        rows = np.flatnonzero(np.repeat(mixed, numbers))
        pair = np.repeat(np.flatnonzero(mixed), numbers[mixed])
        order = rows[np.lexsort((states[rows], rewards[rows], terminals[rows], pair))]
        for column in (probs, states, rewards, terminals):
            column[rows] = column[order]
    table = OutcomeTable(
        n_states=branches.states,
        indptr=indptr,
        probs=probs[:count],
        next_states=states[:count],
        rewards=rewards[:count],
        terminals=terminals[:count],
        laws=np.full(count, -1),
        reward_laws=(),
    )
    return table, sums


def _rows(table: OutcomeTable) -> Rows:
    """The rows of a table, a row of probability 0 standing for a source without one."""
    empty = np.flatnonzero(np.diff(table.indptr) == 0)
    rows = table.rows
    if not empty.size:
        return rows
    nothing = np.zeros(len(empty))
    return Rows(
        np.concatenate([rows.sources, empty]),
        np.concatenate([rows.probs, nothing]),
        np.concatenate([rows.next_states, np.zeros(len(empty), dtype=np.int64)]),
        np.concatenate([rows.rewards, nothing]),
        np.concatenate([rows.terminals, nothing > 0]),
        np.concatenate([rows.laws, np.full(len(empty), -1)]),
        (),
    )
