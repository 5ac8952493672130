"""Names for the laws of a batch, where its states have names."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from copy import copy
from typing import ClassVar, Self

from distrl.returns.arrays import StateIndex


class Named(ABC):
    """What return laws know of the names of their states; positions are used everywhere but in `at`."""

    #: Fields that the holder of these laws gives them, from its model; files leave them out.
    given_by_holder: ClassVar[tuple[str, ...]] = ("names",)
    #: The names of the entries of the first axis, None where they are the positions themselves.
    names: Sequence[Hashable] | None = None

    def named(self, names: Sequence[Hashable]) -> Self:
        """The same laws with `names` for the entries of the first axis, which `at` finds and legends of plots show.

        The result of a verb has the names of its model's states already.
        """
        laws = copy(self)
        laws.names = names
        return laws

    def at(self, label: Hashable) -> Self:
        """The law of the state with the name `label`, or at that position where states have no names. Time O(1).

        Raises
        ------
        ValueError
            If there is no such state.
        """
        names = range(len(self)) if self.names is None else self.names
        try:
            position = names.index(label)
        except ValueError as error:
            hint = "" if self.names is not None else "; these states have no names, only positions"
            raise ValueError(f"there is no state {label!r}{hint}") from error
        return self[position]

    @abstractmethod
    def __len__(self) -> int:
        """How many entries the first axis has."""

    @abstractmethod
    def __getitem__(self, index: StateIndex) -> Self:
        """The laws of some states."""
