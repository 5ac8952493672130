"""The stochastic categorical CDF Bellman operator: the categorical image of one sampled trajectory.

The categorical operator in CDF form, F' = A F + b (see `distrl.operators.categorical`), is a mean over outcomes. For
one outcome (r, y) of the state x write B^r F(y) + b^r for the projected law of r + g Z(y), b^r alone where the return
ends. A random CDF function Phi then satisfies, in law,

    Phi(x) = B^R Phi(X') + b^R,   (R, X') an outcome drawn at x, independent of Phi.

Driven by the same outcomes, two starts meet at the rate of the discount (claim `stochastic-cdf-coupling`), so the
equation has one solution in law. Its mean is the categorical fixed point F* (claim `stochastic-cdf-mean`): Phi(x) is
what one infinite trajectory from x says of F*(x), and its variation is what makes a model-based estimate err.

The covariance of Phi solves a linear equation, a contraction of the sup-trace with modulus the discount (claim
`second-moment-contraction`), whose right side is the local variation (claim `local-variation`). On a grid that clips
nothing the local variation that adds up along a trajectory is at most int F* (1 - F*), a quarter of the grid's width
(claim `variance-corollary`): one factor 1 / (1 - g) less than adding up its largest value would give.

Source: Rowland et al. 2024, "Near-Minimax-Optimal Distributional Reinforcement Learning with a Generative Model"; the
corollary's constant is this library's.
"""

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import stochastic as kernels
from distrl._memory import check_memory
from distrl._steady import steady
from distrl._threads import Workers
from distrl._validation import FloatArray, RandomSource, float_array, generator, real_number, whole_number
from distrl.models.laws import FiniteLaw
from distrl.models.mrp import MRP
from distrl.models.sampling import OutcomeSampler
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.kernel_plan import KernelPlan, build_plan
from distrl.operators.linear import solve_contraction
from distrl.returns.grid import Grid

_CHUNK = 4_000_000  # (step, trajectory) pairs held at once


class VarianceCorollary(NamedTuple):
    """Both sides of the corollary, and the global variation that the left side bounds; each (S,)."""

    global_variation: FloatArray
    accumulated: FloatArray
    bound: FloatArray


class StochasticCDFBellman:
    """Phi(x) = B^R Phi(X') + b^R in law, an outcome (R, X') drawn at x and independent of Phi; b^R alone if it ends.

    B^r and b^r are the CDF form of the categorical operator for one outcome (see `CategoricalBellman`), so that its
    expectation is the categorical operator. The equation has one solution in law, and E Phi(x) = F*(x), the categorical
    fixed point: Phi is what one infinite trajectory says of it.

    Parameters
    ----------
    model : MRP
    grid : Grid

    Raises
    ------
    ValueError
        If returns need not end: see `MRP.check_ends`. From variations, if a reward law is not a `FiniteLaw`: they sum
        over its values. Drawing takes any law.

    Notes
    -----
    Variations are integrated squared differences of CDFs: times the spacing. The corollary (claim `variance-corollary`)
    needs a grid that clips nothing, `Grid.covering`. Source: Rowland et al. 2024, "Near-Minimax-Optimal Distributional
    Reinforcement Learning with a Generative Model"; the corollary's constant is this library's.

    Examples
    --------
    >>> import numpy as np, distrl
    >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [1.0, 0.0], discount=0.9)
    >>> phi = distrl.operators.StochasticCDFBellman(mrp, distrl.Grid.covering(mrp, 31))
    >>> phi.sample(3, rng=0).shape
    (3, 2, 31)
    """

    def __init__(self, model: MRP, grid: Grid) -> None:
        self.operator = CategoricalBellman(model, grid)
        model.check_ends()
        self.model, self.grid, self.discount = model, grid, model.discount
        self._sampler = OutcomeSampler(model.outcomes)

    def __repr__(self) -> str:
        return f"StochasticCDFBellman(states={self.model.n_states}, discount={self.discount:g}, grid={self.grid})"

    # -- draws ------------------------------------------------------------------------------------------------------

    @steady
    def __call__(self, cdf: ArrayLike, rng: RandomSource = None) -> FloatArray:
        """One application to a random CDF function: an outcome for every draw and state, independent of all else.

        Parameters
        ----------
        cdf : (S, m) or (n, S, m)
            n draws of a random CDF function, last column 1.
        rng : anything `numpy.random.default_rng` takes

        Returns
        -------
        array of the same shape. Time O(n S m).

        Raises
        ------
        ValueError, TypeError
            If the shape does not fit.
        """
        given = float_array(cdf, "cdf", ndim=(2, 3))
        if given.shape[-2:] != (self.model.n_states, self.grid.atoms):
            raise ValueError(f"cdf must end in ({self.model.n_states}, {self.grid.atoms}), got shape {given.shape}")
        stacked = given.reshape(-1, *given.shape[-2:])
        count, n = stacked.shape[:2]
        at, ending, successor = self._outcomes(np.tile(np.arange(n), count), generator(rng))
        rows = np.ascontiguousarray(stacked[np.repeat(np.arange(count), n), successor])
        out = np.empty_like(rows)
        kernels.push_draws(rows, at, ending, self.discount, out)
        return out.reshape(given.shape)

    @steady
    def sample(self, n: int, rng: RandomSource = None, tol: float = 1e-9) -> FloatArray:
        """`n` independent draws of the fixed point from `rng`, (n, S, m) CDF values at the atoms.

        States are independent too.

        They are drawn with `rng`, and backward: a trajectory is drawn from every state, and its outcomes are applied
        from the last one to the first. One that has not ended after T steps starts from F* of its state, T the smallest
        with discount^T <= `tol`: means are exact for every T, and each draw is within W1 tol * (grid's width) of one of
        the exact law.

        Time O(n S T m), memory 8 n S m bytes.

        Raises
        ------
        ValueError, TypeError
            On bad input, naming the argument: a `tol` of 0, for example, as a discounted trajectory may never end; and
            if the draws do not fit into memory.
        """
        count = whole_number(n, "n")
        check_memory(count * self.model.n_states, self.grid.atoms, 1.0, "draw fewer at a time")
        rng = generator(rng)
        limit = self._steps(real_number(tol, "tol", low=0.0, high=1.0))
        starts = np.tile(np.arange(self.model.n_states), count)
        out = np.empty((len(starts), self.grid.atoms))
        size = max(1, min(len(starts), _CHUNK // max(limit, 1)))
        for first in range(0, len(starts), size):
            self._draw(starts[first : first + size], limit, rng, out[first : first + size])
        return out.reshape(count, self.model.n_states, self.grid.atoms)

    def _steps(self, tol: float) -> int:
        if self.discount == 0.0:
            return 1
        if self.discount == 1.0:
            return 1_000_000  # every state surely ends
        if tol <= 0.0:
            raise ValueError("tol must be positive, got 0: a discounted trajectory may never end")
        return max(1, math.ceil(math.log(tol) / math.log(self.discount)))

    def _outcomes(self, states: np.ndarray, rng: np.random.Generator) -> tuple[FloatArray, np.ndarray, np.ndarray]:
        """Positions of drawn outcomes, whether they end, and where they lead."""
        rows = self._sampler.rows(states, rng)
        rewards = self._sampler.rewards(rows, rng)
        ending = self.model.outcomes.terminals[rows]
        low, spacing = self.grid.low, self.grid.spacing
        at = (rewards + np.where(ending, 0.0, self.discount * low) - low) / spacing
        return at, ending, self.model.outcomes.next_states[rows]

    def _draw(self, starts: np.ndarray, limit: int, rng: np.random.Generator, out: FloatArray) -> None:
        states, active = starts.copy(), np.arange(len(starts))
        lengths, ended = np.zeros(len(starts), dtype=np.int64), np.zeros(len(starts), dtype=np.bool_)
        positions: list[FloatArray] = []
        while active.size and len(positions) < limit:
            drawn, ending, successor = self._outcomes(states[active], rng)
            step = np.zeros(len(starts))
            step[active] = drawn
            positions.append(step)
            lengths[active] += 1
            ended[active[ending]] = True
            states[active] = successor
            active = active[~ending]
        at = np.stack(positions)
        work = Workers(None, at.size * self.grid.atoms)
        work.rows(len(starts), kernels.unroll, self._fixed, states, at, lengths, ended, self.discount, out)

    # -- moments ----------------------------------------------------------------------------------------------------

    @cached_property
    @steady
    def _fixed(self) -> FloatArray:
        def apply(cdf: FloatArray) -> FloatArray:
            out = np.empty_like(cdf)
            self.operator.apply_cdf(cdf, out, affine=False)
            return out

        offset = np.zeros((self.model.n_states, self.grid.atoms))
        offset[:, :-1] = self.operator.offset().reshape(self.model.n_states, -1)
        fixed = solve_contraction(apply, offset)
        fixed[:, -1] = 1.0
        return fixed

    @cached_property
    @steady
    def _plan(self) -> KernelPlan:
        for law in self.model.outcomes.reward_laws:
            if not isinstance(law, FiniteLaw):
                raise ValueError(
                    f"variations sum over the values of reward laws, and {law!r} has not finitely many; put a "
                    "FiniteLaw in its place, e.g. of its quantiles"
                )
        return build_plan(self.model.outcomes, self.discount, self.grid, all_as_reads=True)[0]

    def mean(self) -> FloatArray:
        """(S, m) E Phi(x) = F*(x): CDF values of the categorical fixed point, solved for to rounding."""
        return self._fixed.copy()

    @steady
    def local_variation(self) -> FloatArray:
        """(S,) sigma(x) = E ||B^R F*(X') + b^R - F*(x)||^2, integrated over the grid. Time O(outcomes * m).

        Raises
        ------
        ValueError
            If a reward law is not a `FiniteLaw`.
        """
        variation = np.empty(self.model.n_states)
        kernels.local_covariance(self._fixed, self._plan, variation, np.empty((0, 0, 0)))
        return variation * self.grid.spacing

    @cached_property
    @steady
    def _covariance(self) -> FloatArray:
        n, m = self.model.n_states, self.grid.atoms
        check_memory(n * m, m, 10.0, "use fewer atoms; .sample(n) estimates the variation in n * S * m")
        source, plan = np.zeros((n, m, m)), self._plan
        kernels.local_covariance(self._fixed, plan, np.empty(n), source)

        def apply(given: FloatArray) -> FloatArray:
            out = np.empty_like(given)
            kernels.apply_covariance(np.ascontiguousarray(given), plan, out)
            return out

        return solve_contraction(apply, source, tol=1e-12)

    def covariance(self) -> FloatArray:
        """(S, m, m) K(x) = Cov Phi(x), last row and column 0; E Phi Phi^T is K + F* F*^T.

        The solution of K(x) = sum over outcomes of P B K(y) B^T + Cov(B F*(y) + b), linear, a contraction by the
        discount in sup-trace; solved without a matrix. Time O(outcomes * m^2) an application, memory ten arrays of
        S m^2 float64, checked before they are made.

        Raises
        ------
        ValueError
            If a reward law is not a `FiniteLaw`, or the arrays do not fit into memory.
        """
        return self._covariance.copy()

    def global_variation(self) -> FloatArray:
        """(S,) Sigma(x) = E ||Phi(x) - F*(x)||^2, integrated over the grid: spacing * trace of `covariance`.

        Raises
        ------
        ValueError
            As `covariance`.
        """
        return np.asarray(self.grid.spacing * np.trace(self._covariance, axis1=1, axis2=2))

    @steady
    def variance_corollary(self) -> VarianceCorollary:
        """Sigma <= (I - g P)^{-1} sigma <= int F* (1 - F*) at every state, on grids that clip nothing.

        The right side is at most a quarter of the grid's width: one factor 1 / (1 - g) where adding up sup sigma would
        give two.

        Raises
        ------
        ValueError
            As `covariance`.
        """
        continuation = self.model.continuation * self.discount
        accumulated = solve_contraction(lambda v: np.asarray(continuation @ v), self.local_variation())
        bound = self.grid.spacing * (self._fixed * (1.0 - self._fixed)).sum(axis=1)
        return VarianceCorollary(self.global_variation(), accumulated, bound)
