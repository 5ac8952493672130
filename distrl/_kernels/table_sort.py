"""Rows of outcomes in the order of a table: by source, end, law, reward and next state; equal rows stay in theirs.

A counting sort by source, then a sort of each source's rows. Both are stable, so that the result is that of
`numpy.lexsort` bit for bit.
"""

from distrl._numba import kernel
from distrl._validation import BoolArray, FloatArray, IntArray

_SHORT = 16  # rows that are ranked faster by comparing all pairs, without a branch, than by merging


@kernel
def order_by_source(sources: IntArray, probs: FloatArray, ends: IntArray, order: IntArray) -> None:
    """order[ends[i - 1]:ends[i]] = the rows of source i that have a positive probability.

    ends[i] is where the rows of source i begin, and is moved on to where they end.
    """
    for row in range(len(sources)):
        if probs[row] > 0.0:
            source = sources[row]
            order[ends[source]] = row
            ends[source] += 1


@kernel
def _before(
    a: int, b: int, next_states: IntArray, rewards: FloatArray, terminals: BoolArray, laws: IntArray, has_laws: bool
) -> bool:
    """Whether row a comes before row b. No branches but for laws: which row comes first cannot be foreseen."""
    first, second = rewards[a], rewards[b]
    before = (first < second) | ((first == second) & (next_states[a] < next_states[b]))
    if has_laws:
        before = (laws[a] < laws[b]) | ((laws[a] == laws[b]) & before)
    ends, other_ends = terminals[a], terminals[b]
    return bool((ends < other_ends) | ((ends == other_ends) & before))


@kernel
def _merge_order(
    start: int,
    size: int,
    order: IntArray,
    spare: IntArray,
    next_states: IntArray,
    rewards: FloatArray,
    terminals: BoolArray,
    laws: IntArray,
    has_laws: bool,
) -> None:
    """order[:size] = the rows from `start` on in their order, merged in pairs of pieces of 1, 2, 4, ... rows."""
    for k in range(size):
        order[k] = start + k
    width = 1
    while width < size:
        for first in range(0, size, 2 * width):
            middle, last = min(first + width, size), min(first + 2 * width, size)
            left, right = first, middle
            for k in range(first, last):
                from_right = left == middle or (
                    right < last and _before(order[right], order[left], next_states, rewards, terminals, laws, has_laws)
                )
                if from_right:
                    spare[k] = order[right]
                    right += 1
                else:
                    spare[k] = order[left]
                    left += 1
        for k in range(size):
            order[k] = spare[k]
        width *= 2


@kernel
def sort_within(
    indptr: IntArray,
    probs: FloatArray,
    next_states: IntArray,
    rewards: FloatArray,
    terminals: BoolArray,
    laws: IntArray,
    order: IntArray,
    spare: IntArray,
    numbers: FloatArray,
) -> int:
    """Sort the rows indptr[i]:indptr[i + 1] of each source; returns how many rows equal the one before but for `probs`.

    laws : empty where no row has one.
    order, spare, numbers : scratch for as many rows as the longest source has.
    """
    has_laws = len(laws) > 0
    equal = 0
    for source in range(len(indptr) - 1):
        start, stop = indptr[source], indptr[source + 1]
        size = stop - start
        differ = has_laws
        late = ties = 0  # by the rewards alone
        for row in range(start + 1, stop):
            differ |= terminals[row] != terminals[row - 1]
            late += rewards[row] < rewards[row - 1]
            ties += rewards[row] == rewards[row - 1]
        if not differ and late == 0 and ties == 0:
            continue
        if size <= _SHORT:
            for k in range(size):
                spare[k] = 0
            if not differ:  # the usual case: one comparison a pair
                ties = 0
                for k in range(1, size):
                    rank = 0
                    for j in range(k):
                        before = rewards[start + k] < rewards[start + j]
                        ties += rewards[start + k] == rewards[start + j]
                        spare[j] += before
                        rank += not before
                    spare[k] += rank
            if differ or ties > 0:
                for k in range(size):
                    spare[k] = 0
                for k in range(1, size):
                    rank = 0
                    for j in range(k):
                        before = _before(start + k, start + j, next_states, rewards, terminals, laws, has_laws)
                        spare[j] += before
                        rank += not before
                    spare[k] += rank
            for k in range(size):
                order[spare[k]] = start + k
        else:
            ties = 1
            _merge_order(start, size, order, spare, next_states, rewards, terminals, laws, has_laws)
        for k in range(size):
            numbers[k], spare[k] = probs[order[k]], next_states[order[k]]
        for k in range(size):
            probs[start + k], next_states[start + k] = numbers[k], spare[k]
        for k in range(size):
            numbers[k], spare[k] = rewards[order[k]], terminals[order[k]]
        for k in range(size):
            rewards[start + k], terminals[start + k] = numbers[k], spare[k] != 0
        if has_laws:
            for k in range(size):
                spare[k] = laws[order[k]]
            for k in range(size):
                laws[start + k] = spare[k]
        if differ or ties > 0:
            for row in range(start + 1, stop):
                equal += not _before(row - 1, row, next_states, rewards, terminals, laws, has_laws)
    return equal
