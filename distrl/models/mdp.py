"""Markov decision processes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl._validation import (
    MIXED_TOLERANCE,
    SUM_TOLERANCE,
    BoolArray,
    FloatArray,
    IntArray,
    bool_array,
    distribution,
    float_array,
    real_number,
    refuse_other_order,
    without_noise,
)
from distrl.models.laws import Law
from distrl.models.mrp import (
    MRP,
    Arrays,
    check_layout,
    check_terminal_rows,
    ending_states,
    holds_laws,
    refuse_terminal_rewards,
    sparse_entries,
    table_to_sparse,
    terminal_sources,
    transition_rows,
    without_row,
)
from distrl.models.outcomes import OutcomeTable, build_table, end_absorbing
from distrl.models.reading import count_of, outcome_columns, split_laws


class MDP:
    """A Markov decision process with S states and A actions, all actions open in every state.

    Parameters
    ----------
    P : (A, S, S) array, or list of A matrices (S, S), dense or scipy.sparse
        Transition probabilities, rows sum to 1 within 1e-9.
    rewards : (S,) | (S, A) | (A, S, S) numbers, list of A sparse (S, S), or laws nested [state] or [state][action]
    discount : float in [0, 1]
        1 is accepted; whether the return ends surely is checked for the policy.
    axes : "ass", "sas" or None
        Order of the axes of arrays with three: (action, state, next state) or (state, action, next state), for `P` and
        `rewards` alike. None: "ass", save that an array (n, n, n), in which it cannot be told which comes first, is
        refused. A list holds one matrix for each action and needs no `axes`.
    terminal, initial, layout, normalise
        As for `MRP`.

    Raises
    ------
    ValueError, TypeError
        Naming the state, the action and the number.

    Notes
    -----
    Stored as outcome rows (`.outcomes`), source index `state * A + action`. Evaluate a policy with
    `distrl.evaluate(mdp, method, policy=...)` or through `mdp.under(policy)`.
    """

    def __init__(
        self,
        P: Any,
        rewards: Any,
        discount: float,
        terminal: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        *,
        layout: tuple[int, int] | None = None,
        axes: str | None = None,
        normalise: bool = False,
    ) -> None:
        if axes not in ("ass", "sas", None):
            raise ValueError(f"axes must be 'ass', 'sas' or None, got {axes!r}")
        refuse_other_order(terminal, "terminal")
        refuse_other_order(initial, "initial")
        state, action, successor, probs, n, n_actions = _transition_stack(_actions_first(P, "P", axes))
        mask = np.zeros(n, dtype=bool) if terminal is None else bool_array(terminal, "terminal", n)
        ends = np.flatnonzero(np.repeat(mask, n_actions))
        bare = without_row(
            ends, state * n_actions + action, n * n_actions
        )  # a terminal state without a row stays where it is
        states, actions = np.append(state, bare // n_actions), np.append(action, bare % n_actions)
        given_rewards = _actions_first(rewards, "rewards", axes)
        values, laws, given = _rewards_of_rows(
            given_rewards, states, actions, np.append(successor, bare // n_actions), n, n_actions
        )
        refuse_terminal_rewards(
            mask[states], values, laws, given, lambda row: f"state {states[row]}, action {actions[row]}"
        )
        values, laws = values[: len(state)], laws[: len(state)]
        live = ~mask[state]
        for a in range(n_actions):
            rows = ~live & (action == a)
            check_terminal_rows(state[rows], probs[rows], n, f"action {a}: state")
        table = build_table(
            np.concatenate([(state * n_actions + action)[live], ends]),
            np.concatenate([probs[live], np.ones(len(ends))]),
            np.concatenate([successor[live], ends // n_actions]),
            np.concatenate([values[live], np.zeros(len(ends))]),
            np.concatenate([mask[successor[live]], np.ones(len(ends), dtype=bool)]),
            np.concatenate([laws[live], np.full(len(ends), -1)]),
            given,
            n_sources=n * n_actions,
            n_states=n,
            describe=_describe(n_actions),
            normalise=normalise,
        )
        self._setup(table, discount, initial, layout)

    @classmethod
    def _from_table(
        cls, table: OutcomeTable, discount: float, initial: Any = None, layout: tuple[int, int] | None = None
    ) -> "MDP":
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
        normalise: bool | None = False,
        *,
        states: int | None = None,
        actions: int | None = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> "MDP":
        """From rows of (state, action, probability, next_state, reward, terminal).

        Parameters
        ----------
        rows : sequence of tuples, (n, 6) array, or a table whose columns have names
            A data frame, a mapping of columns, a sequence of mappings or of named tuples, or a structured array has
            names and is read by them: ours, or prob, new_state, done, terminated, idstatefrom, idaction, idstateto and
            others in `distrl.models.reading.ALIASES`, whatever their case. Anything else is read by position. `reward`
            may be a law. Repeated rows of one (state, action, next state) add up; every (state, action) needs rows; a
            terminal outcome ends the return after its reward. Columns that are not needed are passed over, but for
            `discount` and a varying `idoutcome`, which would change the model.
        discount : float in [0, 1]
        columns : {our name: theirs}, optional
            For columns with other names. {"terminal": None}: there is no such column, and no outcome ends the return;
            this is also what a table without such a column means that has no further columns.
        absorbing : "end", "keep" or None
            What becomes of a state whose every outcome is a loop of reward 0. end: it is terminal, and a move into it
            ends the return after the move's reward, as with `MDP(terminal=mask)`; keep: it loops. The law of the
            return is the same. None: "end" at discount 1, where a return has to end, else "keep".
        normalise : bool
            Divide the rows of a (state, action) that do not sum to 1 by their sum, with a UserWarning that says which
            was furthest off, instead of refusing them.
        states, actions : int, optional
            Their numbers; by default one more than the largest index in sight.
        initial, layout
            As for `MRP`.

        Returns
        -------
        MDP
            Time O(n log n), memory O(n) in the number of rows.

        Raises
        ------
        ValueError, TypeError
            Naming the row, the column (with those there are), or the state and action.
        """
        number = real_number(discount, "discount", low=0.0, high=1.0)
        names = ("state", "action", "probability", "next_state", "reward", "terminal")
        read, given = outcome_columns(rows, names, columns)
        n = count_of(states, "states", read["state"], read["next_state"])
        n_actions = count_of(actions, "actions", read["action"])
        table = build_table(
            read["state"] * n_actions + read["action"],
            read["probability"],
            read["next_state"],
            read["reward"],
            read["terminal"],
            read["law"],
            given,
            n_sources=n * n_actions,
            n_states=n,
            describe=_describe(n_actions),
            normalise=normalise,
        )
        table = end_absorbing(table, absorbing, number, _describe(n_actions))
        return cls._from_table(table, discount, initial, layout)

    def _setup(self, table: OutcomeTable, discount: float, initial: Any, layout: tuple[int, int] | None) -> None:
        self.outcomes = table
        self.discount = real_number(discount, "discount", low=0.0, high=1.0)
        self.initial = None if initial is None else distribution(initial, "initial", table.n_states)
        self.layout = check_layout(layout, table.n_states)

    def __repr__(self) -> str:
        rows = len(self.outcomes.probs)
        return f"MDP(states={self.n_states}, actions={self.n_actions}, outcomes={rows}, discount={self.discount:g})"

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.outcomes.n_states

    @property
    def n_actions(self) -> int:
        """Number of actions A."""
        return self.outcomes.n_sources // self.outcomes.n_states

    @property
    def expected_rewards(self) -> FloatArray:
        """(S, A) mean one-step rewards."""
        return self.outcomes.expected_rewards.reshape(self.n_states, self.n_actions)

    @property
    def terminal(self) -> BoolArray:
        """(S,) mask of the states whose return is surely 0 under every action."""
        per_pair = terminal_sources(self.outcomes).reshape(self.n_states, self.n_actions)
        return np.asarray(per_pair.all(axis=1), dtype=np.bool_)

    def policy_matrix(self, policy: Any) -> FloatArray:
        """`policy` as an (S, A) matrix of action probabilities.

        Parameters
        ----------
        policy : (S,) ints, (S, A) probabilities, or "uniform"

        Raises
        ------
        ValueError, TypeError
            If it is not a policy of this MDP, naming the state.
        """
        shape = (self.n_states, self.n_actions)
        if isinstance(policy, str):
            if policy != "uniform":
                raise ValueError(
                    f"policy {policy!r} is not known; give 'uniform', (S,) actions or (S, A) probabilities"
                )
            return np.full(shape, 1.0 / self.n_actions)
        refuse_other_order(policy, "policy")
        array = without_noise(float_array(policy, "policy", ndim=(1, 2)))
        if array.ndim == 1:
            if array.shape != (self.n_states,):
                raise ValueError(f"policy must have shape ({self.n_states},) or {shape}, got {array.shape}")
            wrong = (array != np.floor(array)) | (array < 0) | (array >= self.n_actions)
            if wrong.any():
                state = int(np.argmax(wrong))
                raise ValueError(f"policy[{state}] is {array[state]:g}, not an action in 0..{self.n_actions - 1}")
            return np.eye(self.n_actions)[array.astype(np.int64)]
        if array.shape != shape:
            raise ValueError(f"policy must have shape ({self.n_states},) or {shape}, got {array.shape}")
        if (array < 0).any():
            state, action = (int(i) for i in np.argwhere(array < 0)[0])
            raise ValueError(f"policy[{state}, {action}] is {array[state, action]:g}; probabilities cannot be negative")
        with np.errstate(over="ignore"):
            sums = array.sum(axis=1)
        unfair = np.abs(sums - 1.0) > SUM_TOLERANCE
        if unfair.any():
            state = int(np.argmax(unfair))
            raise ValueError(f"policy[{state}] sums to {sums[state]:.12g}, not 1; divide it by its sum")
        return array

    def under(self, policy: Any) -> MRP:
        """The MRP that follows `policy`: (S,) ints, (S, A) probabilities, or "uniform".

        Time and memory O(number of outcomes).

        Raises
        ------
        ValueError, TypeError
            If it is not a policy, or at discount 1 if it need not end (naming a state from which it does not).
        """
        weights = self.policy_matrix(policy).ravel()
        table = self.outcomes
        rows = np.flatnonzero(weights[table.sources] > 0)
        mixed = build_table(
            table.sources[rows] // self.n_actions,
            table.probs[rows] * weights[table.sources[rows]],
            table.next_states[rows],
            table.rewards[rows],
            table.terminals[rows],
            table.laws[rows],
            table.reward_laws,
            n_sources=self.n_states,
            n_states=self.n_states,
            describe=lambda source: f"state {source} under the policy",
            tolerance=MIXED_TOLERANCE,
        )
        shape = (self.n_states, self.n_actions)
        lacking = np.abs(weights.reshape(shape).sum(axis=1) - 1.0)  # what the policy lacks itself
        lacking[lacking <= np.finfo(np.float64).eps * (8.0 + self.n_actions)] = 0.0
        defects = lacking + (weights * table.defects).reshape(shape).sum(axis=1)
        if defects.any():  # those of two actions must not cancel
            mixed = replace(mixed.whole, known_defects=defects)
        return MRP._from_table(mixed, self.discount, self.initial, self.layout)

    def to_sparse(self) -> Arrays:
        """(P, R, terminal): two lists of A CSR arrays (S, S) and a mask; see `MRP.to_sparse`."""
        n_actions, terminal = self.n_actions, ending_states(self.outcomes, self.terminal)
        p, r = table_to_sparse(self.outcomes, terminal, _describe(n_actions))
        return Arrays(
            [p[a::n_actions] for a in range(n_actions)], [r[a::n_actions] for a in range(n_actions)], terminal
        )

    def to_dense(self) -> Arrays:
        """(P, R, terminal) as arrays of shape (A, S, S), (A, S, S), (S,). Memory O(A S^2)."""
        p, r, terminal = self.to_sparse()
        return Arrays(np.stack([m.toarray() for m in p]), np.stack([m.toarray() for m in r]), terminal)


def _describe(n_actions: int) -> Any:
    return lambda source: f"state {source // n_actions}, action {source % n_actions}"


def _actions_first(given: Any, name: str, axes: str | None) -> Any:
    """An array of three axes as (action, state, next state); anything else as it is.

    An (n, n, n) array whose order nobody gave, and whose two readings differ, is refused: rows sum to 1 in both.
    """
    listed = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    refuse_other_order(given, name)
    for number, matrix in enumerate(given if listed else ()):
        refuse_other_order(matrix, f"{name}[{number}]")
    if sparse.issparse(given) or (listed and any(sparse.issparse(matrix) for matrix in given)):
        if axes == "sas":
            raise ValueError(f"axes='sas' is for arrays; sparse {name} are a list of one (S, S) matrix for each action")
        return given
    if holds_laws(given):
        return given
    array = float_array(given, name)
    if array.ndim != 3:
        return array
    if axes == "sas":
        return array.transpose(1, 0, 2)
    first, second, last = array.shape
    if axes is None and first == last != second:
        raise ValueError(
            f"{name} has shape {array.shape}, which is not (action, state, next state); "
            "give axes='sas' if it is (state, action, next state)"
        )
    ambiguous = axes is None and not listed and first == second == last
    if ambiguous and not np.array_equal(array, array.transpose(1, 0, 2)):
        raise ValueError(
            f"{name} has shape {array.shape}, so it cannot be told whether actions or states come first; "
            "give axes='ass' for (action, state, next state) or axes='sas' for (state, action, next state)"
        )
    return array


def _transition_stack(P: Any) -> tuple[IntArray, IntArray, IntArray, FloatArray, int, int]:
    """(state, action, successor, probability) of the non-zero entries, S and A."""
    if sparse.issparse(P):
        raise ValueError("P must be an (A, S, S) array or a list of A sparse matrices, got a single sparse matrix")
    if isinstance(P, Sequence) and any(sparse.issparse(matrix) for matrix in P):
        matrices = list(P)
    else:
        dense = float_array(P, "P", ndim=3)
        matrices = list(dense)
    if not matrices:
        raise ValueError("P holds no action; an MDP needs at least one")
    parts = [transition_rows(matrix, f"P[{a}]") for a, matrix in enumerate(matrices)]
    sizes = [part[3] for part in parts]
    if len(set(sizes)) > 1:
        raise ValueError(f"the matrices of P differ in size: {sizes}")
    action = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    state, successor, probs = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return state, action, successor, probs, sizes[0], len(parts)


def _rewards_of_rows(
    rewards: Any, state: IntArray, action: IntArray, successor: IntArray, n: int, n_actions: int
) -> tuple[FloatArray, IntArray, list[Law]]:
    """Reward, law index and the laws, for the rows (state[i], action[i], successor[i])."""
    constant = np.full(len(state), -1)
    shapes = f"({n},), ({n}, {n_actions}) or ({n_actions}, {n}, {n})"
    if sparse.issparse(rewards) or (isinstance(rewards, Sequence) and any(sparse.issparse(m) for m in rewards)):
        if sparse.issparse(rewards) or len(rewards) != n_actions or not all(sparse.issparse(m) for m in rewards):
            raise ValueError(f"sparse rewards must be a list of {n_actions} matrices, one for each action")
        values = np.zeros(len(state))
        for a, matrix in enumerate(rewards):
            rows = action == a
            values[rows] = sparse_entries(matrix, f"rewards[{a}]", n, state[rows], successor[rows])
        return values, constant, []
    if holds_laws(rewards):
        return _laws_of_rows(rewards, state, action, n, n_actions)
    array = float_array(rewards, "rewards", ndim=(1, 2, 3))
    if array.shape == (n,):
        return array[state], constant, []
    if array.shape == (n, n_actions):
        return array[state, action], constant, []
    if array.shape == (n_actions, n, n):
        return array[action, state, successor], constant, []
    raise ValueError(f"rewards must have shape {shapes}, got {array.shape}")


def _laws_of_rows(
    rewards: Any, state: IntArray, action: IntArray, n: int, n_actions: int
) -> tuple[FloatArray, IntArray, list[Law]]:
    if isinstance(rewards, Law) or hasattr(rewards, "cdf") or len(rewards) != n:
        raise ValueError(f"rewards with laws must be nested [state] or [state][action] with {n} states")
    per_pair: list[Any] = []
    for s, entry in enumerate(rewards):
        if isinstance(entry, Sequence | np.ndarray):
            if len(entry) != n_actions:
                raise ValueError(f"rewards[{s}] holds {len(entry)} entries, one for each of {n_actions} actions needed")
            per_pair.extend(entry)
        else:
            per_pair.extend([entry] * n_actions)
    values, index, laws = split_laws(per_pair, "rewards (state * actions + action)")
    source = state * n_actions + action
    return values[source], index[source], laws
