"""The categorical operator as a sparse matrix."""

from typing import Any

from distrl._numba import kernel
from distrl._validation import FloatArray, IntArray


@kernel
def matrix_entries(plan: Any, atoms: int, rows: IntArray, columns: IntArray, values: FloatArray) -> int:
    """Triplets of the linear part in CDF form on the first atoms - 1 atoms; returns how many were written."""
    last = atoms - 1
    count = 0
    for x in range(len(plan.group_ptr) - 1):
        for group in range(plan.group_ptr[x], plan.group_ptr[x + 1]):
            discount = plan.discount[group]
            for k in range(plan.read_ptr[group], plan.read_ptr[group + 1]):
                at, weight = plan.read_at[k], plan.read_prob[k]
                for j in range(last):
                    here = min(max(at + discount * j, 0.0), float(last))
                    following = min(max(at + discount * (j + 1), 0.0), float(last))
                    for i in range(int(here), min(int(following) + 1, last)):
                        value = min(max(i + 1 - here, 0.0), 1.0) - min(max(i + 1 - following, 0.0), 1.0)
                        if value <= 0.0:
                            continue
                        for n in range(plan.successor_ptr[group], plan.successor_ptr[group + 1]):
                            rows[count] = x * last + i
                            columns[count] = plan.successor[n] * last + j
                            values[count] = weight * plan.successor_prob[n] * value
                            count += 1
    return count
