"""From the lines of a .tra file to the model: which transitions are live, and the MRP or the MDP that they make."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distrl._lazy import sparse
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.prism.text import Entries


@dataclass(frozen=True)
class Transitions:
    """The transitions that leave states that are not terminal; lines of one (source, choice, target) are added up.

    `keys` is (source * actions + choice) * states + target, ascending, and `probs` holds the probability of each.
    `available` says which choices there are, None if all states have as many; a terminal state has all.
    """

    path: Path
    has_choices: bool
    states: int
    actions: int
    keys: IntArray
    probs: FloatArray
    available: BoolArray | None


def transitions_of(tra: Entries, ends: IntArray) -> Transitions:
    """The live transitions of a .tra file; what leaves the states `ends` is dropped."""
    n = tra.header[0]
    source, target = tra.index[:, 0], tra.index[:, -1]
    every_choice = tra.index[:, 1] if tra.index.shape[1] == 3 else np.zeros_like(source)
    # a damaged header may announce any number of states: look for the first gap before allocating for all of them
    covered = np.union1d(source, ends)
    if len(covered) < n:
        gap = np.flatnonzero(covered != np.arange(len(covered)))
        raise ValueError(
            f"{tra.path}: state {gap[0] if gap.size else len(covered)} has no transitions; give it some, or a label "
            "and terminal='that label'"
        )
    live = ~np.isin(source, ends)
    source, choice, target, probs = source[live], every_choice[live], target[live], tra.values[live]
    if len(tra.header) == 3:
        pairs = np.unique(tra.index[:, :2], axis=0)
        if len(pairs) != tra.header[1]:
            raise ValueError(
                f"{tra.path}: the first line announces {tra.header[1]} choices, but the file has {len(pairs)}"
            )
    opened = np.unique(np.stack([source, choice]), axis=1)
    counts = np.bincount(opened[0], minlength=n)
    lived = np.unique(source)
    n_actions = int(counts[lived].max() if lived.size else every_choice.max(initial=0) + 1)
    stray = choice >= counts[source]
    if stray.any():
        state = int(source[np.argmax(stray)])
        raise ValueError(f"{tra.path}: the choices of state {state} are not numbered from 0 to {counts[state] - 1}")
    uneven = (counts[lived] != n_actions).any()
    counts[ends] = n_actions
    available = np.arange(n_actions) < counts[:, None] if uneven else None
    keys, inverse = np.unique((source * n_actions + choice) * n + target, return_inverse=True)
    added = np.bincount(inverse, weights=probs, minlength=len(keys)).astype(np.float64)
    return Transitions(tra.path, len(tra.header) == 3, n, n_actions, keys, added, available)


def model_of(
    live: Transitions,
    rewards: FloatArray,
    discount: float,
    terminal: BoolArray,
    initial: FloatArray | None,
    normalise: bool,
) -> MRP | MDP:
    """The model of these transitions; `rewards` holds one number for each of `live.keys`."""
    n, pair, target = live.states, live.keys // live.states, live.keys % live.states
    p, r = [], []
    for action in range(live.actions):
        rows = pair % live.actions == action
        where = (pair[rows] // live.actions, target[rows])
        p.append(sparse.coo_array((live.probs[rows], where), shape=(n, n)))
        r.append(sparse.coo_array((rewards[rows], where), shape=(n, n)))
    try:
        if not live.has_choices:
            return MRP(p[0], r[0], discount, terminal, initial, normalise=normalise)
        return MDP(p, r, discount, terminal, initial, normalise=normalise, available=live.available)
    except ValueError as error:
        raise ValueError(f"{live.path}: {error}") from error
