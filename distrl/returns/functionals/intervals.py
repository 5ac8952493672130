"""Certified intervals: where all that is known of a functional agrees."""

import math
from collections.abc import Iterable

import numpy as np

from distrl._validation import FloatArray
from distrl.returns.functionals.base import Functional
from distrl.returns.functionals.enclosing import Enclosing, End


class CrossedEnds(AssertionError):
    """A certified interval whose lower end lies above its upper one: a fault of this library, never of the model."""


def intersection(
    sources: Iterable[Enclosing],
    functional: Functional,
    support: tuple[End, End] = (-math.inf, math.inf),
) -> FloatArray:
    """batch + (2,) or batch + (K, 2): where all that is known of the functional agrees, for laws on `support`.

    Raises
    ------
    CrossedEnds
        If two sources contradict each other: one of them is not what it says.
    """
    low, high = functional.natural_range(*support)
    for source in sources:
        below, above = functional.enclose(source)
        low, high = np.maximum(low, below), np.minimum(high, above)
    return as_interval(low, high, functional)


def as_interval(low: FloatArray, high: FloatArray, functional: Functional) -> FloatArray:
    """The ends `low` and `high` of `functional` side by side.

    All that is known has its rounding counted, so that ends never cross.
    """
    low, high = np.broadcast_arrays(low, high)
    wrong = ~(low <= high)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        state = f"state {where[0]}" if where else "the law"
        raise CrossedEnds(
            f"internal error: the bounds on {functional!r} at {state} contradict each other, {low[where]!r} > "
            f"{high[where]!r}; please report the model"
        )
    return np.stack([low, high], axis=-1)
