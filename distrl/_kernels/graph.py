"""Order of a directed graph's components, longest walks, and pairs of neighbours."""

import numpy as np

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def component_levels(pointers: IntArray, before: IntArray, ahead: IntArray, level: IntArray, queue: IntArray) -> None:
    """level[c] = longest path from c, edges counted, of an acyclic graph.

    before[pointers[c]:pointers[c + 1]] are the nodes with an edge to c, `ahead` the number of edges that leave each
    node (used up here).
    """
    filled = 0
    for node in range(len(level)):
        level[node] = 0
        if ahead[node] == 0:
            queue[filled] = node
            filled += 1
    done = 0
    while done < filled:
        node = queue[done]
        done += 1
        for k in range(pointers[node], pointers[node + 1]):
            earlier = before[k]
            level[earlier] = max(level[earlier], level[node] + 1)
            ahead[earlier] -= 1
            if ahead[earlier] == 0:
                queue[filled] = earlier
                filled += 1


@kernel
def match_neighbours(pointers: IntArray, neighbours: IntArray, strength: FloatArray, pair: IntArray) -> int:
    """pair[x] = number of x's pair (or of x alone), in the order of the first members; returns how many there are.

    Nodes in their order take the strongest free neighbour, the first of equals, if it has at least a quarter of the
    strength of the strongest one.
    """
    pair[:] = -1
    count = 0
    for x in range(len(pair)):
        if pair[x] >= 0:
            continue
        partner, free, top = x, 0.0, 0.0
        for k in range(pointers[x], pointers[x + 1]):
            y = neighbours[k]
            if y == x:
                continue
            top = max(top, strength[k])
            if pair[y] < 0 and strength[k] > free:
                partner, free = y, strength[k]
        pair[x] = count
        if free >= 0.25 * top:
            pair[partner] = count
        count += 1
    return count


@kernel
def longest_walks(
    pointers: IntArray,
    heads: IntArray,
    rewards: FloatArray,
    order: IntArray,
    ends: IntArray,
    part: IntArray,
    floor: FloatArray,
    best: FloatArray,
    parent: IntArray,
    mark: IntArray,
) -> None:
    """best[x] = the largest sum of rewards of a walk from x to an end; inf where a cycle pays; `floor` without an end.

    The edges of x are pointers[x]:pointers[x + 1], to heads (-1: an end). `order` has the nodes component by component,
    those that lead nowhere else first, and component i is order[ends[i - 1]:ends[i]]; `part` numbers are its. Within a
    component edges are relaxed until nothing changes; a cycle of chosen edges is one that pays.
    """
    begin = 0
    for i in range(len(ends)):
        stop = ends[i]
        number = part[order[begin]]
        for j in range(begin, stop):
            x = order[j]
            best[x] = floor[x]
            parent[x] = -1
            mark[x] = -1
            for k in range(pointers[x], pointers[x + 1]):
                if heads[k] < 0:
                    best[x] = max(best[x], rewards[k])
                elif part[heads[k]] != number:
                    best[x] = max(best[x], rewards[k] + best[heads[k]])
        sweep, look, pays, changed = 0, 1, False, True
        while changed and not pays:
            changed = False
            for j in range(stop - 1, begin - 1, -1):
                x = order[j]
                for k in range(pointers[x], pointers[x + 1]):
                    y = heads[k]
                    if y >= 0 and part[y] == number:
                        found = rewards[k] + best[y]
                        if found > best[x]:
                            best[x] = found
                            parent[x] = y
                            changed = True
                            if y == x:
                                pays = True
            sweep += 1
            if changed and sweep == look:  # has a state chosen its way through itself?
                look *= 2
                for j in range(begin, stop):
                    x = order[j]
                    while x >= 0 and mark[x] < 0:
                        mark[x] = j
                        x = parent[x]
                    if x >= 0 and mark[x] == j:
                        pays = True
                        break
                for j in range(begin, stop):
                    mark[order[j]] = -1
        if pays:
            for j in range(begin, stop):
                best[order[j]] = np.inf
        begin = stop
