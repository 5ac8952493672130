"""From an outcome table and a grid to the arrays that the categorical kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from distrl._kernels.matrix import matrix_entries
from distrl._lazy import sparse
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.discounts import Discounted, factors_of
from distrl.models.laws import FiniteLaw
from distrl.models.outcomes import OutcomeTable
from distrl.models.sorting import starts_of_runs
from distrl.operators.law_matrices import LawBlock, atoms_reached, law_block, worth_a_matrix
from distrl.returns.grid import Grid

_LAW_MEMORY = 4e9  # bytes that matrices of reward laws may take

#: A discount up to this is none: what comes later moves a return by less than float64 can tell from its reward, and
#: kernels divide by the discount.
NO_DISCOUNT = 1e-290


@dataclass(frozen=True)
class TableModel(Discounted):
    """What an operator reads of a model. The table's sources need not be its states: those of an MDP are pairs of a
    state and an action."""

    outcomes: OutcomeTable
    uniform_discount: float | None


class KernelPlan(NamedTuple):
    """Kernel input; positions in units of the spacing from the first atom, see `distrl._kernels.categorical`.

    Groups of source x are `group_ptr[x]:group_ptr[x + 1]`, and have a `discount` each; a group's successors and reward
    values (reads) are the slices of `successor_ptr` and `read_ptr`; outcomes that end are the slice of `end_ptr`.
    """

    discount: FloatArray
    group_ptr: IntArray
    successor_ptr: IntArray
    successor_prob: FloatArray
    successor: IntArray
    read_ptr: IntArray
    read_prob: FloatArray
    read_at: FloatArray
    end_ptr: IntArray
    end_prob: FloatArray
    end_at: FloatArray


def build_plan(
    table: OutcomeTable, discount: float | None, grid: Grid, *, all_as_reads: bool = False
) -> tuple[KernelPlan, list[LawBlock]]:
    """Group the rows of `table`: laws on few values become reads, the others matrices of (atoms, atoms).

    With `all_as_reads` every law must be finite and becomes reads. `discount` is None where the table has its own.

    Time and memory O(outcomes), and for each law that is not finite, or has more than 8 values and more than a quarter
    of the atoms that its support spans, and each of its discounts, O(atoms * b), b these atoms, all if the support is
    not finite. For a law on n values their matrix takes time O(atoms * b * log n).

    Raises
    ------
    ValueError
        If the matrices would take more than 4 GB.
    """
    finite = [
        isinstance(law, FiniteLaw) and (all_as_reads or not worth_a_matrix(len(law.values), atoms_reached(law, grid)))
        for law in table.reward_laws
    ]
    factors = factors_of(table, discount)
    going_on = ~table.terminals & (factors > NO_DISCOUNT)
    dense = [index for index, is_finite in enumerate(finite) if not is_finite]
    pieces = {index: _rows_by_discount(table, index, discount, np.where(going_on, factors, 0.0)) for index in dense}
    needed = 8.0 * grid.atoms * sum(len(pieces[k]) * atoms_reached(table.reward_laws[k], grid) for k in dense)
    if needed > _LAW_MEMORY:
        raise ValueError(
            f"{len(dense)} distinct reward laws on {grid.atoms} atoms need matrices of {needed / 1e9:.1f} GB; use "
            "fewer atoms, or FiniteLaw rewards"
        )
    as_reads = np.array([True, *finite])[np.where(table.laws >= 0, table.laws + 1, 0)]
    plan = _plan_of_reads(table, factors, grid, as_reads & going_on, as_reads & ~going_on)
    return plan, [law_block(table, rows, own, grid, going_on) for index in dense for own, rows in pieces[index]]


def _rows_by_discount(
    table: OutcomeTable, index: int, discount: float | None, factors: FloatArray
) -> list[tuple[float, IntArray]]:
    """The rows of a reward law by their `factors`, which are 0 where the return ends; those are with the first others.

    One piece where all rows have the same `discount`, also if all of them end.
    """
    rows = np.flatnonzero(table.laws == index)
    if table.discounts is None and discount is not None:
        return [(discount, rows)]
    own = np.unique(factors[rows])
    own = own[own > 0.0] if own[-1] > 0.0 else own
    piece = np.maximum(np.searchsorted(own, factors[rows]), 0)
    return [(float(each), rows[piece == k]) for k, each in enumerate(own)]


def _plan_of_reads(
    table: OutcomeTable, factors: FloatArray, grid: Grid, going_on: BoolArray, ending: BoolArray
) -> KernelPlan:
    rows = np.flatnonzero(going_on)
    source, law, reward, factor = table.sources[rows], table.laws[rows], table.rewards[rows], factors[rows]
    starts = np.flatnonzero(starts_of_runs(source, law, reward, factor))
    read_counts, read_prob, read_reward = values_of(table, law[starts], reward[starts])
    ends = np.flatnonzero(ending)
    end_counts, end_prob, end_reward = values_of(table, table.laws[ends], table.rewards[ends])
    return KernelPlan(
        discount=factor[starts],
        group_ptr=np.searchsorted(source[starts], np.arange(table.n_sources + 1)).astype(np.int64),
        successor_ptr=np.append(starts, len(rows)).astype(np.int64),
        successor_prob=table.probs[rows],
        successor=table.next_states[rows],
        read_ptr=np.concatenate([[0], np.cumsum(read_counts)]).astype(np.int64),
        read_prob=read_prob,
        read_at=(read_reward + np.repeat(factor[starts], read_counts) * grid.low - grid.low) / grid.spacing,
        end_ptr=np.searchsorted(np.repeat(table.sources[ends], end_counts), np.arange(table.n_sources + 1)),
        end_prob=end_prob * np.repeat(table.probs[ends], end_counts),
        end_at=(end_reward - grid.low) / grid.spacing,
    )


def values_of(table: OutcomeTable, laws: IntArray, rewards: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Number of values, then their probabilities and values, of each (law index, constant reward)."""
    if not (laws >= 0).any():
        return np.ones(len(laws), dtype=np.int64), np.ones(len(laws)), rewards
    probs, values = [], []
    for index, reward in zip(laws, rewards, strict=True):
        law = table.reward_laws[index] if index >= 0 else None
        probs.append(law.probs if isinstance(law, FiniteLaw) else np.ones(1))
        values.append(law.values if isinstance(law, FiniteLaw) else np.array([reward]))
    return np.array([len(p) for p in probs], dtype=np.int64), np.concatenate(probs), np.concatenate(values)


def plan_matrix(plan: KernelPlan, atoms: int, n_states: int) -> sparse.csr_array:
    """The linear part of a plan in CDF form, index state * (atoms - 1) + atom."""
    last = atoms - 1
    size = 2 * last * int(np.diff(plan.read_ptr) @ np.diff(plan.successor_ptr))
    rows, columns, values = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64), np.empty(size)
    count = matrix_entries(plan, atoms, rows, columns, values)
    shape = ((len(plan.group_ptr) - 1) * last, n_states * last)
    return sparse.coo_array((values[:count], (rows[:count], columns[:count])), shape=shape).tocsr()
