"""A model as transitions in the order of files, for those who write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from distrl._lazy import sparse
from distrl._validation import BoolArray, IntArray
from distrl.models.explicit.notes import tokens_of
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP, names_of
from distrl.models.to_arrays import ending_states, table_to_sparse


@dataclass(frozen=True)
class Listing:
    """What explicit files say of a model.

    Attributes
    ----------
    probs, rewards : (choices, S) CSR arrays, columns ascending
        An entry of `rewards` for each of `probs`.
    owners, places : (choices,) int
        The state of each choice, and its number among those of the state, from 0 without gaps.
    actions : (choices,) int
        The action of each choice.
    labels : {name: (S,) mask}
        With "init" and the label of the ends.
    tokens : list of str or None
        The words for the actions, None where choice k of a state is action k and readers find out how many there are.
    listed : bool
        Whether states in which returns end lack some action; readers give them all.
    """

    probs: sparse.csr_array
    rewards: sparse.csr_array
    owners: IntArray
    places: IntArray
    actions: IntArray
    labels: dict[str, BoolArray]
    tokens: list[str] | None
    listed: bool


def listing_of(model: MRP | MDP, ending: str) -> Listing:
    """The transitions and labels of a model.

    Parameters
    ----------
    model : MRP or MDP
    ending : str
        The label of the states in which returns end.

    Raises
    ------
    ValueError, TypeError
        If the model does not fit: random rewards, several rewards on one transition, outcomes that end on the way to a
        state that goes on, an initial law that is not uniform, or labels that mean something else there.
    """
    if not isinstance(model, MRP | MDP):
        raise TypeError(f"model must be an MRP or an MDP, got {model!r}")
    ends = ending_states(model.outcomes, model.terminal)
    if isinstance(model, MDP):
        describe: Any = model.choices.described(model.states, model.actions)
        owners, actions, indptr = model.choices.states, model.choices.actions, model.indptr
    else:
        describe = names_of(model.states)
        owners, indptr = np.arange(model.n_states), np.arange(model.n_states + 1)
        actions = np.zeros(model.n_states, dtype=np.int64)
    probs, rewards = table_to_sparse(model.outcomes, ends, describe)
    for matrix in (probs, rewards):
        matrix.sort_indices()
    places = np.arange(len(owners)) - indptr[owners]
    tokens, listed = None, False
    if isinstance(model, MDP):
        seen = places[~ends[owners]] if not ends.all() else places
        clear = (
            isinstance(model.actions, range) and (actions == places).all() and int(seen.max()) + 1 == model.n_actions
        )
        tokens = None if clear else tokens_of(model.actions)
        listed = bool((model.choices.numbers[ends] < model.n_actions).any())
    return Listing(probs, rewards, owners, places, actions, _labels(model, ends, ending), tokens, listed)


def _labels(model: MRP | MDP, ends: BoolArray, ending: str) -> dict[str, BoolArray]:
    """The model's labels, with "init" first if there is an initial law, and the label of the ends last."""
    labels = dict(model.labels)
    for name in labels:
        if re.search(r'["\s]', name):
            raise ValueError(f"the label {name!r} has a blank or a quotation mark, which the format cannot hold")
    own: dict[str, BoolArray] = {}
    if model.initial is not None:
        starts = np.asarray(model.initial > 0.0)
        if (model.initial[starts] != 1.0 / np.count_nonzero(starts)).any():
            raise ValueError("initial is not uniform over some states; label files hold nothing else")
        own["init"] = starts
    elif labels.get("init", np.zeros(1)).any():
        raise ValueError(
            "the model has a label 'init' and no initial law; readers would start in the label's states: give "
            "initial=, or call the label something else"
        )
    own[ending] = ends
    for name, mask in own.items():
        if name in labels and not np.array_equal(labels[name], mask):
            what = "the states of the initial law" if name == "init" else "the states in which returns end"
            raise ValueError(
                f"the model's label {name!r} marks others than {what}, which is what the file needs it for"
            )
    first = {name: mask for name, mask in own.items() if name == "init" and name not in labels}
    last = {name: mask for name, mask in own.items() if name != "init" and name not in labels}
    return first | labels | last
