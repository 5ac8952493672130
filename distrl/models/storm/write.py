"""`write_drn`: a model as one of Storm's DRN files."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from distrl._files import replacing
from distrl._validation import FloatArray
from distrl.models.explicit.notes import note_of
from distrl.models.explicit.rows import Listing, listing_of
from distrl.models.explicit.text import without_packing
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.storm.header import NOTE


def write_drn(model: MRP | MDP, path: str | os.PathLike[str], terminal: str = "terminal") -> None:
    """Write a model as a DRN file, which Storm and stormpy read.

    Numbers are written so that they read back bit for bit: `read_drn(path, model.discount)` gives the same outcome
    rows, initial law, names and labels, the labels with "init" and `terminal` beside them. Names and labels without
    states are in a comment. The file knows no discount and no layout.

    Parameters
    ----------
    model : MRP or MDP
        One that (P, R, terminal) can express, see `MRP.to_sparse`, with `initial` None or uniform over some states, and
        whose reward depends on the state and action alone: the format has no rewards of transitions.
    path : path
        The file; an existing one is replaced.
    terminal : str
        The label that the states get in which returns end.

    Raises
    ------
    ValueError, TypeError
        If the model does not fit the format, naming the state and action, or the file cannot be written.
    """
    listing = listing_of(model, terminal)
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"path must be a path, got {path!r}")
    if without_packing(str(path)) != str(path):
        raise ValueError(f"{path}: the file is written plain; leave the last ending out and compress it afterwards")
    rewards = _rewards(model, listing)
    note = note_of(model, listing.tokens, labels=list(model.labels), terminal=terminal, listed=listing.listed)
    with replacing(Path(path)) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        kind, choices = ("MDP", len(listing.owners)) if isinstance(model, MDP) else ("DTMC", model.n_states)
        file.write(
            f"{NOTE}{note}\n@type: {kind}\n@value_type: double\n@parameters\n\n@reward_models\nreward\n@nr_states\n"
            f"{model.n_states}\n@nr_choices\n{choices}\n@model\n"
        )
        for line in _lines(listing, rewards):
            file.write(line + "\n")


def _rewards(model: MRP | MDP, listing: Listing) -> FloatArray:
    """(choices,) the reward of each choice, the same on all its transitions."""
    indptr, data = listing.rewards.indptr, listing.rewards.data
    rewards = data[indptr[:-1]].copy()
    other = data != np.repeat(rewards, np.diff(indptr))
    if other.any():
        choice = int(np.searchsorted(indptr, int(np.argmax(other)), side="right")) - 1
        doing = f", action {model.actions[listing.actions[choice]]!r}" if isinstance(model, MDP) else ""
        raise ValueError(
            f"state {model.states[listing.owners[choice]]!r}{doing} has rewards that depend on the next state, and DRN "
            "files have none; write_prism can write them"
        )
    return np.asarray(rewards, dtype=np.float64)


def _lines(listing: Listing, rewards: FloatArray) -> Iterator[str]:
    """States with their labels, actions with their rewards, and transitions."""
    tokens = listing.tokens
    carried: dict[int, list[str]] = {}
    for name, mask in listing.labels.items():
        for state in np.flatnonzero(mask).tolist():
            carried.setdefault(state, []).append(name)
    names = listing.places if tokens is None else listing.actions
    known = zip(listing.owners.tolist(), names.tolist(), rewards.tolist(), strict=True)
    indptr = listing.probs.indptr
    last = -1
    for choice, (state, name, reward) in enumerate(known):
        if state != last:
            yield " ".join([f"state {state} [0]", *carried.get(state, ())])
            last = state
        yield f"\taction {name if tokens is None else tokens[name]} [{reward!r}]"
        piece = slice(indptr[choice], indptr[choice + 1])
        transitions = zip(listing.probs.indices[piece].tolist(), listing.probs.data[piece].tolist(), strict=True)
        yield "\n".join(f"\t\t{target} : {probability!r}" for target, probability in transitions)
