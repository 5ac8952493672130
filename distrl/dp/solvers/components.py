"""Which states can be solved before which: strongly connected components in topological order."""

from typing import NamedTuple

import numpy as np

from distrl._kernels.graph import component_levels
from distrl._lazy import csgraph, sparse
from distrl._validation import IntArray
from distrl.operators.kernel_plan import KernelPlan

#: With more rounds of components than this, setting up each costs more than it saves.
MOST_ROUNDS = 40
_FEW = 100  # below so many states, splitting off less than two fifths of them takes longer than it saves


class Round(NamedTuple):
    """States that can be solved once all earlier rounds are: `exact` one after the other, then `block` as one system.

    States of `block` lie in components of several states; components of one round do not lead to each other.
    """

    exact: IntArray
    block: IntArray


def rounds(plan: KernelPlan) -> list[Round]:
    """The order of work, last states of the model first. Time O(outcomes)."""
    n = len(plan.group_ptr) - 1
    source = np.repeat(np.arange(n), np.diff(plan.successor_ptr[plan.group_ptr]))
    graph = sparse.coo_array((np.ones(len(source), dtype=np.int8), (source, plan.successor)), shape=(n, n)).tocsr()
    count, label = csgraph.connected_components(graph, directed=True, connection="strong")
    everything = np.arange(n)
    sizes = np.bincount(label, minlength=count)
    if n > 1 and sizes.max() > (0.9 if n >= _FEW else 0.6) * n:
        return [Round(everything[:0], everything)]
    across = label[source] != label[plan.successor]
    tails, heads = label[source][across].astype(np.int64), label[plan.successor][across].astype(np.int64)
    order = np.argsort(heads, kind="stable")
    pointers = np.searchsorted(heads[order], np.arange(count + 1)).astype(np.int64)
    level, queue = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    component_levels(pointers, tails[order], np.bincount(tails, minlength=count).astype(np.int64), level, queue)
    height = level[label]
    single = sizes[label] == 1
    exact = everything[single][np.argsort(height[single], kind="stable")]
    heights = height[exact]
    work, done = [], 0
    for top in np.unique(height[~single]):
        ready = int(np.searchsorted(heights, top))
        work.append(Round(exact[done:ready], everything[~single & (height == top)]))
        done = ready
    if done < len(exact) or not work:
        work.append(Round(exact[done:], everything[:0]))
    if len(work) > MOST_ROUNDS:
        return [Round(everything[:0], everything)]
    return work
