"""From an outcome table and a grid to the arrays that kernels read, and the matrices of continuous reward laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from distrl._kernels import laws as kernels
from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray
from distrl.models.laws import FiniteLaw, Law
from distrl.models.laws.finite import running_sums
from distrl.models.outcomes import OutcomeTable, starts_of_runs
from distrl.returns.grid import Grid

_LAW_MEMORY = 4e9  # bytes that matrices of reward laws may take
Losses: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]  # variance, overshoot, clipped mass of projections
_SUBCELLS = 4  # pieces of a cell in the upper bound on the variance that rounding adds


#: A discount up to this is none: what comes later moves a return by less than float64 can tell from its reward, and
#: kernels divide by the discount.
NO_DISCOUNT = 1e-290


class Plan(NamedTuple):
    """Kernel input; positions in units of the spacing from the first atom, see `distrl._kernels.categorical`.

    Groups of source x are `group_ptr[x]:group_ptr[x + 1]`; a group's successors and reward values (reads) are the
    slices of `successor_ptr` and `read_ptr`; outcomes that end are the slice of `end_ptr`.
    """

    discount: float
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


@dataclass(frozen=True)
class LawBlock:
    """The outcomes that share one reward law on many values, applied as matrices.

    Attributes
    ----------
    law : Law
    sources : (k,) the sources concerned
    continuing : (k, S) sparse probabilities of going on with this law
    ending : (k,) probabilities of ending with this law
    first, weights : (m,) and (m, b): the projected law of discount * z_j + R has mass weights[j, k] on atom
        first[j] + k; b is what the law's support needs, m if that is not finite
    ending_cdf : (m,) the same for R alone
    variance, overshoot, clipped : (m + 1,) for each atom j, and last for R alone: an upper bound on the variance that
        projection adds (grid units squared), the expected overshoot (grid units), the mass off the grid
    """

    law: Law
    sources: IntArray
    continuing: sparse.csr_array
    ending: FloatArray
    first: IntArray
    weights: FloatArray
    ending_cdf: FloatArray
    variance: FloatArray
    overshoot: FloatArray
    clipped: FloatArray

    @property
    def masses(self) -> FloatArray:
        """(m, m) the weights as a whole matrix: row j is the projected law of discount * z_j + R."""
        m, width = self.weights.shape
        if width == m:
            return self.weights
        whole = np.zeros((m, m))
        whole[np.arange(m)[:, None], self.first[:, None] + np.arange(width)] = self.weights
        return whole

    def add_image(self, given: FloatArray, out: FloatArray, *, pmf: bool = False) -> None:
        """Add to `out` (sources, m) what the outcomes that go on make of `given` (S, m), both CDF or both PMF."""
        if self.weights.shape[1] < len(self.weights):
            on = self.continuing
            kernels.add_image(given, self.sources, on.indptr, on.indices, on.data, self.first, self.weights, out, pmf)
        elif pmf:  # one BLAS product for all sources
            out[self.sources] += (self.continuing @ given) @ self.weights
        else:
            mixed = np.diff(self.continuing @ given, axis=1, prepend=0.0)
            out[self.sources] += np.cumsum(mixed @ self.weights, axis=1)


def build_plan(
    table: OutcomeTable, discount: float, grid: Grid, *, all_as_reads: bool = False
) -> tuple[Plan, list[LawBlock]]:
    """Group the rows of `table`: laws on few values become reads, the others matrices of (atoms, atoms).

    With `all_as_reads` every law must be finite and becomes reads.

    Time and memory O(outcomes), and for each law that is not finite, or has more than 8 values and more than a quarter
    of the atoms that its support spans, O(atoms * b), b these atoms, all if the support is not finite. For a law
    on n values their matrix takes time O(atoms * b * log n).

    Raises
    ------
    ValueError
        If the matrices would take more than 4 GB.
    """
    finite = [
        isinstance(law, FiniteLaw) and (all_as_reads or not worth_a_matrix(len(law.values), _reach(law, grid)))
        for law in table.reward_laws
    ]
    dense = [index for index, is_finite in enumerate(finite) if not is_finite]
    needed = 8.0 * grid.atoms * sum(_reach(table.reward_laws[index], grid) for index in dense)
    if needed > _LAW_MEMORY:
        raise ValueError(
            f"{len(dense)} distinct reward laws on {grid.atoms} atoms need matrices of {needed / 1e9:.1f} GB; use "
            "fewer atoms, or FiniteLaw rewards"
        )
    as_reads = np.array([True, *finite])[np.where(table.laws >= 0, table.laws + 1, 0)]
    going_on = ~table.terminals & (discount > NO_DISCOUNT)
    plan = _plan_of_reads(table, discount, grid, as_reads & going_on, as_reads & ~going_on)
    return plan, [_block(table, index, discount, grid, going_on) for index in dense]


def _plan_of_reads(table: OutcomeTable, discount: float, grid: Grid, going_on: np.ndarray, ending: np.ndarray) -> Plan:
    rows = np.flatnonzero(going_on)
    source, law, reward = table.sources[rows], table.laws[rows], table.rewards[rows]
    starts = np.flatnonzero(starts_of_runs(source, law, reward))
    read_counts, read_prob, read_reward = values_of(table, law[starts], reward[starts])
    ends = np.flatnonzero(ending)
    end_counts, end_prob, end_reward = values_of(table, table.laws[ends], table.rewards[ends])
    return Plan(
        discount=discount,
        group_ptr=np.searchsorted(source[starts], np.arange(table.n_sources + 1)).astype(np.int64),
        successor_ptr=np.append(starts, len(rows)).astype(np.int64),
        successor_prob=table.probs[rows],
        successor=table.next_states[rows],
        read_ptr=np.concatenate([[0], np.cumsum(read_counts)]).astype(np.int64),
        read_prob=read_prob,
        read_at=(read_reward + discount * grid.low - grid.low) / grid.spacing,
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


def _block(table: OutcomeTable, index: int, discount: float, grid: Grid, going_on: np.ndarray) -> LawBlock:
    law = table.reward_laws[index]
    rows = np.flatnonzero(table.laws == index)
    sources, local = np.unique(table.sources[rows], return_inverse=True)
    on = going_on[rows]
    continuing = sparse.coo_array(
        (table.probs[rows][on], (local[on], table.next_states[rows][on])), shape=(len(sources), table.n_states)
    ).tocsr()
    if isinstance(law, FiniteLaw):
        first, weights = _band(law, discount, grid)
        losses = _finite_projection_loss(law, np.append(discount * grid.points, 0.0), grid)
    else:
        first = np.zeros(grid.atoms, dtype=np.int64)
        weights, losses = _whole(law, discount, grid)
    variance, overshoot, clipped = losses
    return LawBlock(
        law=law,
        sources=sources,
        continuing=continuing,
        ending=np.asarray(
            np.bincount(local, weights=table.probs[rows] * ~on, minlength=len(sources)), dtype=np.float64
        ),
        first=first,
        weights=weights,
        ending_cdf=cumulative_projection(law, np.zeros(1), grid)[:, 0],
        variance=variance,
        overshoot=overshoot,
        clipped=clipped,
    )


def worth_a_matrix(values: Any, reach: Any) -> Any:
    """Whether a law on so many values, that reaches so many atoms, is better a matrix than read value by value."""
    return values > np.maximum(8, reach // 4)


def reached(width: Any, grid: Grid) -> Any:
    """Atoms that the projection of a law whose support has this width reaches, at most."""
    return np.minimum(width / grid.spacing + 3.0, grid.atoms).astype(np.int64)


def _reach(law: Law, grid: Grid) -> int:
    if not isinstance(law, FiniteLaw):
        return grid.atoms
    return int(reached(law.support[1] - law.support[0], grid))


#: The last matrix of each law that is alive: models that differ in probabilities alone share it.
_LAST: WeakKeyDictionary[Law, tuple[float, Grid, FloatArray, Losses]] = WeakKeyDictionary()


def _whole(law: Law, discount: float, grid: Grid) -> tuple[FloatArray, Losses]:
    """`weights` of a law that is not finite, and its losses."""
    found = _LAST.get(law)
    if found is None or found[:2] != (discount, grid):
        shifts = np.append(discount * grid.points, 0.0)  # the last: R alone
        cumulative = cumulative_projection(law, shifts[:-1], grid)
        weights = np.ascontiguousarray(np.diff(cumulative, axis=0, prepend=0.0).T)
        found = _LAST[law] = (discount, grid, weights, _projection_loss(law, shifts, grid))
    return found[2], found[3]


def _band(law: FiniteLaw, discount: float, grid: Grid) -> tuple[IntArray, FloatArray]:
    """`first` and `weights` of a law on finitely many values, by the sums of its values in each cell."""
    at = (law.values + discount * grid.low - grid.low) / grid.spacing
    lowest = np.clip(at[0] + discount * np.arange(grid.atoms), 0.0, grid.atoms - 2.0).astype(np.int64)
    width = _reach(law, grid)
    first = np.minimum(lowest, grid.atoms - width)
    weights = np.empty((grid.atoms, width))
    mass, moment = (np.concatenate([[0.0], running_sums(column)]) for column in (law.probs, law.probs * at))
    kernels.project_columns(at, mass, moment, discount, first, weights)
    return first, weights


def _finite_projection_loss(law: FiniteLaw, shifts: FloatArray, grid: Grid) -> Losses:
    """Variance, overshoot and clipped mass as in `_projection_loss`; the variance is exact where nothing is clipped.

    It is a function of the shift modulo the spacing: with f the sorted fractional parts of the values, those below
    1 - u keep their cell under a shift by u, the others wrap around; sums of p, p f, p f^2 tell the rest.
    """
    s = grid.spacing
    low, high = grid.low - shifts, grid.high - shifts
    overshoot = (law.put(low) + law.stop_loss(high)) / s
    clipped = np.clip(law.cdf_left(low - 1e-12 * grid.width) + 1.0 - law.cdf(high + 1e-12 * grid.width), 0.0, 1.0)
    parts = (law.values - grid.low) / s % 1.0
    order = np.argsort(parts)
    parts, probs = parts[order], law.probs[order]
    sums = np.cumsum(np.stack([probs, probs * parts, probs * parts**2]), axis=1)
    below = np.concatenate([np.zeros((3, 1)), sums], axis=1)
    moved = shifts / s % 1.0
    variance = np.zeros(len(shifts))
    kept = below[:, np.searchsorted(parts, 1.0 - moved)]
    for (mass, first, second), u in ((kept, moved), (below[:, -1:] - kept, moved - 1.0)):
        variance += (u - u * u) * mass + (1.0 - 2.0 * u) * first - second
    return np.maximum(variance, 0.0), overshoot, clipped


def cumulative_projection(law: Law, shifts: FloatArray, grid: Grid) -> FloatArray:
    """(m, k) CDF at the atoms of the projected law of R + shifts[k]: cell averages of its CDF, by put differences."""
    puts = law.put(grid.points[:, None] - shifts)
    cells = np.clip(np.diff(puts, axis=0) / grid.spacing, 0.0, 1.0)
    return np.concatenate([cells, np.ones((1, len(shifts)))])


def _projection_loss(law: Law, shifts: FloatArray, grid: Grid) -> Losses:
    """Variance (upper bound), overshoot and clipped mass for R + shifts[k], in grid units.

    The variance that the hat projection adds at u is (u - z_lo)(z_hi - u), concave between atoms: on each of a few
    pieces of a cell Jensen bounds its mean by its value at the conditional mean, known from put and CDF. For a smooth
    density the bound is 3% above the exact value.
    """
    s = grid.spacing
    low, high = grid.low - shifts, grid.high - shifts
    overshoot = (law.put(low) + law.stop_loss(high)) / s
    clipped = np.clip(law.cdf_left(low - 1e-12 * grid.width) + 1.0 - law.cdf(high + 1e-12 * grid.width), 0.0, 1.0)
    variance = np.zeros(len(shifts))
    atoms = grid.points[:, None] - shifts
    cdfs, puts = law.cdf(atoms), law.put(atoms)
    below, put_below = cdfs[:-1], puts[:-1]
    for piece in range(1, _SUBCELLS + 1):
        right, length = piece / _SUBCELLS, 1.0 / _SUBCELLS
        stop = atoms[:-1] + right * s
        above, put_above = (cdfs[1:], puts[1:]) if piece == _SUBCELLS else (law.cdf(stop), law.put(stop))
        mass = np.maximum(above - below, 0.0)
        # integral of F over the piece = F(start) * length + E[(stop - U)+ on the piece]
        gap = np.clip((put_above - put_below) / s - below * length, 0.0, mass * length)
        mean = right - np.divide(gap, mass, out=np.zeros_like(mass), where=mass > 0)
        variance += (mass * mean * (1.0 - mean)).sum(axis=0)
        below, put_below = above, put_above
    return variance, overshoot, clipped
