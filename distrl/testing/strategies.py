"""Hypothesis strategies for models, grids and laws.

They shrink towards few states, lattice rewards and deterministic transitions, and reach the corners that matter: zero
probabilities, ties, terminal states, discounts 0 and near 1, laws with atoms on and off the grid.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from distrl._validation import FloatArray
from distrl.models.laws import FiniteLaw
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import build_table
from distrl.models.policies import Policy
from distrl.returns.grid import Grid

#: Numbers by which a division can overflow, or a square vanish.
_TINY = st.sampled_from([5e-324, 1e-310, 2.2e-308, 1e-200, 1e-17])
_DISCOUNTS = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 0.99]), st.floats(0.0, 0.99), _TINY)


@st.composite
def _simplex(draw: st.DrawFn, size: int) -> FloatArray:
    """A probability vector: small integer weights over their sum, zeros and point masses included.

    None is tiny: products of a few would vanish in the formulas that tests compare with.
    """
    weights = draw(st.lists(st.integers(0, 8), min_size=size, max_size=size))
    if not any(weights):
        weights[draw(st.integers(0, size - 1))] = 1
    array = np.array(weights, dtype=np.float64)
    return np.asarray(array / array.sum())


@st.composite
def transition_matrices(draw: st.DrawFn, states: int) -> FloatArray:
    """(S, S) stochastic matrices, for that many `states`."""
    return np.stack([draw(_simplex(states)) for _ in range(states)])


def _reward_values(magnitude: float) -> st.SearchStrategy[float]:
    lattice = st.integers(-4, 4).map(float)
    return st.one_of(lattice, st.floats(-magnitude, magnitude, allow_nan=False, allow_subnormal=False))


@st.composite
def finite_laws(draw: st.DrawFn, max_values: int = 4, magnitude: float = 5.0) -> FiniteLaw:
    """Laws on at most `max_values` values, of at most `magnitude` in size."""
    values = draw(st.lists(_reward_values(magnitude), min_size=1, max_size=max_values))
    return FiniteLaw(values, draw(_simplex(len(values))))


@st.composite
def mrps(
    draw: st.DrawFn,
    max_states: int = 5,
    discounts: st.SearchStrategy[float] = _DISCOUNTS,
    random_rewards: bool = True,
    terminals: bool = True,
    magnitude: float = 5.0,
) -> MRP:
    """MRPs with state, transition or random rewards, and terminal states.

    Parameters
    ----------
    max_states : int
        The most states.
    discounts : strategy
        Of the discount.
    random_rewards, terminals : bool
        Whether rewards may be laws, and whether states may be terminal.
    magnitude : float
        The largest size of a reward.
    """
    n = draw(st.integers(1, max_states))
    p = draw(transition_matrices(n))
    kinds = ["state", "transition"] + (["law"] if random_rewards else [])
    kind = draw(st.sampled_from(kinds))
    value = _reward_values(magnitude)
    rewards: Any
    if kind == "state":
        rewards = draw(st.lists(value, min_size=n, max_size=n))
    elif kind == "transition":
        rewards = np.array(draw(st.lists(value, min_size=n * n, max_size=n * n))).reshape(n, n)
    else:
        rewards = [draw(st.one_of(value, finite_laws(magnitude=magnitude))) for _ in range(n)]
    mask = draw(st.lists(st.booleans(), min_size=n, max_size=n)) if terminals else [False] * n
    for state in np.flatnonzero(mask):
        rewards[state] = 0.0 if kind != "transition" else np.zeros(n)
    return MRP(p, rewards, draw(discounts), terminal=mask)


@st.composite
def mdps(
    draw: st.DrawFn, max_states: int = 4, max_actions: int = 3, discounts: st.SearchStrategy[float] = _DISCOUNTS
) -> MDP:
    """MDPs with rewards on (action, state, successor) and terminal states.

    `max_states` and `max_actions` are the most there are; `discounts` is a strategy.
    """
    n, a = draw(st.integers(1, max_states)), draw(st.integers(1, max_actions))
    p = np.stack([draw(transition_matrices(n)) for _ in range(a)])
    rewards = np.array(draw(st.lists(_reward_values(5.0), min_size=a * n * n, max_size=a * n * n))).reshape(a, n, n)
    mask = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    rewards[:, mask] = 0.0
    return MDP(p, rewards, draw(discounts), terminal=mask, axes="ass")


@st.composite
def policies(draw: st.DrawFn, mdp: MDP) -> Policy:
    """Deterministic, random and uniform policies of `mdp`, which play available actions alone."""
    kind = draw(st.sampled_from(["uniform", "actions", "matrix"]))
    if kind == "uniform":
        return "uniform"
    there = [np.flatnonzero(row) for row in mdp.available]
    if kind == "actions":
        return np.array([some[draw(st.integers(0, len(some) - 1))] for some in there])
    matrix = np.zeros(mdp.available.shape)
    for state, some in enumerate(there):
        matrix[state, some] = draw(_simplex(len(some)))
    return matrix


@st.composite
def uneven_mdps(
    draw: st.DrawFn, max_states: int = 4, max_actions: int = 3, discounts: st.SearchStrategy[float] = _DISCOUNTS
) -> MDP:
    """MDPs whose states have different actions; `max_states`, `max_actions` and `discounts` are as for `mdps`."""
    model = draw(mdps(max_states, max_actions, discounts))
    mask = np.zeros((model.n_states, model.n_actions), dtype=np.bool_)
    for row in mask:
        some = draw(st.sets(st.integers(0, model.n_actions - 1), min_size=1, max_size=model.n_actions))
        row[list(some)] = True
    pairs = np.flatnonzero(mask.ravel())
    table = model.outcomes
    rows = table.rows.take(np.flatnonzero(mask.ravel()[table.sources]))
    kept = build_table(
        rows._replace(sources=np.searchsorted(pairs, rows.sources)),
        n_sources=len(pairs),
        n_states=model.n_states,
        describe=lambda pair: f"pair {pair}",
    )
    return MDP.from_table(kept, model.discount, available=mask)


@st.composite
def grids(draw: st.DrawFn, max_atoms: int = 30, reach: float = 20.0) -> Grid:
    """Grids of at most `max_atoms` atoms, anywhere up to `reach` from 0, lattices among them."""
    atoms = draw(st.integers(2, max_atoms))
    if draw(st.booleans()):
        low = float(draw(st.integers(-5, 5)))
        return Grid(low, low + atoms - 1, atoms)
    low = draw(st.floats(-reach, reach, allow_nan=False, allow_subnormal=False))
    width = draw(st.floats(0.1, 2 * reach, allow_nan=False))
    return Grid(low, low + width, atoms)


@st.composite
def categorical_probs(draw: st.DrawFn, states: int, atoms: int) -> FloatArray:
    """(S, m) probabilities of so many `states` on so many `atoms`, point masses among them."""
    return np.stack([draw(_simplex(atoms)) for _ in range(states)])
