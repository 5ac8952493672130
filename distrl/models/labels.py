"""Names of states and actions, and the sets of states that have a name."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, overload

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import BoolArray, bool_array, int_array, refuse_masked, shortened


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


class StateLabels(Mapping[str, BoolArray]):
    """The labels of a model's states, read-only: `labels["goal"]` is the (S,) mask of the states that carry "goal".

    A label names a set of states; `Labels` names single ones.
    """

    def __init__(self, masks: Mapping[str, BoolArray]) -> None:
        self._masks = dict(masks)
        for mask in self._masks.values():
            mask.flags.writeable = False

    def __getitem__(self, label: str) -> BoolArray:
        return self._masks[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.keys() == other.keys() and all(np.array_equal(mask, other[name]) for name, mask in self.items())

    __hash__ = None  # type: ignore[assignment]  # what holds arrays has no hash

    def __repr__(self) -> str:
        return f"StateLabels({', '.join(f'{name!r}: {mask.sum()} states' for name, mask in self.items())})"

    def __reduce__(self) -> tuple[type[StateLabels], tuple[dict[str, BoolArray]]]:
        return StateLabels, (self._masks,)  # copies and pickles of arrays are writeable, and are locked again so


class Labelled(Protocol):
    """A model whose states may carry labels."""

    @property
    def n_states(self) -> int:
        """Number of states S."""

    @property
    def states(self) -> Sequence[Hashable]:
        """The names of the states, or their positions."""

    @property
    def labels(self) -> Mapping[str, BoolArray]:
        """The (S,) mask of each label."""


def masks_of(given: Mapping[str, ArrayLike] | None, n: int) -> StateLabels:
    """`given` labels of `n` states, each as a mask or as positions.

    Raises
    ------
    ValueError, TypeError
        Naming the label that is not text, or that is neither a mask nor positions of states.
    """
    if given is None:
        return StateLabels({})
    if not isinstance(given, Mapping):
        raise TypeError(f"labels must map names to masks of the states, got {shortened(given)}")
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(f"labels must have names that are text, got {name!r}")
    return StateLabels({name: _mask(target, n, f"labels[{name!r}]") for name, target in given.items()})


def states_of(model: Labelled, target: ArrayLike, what: str = "target") -> BoolArray:
    """The (S,) mask of the states that a label, a mask or positions mean.

    Parameters
    ----------
    model : MRP or MDP
    target : str, (S,) mask of booleans, or positions
        A label of the model's, or the states themselves; whole numbers are positions always.
    what : str
        What `target` is called in errors.

    Raises
    ------
    ValueError, TypeError
        For a label that the model does not have, with those that it has; for what is neither mask nor positions.
    """
    if not isinstance(target, str):
        return _mask(target, model.n_states, what)
    if target in model.labels:
        return model.labels[target].copy()
    known = f"its labels are {', '.join(map(repr, model.labels))}" if model.labels else "it has none"
    place = ""
    if target in model.states:
        place = f"; a state has this name, which is given by its position, {model.states.index(target)}"
    raise ValueError(f"{what}: the model has no label {target!r}, {known}{place}")


def _mask(target: ArrayLike, n: int, what: str) -> BoolArray:
    refuse_masked(target, what)
    try:
        array = np.atleast_1d(np.asarray(target))
    except ValueError as error:
        raise ValueError(f"{what} must be a mask or positions of states, got {shortened(target)}") from error
    if array.dtype.kind == "b":
        return bool_array(array, what, n)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be a mask of booleans or positions of states, got {shortened(target)}")
    positions = int_array(array, what, low=0, high=n)
    if len(positions) == n > len(np.unique(positions)) and (positions < 2).all():
        raise ValueError(
            f"{what} holds 0 and 1, one a state; whole numbers are positions of states, and a mask has booleans: "
            "give it as numpy.asarray(mask, dtype=bool)"
        )
    mask = np.zeros(n, dtype=np.bool_)
    mask[positions] = True
    return mask
