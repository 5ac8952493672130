"""Discounts as arrays or as a column in, a factor for each outcome out."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray, float_array, refuse_other_order
from distrl.models.choices import Choices
from distrl.models.discounts import one_number
from distrl.models.outcomes import Rows


def rows_of_states(rows: Rows, given: ArrayLike | None, n: int) -> tuple[Rows, float | None]:
    """Rows of an MRP with the discount that is `given` as a number, or as an array like its rewards.

    Parameters
    ----------
    rows : Rows
    given : number, (S,) or (S, S) array
    n : int
        The number of states.

    Returns
    -------
    Rows with factors and None, or as they were and the number that all of them have in common.

    Raises
    ------
    ValueError, TypeError
        On another shape, or a number beyond [0, 1], naming its place.
    """
    if not is_array(given):
        return rows, one_number(given)
    array = _checked(given, (1, 2))
    if array.shape == (n,):
        return _shared(rows, array[rows.sources])
    if array.shape == (n, n):
        return _shared(rows, array[rows.sources, rows.next_states])
    raise ValueError(f"discount must be a number, or have shape ({n},) or ({n}, {n}); got {array.shape}")


def rows_of_pairs(rows: Rows, given: ArrayLike | None, choices: Choices, axes: str | None) -> tuple[Rows, float | None]:
    """The same for rows of an MDP: a number, or an array (S,), (S, A) or, in the order of `axes`, (A, S, S).

    Parameters
    ----------
    rows : Rows
    given : number or array
    choices : Choices
        The pairs that the rows' sources are.
    axes : "ass", "sas" or None
        As for `MDP`.
    """
    if not is_array(given):
        return rows, one_number(given)
    array = _checked(given, (1, 2, 3))
    n, n_actions = choices.n_states, choices.n_actions
    states, actions = choices.states[rows.sources], choices.actions[rows.sources]
    if array.shape == (n,):
        return _shared(rows, array[states])
    if array.shape == (n, n_actions):
        return _shared(rows, array[states, actions])
    if array.ndim == 3 and axes is None and n == n_actions and not np.array_equal(array, array.transpose(1, 0, 2)):
        raise ValueError(
            f"discount has shape {array.shape}, so it cannot be told whether actions or states come first; give "
            "axes='ass' or axes='sas'"
        )
    if array.ndim == 3 and axes == "sas":
        array = array.transpose(1, 0, 2)
    if array.shape == (n_actions, n, n):
        return _shared(rows, array[actions, states, rows.next_states])
    raise ValueError(
        f"discount must be a number, or have shape ({n},), ({n}, {n_actions}) or ({n_actions}, {n}, {n}), whose axes "
        f"are those of P; got {np.shape(given)}"
    )


def rows_of_column(rows: Rows, column: ArrayLike, count: int) -> tuple[Rows, float | None]:
    """The same with the factors of a column `discount`.

    Parameters
    ----------
    rows : Rows
    column : sequence of numbers in [0, 1]
    count : int
        How many rows there are.

    Raises
    ------
    ValueError, TypeError
        Naming the row.
    """
    return _shared(rows, factors_in(column, "rows: discount", count))


def factors_in(column: ArrayLike, name: str, count: int) -> FloatArray:
    """(count,) the numbers in [0, 1] of a column.

    Parameters
    ----------
    column : sequence of numbers
    name : str
        What errors call it.
    count : int

    Raises
    ------
    ValueError, TypeError
        Naming the row.
    """
    array = _in_range(float_array(column, name, ndim=1), name)
    if len(array) != count:
        raise ValueError(f"{name} has {len(array)} entries for {count} rows")
    return array


def _shared(rows: Rows, factors: FloatArray) -> tuple[Rows, float | None]:
    own = factors[~rows.terminals & (rows.probs > 0.0)]
    if len(own) and own.min() == own.max():
        return rows._replace(discounts=None), float(own[0])
    return rows._replace(discounts=factors), None


def is_array(given: object) -> TypeGuard[ArrayLike]:
    """Whether discounts are given as an array; refused where as a sparse one."""
    if sparse.issparse(given):
        raise TypeError("discount must be a number or a dense array: what a sparse matrix does not store would be 0")
    return isinstance(given, list | tuple) or getattr(given, "ndim", 0) > 0


def _checked(given: ArrayLike, ndim: tuple[int, ...]) -> FloatArray:
    refuse_other_order(given, "discount")
    return _in_range(float_array(given, "discount", ndim=ndim), "discount")


def _in_range(array: FloatArray, name: str) -> FloatArray:
    wrong = ~((array >= 0.0) & (array <= 1.0))
    if wrong.any():
        place: IntArray = np.argwhere(wrong)[0]
        where = ", ".join(map(str, place))
        raise ValueError(f"{name}[{where}] must lie in [0, 1], got {array[tuple(place)]:g}")
    return array
