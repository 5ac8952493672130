"""`write_prism`: a model as explicit files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from distrl._files import replacing
from distrl._lazy import sparse
from distrl.models.explicit.notes import note_of
from distrl.models.explicit.rows import Listing, listing_of
from distrl.models.explicit.text import without_packing
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.prism.files import stem_of
from distrl.models.prism.transitions import NOTE

#: How many lines are joined at a time.
_LINES = 100_000


def write_prism(model: MRP | MDP, path: str | os.PathLike[str], terminal: str = "terminal") -> None:
    """Write a model as explicit PRISM files: stem.tra, .srew (empty), .trew and .lab.

    Numbers are written so that they read back bit for bit: `read_prism(path, model.discount, terminal="terminal")`
    gives the same outcome rows, initial law, names and labels; the labels with "init" and `terminal` beside them. The
    files know no discount and no layout.

    Parameters
    ----------
    model : MRP or MDP
        One that (P, R, terminal) can express, see `MRP.to_sparse`, with `initial` None or uniform over some states.
        Choice k is action k; where actions have names, or a state has an action without having all before it, choices
        have names, and a comment in the .tra file says which is which; names of states are in it too. Readers pass over
        it that know comments, as PRISM does from version 4.8.
    path : path
        The stem, or the .tra file. Existing files are replaced.
    terminal : str
        The label that the states get in which returns end.

    Raises
    ------
    ValueError, TypeError
        If the model does not fit the format or a file cannot be written.
    """
    listing = listing_of(model, terminal)
    if without_packing(str(path)) != str(path):
        raise ValueError(f"{path}: the files are written plain; leave the last ending out and compress them afterwards")
    stem, n = stem_of(path), model.n_states
    counts = f"{n} {len(listing.owners)}" if isinstance(model, MDP) else f"{n}"
    note = note_of(model, listing.tokens, listed=listing.listed)
    entries = _without_zeros(listing.rewards)
    for suffix, lines in (
        (".tra", _matrix(listing, listing.probs, counts, isinstance(model, MDP), listing.tokens, note)),
        (".srew", iter([f"{n} 0"])),
        (".trew", _matrix(listing, entries, counts, isinstance(model, MDP), None, "")),
        (".lab", _labels(listing)),
    ):
        with replacing(Path(f"{stem}{suffix}")) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
            for line in lines:
                file.write(line + "\n")


def _without_zeros(matrix: sparse.csr_array) -> sparse.csr_array:
    kept = matrix.copy()
    kept.eliminate_zeros()
    return kept


def _labels(listing: Listing) -> Iterator[str]:
    yield " ".join(f'{number}="{label}"' for number, label in enumerate(listing.labels))
    members = [np.flatnonzero(mask) for mask in listing.labels.values()]
    states = np.concatenate(members)
    numbers = np.repeat(np.arange(len(members)), [len(each) for each in members])
    order = np.lexsort((numbers, states))
    last, line = -1, ""
    for state, number in zip(states[order].tolist(), numbers[order].tolist(), strict=True):
        if state != last and line:
            yield line
        line = f"{state}: {number}" if state != last else f"{line} {number}"
        last = state
    if line:
        yield line


def _matrix(
    listing: Listing, matrix: sparse.csr_array, counts: str, with_choice: bool, tokens: list[str] | None, note: str
) -> Iterator[str]:
    """Header and lines of a .tra or .trew file, some thousand at a time."""
    if note:
        yield f"{NOTE}{note}"
    yield f"{counts} {matrix.nnz}"
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    for start in range(0, matrix.nnz, _LINES):
        piece = slice(start, start + _LINES)
        here = rows[piece]
        columns = [listing.owners[here].tolist(), matrix.indices[piece].tolist(), matrix.data[piece].tolist()]
        if with_choice:
            columns.insert(1, listing.places[here].tolist())
        listed = (" ".join(map(repr, entry)) for entry in zip(*columns, strict=True))
        if tokens is not None:
            actions = listing.actions[here].tolist()
            listed = (f"{line} {tokens[action]}" for line, action in zip(listed, actions, strict=True))
        yield "\n".join(listed)
