"""Order of a directed graph's components, and pairs of neighbours."""

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
