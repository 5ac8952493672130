"""`read_prism`: an MRP or MDP from explicit model files."""

import os
from pathlib import Path

import numpy as np

from distrl.models.explicit.branches import grouped
from distrl.models.explicit.build import Reading, model_of
from distrl.models.explicit.labels import FileLabels, read_labels
from distrl.models.explicit.text import read_text
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.prism.files import find_files, text_of
from distrl.models.prism.rewards import payments_of
from distrl.models.prism.transitions import read_transitions


def read_prism(
    path: str | os.PathLike[str],
    discount: float,
    rewards: int | str | None = None,
    terminal: str | None = None,
    initial: str | None = "init",
    *,
    deadlocks: str | None = None,
    absorbing: str | None = None,
    actions: str | None = None,
    normalise: bool = False,
) -> MRP | MDP:
    """Read an explicit model of PRISM's or of Storm's: an `MRP` from a DTMC's files, an `MDP` from an MDP's.

    The reward of a transition is R(s, a, s') = srew(s) + trew(s, a, s'); a file that is not there counts as zeros. The
    labels of the model are those of its label file.

    Parameters
    ----------
    path : path
        The .tra file or its stem (the path without that), or a combined .pexp file; companions are looked for beside
        it. Each may be compressed (.gz, .xz); a file that is there both plain and compressed is read plain. Storm's
        files begin with `dtmc` or `mdp`, or with the first transition; their rewards are in stem.NAME.state.rew and
        stem.NAME.trans.rew, with or without a name.
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
    deadlocks : "loop", "end", "refuse" or None
        What becomes of states without transitions that are not terminal. loop: they stay where they are for ever, as
        model checkers have it, and go on collecting what the state pays. end: they are terminal. None: loop, with a
        UserWarning.
    absorbing : "end", "keep" or None
        Whether states end the return that stay where they are whatever is done, and pay nothing, see
        `MDP.from_outcomes`. None: "end" at discount 1, else "keep".
    actions : "names", "positions" or None
        What the actions of an MDP are. names: those of its choices. positions: choice k of a state is action k. None:
        names, if the choices of every state have different ones (one may have none, which is the name "") and the
        states times the names are not more than 100,000 or ten times the number of choices; else positions. Names
        come in the order in which the file has them.
    normalise : bool
        As for `MRP`.

    Returns
    -------
    MRP or MDP
        Time and memory O(size of the files); the memory is some three times their size where lines are in order.

    Raises
    ------
    ValueError, TypeError
        Naming the file, the line and what was expected there; for several reward structures of which none was chosen,
        listing them; for rows that do not sum to 1; for models of other types (rates, intervals, observations).
    """
    reading = Reading(discount, terminal, initial, deadlocks, absorbing, actions, normalise)
    files = find_files(path)
    structure = files.chosen(rewards)
    transitions = read_transitions(text_of(files.transitions))
    states, table = transitions.states, transitions.table
    if isinstance(files.labels, Path):
        there = os.path.exists(files.labels)
        labels = read_labels(read_text(files.labels), states) if there else FileLabels(files.labels, {})
    else:
        labels = read_labels(files.labels, states)
    codes, spelled = table.codes, table.spelled
    branches = grouped(table.path, transitions.has_choices, states, table.index, table.values, codes, spelled)
    counts = transitions.counts
    if len(counts) == 2 and len(branches.owners) != counts[1]:
        raise ValueError(
            f"{table.path}: the first line announces {counts[1]} choices, but the file has {len(branches.owners)}"
        )
    ended = reading.ends(labels, states)
    payments = payments_of(structure, transitions, branches, ended)
    if payments.of_states is not None:
        _refuse_huge(structure, payments.of_states, payments.of_transitions)
    return model_of(branches, payments, reading, labels, transitions.known, transitions.line_of)


def _refuse_huge(structure: object, *parts: np.ndarray | None) -> None:
    """Rewards whose sum leaves float64 are infinite and would be told of as such only later."""
    largest = sum(float(np.abs(part).max(initial=0.0)) for part in parts if part is not None)
    if not np.isfinite(largest):
        raise ValueError(f"reward structure {structure}: rewards add up to more than float64 can hold")
