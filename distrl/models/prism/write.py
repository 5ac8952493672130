"""`write_prism`: a model as explicit files."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from distrl._files import replacing
from distrl._lazy import sparse
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.prism.text import stem_of


def write_prism(model: MRP | MDP, path: str | os.PathLike[str]) -> None:
    """Write a model as explicit PRISM files: stem.tra, .srew (empty), .trew and .lab.

    Numbers are written so that they read back bit for bit: `read_prism(path, model.discount, terminal="terminal")`
    gives the same outcome rows and initial law. The files know no discount and no layout; choice k is action k.

    Parameters
    ----------
    model : MRP or MDP
        One that (P, R, terminal) can express, see `MRP.to_sparse`, with `initial` None or uniform over some states.
    path : path
        The stem, or the .tra file. Existing files are replaced.

    Raises
    ------
    ValueError, TypeError
        If the model does not fit the format or a file cannot be written.
    """
    if not isinstance(model, MRP | MDP):
        raise TypeError(f"model must be an MRP or an MDP, got {model!r}")
    if str(path).endswith(".gz"):
        raise ValueError(f"{path}: the files are written plain; leave .gz out and compress them afterwards")
    stem = stem_of(path)
    p, r, terminal = model.to_sparse()
    matrices, rewards = ([p], [r]) if isinstance(model, MRP) else (p, r)
    n = model.n_states
    header = f"{n}" if isinstance(model, MRP) else f"{n} {_choices_in_order(model)}"
    labels = ["terminal"]
    members = [np.flatnonzero(terminal)]
    if model.initial is not None:  # without the label, PRISM starts in state 0
        starts = np.flatnonzero(model.initial)
        if (model.initial[starts] != 1.0 / len(starts)).any():
            raise ValueError("initial is not uniform over some states; PRISM's label files hold nothing else")
        labels.insert(0, "init")
        members.insert(0, starts)
    text = [" ".join(f'{number}="{label}"' for number, label in enumerate(labels))]
    numbers: dict[int, list[str]] = {}
    for number, states in enumerate(members):
        for state in states.tolist():
            numbers.setdefault(state, []).append(str(number))
    text += [f"{state}: {' '.join(numbers[state])}" for state in sorted(numbers)]
    for suffix, content in (
        (".tra", _matrix_lines(matrices, header, isinstance(model, MDP))),
        (".srew", [f"{n} 0"]),
        (".trew", _matrix_lines(rewards, header, isinstance(model, MDP))),
        (".lab", text),
    ):
        with replacing(Path(f"{stem}{suffix}")) as partial:
            partial.write_text("\n".join(content) + "\n", encoding="utf-8")


def _choices_in_order(model: MDP) -> int:
    """The number of choices; those of a state are numbered from 0 in the files, without gaps."""
    gap = np.flatnonzero(model.choices.actions != np.arange(len(model.pairs)) - model.indptr[model.choices.states])
    if gap.size:
        state, action = model.pairs[gap[0]]
        raise ValueError(
            f"PRISM counts the choices of a state from 0, but state {state} has action {action} and not all before it; "
            "sort the actions so that each state has the first ones"
        )
    return len(model.pairs)


def _matrix_lines(matrices: list[Any], header: str, with_choice: bool) -> list[str]:
    """Header and lines of a .tra or .trew file, ordered by source, choice and target; zeros are left out."""
    parts = [sparse.coo_array(matrix) for matrix in matrices]
    source, target, values = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "col", "data")
    )
    choice = np.repeat(np.arange(len(parts)), [part.nnz for part in parts])
    order = np.lexsort((target, choice, source))
    order = order[values[order] != 0.0]
    columns = [source, choice, target] if with_choice else [source, target]
    listed = zip(*(column[order].tolist() for column in columns), values[order].tolist(), strict=True)
    return [f"{header} {len(order)}", *(" ".join(map(repr, entry)) for entry in listed)]
