"""Import of QuantEcon's discrete dynamic programs."""

from __future__ import annotations

import numpy as np

from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray, float_array, int_array, shortened
from distrl.models.collected import Collected, Known, collected_mdp
from distrl.models.mdp import MDP
from distrl.models.to_quantecon import DiscreteDP


def from_quantecon(ddp: DiscreteDP, *, absorbing: str | None = None, normalise: bool = False) -> MDP:
    """The MDP of a `quantecon.markov.DiscreteDP`, in product form or in that of state-action pairs.

    An action with reward -inf is not available, and its row of `Q` is not looked at, as in QuantEcon; `beta` is the
    discount. QuantEcon's reward is paid for the pair, so every outcome of a pair pays the same.

    Parameters
    ----------
    ddp : quantecon.markov.DiscreteDP
        Or anything with its attributes R, Q, beta, s_indices and a_indices.
    absorbing, normalise
        As for `MDP.from_outcomes`. QuantEcon does not check that rows sum to 1; here they have to, within 1e-9, unless
        `normalise` divides them by their sum and says so.

    Returns
    -------
    MDP
        States and actions have their numbers. Time and memory O(entries of Q); a sparse Q stays sparse.

    Raises
    ------
    ValueError, TypeError
        If `ddp` is no dynamic program, or naming the state, the action and the number that is wrong.

    Examples
    --------
    >>> from quantecon.markov import DiscreteDP  # doctest: +SKIP
    >>> Q = [[[0.5, 0.5], [0, 1]], [[0, 1], [0.5, 0.5]]]
    >>> mdp = from_quantecon(DiscreteDP([[5, 10], [-1, float("-inf")]], Q, 0.95))  # doctest: +SKIP
    """
    missing = [name for name in ("R", "Q", "beta") if not hasattr(ddp, name)]
    if missing or isinstance(ddp, type):
        raise TypeError(f"from_quantecon takes a quantecon.markov.DiscreteDP, got {shortened(ddp)}")
    rewards = float_array(ddp.R, "ddp.R", ndim=(1, 2), finite=False)
    states, actions, rows = (_pairs if rewards.ndim == 1 else _product)(ddp, rewards)
    paid = rewards.ravel()
    wrong = np.isnan(paid) | (paid == np.inf)
    if wrong.any():
        pair = int(np.argmax(wrong))
        raise ValueError(
            f"ddp.R: the reward of state {states[pair]}, action {actions[pair]} is {paid[pair]}; a reward is a finite "
            "number, or -inf for an action that is not available"
        )
    open_pairs = np.flatnonzero(paid > -np.inf)
    source, successor, probs = _entries(rows, open_pairs)
    if not np.isfinite(probs).all():
        row = int(np.argmax(~np.isfinite(probs)))
        raise ValueError(
            f"ddp.Q: state {states[source[row]]}, action {actions[source[row]]} goes to state {successor[row]} with "
            f"probability {probs[row]}; every probability must be finite"
        )
    collected = Collected.numbers(states[source], actions[source], probs, successor, paid[source])
    known = Known(rows.shape[1], int(actions.max()) + 1)
    return collected_mdp(collected, known, ddp.beta, absorbing=absorbing, normalise=normalise)


def _product(ddp: DiscreteDP, rewards: FloatArray) -> tuple[IntArray, IntArray, FloatArray | sparse.csr_array]:
    """The state and the action of each pair (s, a) in the order of `rewards.ravel()`, and the rows of Q."""
    n, m = rewards.shape
    q = float_array(ddp.Q, "ddp.Q", finite=False)
    if q.shape != (n, m, n):
        raise ValueError(f"ddp.Q must have shape {(n, m, n)}, since ddp.R has shape {(n, m)}; got {q.shape}")
    return np.repeat(np.arange(n), m), np.tile(np.arange(m), n), q.reshape(n * m, n)


def _pairs(ddp: DiscreteDP, rewards: FloatArray) -> tuple[IntArray, IntArray, FloatArray | sparse.csr_array]:
    """The state and the action of each pair, and the rows of Q."""
    q = sparse.csr_array(ddp.Q) if sparse.issparse(ddp.Q) else float_array(ddp.Q, "ddp.Q", ndim=2, finite=False)
    if q.shape[0] != len(rewards):
        raise ValueError(f"ddp.Q has {q.shape[0]} rows, ddp.R has {len(rewards)} entries; one each for every pair")
    indices = []
    for name, given, high in (("s_indices", ddp.s_indices, q.shape[1]), ("a_indices", ddp.a_indices, None)):
        if given is None:
            raise ValueError(f"ddp.{name} is None, but ddp.R has one dimension: each of its entries needs a pair")
        index = int_array(given, f"ddp.{name}", low=0, high=high)
        if index.shape != rewards.shape:
            raise ValueError(f"ddp.{name} has {len(index)} entries, ddp.R has {len(rewards)}; one each for every pair")
        indices.append(index)
    states, actions = indices
    twice = np.unique(np.stack([states, actions]), axis=1, return_counts=True)
    if (twice[1] > 1).any():
        state, action = twice[0][:, int(np.argmax(twice[1] > 1))]
        raise ValueError(f"state {state}, action {action} comes twice among ddp.s_indices and ddp.a_indices")
    return states, actions, q


def _entries(rows: FloatArray | sparse.csr_array, of: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """(row, column, entry) of what is not 0 in some of the rows."""
    if sparse.issparse(rows):
        coo = sparse.coo_array(rows[of])
        data = np.asarray(coo.data, dtype=np.float64)
        return of[coo.row], coo.col.astype(np.int64), data
    row, column = np.nonzero(rows[of])
    return of[row], column, np.asarray(rows[of[row], column], dtype=np.float64)
