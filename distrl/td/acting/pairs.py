"""Arrays by (state, action) pair, and by state and action."""

from typing import Any, cast

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.models.choices import Choices
from distrl.returns.base import Returns
from distrl.td.rule import Start


def best_pairs(means: FloatArray, choices: Choices) -> IntArray:
    """(..., S) the pair of each state whose mean, of (..., pairs), is largest; the first where some tie."""
    largest = np.maximum.reduceat(means, choices.indptr[:-1], axis=-1)
    places = np.where(means == largest[..., choices.states], np.arange(means.shape[-1]), means.shape[-1])
    return np.asarray(np.minimum.reduceat(places, choices.indptr[:-1], axis=-1))


class _Flat:
    """A start whose first axes were (S, A), and are (pairs,): what rules read of returns are its attributes."""

    def __init__(self, start: object, choices: Choices) -> None:
        self._start, self._choices = start, choices

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._start, name)
        return _flat(found, self._choices) if isinstance(found, np.ndarray) else found


def _flat(array: Any, choices: Choices) -> Any:
    """An array (S, A, ...) or (R, S, A, ...) as (pairs, ...) or (R, pairs, ...); any other as it is."""
    shape, (states, actions) = np.shape(array), (choices.n_states, choices.n_actions)
    array = np.asarray(array)
    for before in (0, 1):
        if shape[before : before + 2] == (states, actions) and (before == 0 or shape[:2] != (states, actions)):
            return array[(slice(None),) * before + (choices.states, choices.actions)]
    return array


def by_pairs(start: Start, choices: Choices) -> Start:
    """A start by (state, action), as one by pair."""
    if start is None:
        return None
    if isinstance(start, Returns):
        return cast(Returns, _Flat(start, choices))
    found: FloatArray = _flat(start, choices)
    return found
