"""How much of the lowest mass each outcome of a pair has."""

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def tail_shares(starts: IntArray, order: IntArray, probs: FloatArray, level: float, out: FloatArray) -> None:
    """out[row] = the mass of the row within the lowest `level` of its pair, divided by all of that.

    Rows of pair i are order[starts[i]:starts[i + 1]], from the smallest value to the largest.
    """
    for pair in range(len(starts) - 1):
        left, total = level, 0.0
        for place in range(starts[pair], starts[pair + 1]):
            mass = min(probs[order[place]], left)
            out[order[place]] = mass
            total += mass
            left -= mass
        for place in range(starts[pair], starts[pair + 1]):
            out[order[place]] /= total
