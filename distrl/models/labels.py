"""Names of states and actions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from distrl._validation import shortened


class Labels(Sequence[Hashable]):
    """The names of positions 0..n-1: `labels[k]` is the name of position k, `labels.index(name)` its position.

    Where nobody gave names, a model has the positions themselves, `range(n)`, in its place. Time O(1) for either.
    """

    def __init__(self, names: Iterable[Hashable]) -> None:
        self._names = tuple(name.item() if isinstance(name, np.generic) else name for name in names)
        self._positions: dict[Hashable, int] = {}
        for position, name in enumerate(self._names):
            self._positions.setdefault(name, position)

    @overload
    def __getitem__(self, index: int) -> Hashable: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hashable]: ...
    def __getitem__(self, index: int | slice) -> Hashable | Sequence[Hashable]:
        return self._names[index]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._names == tuple(other)

    def __hash__(self) -> int:
        return hash(self._names)

    def __repr__(self) -> str:
        return f"Labels({list(self._names)!r})"

    def index(self, value: object, start: int = 0, stop: int | None = None) -> int:
        """The position of a name; a ValueError says that there is none."""
        if value not in self._positions:
            raise ValueError(f"there is no {value!r} among {shortened(list(self._names))}")
        return self._positions[value]


def labels_of(given: object, what: str, n: int | None = None) -> Sequence[Hashable]:
    """`given` names, each once and `n` of them; the positions themselves where `given` is None.

    Raises
    ------
    ValueError, TypeError
        If there are more or fewer, one of them comes twice, or they are no sequence of names.
    """
    if given is None and n is not None:
        return range(n)
    if isinstance(given, range) and given == range(n or len(given)):
        return given
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise TypeError(f"{what} must be a sequence of names, got {shortened(given)}")
    try:
        labels = Labels(given)
    except TypeError as error:
        raise TypeError(f"{what} must be names that can be looked up, such as text: {error}") from error
    if n is not None and len(labels) != n:
        raise ValueError(f"{what} holds {len(labels)} names, but there are {n} {what}")
    for position, name in enumerate(labels):
        if labels.index(name) != position:
            raise ValueError(f"{what}[{position}] is {name!r}, which is the name of {what}[{labels.index(name)}] too")
    return labels
