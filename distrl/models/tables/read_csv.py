"""The door for models in CSV files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from distrl._files import path_of
from distrl.models.given import Names
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.tables.csv_file import CsvText
from distrl.models.tables.headers import has_column


def read_csv(
    path: str | os.PathLike[str],
    discount: float,
    columns: Mapping[str, str | None] | None = None,
    absorbing: str | None = None,
    normalise: bool = False,
    *,
    states: Names = None,
    actions: Names = None,
    initial: ArrayLike | None = None,
    layout: tuple[int, int] | None = None,
) -> MDP | MRP:
    """The model whose outcomes are the rows of a CSV file: an MDP, or an MRP where there is no column of actions.

    Parameters
    ----------
    path : path
        Plain or compressed by gzip, in UTF-8. Its first line names the columns, with commas, tabs, semicolons or bars
        between them, whichever there are; blank lines, and lines with # before that one, are passed over.
    discount : float in [0, 1]
    columns : {our name: theirs}, optional
        As for `MDP.from_outcomes`, which says what the usual names are: state or idstatefrom, action or idaction,
        probability, next_state or idstateto, reward, terminal.
    absorbing, normalise, initial, layout
        As for `MDP.from_outcomes`. A file of the CRAAM family says nothing of ends: its absorbing states loop with
        reward 0, and end the return at discount 1.
    states, actions : int or sequence of names, optional
        Ids 0..n-1 are positions. Other whole numbers, counted from 1 for example, are names, in the order of the
        numbers; text is names, in the order in which they come: `model.states`, `model.actions`. A column with some
        text is text throughout, and state and next_state are alike. A list of names settles the order.

    Returns
    -------
    MDP or MRP
        Time O(size of the file), faster than pandas reads it; memory a small multiple of the file's.

    Raises
    ------
    ValueError, TypeError
        Naming the file, the line and the column, or the state and the action.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "two.csv")
    >>> lines = ["idstatefrom,idaction,idstateto,probability,reward", "1,1,2,1.0,5", "2,1,2,1.0,0"]
    >>> _ = path.write_text("\\n".join(lines))
    >>> read_csv(path, discount=0.9).states
    Labels([1, 2])
    """
    source = path_of(path)
    text = CsvText(source)
    ours: tuple[str, ...] = ("state", "action", "probability", "next_state", "reward", "terminal")
    of_actions = has_column("action", list(text.header.columns), columns)
    names = ours if of_actions else tuple(name for name in ours if name != "action")
    read = text.columns(names, columns)
    del text  # the file's bytes
    shared: dict[str, Any] = {"states": states, "initial": initial, "layout": layout}
    try:
        if not of_actions:
            if actions is not None:
                raise ValueError("there is no column of actions, so actions= has no place")
            return MRP.from_outcomes(read, discount, None, absorbing, normalise, **shared)
        return MDP.from_outcomes(read, discount, None, absorbing, normalise, actions=actions, **shared)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{source}: {error}") from error
