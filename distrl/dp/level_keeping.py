"""What is kept of the masses that the recursion over levels makes: all of them, or their split between some atoms.

A mass m at a level that lies i levels above an atom, q levels from the next one, leaves m (1 - i / q) on the one and
m i / q on the other: the mean stays, and where it goes has the variance i (q - i). Splitting for 2 q after q is
splitting for 2 q at once, so that q doubles whenever the atoms are used up.
"""

from typing import NamedTuple

import numpy as np

from distrl._kernels import lattice as kernels
from distrl._memory import check_memory
from distrl._validation import FloatArray

_WASTE = 2  # times the levels that are made, which room was kept for: more is given back
#: What to do where the masses of all states do not fit in memory.
MEND = "ask for some states alone, Lattice().laws_of(model, states), or fewer atoms, Lattice(atoms=201), or raise tail"


class Kept(NamedTuple):
    """Masses (n, atoms) at every `times`-th level from 0, and (n,) the variance in levels that splitting added."""

    masses: FloatArray
    times: int
    spread: FloatArray


class Geometric(NamedTuple):
    """The tail from `level` on: P(more than `level` + j levels) = `beyond` (n,) * `ratio`^j, wanted up to `last`."""

    level: int
    beyond: FloatArray
    ratio: float
    last: int


class Whole:
    """Every level is kept.

    Parameters
    ----------
    wanted : int
        n, the number of states.
    room : int
        For how many levels there is room at first.
    """

    some = 64  # levels that are made at a time

    def __init__(self, wanted: int, room: int) -> None:
        check_memory(wanted, room, 1.0, MEND)
        self._store, self._filled = np.empty((wanted, max(room, self.some))), 0

    def take(self, rows: FloatArray, count: int, first: int) -> None:
        """The masses (levels, n) of `count` levels from `first` on."""
        if first + count > self._store.shape[1]:
            wanted, room = self._store.shape
            check_memory(wanted, 2 * room, 1.0, MEND)
            wider = np.empty((wanted, 2 * room))
            wider[:, :first] = self._store[:, :first]
            self._store = wider
        kernels.transpose(rows, count, self._store, first)
        self._filled = first + count

    def close(self, levels: int, beyond: FloatArray) -> Kept:
        """All that was taken, with what lies `beyond` (n,) put onto the last of so many levels."""
        (wanted, room), store = self._store.shape, self._store
        if room < levels or room > _WASTE * levels:
            masses = np.zeros((wanted, levels))
            masses[:, : self._filled] = store[:, : self._filled]
        else:  # where it is: fresh memory costs more than the recursion
            store[:, self._filled : levels] = 0.0
            flat = store.reshape(-1)
            kernels.close_up(flat, wanted, room, levels)
            masses = flat[: wanted * levels].reshape(wanted, levels)
        masses[:, -1] += beyond
        return Kept(masses, 1, np.zeros(wanted))


class Gathered:
    """So many atoms are kept at most, as many levels apart as it takes.

    Parameters
    ----------
    wanted : int
        n, the number of states.
    atoms : int
    """

    some = 2048  # levels that are made at a time

    def __init__(self, wanted: int, atoms: int) -> None:
        check_memory(wanted, atoms, 3.0, MEND)
        self._masses, self._spread, self._times = np.zeros((wanted, atoms)), np.zeros(wanted), 1

    def take(self, rows: FloatArray, count: int, first: int) -> None:
        """The masses (levels, n) of `count` levels from `first` on."""
        self._make_room(first + count - 1)
        kernels.gather(rows, count, first, self._times, self._masses, self._spread)

    def close(self, levels: int, beyond: FloatArray) -> Kept:
        """All that was taken, with what lies `beyond` (n,) put onto the last of so many levels."""
        self.take(beyond[None], 1, levels - 1)
        return self._kept(-(-(levels - 1) // self._times))

    def finish(self, tail: Geometric) -> Kept:
        """All that was taken, and the tail, what lies beyond its last atom put onto it.

        With e(k) = sum over levels l >= k of s_l, the mean of what exceeds k, an atom k between two others, q levels
        apart, has the mass (e(k - q) - 2 e(k) + e(k + q)) / q, and the last one (e(k - q) - e(k)) / q.
        """
        self._make_room(tail.last)
        q, ratio = self._times, tail.ratio
        first, last = -(-tail.level // q), -(-tail.last // q)  # above `first` there is nothing but the tail
        left = tail.beyond * ratio ** np.arange(first * q - tail.level + 1)[:, None]
        kernels.gather(left[:-1] - left[1:], len(left) - 1, tail.level + 1, q, self._masses, self._spread)
        rest, fall = left[-1], -q * np.log1p(ratio - 1.0)  # beyond the atom `first`; a factor exp(-fall) an atom
        if last == first:
            self._masses[:, first] += rest
            return self._kept(last)
        shares = np.exp(-fall * np.arange(last - first))
        each = (1.0 - ratio) * q
        self._masses[:, first] += rest * (1.0 + np.expm1(-fall) / each)
        self._masses[:, first + 1 : last] += rest[:, None] * shares[1:] * (4.0 * np.sinh(0.5 * fall) ** 2 / each)
        self._masses[:, last] += rest * shares[-1] * (-np.expm1(-fall) / each)
        over = np.arange(1, q)
        self._spread += rest * shares.sum() * (1.0 - ratio) * (ratio ** (over - 1) * over * (q - over)).sum()
        return self._kept(last)

    def _kept(self, last: int) -> Kept:
        return Kept(np.ascontiguousarray(self._masses[:, : last + 1]), self._times, self._spread)

    def _make_room(self, level: int) -> None:
        """Take every other atom away while `level` lies beyond the last."""
        while level > self._times * (self._masses.shape[1] - 1):
            even, odd = self._masses[:, ::2], self._masses[:, 1::2]
            masses = np.zeros_like(self._masses)
            masses[:, : even.shape[1]] = even
            masses[:, : odd.shape[1]] += 0.5 * odd
            masses[:, 1 : odd.shape[1] + 1] += 0.5 * odd
            self._spread += odd.sum(axis=1) * self._times**2
            self._masses, self._times = masses, 2 * self._times
