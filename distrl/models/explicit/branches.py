"""Transitions grouped by choice, and choices by state: what a file's lines say, before it is a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distrl._validation import FloatArray, IntArray

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

    def actions(self, wanted: str | None, positions: dict[str, int] | None) -> tuple[IntArray, list[str] | None]:
        """(choices,) the action of each choice, and the names of the actions, None where they are positions.

        Parameters
        ----------
        wanted : "names", "positions" or None
            None: names, where every state's choices have different ones (one may go without, which is the name "") and
            the table of states and names is not much larger than the file: ten times the number of choices.
        positions : the position of each name, where the file says it itself
        """
        place = np.arange(len(self.owners)) - self.starts[self.owners]
        if positions is not None and self.has_choices:
            unknown = [name for name in self.spelled if name not in positions]
            if unknown or (self.codes < 0).any():
                raise ValueError(
                    f"{self.path}: its list of actions lacks {unknown[0] if unknown else 'a nameless one'!r}"
                )
            return np.array([positions[name] for name in self.spelled], dtype=np.int64)[self.codes], None
        if not self.has_choices or wanted == "positions" or not self.spelled:
            if wanted == "names" and self.has_choices:
                raise ValueError(f"{self.path}: its choices have no names; leave out actions='names'")
            return place, None
        bare = self.codes < 0
        names = [*self.spelled, ""] if bare.any() else self.spelled
        code = np.where(bare, len(names) - 1, self.codes).astype(np.int64)
        if wanted is None and self.states * len(names) > max(10 * len(code), _FEW):
            return place, None
        order = np.lexsort((code, self.owners))
        again = np.flatnonzero((np.diff(self.owners[order]) == 0) & (np.diff(code[order]) == 0))
        if not again.size:
            return code, names
        if wanted == "names":
            choice = order[again[0]]
            raise ValueError(
                f"{self.path}: two choices of state {self.owners[choice]} have the name {names[code[choice]]!r}, so "
                "names do not tell actions apart; leave out actions='names'"
            )
        return place, None


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
    if not _ascending(index):
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


def _ascending(index: Index) -> bool:
    """Whether columns ascend strictly, as rows compared from the first column on."""
    tied = np.ones(max(index.shape[1] - 1, 0), dtype=np.bool_)
    for column in index:
        if (column[1:][tied] < column[:-1][tied]).any():
            return False
        tied &= column[1:] == column[:-1]
    return not tied.any()
