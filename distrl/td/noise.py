"""Random rewards, in blocks.

Laws that differ in location and scale only are one family. Block b of family f is drawn from a replication's generator
moved (1 + f + families * b) golden-ratio strides of its period ahead: a draw is known by its number alone.
"""

from typing import NamedTuple

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.models.laws import Law

_PERIOD = 2**128
_STRIDE = 0x9E3779B97F4A7C15F39CC0605CEDC835  # the period over the golden ratio: multiples of it stay far apart
_BLOCK_NUMBERS = 2**14  # of all families' blocks of one replication together, unless they are many
_LARGEST_BLOCK = 2048  # draws: SciPy's overhead a call is then a few nanoseconds a draw


class Noise(NamedTuple):
    """Reward law l is locations[l] + scales[l] * Z, Z ~ families[family_of[l]]; `block` draws of Z are made at once."""

    families: tuple[Law, ...]
    family_of: IntArray
    locations: FloatArray
    scales: FloatArray
    block: int

    @classmethod
    def of(cls, laws: tuple[Law, ...]) -> "Noise":
        """The families of reward `laws`, and each law as a location and a scale of its family."""
        forms = [law.standard_form() for law in laws]
        families = {family.key: family for family, _, _ in forms}
        index = {key: f for f, key in enumerate(families)}
        return cls(
            tuple(families.values()),
            np.array([index[family.key] for family, _, _ in forms], dtype=np.int64),
            np.array([location for _, location, _ in forms], dtype=np.float64),
            np.array([scale for _, _, scale in forms], dtype=np.float64),
            int(np.clip(_BLOCK_NUMBERS // max(len(families), 1), 32, _LARGEST_BLOCK)),
        )


class Blocks:
    """The draws of a replication, one block of each family at a time.

    Parameters
    ----------
    noise : Noise
    bits : PCG64
        The replication's generator at its beginning; only looked at.

    Attributes
    ----------
    draws : (families, block)
    loaded : (families,) int
        Which block of each family is there; -1: none.
    """

    def __init__(self, noise: Noise, bits: np.random.PCG64) -> None:
        self._noise, self._origin = noise, bits.state
        self._bits = np.random.PCG64(0)
        self._rng = np.random.Generator(self._bits)
        self.draws = np.empty((len(noise.families), noise.block))
        self.loaded = np.full(len(noise.families), -1, dtype=np.int64)

    def load(self, family: int, block: int) -> None:
        """Draw block number `block` of a family, unless it is there."""
        if self.loaded[family] == block:
            return
        self._bits.state = self._origin
        self._bits.advance(_STRIDE * (1 + family + len(self.loaded) * block) % _PERIOD)
        self.draws[family] = self._noise.families[family].sample(self._noise.block, self._rng)
        self.loaded[family] = block

    def between(self, first: int, last: int) -> FloatArray:
        """(families, last - first) the draws number first..last-1 of every family."""
        size, families = self._noise.block, len(self.loaded)
        out = np.empty((families, last - first))
        for family in range(families):
            at = first
            while at < last:
                block, place = divmod(at, size)
                count = min(size - place, last - at)
                self.load(family, block)
                out[family, at - first : at - first + count] = self.draws[family, place : place + count]
                at += count
        return out
