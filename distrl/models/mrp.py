"""Markov reward processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl._validation import (
    BoolArray,
    FloatArray,
    IntArray,
    bool_array,
    distribution,
    float_array,
    int_array,
    real_number,
    refuse_other_order,
    without_noise,
)
from distrl.models.laws import Law
from distrl.models.outcomes import OutcomeTable, build_table, end_absorbing
from distrl.models.reading import count_of, outcome_columns, split_laws


class Arrays(NamedTuple):
    """A model as (P, R, terminal): `MRP(P, R, discount, terminal)` or `MDP(P, R, discount, terminal, axes="ass")`."""

    P: Any
    R: Any
    terminal: BoolArray


class MRP:
    """A Markov reward process: from state x an outcome (next state y, reward r, terminal) is drawn, and

        G(x) = r                      if the outcome is terminal,
        G(x) = r + discount * G(y)    otherwise.

    Parameters
    ----------
    P : (S, S) array or scipy.sparse
        Transition probabilities, rows sum to 1 within 1e-9 (what they lack is counted in certificates). Entries in
        [-1e-12, 0) are arithmetic's noise and count as 0.
    rewards : (S,) or (S, S) array or scipy.sparse, or a sequence of S numbers or laws
        Reward on leaving a state, or on each transition; a law is a `FiniteLaw` or a frozen `scipy.stats` law.
    discount : float in [0, 1]
        1 is accepted when every state surely ends.
    terminal : (S,) mask, optional
        The return from these states is 0; moving into one ends the return after the move's reward. Their rows of `P`
        may be zero or a distribution and are not used; a reward there would be lost, so one that is not 0 is refused.
        Positions are not taken for a mask: `numpy.isin(numpy.arange(S), positions)`.
    initial : (S,) distribution, optional
        Law of the first state, used by summaries and trajectories.
    layout : (rows, columns), optional
        Shape of the map that the states make, row by row, for plots.
    normalise : bool
        Divide rows that do not sum to 1 by their sum, with a UserWarning that says which was furthest off, instead of
        refusing them.

    Raises
    ------
    ValueError, TypeError
        Naming the state and the number; at discount 1, a state that never ends.

    Notes
    -----
    Stored as outcome rows (`.outcomes`), never dense: memory O(S + number of outcomes).

    Examples
    --------
    >>> mrp = MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> mrp.n_states
    2
    """

    #: Whether the probabilities are frequencies of samples: results are about the samples' own law then, and say so.
    sampled: bool = False

    def __init__(
        self,
        P: Any,
        rewards: Any,
        discount: float,
        terminal: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        *,
        layout: tuple[int, int] | None = None,
        normalise: bool = False,
    ) -> None:
        for name, value in (("P", P), ("rewards", rewards), ("terminal", terminal), ("initial", initial)):
            refuse_other_order(value, name)
        sources, successors, probs, n = transition_rows(P, "P")
        mask = np.zeros(n, dtype=bool) if terminal is None else bool_array(terminal, "terminal", n)
        ends = np.flatnonzero(mask)
        bare = without_row(ends, sources, n)  # a terminal state without a row stays where it is
        states = np.concatenate([sources, bare])
        values, laws, given = _rewards_of_rows(rewards, states, np.concatenate([successors, bare]), n)
        refuse_terminal_rewards(mask[states], values, laws, given, lambda row: f"state {states[row]}")
        live = ~mask[sources]
        check_terminal_rows(sources[~live], probs[~live], n, "state")
        values, laws = values[: len(sources)], laws[: len(sources)]
        table = build_table(
            np.concatenate([sources[live], ends]),
            np.concatenate([probs[live], np.ones(len(ends))]),
            np.concatenate([successors[live], ends]),
            np.concatenate([values[live], np.zeros(len(ends))]),
            np.concatenate([mask[successors[live]], np.ones(len(ends), dtype=bool)]),
            np.concatenate([laws[live], np.full(len(ends), -1)]),
            given,
            n_sources=n,
            n_states=n,
            describe=describe_state,
            normalise=normalise,
        )
        self._setup(table, discount, initial, layout)

    @classmethod
    def _from_table(
        cls, table: OutcomeTable, discount: float, initial: Any = None, layout: tuple[int, int] | None = None
    ) -> MRP:
        model = cls.__new__(cls)
        model._setup(table, discount, initial, layout)
        return model

    @classmethod
    def from_outcomes(
        cls,
        rows: Any,
        discount: float,
        columns: Mapping[str, str | None] | None = None,
        absorbing: str | None = None,
        normalise: bool = False,
        *,
        states: int | None = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> MRP:
        """From rows of (state, probability, next_state, reward, terminal); `reward` may be a law.

        All arguments are as for `MDP.from_outcomes`.
        """
        number = real_number(discount, "discount", low=0.0, high=1.0)
        names = ("state", "probability", "next_state", "reward", "terminal")
        read, given = outcome_columns(rows, names, columns)
        n = count_of(states, "states", read["state"], read["next_state"])
        table = build_table(
            read["state"],
            read["probability"],
            read["next_state"],
            read["reward"],
            read["terminal"],
            read["law"],
            given,
            n_sources=n,
            n_states=n,
            describe=describe_state,
            normalise=normalise,
        )
        table = end_absorbing(table, absorbing, number, describe_state)
        return cls._from_table(table, discount, initial, layout)

    def _setup(self, table: OutcomeTable, discount: float, initial: Any, layout: tuple[int, int] | None) -> None:
        self.outcomes = table
        self.discount = real_number(discount, "discount", low=0.0, high=1.0)
        self.initial = None if initial is None else distribution(initial, "initial", table.n_states)
        self.layout = check_layout(layout, table.n_states)
        if self.discount == 1.0:
            loop = table.never_ending_source()
            if loop is not None:
                raise ValueError(
                    f"discount 1 needs every state to end surely, but no terminal outcome can be reached from state "
                    f"{loop}; mark its end as terminal, change the policy or use a discount below 1"
                )

    def __repr__(self) -> str:
        table = self.outcomes
        return f"MRP(states={self.n_states}, outcomes={len(table.probs)}, discount={self.discount:g})"

    def _whole(self) -> Self:
        """The model with rows that sum to 1 to rounding; itself where they do."""
        table = self.outcomes.whole
        if table is self.outcomes:
            return self
        model = copy(self)
        model.outcomes = table
        return model

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.outcomes.n_states

    @property
    def continuation(self) -> sparse.csr_array:
        """(S, S) sparse probabilities of going on: P without the terminal outcomes."""
        return self.outcomes.continuation

    @property
    def expected_rewards(self) -> FloatArray:
        """(S,) mean one-step rewards."""
        return self.outcomes.expected_rewards

    @property
    def terminal(self) -> BoolArray:
        """(S,) mask of the states whose return is surely 0 (a lone terminal outcome of reward 0)."""
        return terminal_sources(self.outcomes)

    def to_sparse(self) -> Arrays:
        """(P, R, terminal) with CSR arrays: the arguments that build this model.

        Raises
        ------
        ValueError
            If the model does not fit them: several rewards or a law on one transition, or an outcome that ends in a
            state whose own return is not 0.
        """
        ends = ending_states(self.outcomes, self.terminal)
        p, r = table_to_sparse(self.outcomes, ends, describe_state)
        return Arrays(p, r, ends)

    def to_dense(self) -> Arrays:
        """(P, R, terminal) as arrays of shape (S, S), (S, S), (S,); see `to_sparse`. Memory O(S^2)."""
        p, r, terminal = self.to_sparse()
        return Arrays(p.toarray(), r.toarray(), terminal)


def describe_state(source: int) -> str:
    """A row of an MRP's table in words."""
    return f"state {source}"


def transition_rows(P: Any, name: str) -> tuple[IntArray, IntArray, FloatArray, int]:
    """Non-zero entries of a square transition matrix as (source, successor, probability), and its size."""
    if sparse.issparse(P):
        if P.ndim != 2:
            raise ValueError(f"{name} must be a matrix, got a sparse array of shape {P.shape}")
        coo = sparse.coo_array(P)
        probs = float_array(coo.data, f"{name}.data", ndim=1)
        sources, successors, shape = coo.row.astype(np.int64), coo.col.astype(np.int64), coo.shape
    else:
        dense = float_array(P, name, ndim=2)
        sources, successors = np.nonzero(dense)
        probs, shape = dense[sources, successors], dense.shape
    probs = without_noise(probs)
    stored = probs != 0.0
    if not stored.all():
        sources, successors, probs = sources[stored], successors[stored], probs[stored]
    if shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"{name} must be square with at least one state, got shape {shape}")
    return sources, successors, probs, int(shape[0])


def without_row(ends: IntArray, sources: IntArray, size: int) -> IntArray:
    """Those of `ends` that are no source of a transition."""
    has_row = np.zeros(size, dtype=np.bool_)
    has_row[sources] = True
    return ends[~has_row[ends]]


def check_terminal_rows(sources: IntArray, probs: FloatArray, n: int, what: str) -> None:
    """A terminal state's row is not used, but a row that is neither zero nor a distribution is a user's slip."""
    sums = np.bincount(sources, weights=probs, minlength=n)
    wrong = (np.abs(sums - 1.0) > 1e-9) & (sums != 0.0)
    if wrong.any() or (probs < 0).any():
        state = int(np.argmax(wrong)) if wrong.any() else int(sources[np.argmax(probs < 0)])
        raise ValueError(
            f"{what} {state} is terminal but its row sums to {sums[state]:.12g} or has a negative entry; "
            "give zeros or a distribution there"
        )


def refuse_terminal_rewards(
    ends: BoolArray, values: FloatArray, laws: IntArray, given: Sequence[Law], describe: Callable[[int], str]
) -> None:
    """The return from a terminal state is 0: a reward on a row marked in `ends` would be lost without a word."""
    nothing = np.array([law.support == (0.0, 0.0) for law in given] + [True])  # the last serves the numbers' index -1
    lost = ends & ((values != 0.0) | ~nothing[laws])
    if lost.any():
        row = int(np.argmax(lost))
        reward = f"{values[row]:g}" if laws[row] < 0 else repr(given[laws[row]])
        raise ValueError(
            f"{describe(row)} is terminal, and its reward of {reward} would be lost, since the return from there is 0; "
            "put the reward on the transitions into the state, or set it to 0"
        )


def holds_laws(rewards: Any) -> bool:
    """Whether a nested sequence has anything in it that looks like a law."""
    if sparse.issparse(rewards) or isinstance(rewards, str | bytes):
        return False
    if isinstance(rewards, Law) or hasattr(rewards, "cdf"):
        return True
    if isinstance(rewards, np.ndarray) and rewards.dtype != object:
        return False
    return isinstance(rewards, Sequence | np.ndarray) and any(holds_laws(entry) for entry in rewards)


def _rewards_of_rows(
    rewards: Any, sources: IntArray, successors: IntArray, n: int
) -> tuple[FloatArray, IntArray, list[Law]]:
    """Reward, law index and the laws, for the rows (sources[i], successors[i])."""
    constant = np.full(len(sources), -1)
    if sparse.issparse(rewards):
        return sparse_entries(rewards, "rewards", n, sources, successors), constant, []
    if holds_laws(rewards):
        if isinstance(rewards, Law) or hasattr(rewards, "cdf") or len(rewards) != n:
            count = "one law" if not hasattr(rewards, "__len__") else f"{len(rewards)} entries"
            raise ValueError(f"rewards must hold a number or a law for each of the {n} states, got {count}")
        values, index, laws = split_laws(rewards, "rewards")
        return values[sources], index[sources], laws
    array = float_array(rewards, "rewards", ndim=(1, 2))
    if array.shape == (n,):
        return array[sources], constant, []
    if array.shape == (n, n):
        return array[sources, successors], constant, []
    raise ValueError(f"rewards must have shape ({n},) or ({n}, {n}), got {array.shape}")


def sparse_entries(matrix: Any, name: str, n: int, rows: IntArray, columns: IntArray) -> FloatArray:
    """Entries of an (n, n) sparse reward matrix at (rows, columns); what is not stored is 0."""
    if matrix.shape != (n, n):
        raise ValueError(f"{name} must have shape ({n}, {n}), got {matrix.shape}")
    coo = sparse.coo_array(matrix)
    data = float_array(coo.data, f"{name}.data", ndim=1)  # duplicates add up, which small integers may not hold
    csr = sparse.csr_array((data, (coo.row, coo.col)), shape=(n, n))
    if not len(rows):
        return np.empty(0)  # SciPy answers an empty selection with a sparse array
    return np.asarray(csr[rows, columns], dtype=np.float64).reshape(-1)


def check_layout(layout: Any, n: int) -> tuple[int, int] | None:
    """A (rows, columns) pair whose product is the number of states."""
    if layout is None:
        return None
    shape = tuple(int(side) for side in int_array(layout, "layout", low=1))
    if len(shape) != 2 or shape[0] * shape[1] != n:
        raise ValueError(f"layout {shape} must be (rows, columns) with rows * columns = {n} states")
    return shape[0], shape[1]


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


def table_to_sparse(table: OutcomeTable, terminal: BoolArray, describe: Any) -> tuple[Any, Any]:
    """(P, R) in CSR form, (sources, states), for tables with one constant reward a transition."""
    shape = (table.n_sources, table.n_states)
    if (table.laws >= 0).any():
        source = int(table.sources[np.argmax(table.laws >= 0)])
        raise ValueError(f"{describe(source)} has a random reward; (P, R) arrays hold constants only")
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
