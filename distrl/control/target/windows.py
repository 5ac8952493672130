"""What is certain of all returns before any sweep: their ends, and where they are few, all of them."""

from typing import NamedTuple

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.control.target.unrolled import Unrolled, pointers

_MOST = 2_000_000  # returns of all states together
_LONG = 400  # sweeps at discount 1


class Window(NamedTuple):
    """(N,) what is certain of returns: `surely`, reached by the pair `safest`, and `highest`, exceeded by none.

    `surely` may be -inf and `highest` inf.
    """

    surely: FloatArray
    safest: IntArray
    highest: FloatArray


def window_of(rows: Unrolled) -> Window:
    """Bounds by the best action for the worst outcomes, and by the best outcomes."""
    g, n = rows.problem.g, rows.size
    starts, first = rows.row_ptr[:-1], rows.pair_ptr[:-1]

    def backed(values: FloatArray, reduce: np.ufunc) -> FloatArray:
        onward = rows.rewards + g * np.where(rows.ends, 0.0, values[rows.next_states])
        return np.asarray(reduce.reduceat(onward, starts))

    if rows.horizon is None and g == 1.0:
        high = np.full(n, -np.inf)  # what has not ended within so many steps is left out
        for _ in range(min(n + 1, _LONG)):
            before, high = high, np.maximum.reduceat(backed(high, np.maximum), first)
            if np.array_equal(before, high):
                return Window(np.full(n, -np.inf), first.copy(), high + 1e-12 * np.abs(high).max())
        return Window(np.full(n, -np.inf), first.copy(), np.full(n, np.inf))
    reach = float(np.abs(rows.rewards).max()) * (rows.horizon if g == 1.0 and rows.horizon else 1.0 / (1.0 - g or 1.0))
    room = 1e-13 * (reach + 1e-300)
    low, high = np.full(n, -reach - room), np.full(n, reach + room)
    sweeps = rows.horizon or int(min(np.ceil(40.0 / -np.log(g)) if g > 0.0 else 1.0, 20_000))
    for _ in range(sweeps):
        low = np.maximum.reduceat(backed(low, np.minimum), first) - room * (1.0 - g if rows.horizon is None else 0.0)
        high = np.maximum.reduceat(backed(high, np.maximum), first) + room * (1.0 - g if rows.horizon is None else 0.0)
    worst = backed(low, np.minimum)
    best = np.maximum.reduceat(worst, first)[rows.states]
    place = np.where(worst >= best, np.arange(len(worst)), len(worst))
    return Window(low, np.minimum.reduceat(place, first).astype(np.int64), high)


def returns_of(rows: Unrolled, most: int, near: float) -> tuple[IntArray, FloatArray] | None:
    """All returns that every state can have, as pointers and points; None where they are too many, or endless.

    Parameters
    ----------
    rows : Unrolled
    most : int
        Of one state.
    near : float
        Returns that differ by less are one.
    """
    n, g = rows.size, rows.problem.g
    here = rows.states[np.repeat(np.arange(len(rows.states)), np.diff(rows.row_ptr))]
    on = ~rows.ends
    waits = np.bincount(here[on], minlength=n)
    by_next = np.argsort(rows.next_states[on], kind="stable")
    before, ahead = here[on][by_next], pointers(np.bincount(rows.next_states[on], minlength=n))
    row_ptr = rows.row_ptr[rows.pair_ptr]
    known: list[FloatArray | None] = [None] * n
    ready, total = np.flatnonzero(waits == 0).tolist(), 0
    done = 0
    while ready:
        x = ready.pop()
        parts = []
        for row in range(row_ptr[x], row_ptr[x + 1]):
            after = known[rows.next_states[row]]
            if rows.ends[row] or after is None:
                parts.append(rows.rewards[row : row + 1])
            else:
                parts.append(rows.rewards[row] + g * after)
        values = _apart(np.sort(np.concatenate(parts)), near)
        total += len(values)
        if len(values) > most or total > _MOST:
            return None
        known[x], done = values, done + 1
        for y in before[ahead[x] : ahead[x + 1]].tolist():
            waits[y] -= 1
            if waits[y] == 0:
                ready.append(y)
    if done < n:
        return None
    found = [values for values in known if values is not None]
    return pointers(np.array([len(values) for values in found])), np.concatenate(found)


def _apart(values: FloatArray, near: float) -> FloatArray:
    """The values, rising, without those that come within `near` behind one that stays."""
    fresh = np.flatnonzero(np.concatenate([[True], values[1:] > values[:-1] + near]))
    last = values[np.append(fresh[1:], len(values)) - 1]
    if (last <= values[fresh] + near).all():
        return values[fresh]
    kept, place = [], 0  # a chain, each near to the next and not all to the first
    while place < len(values):
        kept.append(place)
        place = int(np.searchsorted(values, values[place] + near, side="right"))
    return values[kept]
