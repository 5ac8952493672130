"""Solving u = b + factor * P u over states, and bounding its solution for certain."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from distrl._kernels.resolvent import bicgstab
from distrl._kernels.resolvent import defect as defect_of
from distrl._lazy import sparse
from distrl._tolerances import EPS, NOT_ZERO
from distrl._validation import FloatArray, IntArray
from distrl.dp.elimination import Elimination
from distrl.models.discounts import lost_mass
from distrl.models.mrp import MRP

_AT_ONCE = 150  # states up to which elimination is the cheapest way
_LIGHT = 4  # entries touched, for each one stored, up to which elimination costs less than iterating
_HEAVY = 20_000_000  # entries touched up to which elimination is tried where iterating is not accurate: a second
_TRUSTED = 1e5  # gain up to which a residual of float64's size says enough
_QUICK = 40  # BiCGSTAB iterations before a heavy elimination is tried
_SWEEPS = 1_000_000


class Resolvent:
    """(I - f P)^{-1} for a substochastic sparse P, f = factor^power; f < 1, or 1 where every state surely ends.

    Where outcomes have factors of their own (`of`) P holds the sums of p g^power, f is 1, and what discounting takes
    counts as ending.

    What is solved is the system whose data are P off the diagonal and the probabilities of ending: a state's own loop
    is 1 less everything else, so that I - f P has the row excesses e = (1 - f) + f * ending, computed without a
    difference. `how` says which way was taken:

    1. *Elimination without subtraction*, at once where it is cheap: up to 150 states, or while no more than 4 entries
       are touched for each one stored (chains, trees, acyclic graphs, narrow maps). Its promise is relative: an
       error of at most `relative_error` * (I - f P)^{-1} |b|, whatever the discount.
    2. *Iteration*, BiCGSTAB in a fixed order, for larger graphs that fill in, where errors gain less than 10^5: a few
       products. The bound is that of the residual: |error| <= (I - f P)^{-1} |residual + its rounding|, as
       certain, but as wide as the condition number is large.
    3. *Elimination after all* where iteration is not accurate enough and no more than 2 * 10^7 entries are touched
       (1,800 states if dense, about a second); else more iteration, whose bound says what it is worth.

    Time of elimination: entries touched (S^3 / 3 if dense), a solve O(S + fill); of iteration O(nnz) a product. Factors
    are only read once they exist, so that threads may share a resolvent. (LAPACK's may not be: SciPy's `getrs` changes
    the pivots in place while other threads run.) Claim: `elimination-relative-accuracy`.

    Parameters
    ----------
    continuation : (S, S) probabilities P of going on
    factor : float in [0, 1]
    ending : (S,) probabilities of ending, optional
        By default 1 less the row's sum, correctly rounded.
    power : int
        1 for means, k for k-th moments; 1 - factor^k is computed without cancellation.
    rounding : (S,) relative error of P's entries and of `ending`, in units of eps / 2, by default 1
    """

    def __init__(
        self,
        continuation: sparse.csr_array,
        factor: float,
        ending: FloatArray | None = None,
        power: int = 1,
        rounding: FloatArray | None = None,
    ) -> None:
        self.n = continuation.shape[0]
        self.factor = factor
        rows = np.repeat(np.arange(self.n), np.diff(continuation.indptr))
        if ending is None:
            ending = np.array(
                [
                    max(math.fsum([1.0, *(-continuation.data[a:b])]), 0.0)
                    for a, b in zip(continuation.indptr[:-1], continuation.indptr[1:], strict=True)
                ]
            )
        f = factor**power
        off = (rows != continuation.indices) & (continuation.data > 0.0) & (f > 0.0)
        lengths = np.bincount(rows[off], minlength=self.n)
        self._columns = continuation.indices[off].astype(np.int64)
        self._pointers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._values = continuation.data[off] * f
        # 1 - f = (1 - factor) (1 + factor + ...): 1 - factor is exact above a half, and nothing else is a difference
        self.excess = (1.0 - factor) * sum(factor**j for j in range(power)) + f * ending
        self._lengths = lengths + 4.0
        self._data_error = (np.ones(self.n) if rounding is None else rounding) + 2.0 * power + 6.0
        self.how = "elimination"

    @classmethod
    def of(cls, model: MRP, power: int = 1) -> Resolvent:
        """(I - g^power P)^{-1} of a model, ending probabilities summed over its outcomes.

        Raises
        ------
        ValueError
            If its returns need not end: see `MRP.check_ends`.
        """
        model.check_ends()
        table = model.outcomes
        outcomes = np.diff(table.indptr).astype(np.float64)
        if model.uniform_discount is None:  # rows count as divided by their sums, which err by more than their entries
            return cls(model.discounted(power), 1.0, lost_mass(table, power), power, 2.0 * outcomes + 16.0)
        ends = table.terminals
        ending = np.bincount(table.sources[ends], weights=table.probs[ends], minlength=table.n_sources)
        return cls(model.continuation, model.discount, np.asarray(ending, dtype=np.float64), power, outcomes)

    # -- the two ways -----------------------------------------------------------------------------------------------

    @property
    def data(self) -> tuple[sparse.csr_array, FloatArray, float]:
        """What `Elimination.of` takes: f P off the diagonal, row excesses, and the rounding of both over all rows."""
        matrix = sparse.csr_array((self._values, self._columns, self._pointers), shape=(self.n, self.n))
        return matrix, self.excess, float(self._data_error.sum())

    def _eliminated(self, budget: int) -> Elimination | None:
        return Elimination.of(*self.data, budget)

    @cached_property
    def _factors(self) -> Elimination | None:
        """The factors where elimination is the way to take; None where iteration is."""
        stored = len(self._values) + self.n
        cheap = _HEAVY if self.n <= _AT_ONCE else _LIGHT * stored
        factors = self._eliminated(cheap)
        if factors is not None:
            return factors
        if self._quick_gain.max() <= _TRUSTED:
            self.how = f"iteration: elimination touches more than {_LIGHT} entries for each one stored"
            return None
        factors = self._eliminated(_HEAVY)
        if factors is None:
            self.how = f"iteration: elimination touches more than {_HEAVY:.2g} entries"
        return factors

    @property
    def relative_error(self) -> float:
        """Of every entry of (I - f P)^{-1}: what elimination promises; inf by iteration, which promises none."""
        return np.inf if self._factors is None else self._factors.relative_error

    @cached_property
    def _scaled(self) -> tuple[FloatArray, FloatArray]:
        """The diagonal D of I - f P, and D^{-1} times the rest: states' loops, however slow, are gone from it."""
        sources = np.repeat(np.arange(self.n), np.diff(self._pointers))
        diagonal = self.excess + np.bincount(sources, weights=self._values, minlength=self.n)
        return diagonal, self._values / diagonal[sources]

    def _iterate(self, rhs: FloatArray, quick: bool) -> FloatArray:
        """BiCGSTAB with restarts; then, unless `quick`, sweeps, which contract."""
        diagonal, values = self._scaled
        scaled = rhs / diagonal
        solution, step = scaled.copy(), np.empty_like(rhs)
        left = self._defect(rhs, solution)[0] / diagonal
        size = float(np.abs(left).max())
        for _ in range(2 if quick else 4):  # restarts double as refinement
            goal = _rounding(scaled, solution)
            if not size > goal:
                return solution
            most, reduction = _QUICK if quick else 500, max(1e-10, 0.1 * goal / size)
            bicgstab(self._pointers, self._columns, values, left / size, reduction, most, step)
            better = solution + size * step
            left_of_better = self._defect(rhs, better)[0] / diagonal
            if not np.abs(left_of_better).max() < size:
                break
            solution, left, size = better, left_of_better, float(np.abs(left_of_better).max())
        if quick or size <= 4.0 * _rounding(scaled, solution):
            return solution
        for _ in range(_SWEEPS):
            solution = solution + left
            previous, left = size, self._defect(rhs, solution)[0] / diagonal
            size = float(np.abs(left).max())
            if size <= _rounding(scaled, solution) or (size <= 1e-11 * np.abs(scaled).max() and size >= previous):
                break
        return solution

    @cached_property
    def _quick_gain(self) -> FloatArray:
        return self._iterated_gain(quick=True)

    def _iterated_gain(self, quick: bool) -> FloatArray:
        """h with (I - f P) h >= 1 from an iterated solution."""
        steps = np.maximum(self._iterate(np.ones(self.n), quick), 1.0)
        return self._raised(steps)

    def _raised(self, steps: FloatArray) -> FloatArray:
        """`steps`, about (I - f P)^{-1} 1, raised until (I - f P) h >= 1 is certain; inf where nothing is."""
        left, room = self._defect(np.ones(self.n), steps)
        worst = 1.0 - float((left + room).max())
        return steps / worst * (1.0 + 4.0 * EPS) if worst > 0.0 else np.full(self.n, np.inf)

    def _defect(self, rhs: FloatArray, solution: FloatArray) -> tuple[FloatArray, FloatArray]:
        """rhs - (I - f P) solution, and a bound on its rounding that grows with the length of a row."""
        left, size = np.empty(self.n), np.empty(self.n)
        defect_of(self._pointers, self._columns, self._values, self.excess, rhs, solution, left, size)
        floats = (self._lengths + self._data_error) * EPS * size
        # of data, and of products, that are no normal floats; a state whose numbers are all 0 has none
        lost = np.where((size > 0.0) | (solution != 0.0), 2.0 * self._lengths, 0.0)
        return left, floats + 2.0**-1074 * (self._lengths * np.abs(solution).max() + lost)

    def _approximate(self, rhs: FloatArray) -> FloatArray:
        return self._iterate(rhs, quick=False) if self._factors is None else self._factors.solve(rhs)

    def apply(self, vector: FloatArray) -> FloatArray:
        """(I - f P) vector, without differences of large numbers where `vector` is nearly constant."""
        return np.asarray(-self._defect(np.zeros(self.n), vector)[0])

    # -- what is asked for ------------------------------------------------------------------------------------------

    def solve(self, rhs: FloatArray) -> FloatArray:
        """Solution for one right-hand side (S,); `enclose` says how far off it can be.

        Raises
        ------
        ValueError
            If it is beyond float64 (discount 1 and an end too improbable to matter).
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            solution = self._approximate(rhs)
        if not np.isfinite(solution).all():
            raise ValueError(
                "the states' linear system is singular to working precision: some state ends with a probability "
                "too small for float64; use a discount below 1"
            )
        return np.asarray(solution)

    def enclose(self, rhs: FloatArray, room: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Solution (S,) and a certain bound (S,) on its error, `rhs` itself being off by at most `room`.

        The smaller of the two bounds at every state: relative_error * (I - f P)^{-1} |rhs|, and the residual's.
        """
        solution = self.solve(rhs)
        left, rounding = self._defect(rhs, solution)
        error = self.upper(np.abs(left) + rounding)
        if np.isfinite(self.relative_error):
            error = np.minimum(error, self.relative_error * self.upper(np.abs(rhs)) + self._underflow)
        return solution, error if room is None or not room.any() else error + self.upper(room)

    @cached_property
    def gains(self) -> FloatArray:
        """h (S,) with (I - f P) h >= 1: what a unit error made at every step can add up to.

        The expected discounted number of steps, raised by its error; at most 1 / min e. inf where nothing can be
        certified (discount 1 and a hopeless system).
        """
        least = float(self.excess.min())
        plain = np.full(self.n, (1.0 + 8.0 * EPS) / least if least > 0.0 else np.inf)
        if np.isfinite(self.relative_error):
            assert self._factors is not None
            return np.minimum(self._factors.solve(np.ones(self.n)) * (1.0 + self.relative_error + EPS), plain)
        with np.errstate(over="ignore", invalid="ignore"):
            if self._factors is not None:
                found = self._raised(self._factors.solve(np.ones(self.n)))
            else:
                found = self._quick_gain
                found = found if np.isfinite(found).all() else self._iterated_gain(quick=False)
            return np.asarray(np.fmin(found, plain))

    @property
    def _underflow(self) -> FloatArray:
        """What numbers that become denormal in a solve can cost: 2^-1074 for each of its products."""
        assert self._factors is not None
        return np.asarray(2.0**-1074 * (self._factors.fill + 2.0 * self.n) * self.gains)

    def upper(self, rhs: FloatArray) -> FloatArray:
        """A certain upper bound of the solution for rhs >= 0."""
        if not rhs.any():
            return np.zeros(self.n)
        if np.isfinite(self.relative_error):
            assert self._factors is not None
            return np.asarray(self._factors.solve(rhs) * (1.0 + self.relative_error + EPS) + self._underflow)
        if np.isinf(self.gains).any() or not np.isfinite(rhs).all():
            return np.full(self.n, np.inf)
        guess = np.maximum(self._approximate(rhs), rhs)
        left, room = self._defect(rhs, guess)  # any u with u >= rhs + f P u is a bound
        return np.asarray((guess + max(float((left + room).max()), 0.0) * self.gains) * (1.0 + 2.0 * EPS))


def bandwidth(matrix: sparse.csr_array | sparse.csr_matrix, order: IntArray) -> int:
    """How many places along `order` a state leads at most, in the pattern of `matrix`."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    source = np.repeat(np.arange(len(order)), np.diff(matrix.indptr))
    return int(np.abs(rank[source] - rank[matrix.indices]).max(initial=0))


def _rounding(rhs: FloatArray, solution: FloatArray) -> float:
    """A residual that float64 can reach."""
    return max(1e-14 * float(np.abs(rhs).max()), 4e-15 * float(np.abs(solution).max()), NOT_ZERO)
