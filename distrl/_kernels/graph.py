"""Order of a directed graph's components."""

from distrl._numba import kernel
from distrl._validation import IntArray


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
