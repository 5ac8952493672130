"""Views and checks that every representation shares."""

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distrl._tolerances import ROW_SUM
from distrl._validation import FloatArray, float_array

_One = SupportsIndex | slice | Sequence[int] | Sequence[bool] | NDArray[np.integer[Any]] | NDArray[np.bool_]
#: What selects laws of a batch: an int, a slice, a list of ints or a mask, or a tuple of them for several axes.
StateIndex = _One | tuple[_One, ...]


def as_rows(array: FloatArray) -> FloatArray:
    """View of shape (rows, n), read-only so that a kernel is compiled for one type of array only."""
    return read_only(np.ascontiguousarray(array).reshape(-1, array.shape[-1]))


def read_only(array: FloatArray) -> FloatArray:
    """View that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def state_index(index: StateIndex, batch_shape: tuple[int, ...]) -> StateIndex:
    """`index`, if it selects laws of the batch and nothing else.

    Raises
    ------
    IndexError
        Naming the range of states.
    """
    parts = index if isinstance(index, tuple) else (index,)
    if not batch_shape:
        raise IndexError("this is the law of one state; it cannot be indexed")
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, bool | np.bool_ | str):
            raise IndexError(f"{part!r} does not select states; use ints, slices, lists of ints or masks")
    try:
        # a view without memory of its own: NumPy decides what is out of range
        np.broadcast_to(np.float64(0.0), batch_shape)[index]
    except IndexError as error:
        ranges = " and ".join(
            f"{axis} 0..{length - 1}" for axis, length in zip(_axes(batch_shape), batch_shape, strict=True)
        )
        raise IndexError(f"index {index!r} is outside the batch of {ranges}") from error
    return index


def check_weights(weights: FloatArray, name: str) -> None:
    """Check that the weights of every law, the last axis, are probabilities that sum to 1 within 1e-9.

    Raises
    ------
    ValueError
        Naming the law whose weights are negative or do not sum to 1.
    """
    if (weights < 0).any():
        where = tuple(int(i) for i in np.argwhere(weights < 0)[0])
        raise ValueError(
            f"{name}{_of_law(where[:-1])}: entry {where[-1]} is {weights[where]:g}; probabilities cannot be negative"
        )
    sums = weights.sum(axis=-1)
    off = np.abs(sums - 1.0) > ROW_SUM
    if off.any():
        where = tuple(int(i) for i in np.argwhere(off)[0])
        raise ValueError(
            f"{name}{_of_law(where)} sum to {np.asarray(sums)[where]:.12g}, not 1; divide them by their sum if that is "
            "what you mean"
        )


def mixing_weights(weights: ArrayLike, batch_shape: tuple[int, ...]) -> FloatArray:
    """(S,) the weights of a mixture over a batch (S,).

    Raises
    ------
    ValueError, TypeError
        If there is not one weight for each of the laws, or naming the weight that is no probability.
    """
    array = float_array(weights, "weights")
    if len(batch_shape) != 1 or array.shape != batch_shape:
        raise ValueError(f"weights has shape {array.shape}, the laws batch shape {batch_shape}; each state needs one")
    check_weights(array, "weights")
    return array


def _axes(shape: tuple[int, ...]) -> tuple[str, ...]:
    return {1: ("states",), 2: ("states", "actions")}.get(len(shape), tuple(f"axis {i}:" for i in range(len(shape))))


def _of_law(where: tuple[int, ...]) -> str:
    if not where:
        return ""
    return f" of state {where[0]}" if len(where) == 1 else f" of state {where[0]}, action {where[1]}"
