"""`read_prism`: an MRP or MDP from explicit model files."""

import os
from pathlib import Path

import numpy as np

from distrl._validation import real_number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.prism.build import model_of, transitions_of
from distrl.models.prism.labels import read_labels
from distrl.models.prism.rewards import chosen_structure, rewards_of
from distrl.models.prism.text import MATRIX, existing, read_entries, stem_of


def read_prism(
    path: str | os.PathLike[str],
    discount: float,
    rewards: int | str | None = None,
    terminal: str | None = None,
    initial: str | None = "init",
    *,
    normalise: bool = False,
) -> MRP | MDP:
    """Read an explicit PRISM model: an `MRP` from a DTMC's files, an `MDP` from an MDP's.

    The reward of a transition is R(s, a, s') = srew(s) + trew(s, a, s'); a file that is not there counts as zeros.

    Parameters
    ----------
    path : path
        The .tra or .tra.gz file, or its stem (the path without that); companions are looked for beside it. A file that
        is there both plain and compressed is read plain.
    discount : float in [0, 1]
    rewards : int or str, optional
        Which reward structure, by its number or its name: PRISM numbers the files of a model that has several, so that
        2 reads stem2.srew and stem2.trew, and writes the name into them. Not needed where there is one; without any
        file all rewards are 0.
    terminal : str, optional
        States with this label are terminal: their return is 0, and what the files say about leaving them is not used.
        Their own rewards are not collected, as in PRISM's `R=? [ F "label" ]`.
    initial : str, optional
        The label over whose states the initial law is uniform; None, or no "init" in the label file: no initial law.
    normalise : bool
        As for `MRP`.

    Returns
    -------
    MRP or MDP
        Time and memory O(size of the files).

    Raises
    ------
    ValueError, TypeError
        Naming the file, the line and what was expected there; for several reward structures of which none was chosen,
        listing them; for rows that do not sum to 1 (rates of a CTMC are not
        probabilities); for a state without transitions that is not terminal.
    """
    real_number(discount, "discount", low=0.0, high=1.0)
    for name, label in (("terminal", terminal), ("initial", initial)):
        if label is not None and not isinstance(label, str):
            raise TypeError(f"{name} must be the name of a label, got {label!r}")
    stem = stem_of(path)
    tra = read_entries(existing(Path(f"{stem}.tra")) or Path(f"{stem}.tra"), MATRIX, "probability")
    structure = chosen_structure(stem, rewards)
    labels = read_labels(stem, tra.header[0])
    ends = np.empty(0, dtype=np.int64) if terminal is None else labels.states(terminal)
    starts = np.empty(0, dtype=np.int64)
    if initial is not None and (initial != "init" or "init" in labels.members):
        starts = labels.states(initial)
        if initial != "init" and not starts.size:
            raise ValueError(
                f"{labels.path}: no state has the label {initial!r}, so it gives no law of the first state"
            )
    live = transitions_of(tra, ends)
    ended = np.zeros(live.states, dtype=np.bool_)
    ended[ends] = True
    values = rewards_of(structure, tra, live, ended)
    law = None
    if starts.size:
        law = np.zeros(live.states)
        law[starts] = 1.0 / len(starts)
    return model_of(live, values, discount, ended, law, normalise)
