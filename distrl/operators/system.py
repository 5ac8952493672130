"""The linear system F = A F + b in CDF form of all states, or of some while the states they lead to are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from distrl._kernels import categorical as kernels
from distrl._kernels.krylov import largest
from distrl._lazy import csgraph, sparse
from distrl._threads import PARALLEL_SIZE, Workers
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.kernel_plan import KernelPlan, plan_matrix
from distrl.returns.grid import Grid

_CACHE = 2**20  # bytes of rows between a state and a successor that is still near: what a core keeps to itself
_FAR = 0.25  # share of successors that are not near from which another order of the states is tried


class System:
    """F = A F + b for `n` states on m atoms, last column 1; A moves mass between these states only.

    Attributes
    ----------
    n, grid, plan : as in the operator
    largest_discount : float
        Of the outcomes that lead from these states to these states.
    workers : Workers
        The threads that every pass over the rows uses.
    states : (n,) their numbers in the model, or None for all of them
    has_law_blocks : bool
        Whether reward laws apply as matrices. Only `apply`, `linear` and `matrix` know of these: sweeps that read rows
        as they change, other orders and parts of the states are refused then.
    """

    def __init__(
        self,
        operator: CategoricalBellman,
        plan: KernelPlan,
        workers: Workers,
        states: IntArray | None = None,
        offset: FloatArray | None = None,
    ) -> None:
        self.operator, self.plan, self.workers, self.states = operator, plan, workers, states
        self.grid: Grid = operator.grid
        self.n = len(plan.group_ptr) - 1
        self._offset = np.empty((0, self.grid.atoms)) if offset is None else offset
        self.has_law_blocks = states is None and bool(operator.law_blocks)
        self.sums = np.empty(self.n)
        self.largest_discount = float(plan.discount.max(initial=0.0))
        blocks = 4 if len(plan.successor) * self.grid.atoms >= PARALLEL_SIZE else 1
        self._edges = np.array([self.n * k // blocks for k in range(blocks + 1)])

    def _refuse_law_blocks(self, what: str) -> None:
        if self.has_law_blocks:
            raise ValueError(f"{what} is not possible where reward laws apply as matrices")

    @classmethod
    def whole(cls, operator: CategoricalBellman, threads: int | None) -> System:
        """All states of an operator."""
        entries = len(operator.table.probs) * operator.grid.atoms
        return cls(operator, operator.plan, Workers(threads, entries))

    def restricted(self, states: IntArray, cdf: FloatArray) -> System:
        """Only `states`; the others they lead to have the laws `cdf` (all states). Time O(their outcomes * m)."""
        self._refuse_law_blocks("solving for some of the states")
        inside, outside = split_plan(self.plan, states, self.n)
        offset = np.empty((len(states), self.grid.atoms))
        workers = Workers(self.workers.wanted, len(inside.successor) * self.grid.atoms)
        nothing = np.empty((0, self.grid.atoms))
        workers.rows(len(states), kernels.apply_cdf, cdf, outside, True, nothing, offset, np.empty(0))
        return System(self.operator, inside, workers, states, offset)

    def near_order(self) -> IntArray | None:
        """All states in an order that puts successors near (reverse Cuthill-McKee), or None if none is much better.

        Rows of successors that are far come from memory, which takes 2 to 3 times as long as from cache. Finding an
        order takes about as long as two applications. It is tried where more than a quarter of the successors is far,
        and taken where it leaves at most half of them far: not on random graphs.
        """
        source = np.repeat(np.arange(self.n), np.diff(self.plan.successor_ptr[self.plan.group_ptr]))
        successor, reach = self.plan.successor, _CACHE / (8 * self.grid.atoms)
        far = float(np.mean(np.abs(source - successor) > reach)) if len(source) else 0.0
        if far <= _FAR:
            return None
        ones = np.ones(len(source), dtype=np.int8)
        graph = sparse.coo_array((ones, (source, successor)), shape=(self.n, self.n)).tocsr()
        order = csgraph.reverse_cuthill_mckee(graph).astype(np.int64)
        place = np.argsort(order)
        return order if np.mean(np.abs(place[source] - place[successor]) > reach) <= far / 2 else None

    def reordered(self, order: IntArray) -> System:
        """The same equations, of state order[0] first. Time O(outcomes)."""
        self._refuse_law_blocks("another order of the states")
        inside, ends = split_plan(self.plan, order, self.n)
        plan = inside._replace(end_ptr=ends.end_ptr, end_prob=ends.end_prob, end_at=ends.end_at)
        return System(self.operator, plan, self.workers, order)

    @property
    def uphill(self) -> bool:
        """Whether most of the probability goes to states of higher number."""
        plan = self.plan
        source = np.repeat(np.arange(self.n), np.diff(plan.successor_ptr[plan.group_ptr]))
        return bool(plan.successor_prob @ np.sign(plan.successor - source) > 0.0)

    @property
    def unknowns(self) -> int:
        """How many unknowns the linear system has: n * (m - 1)."""
        return self.n * (self.grid.atoms - 1)

    def apply(self, cdf: FloatArray, out: FloatArray) -> float:
        """out = A cdf + b, and the largest row sum of |out - cdf|: the residual in sup-W1, in units of the spacing."""
        sums = np.empty(0) if self.has_law_blocks else self.sums
        self.workers.rows(self.n, kernels.apply_cdf, cdf, self.plan, True, self._offset, out, sums)
        if self.has_law_blocks:
            self.operator.add_law_blocks(cdf, out)
            self.workers.rows(self.n, kernels.row_distances, out, cdf, self.sums)
        return largest(self.sums)

    def gauss_seidel(
        self, cdf: FloatArray, out: FloatArray, forward: bool, relax: float = 1.0, times: int = 1
    ) -> float:
        """Gauss-Seidel from `cdf` into `out`, and a bound on the residual of `out` as `apply` gives it.

        An odd number of sweeps: more than one on one thread, where the way from one call to the next counts, and `cdf`
        is overwritten then.
        Within blocks of states, whose number depends on the problem's size alone, never on the threads. A row's
        residual is at most the discount times the largest change of a row that it read before it changed, plus what
        over-relaxation (`relax` > 1) moved the row itself beyond its equation.
        """
        self._refuse_law_blocks("a Gauss-Seidel sweep")
        arguments = (cdf, self.plan, self._offset, self._edges, forward, relax, out, self.sums)
        if times > 1:
            kernels.sweep_blocks(*arguments, times, 0, len(self._edges) - 1)
        else:
            self.workers.rows(len(self._edges) - 1, kernels.sweep_blocks, *arguments, 1)
        return (self.largest_discount + abs(1.0 - 1.0 / relax)) * largest(self.sums)

    def linear(self, vector: FloatArray, out: FloatArray) -> None:
        """out = A vector, a difference of CDFs: last column 0."""
        self.workers.rows(self.n, kernels.apply_cdf, vector, self.plan, False, self._offset, out, np.empty(0))
        if self.has_law_blocks:
            self.operator.add_law_blocks(vector, out, affine=False)
            out[:, -1] = 0.0  # exactly: with mass in the last column I - A is singular where nothing ends

    def linear_sweep(self, vector: FloatArray, rhs: FloatArray, out: FloatArray, forward: bool) -> None:
        """out = one Gauss-Seidel sweep from `vector` for x = A x + rhs; within blocks, as in `gauss_seidel`."""
        self._refuse_law_blocks("a Gauss-Seidel sweep")
        plan = self.plan._replace(end_ptr=np.zeros_like(self.plan.end_ptr))
        count = len(self._edges) - 1
        arguments = (vector, plan, rhs, self._edges, forward, 1.0, out, self.sums)
        self.workers.rows(count, kernels.sweep_blocks, *arguments, 1)

    def matrix(self) -> sparse.csr_array:
        """A on the first m - 1 atoms, index state * (m - 1) + atom."""
        return self.operator.matrix() if self.states is None else plan_matrix(self.plan, self.grid.atoms, self.n)

    def reads(self) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]:
        """CSR-like list of all (successor, reward value) pairs of each state: pointers, then of each pair successor,
        weight, position and discount."""
        plan = self.plan
        successors, values = np.diff(plan.successor_ptr), np.diff(plan.read_ptr)
        source = np.repeat(np.arange(self.n), np.diff(plan.group_ptr))  # of each group
        count = successors * values
        group = np.repeat(np.arange(len(count)), count)
        place = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count)
        entry = plan.successor_ptr[group] + place // np.maximum(values[group], 1)
        read = plan.read_ptr[group] + place % np.maximum(values[group], 1)
        pointers = np.searchsorted(source[group], np.arange(self.n + 1)).astype(np.int64)
        weight = plan.successor_prob[entry] * plan.read_prob[read]
        return pointers, plan.successor[entry], weight, plan.read_at[read], plan.discount[group]


def split_plan(plan: KernelPlan, states: IntArray, n: int) -> tuple[KernelPlan, KernelPlan]:
    """The plan of `states` with successors among them (renumbered, no ends), and the rest (numbers kept, with ends)."""
    local = np.full(n, -1, dtype=np.int64)
    local[states] = np.arange(len(states))
    groups, group_ptr = _slices(plan.group_ptr, states)
    entries, successor_ptr = _slices(plan.successor_ptr, groups)
    reads, read_ptr = _slices(plan.read_ptr, groups)
    ends, end_ptr = _slices(plan.end_ptr, states)
    kept = local[plan.successor[entries]] >= 0
    common: dict[str, Any] = {
        "discount": plan.discount[groups],
        "group_ptr": group_ptr,
        "read_ptr": read_ptr,
        "read_prob": plan.read_prob[reads],
        "read_at": plan.read_at[reads],
    }

    def choose(mask: BoolArray, successor: IntArray) -> dict[str, Any]:
        before = np.concatenate([[0], np.cumsum(mask)]).astype(np.int64)
        return {
            "successor_ptr": before[successor_ptr],
            "successor_prob": plan.successor_prob[entries[mask]],
            "successor": successor[mask],
        }

    empty: dict[str, Any] = {
        "end_ptr": np.zeros(len(states) + 1, dtype=np.int64),
        "end_prob": np.empty(0),
        "end_at": np.empty(0),
    }
    final: dict[str, Any] = {"end_ptr": end_ptr, "end_prob": plan.end_prob[ends], "end_at": plan.end_at[ends]}
    inside = KernelPlan(**common, **choose(kept, local[plan.successor[entries]]), **empty)
    return inside, KernelPlan(**common, **choose(~kept, plan.successor[entries]), **final)


def _slices(pointers: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Positions of the slices `pointers[r]:pointers[r + 1]` for r in rows, and their own pointers."""
    counts = pointers[rows + 1] - pointers[rows]
    own = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return np.repeat(pointers[rows] - own[:-1], counts) + np.arange(own[-1]), own
