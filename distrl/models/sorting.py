"""The rows of a table in its order: source, end, law, reward, next state; equal rows in the order given.

Two ways that agree bit for bit: `numpy.lexsort` for few rows, and compiled code for many, which sorts by source in one
pass, as the number of sources is known, and each source's few rows by themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from distrl._kernels.table_sort import order_by_source, sort_within
from distrl._validation import BoolArray, FloatArray, IntArray

T = TypeVar("T", bound=np.generic)

#: Rows from which on the compiled sort is worth what loading it costs (some tenths of a second, once a session).
MANY_ROWS = 50_000


class Unsorted(NamedTuple):
    """Columns of rows in any order; `law_index` is -1 for a constant reward."""

    sources: IntArray
    probs: FloatArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    law_index: IntArray
    discounts: FloatArray | None = None


class Sorted(NamedTuple):
    """Columns of a table, in the order of `OutcomeTable`: rows `indptr[i]:indptr[i + 1]` are those of source i."""

    indptr: IntArray
    probs: FloatArray
    next_states: IntArray
    rewards: FloatArray
    terminals: BoolArray
    law_index: IntArray
    discounts: FloatArray | None = None


def sorted_rows(rows: Unsorted, n_sources: int) -> Sorted:
    """Rows of positive probability, sorted, and those that are equal but for it added up; sources below `n_sources`.

    Rows with `discounts` of their own are sorted by these before the next state; where the factor is 0 nothing follows,
    and an end has none. Time O(n log n) for few rows, and with discounts; for many O(n + sources), and O(k log k) for
    each source of k rows that come unsorted.
    """
    if rows.discounts is not None:
        ends = rows.terminals | (rows.discounts == 0.0)
        return by_lexsort(rows._replace(terminals=ends, discounts=np.where(ends, 0.0, rows.discounts)), n_sources)
    return (by_counting if len(rows.sources) >= MANY_ROWS else by_lexsort)(rows, n_sources)


def by_lexsort(rows: Unsorted, n_sources: int) -> Sorted:
    """`sorted_rows` by NumPy alone."""
    sources, probs, next_states, rewards, terminals, law_index, discounts = rows
    kept = np.flatnonzero(probs > 0)
    keys: tuple[np.ndarray, ...] = (next_states, rewards, law_index, terminals, sources)
    if discounts is not None:
        keys = (next_states, discounts, *keys[1:])
    order = kept[np.lexsort([key[kept] for key in keys])]
    starts = np.flatnonzero(starts_of_runs(*(key[order] for key in keys)))
    first = order[starts]
    return Sorted(
        np.searchsorted(sources[first], np.arange(n_sources + 1)).astype(np.int64),
        np.add.reduceat(probs[order], starts),
        next_states[first],
        rewards[first],
        terminals[first],
        law_index[first],
        None if discounts is None else discounts[first],
    )


def by_counting(rows: Unsorted, n_sources: int) -> Sorted:
    """`sorted_rows` by a counting sort of the sources, for rows without `discounts`."""
    sources, probs, next_states, rewards, terminals, law_index, _ = rows
    has_laws = bool((law_index >= 0).any())
    kept = probs > 0.0
    sizes = np.bincount(sources if kept.all() else sources[kept], minlength=n_sources)
    indptr = np.zeros(n_sources + 1, dtype=np.int64)
    np.cumsum(sizes, out=indptr[1:])
    columns: list[Any] = [probs, next_states, rewards, terminals, law_index if has_laws else law_index[:0]]
    if indptr[-1] == len(sources) and (sources[1:] >= sources[:-1]).all():
        columns = [each.copy() for each in columns]
    else:
        order = np.empty(indptr[-1], dtype=np.int64)
        order_by_source(_plain(sources), _plain(probs), indptr[:-1].copy(), order)
        columns = [each[order] if len(each) else each.copy() for each in columns]
    longest = int(sizes.max())
    order, spare = np.empty(longest, dtype=np.int64), np.empty(longest, dtype=np.int64)
    scratch: list[Any] = [order, spare, np.empty(longest)]
    equal = sort_within(*[indptr, *columns, *scratch])
    if not has_laws:
        columns[4] = np.full(len(columns[0]), -1)
    if not equal:
        return Sorted(indptr, *columns)
    starts = np.flatnonzero(starts_of_runs(np.repeat(np.arange(n_sources), sizes), *columns[1:]))
    rest: list[Any] = [column[starts] for column in columns[1:]]
    return Sorted(np.searchsorted(starts, indptr).astype(np.int64), np.add.reduceat(columns[0], starts), *rest)


def _plain(array: NDArray[T]) -> NDArray[T]:
    """`array`, or a copy if it is locked or not contiguous: kernels are compiled anew for each such kind of array."""
    return np.require(array, None, ["C", "W"])


def starts_of_runs(*columns: np.ndarray) -> BoolArray:
    """(n,) mask of the rows that differ in some column from the row before; the first row is one of them."""
    fresh = np.ones(len(columns[0]), dtype=np.bool_)
    fresh[1:] = False
    for column in columns:
        fresh[1:] |= column[1:] != column[:-1]
    return fresh
