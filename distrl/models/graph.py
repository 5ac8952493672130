"""Strongly connected components of a graph of states, and their order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from distrl._kernels.graph import component_levels
from distrl._lazy import csgraph, sparse
from distrl._validation import IntArray


class Components(NamedTuple):
    """Strongly connected components.

    Attributes
    ----------
    part : (n,) the component of each node
    sizes : (components,) how many nodes each has
    height : (components,) edges on the longest path from a component; those without an edge to another one have 0
    """

    part: IntArray
    sizes: IntArray
    height: IntArray


def components(tails: IntArray, heads: IntArray, n: int) -> Components:
    """The components of the graph of n nodes with edges tails[i] -> heads[i]. Time O(n + edges)."""
    graph = sparse.coo_array((np.ones(len(tails), dtype=np.int8), (tails, heads)), shape=(n, n)).tocsr()
    count, part = csgraph.connected_components(graph, directed=True, connection="strong")
    across = part[tails] != part[heads]
    before, after = part[tails][across].astype(np.int64), part[heads][across].astype(np.int64)
    order = np.argsort(after, kind="stable")
    pointers = np.searchsorted(after[order], np.arange(count + 1)).astype(np.int64)
    height, queue = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    ahead = np.bincount(before, minlength=count).astype(np.int64)
    component_levels(pointers, before[order], ahead, height, queue)
    return Components(part.astype(np.int64), np.bincount(part, minlength=count), height)
