"""Outcome tables in, QuantEcon's discrete dynamic programs out."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np

from distrl._lazy import sparse
from distrl._memory import check_memory
from distrl._validation import BoolArray, IntArray
from distrl.models.choices import Choices
from distrl.models.outcomes import OutcomeTable


class DiscreteDP(Protocol):
    """What is asked of a `quantecon.markov.DiscreteDP` here; it has many attributes and methods more."""

    @property
    def R(self) -> np.ndarray:
        """(S, A) rewards, or one for each (state, action) pair."""

    @property
    def Q(self) -> np.ndarray | sparse.spmatrix:
        """(S, A, S) transition probabilities, or (pairs, S)."""

    @property
    def beta(self) -> float:
        """The discount."""

    @property
    def s_indices(self) -> np.ndarray | None:
        """The state of each pair; None in product form."""

    @property
    def a_indices(self) -> np.ndarray | None:
        """The action of each pair; None in product form."""


def discrete_dp(
    table: OutcomeTable, choices: Choices, terminal: BoolArray, discount: float, sparse_form: bool
) -> DiscreteDP:
    """What `MDP.to_quantecon` gives; `terminal` marks the states whose return is surely 0.

    Raises
    ------
    ModuleNotFoundError
        If QuantEcon is not installed.
    """
    try:
        from quantecon import markov
    except ImportError as error:
        raise ModuleNotFoundError(
            "to_quantecon needs quantecon: pip install 'distrl[quantecon]'", name="quantecon"
        ) from error
    varying = _varying(table)
    if varying.any():
        warnings.warn(
            "to_quantecon: rewards differ between the outcomes of one state and action; QuantEcon knows one reward for "
            "each, and got their mean. Values are the same, laws of returns are not",
            UserWarning,
            stacklevel=3,
        )
    exact = table.rewards[table.indptr[:-1]]  # where all are equal: their mean, without its rounding
    states, actions, q = _with_an_end(table, choices, terminal)
    rewards = np.append(np.where(varying, table.expected_rewards, exact), np.zeros(len(states) - table.n_sources))
    if sparse_form:
        made: DiscreteDP = markov.DiscreteDP(rewards, q, discount, states, actions)
        return made
    n, m = q.shape[1], choices.n_actions
    check_memory(n * m, n, 1.0, "leave the default, sparse=True")
    product: Any = np.full((n, m), -np.inf)
    product[states, actions] = rewards
    dense = np.zeros((n, m, n))
    dense[states, actions] = q.toarray()
    dense[product == -np.inf, 0] = 1.0  # QuantEcon's own solvers multiply these rows, whatever is in them
    whole: DiscreteDP = markov.DiscreteDP(product, dense, discount)
    return whole


def _varying(table: OutcomeTable) -> BoolArray:
    """(sources,) whether a reward is a law, or two outcomes pay differently."""
    first = table.rewards[table.indptr[:-1]]
    varying = np.zeros(table.n_sources, dtype=np.bool_)
    varying[table.sources[(table.laws >= 0) | (table.rewards != first[table.sources])]] = True
    return varying


def _with_an_end(
    table: OutcomeTable, choices: Choices, terminal: BoolArray
) -> tuple[IntArray, IntArray, sparse.csr_array]:
    """(states, actions, Q) of the pairs, where what ends goes on in a state that pays 0 for ever.

    An outcome that ends on reaching a state from which the return is 0 goes there; one that ends elsewhere goes to a
    state that is added as the last one.
    """
    n, pairs = table.n_states, table.n_sources
    loose = table.terminals & ~terminal[table.next_states]
    added = int(loose.any())
    successors = np.where(loose, n, table.next_states)
    idle = terminal[choices.states]  # they have no return: QuantEcon's come from a loop that pays nothing
    kept = ~idle[table.sources]
    loops = np.flatnonzero(idle)
    rows = np.concatenate([table.sources[kept], loops, np.full(added, pairs)])
    columns = np.concatenate([successors[kept], choices.states[loops], np.full(added, n)])
    probs = np.concatenate([table.probs[kept], np.ones(len(loops) + added)])
    q = sparse.coo_array((probs, (rows, columns)), shape=(pairs + added, n + added)).tocsr()
    return (
        np.append(choices.states, np.full(added, n)),
        np.append(choices.actions, np.zeros(added, dtype=np.int64)),
        q,
    )
