"""Transitions grouped by choice, and choices by state: what a file's lines say, before it is a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distrl._kernels.outcomes import ascend
from distrl._validation import BoolArray, FloatArray, IntArray

Index = NDArray[np.int32]
#: States times names that are always few enough for a table of which states have which.
_FEW = 100_000


@dataclass(frozen=True)
class Branches:
    """Transitions by choice, ascending in their targets; choices by state, ascending.

    Attributes
    ----------
    path : Path or str
        Where they are from, for errors.
    has_choices : bool
        Whether they are an MDP's; otherwise a state has one choice.
    states : int
    owners : (choices,) int
        The state of each choice. A state may have none.
    first : (choices + 1,) int
        The transitions `first[c]:first[c + 1]` are those of choice c.
    targets, probs : (n,)
    codes : (choices,) int
        The name of each choice, as a position in `spelled`; -1: none.
    spelled : list of str
    """

    path: Path | str
    has_choices: bool
    states: int
    owners: IntArray
    first: IntArray
    targets: Index
    probs: FloatArray
    codes: Index
    spelled: list[str]

    @property
    def starts(self) -> IntArray:
        """(S + 1,) choices `starts[s]:starts[s + 1]` are those of state s."""
        return np.searchsorted(self.owners, np.arange(self.states + 1)).astype(np.int64)

    def actions(
        self, live: BoolArray, wanted: str | None, positions: dict[str, int] | None
    ) -> tuple[IntArray, int, list[str] | None]:
        """The action of each choice, their number, and their names, None where they are positions.

        Parameters
        ----------
        live : (choices,) mask
            The choices that the model takes over; those of terminal states have no say.
        wanted : "names", "positions" or None
            None: names, where every state's choices have different ones (one may go without, which is the name "") and
            the table of states and names is not much larger than the file: ten times the number of choices.
        positions : the position of each name, where the file says it itself
        """
        if not self.has_choices:
            return np.zeros(len(self.owners), dtype=np.int64), 1, None
        place = np.arange(len(self.owners)) - self.starts[self.owners]
        if positions is not None:
            return self._told(live, positions), len(positions), None
        by_place = place, int(place[live].max() if live.any() else place.max(initial=0)) + 1, None
        used = np.flatnonzero(np.bincount(self.codes[live] + 1)) - 1
        if wanted == "positions" or not (used >= 0).any():
            if wanted == "names":
                raise ValueError(f"{self.path}: its choices have no names; leave out actions='names'")
            return by_place
        names = [self.spelled[code] for code in used.tolist() if code >= 0] + [""] * int(used[0] < 0)
        if wanted is None and self.states * len(names) > max(10 * len(place), _FEW):
            return by_place
        code = np.searchsorted(used[used >= 0], self.codes)  # what is not used gets some place, and is not looked at
        code[self.codes < 0] = len(names) - 1
        owners, found = self.owners[live], code[live]
        if ((owners[1:] > owners[:-1]) | (found[1:] > found[:-1])).all():  # in order, as files mostly have them
            return code.astype(np.int64), len(names), names
        distinct, counts = np.unique(owners * len(names) + found, return_counts=True)
        if (counts == 1).all():
            return code.astype(np.int64), len(names), names
        if wanted == "names":
            state, name = divmod(int(distinct[np.argmax(counts > 1)]), len(names))
            raise ValueError(
                f"{self.path}: two choices of state {state} have the name {names[name]!r}, so names do not tell "
                "actions apart; leave out actions='names'"
            )
        return by_place

    def _told(self, live: BoolArray, positions: dict[str, int]) -> IntArray:
        """The positions that the file's own list gives to names."""
        for code in np.unique(self.codes[live]).tolist():
            name = self.spelled[code] if code >= 0 else ""
            if name not in positions:
                raise ValueError(f"{self.path}: its list of actions has no {name!r}, which is the name of a choice")
        told = np.array([*(positions.get(name, 0) for name in self.spelled), 0], dtype=np.int64)
        return told[self.codes]


def grouped(
    path: Path | str,
    has_choices: bool,
    states: int,
    index: Index,
    probs: FloatArray,
    codes: Index,
    spelled: list[str],
) -> Branches:
    """Branches from columns in any order; lines of one (source, choice, target) are added up.

    Parameters
    ----------
    path, has_choices, states, spelled
        As for `Branches`.
    index : (2 or 3, n)
        Sources, choices of an MDP, targets.
    probs : (n,)
    codes : (n,) or (0,)
        The names of the lines' choices; that of the first line counts.
    """
    columns = [np.ascontiguousarray(column) for column in (*index, np.empty(0, dtype=np.int32))]
    if not ascend(*columns[:3]):
        order = np.lexsort(index[::-1])
        index, probs = index[:, order], probs[order]
        codes = codes[order] if len(codes) else codes
        fresh = np.ones(len(probs), dtype=np.bool_)
        fresh[1:] = (index[:, 1:] != index[:, :-1]).any(axis=0)
        if not fresh.all():
            begins = np.flatnonzero(fresh)
            probs = np.add.reduceat(probs, begins) if len(begins) else probs
            index = index[:, begins]
            codes = codes[begins] if len(codes) else codes
    opening = np.ones(len(probs), dtype=np.bool_)
    opening[1:] = index[0, 1:] != index[0, :-1]
    if has_choices:
        opening[1:] |= index[1, 1:] != index[1, :-1]
    first = np.append(np.flatnonzero(opening), len(probs)).astype(np.int64)
    owners = index[0, first[:-1]].astype(np.int64)
    named = codes[first[:-1]] if len(codes) else np.full(len(owners), -1, dtype=np.int32)
    branches = Branches(path, has_choices, states, owners, first, index[-1], probs, named, spelled)
    if has_choices:
        place = np.arange(len(owners)) - branches.starts[owners]
        stray = index[1, first[:-1]] != place
        if stray.any():
            state = int(owners[np.argmax(stray)])
            count = int(np.count_nonzero(owners == state))
            raise ValueError(f"{path}: the choices of state {state} are not numbered from 0 to {count - 1}")
    return branches
