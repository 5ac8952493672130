"""Reward laws on infinitely many values, or on very many, as matrices between atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from distrl._kernels import laws as kernels
from distrl._lazy import sparse
from distrl._tolerances import GRID_SLACK
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.laws import FiniteLaw, Law, as_law
from distrl.models.laws.finite import running_sums
from distrl.models.outcomes import OutcomeTable
from distrl.returns.base import Returns
from distrl.returns.finite import as_finite
from distrl.returns.grid import Grid

Losses: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]  # variance, overshoot, clipped mass of projections
_SUBCELLS = 4  # pieces of a cell in the upper bound on the variance that rounding adds


@dataclass(frozen=True)
class LawBlock:
    """The outcomes that share one reward law on many values and one discount, applied as matrices.

    Attributes
    ----------
    law : Law
    discount : float
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
    discount: float
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

    def matrix(self, n_sources: int) -> sparse.csr_array:
        """Its part of the linear system in CDF form, index state * (atoms - 1) + atom on both sides."""
        own = np.arange(len(self.sources))
        lift = sparse.coo_array((np.ones(len(own)), (self.sources, own)), shape=(n_sources, len(own)))
        cumulative = np.cumsum(self.masses.T, axis=0)
        columns_of_f = (cumulative[:, :-1] - cumulative[:, 1:])[:-1]
        return sparse.kron(lift.tocsr() @ self.continuing, columns_of_f, format="csr")

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


def worth_a_matrix(values: IntArray | int, reach: IntArray | int) -> BoolArray:
    """Whether a law on so many values, that reaches so many atoms, is better a matrix than read value by value."""
    return np.asarray(values > np.maximum(8, reach // 4))


def atoms_spanned(width: FloatArray | float, grid: Grid) -> IntArray:
    """Atoms that the projection of a law whose support has this width reaches, at most."""
    return np.asarray(np.minimum(width / grid.spacing + 3.0, grid.atoms)).astype(np.int64)


def atoms_reached(law: Law, grid: Grid) -> int:
    """The same for a law; all atoms where its support is not finite."""
    if not isinstance(law, FiniteLaw):
        return grid.atoms
    return int(atoms_spanned(law.support[1] - law.support[0], grid))


def law_block(table: OutcomeTable, rows: IntArray, discount: float, grid: Grid, going_on: BoolArray) -> LawBlock:
    """The outcomes `rows` of the table, which have one reward law; `going_on` marks all rows that do not end."""
    law = table.reward_laws[table.laws[rows[0]]]
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
        weights, losses = LAW_MATRICES.of(law, discount, grid)
    variance, overshoot, clipped = losses
    return LawBlock(
        law=law,
        discount=discount,
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


class LawMatrices:
    """The matrices of reward laws that are not finite, kept for the next model that has the same law.

    Of each law that is alive the last matrix is kept: models that differ in probabilities alone share it. Threads may
    ask at once: to look up and to put are one step of a dictionary each, what is put there is never altered, and two
    threads that find nothing both compute the same numbers.
    """

    def __init__(self) -> None:
        self._last: WeakKeyDictionary[Law, tuple[float, Grid, FloatArray, Losses]] = WeakKeyDictionary()

    def of(self, law: Law, discount: float, grid: Grid) -> tuple[FloatArray, Losses]:
        """The `weights` of a law, and its losses; see `LawBlock`."""
        found = self._last.get(law)
        if found is None or found[:2] != (discount, grid):
            shifts = np.append(discount * grid.points, 0.0)  # the last: R alone
            cumulative = cumulative_projection(law, shifts[:-1], grid)
            weights = np.ascontiguousarray(np.diff(cumulative, axis=0, prepend=0.0).T)
            found = self._last[law] = (discount, grid, weights, _projection_loss(law, shifts, grid))
        return found[2], found[3]

    def __len__(self) -> int:
        return len(self._last)

    def clear(self) -> None:
        """Forget all matrices: they are computed again when they are asked for."""
        self._last.clear()


#: The matrices that all operators of the program share.
LAW_MATRICES = LawMatrices()


def _band(law: FiniteLaw, discount: float, grid: Grid) -> tuple[IntArray, FloatArray]:
    """`first` and `weights` of a law on finitely many values, by the sums of its values in each cell."""
    at = (law.values + discount * grid.low - grid.low) / grid.spacing
    lowest = np.clip(at[0] + discount * np.arange(grid.atoms), 0.0, grid.atoms - 2.0).astype(np.int64)
    width = atoms_reached(law, grid)
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
    slack = GRID_SLACK * grid.width
    clipped = np.clip(law.cdf_left(low - slack) + 1.0 - law.cdf(high + slack), 0.0, 1.0)
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


def laws_of_states(law: object, n: int) -> list[Law]:
    """What a user gives for the laws of n states: `Returns`, a law for each, or one law for all."""
    if isinstance(law, Returns):
        if law.batch_shape != (n,):
            raise ValueError(f"law has batch shape {law.batch_shape}, the operator acts on ({n},) states")
        values, weights = as_finite(law).support_weights()
        values = np.broadcast_to(values, weights.shape)
        return [FiniteLaw(v, w) for v, w in zip(values, weights, strict=True)]
    if isinstance(law, Sequence):
        if len(law) != n:
            raise ValueError(f"{len(law)} laws given for {n} states")
        return [as_law(entry, f"law[{state}]") for state, entry in enumerate(law)]
    return [as_law(law, "law")] * n


def projected_sum(reward: Law | float, successor: Law | float, discount: float, grid: Grid) -> FloatArray:
    """(m,) CDF at the atoms of the projection of reward + discount * successor (0: the return ends).

    Raises
    ------
    ValueError
        If neither law is finite: their sum has no closed form.
    """
    if not isinstance(reward, Law):
        reward = FiniteLaw([reward])
    if not isinstance(successor, Law):
        return cumulative_projection(reward, np.zeros(1), grid)[:, 0]
    if isinstance(successor, FiniteLaw):
        return cumulative_projection(reward, discount * successor.values, grid) @ successor.probs
    if not isinstance(reward, FiniteLaw):
        raise ValueError(
            f"the reward {reward!r} and the successor's {successor!r} are both not finite; "
            "give the successor's law as particles or on a grid"
        )
    # discount * (put of the successor at (k - r) / discount) is the put of r + discount * successor
    puts = discount * successor.put((grid.points[:, None] - reward.values) / discount)
    cells = np.clip(np.diff(puts, axis=0) / grid.spacing, 0.0, 1.0)
    return np.append(cells @ reward.probs, 1.0)


def _projection_loss(law: Law, shifts: FloatArray, grid: Grid) -> Losses:
    """Variance (upper bound), overshoot and clipped mass for R + shifts[k], in grid units.

    The variance that the hat projection adds at u is (u - z_lo)(z_hi - u), concave between atoms: on each of a few
    pieces of a cell Jensen bounds its mean by its value at the conditional mean, known from put and CDF. For a smooth
    density the bound is 3% above the exact value.
    """
    s = grid.spacing
    low, high = grid.low - shifts, grid.high - shifts
    overshoot = (law.put(low) + law.stop_loss(high)) / s
    slack = GRID_SLACK * grid.width
    clipped = np.clip(law.cdf_left(low - slack) + 1.0 - law.cdf(high + slack), 0.0, 1.0)
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
