"""What a statistical measure draws with, and the smallest violations that it promises to find."""

import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

#: The efforts at which a statistical claim states what it finds: place 0, 1, 2 of its sizes.
LEVELS = ("quick", "default", "nightly")
#: The probability with which a violation of the stated size is found.
POWER = 0.9

T = TypeVar("T")


class Sizes(NamedTuple):
    """The size of a violation that is found at each effort."""

    quick: float
    default: float
    nightly: float


@dataclass(frozen=True)
class Plant:
    """A violation of a statistical claim, as large as the claim promises to find with probability `POWER`.

    Attributes
    ----------
    name : str
        By which the measure asks for its size.
    what : str
        What it is, with {} for its size.
    sizes : Sizes
    plant : function
        Puts it, at a size, into the library's public answer, while the context lasts.
    """

    name: str
    what: str
    sizes: Sizes
    plant: Callable[[float], AbstractContextManager[Any]]

    def words(self, size: float) -> str:
        """What is planted at a size."""
        return self.what.format(f"{size:g}")


@dataclass(frozen=True)
class Chance:
    """Random numbers and sizes for one look at a statistical claim.

    Attributes
    ----------
    id : str
        Of the claim: claims draw different numbers.
    plants : tuple of Plant
    level : int
        Place of the effort in `LEVELS`.
    root : int
        Seed of the run.
    """

    id: str
    plants: tuple[Plant, ...] = ()
    level: int = 0
    root: int = 0

    def seed(self, *key: int) -> int:
        """A seed for this run, claim and key."""
        words = [self.root, zlib.crc32(self.id.encode()), *key]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)

    def rng(self, *key: int) -> np.random.Generator:
        """A generator of its own for a key."""
        return np.random.default_rng(self.seed(*key))

    def size(self, name: str) -> float:
        """The size of the violation `name` that is to be found at this effort."""
        found = {plant.name: plant.sizes[self.level] for plant in self.plants}
        return found[name]

    def of(self, quick: T, default: T, nightly: T) -> T:
        """What goes with the effort."""
        return (quick, default, nightly)[self.level]
