"""The categorical Bellman operator: one application, in every form.

A categorical law has masses p(x; 1), ..., p(x; m) on the atoms z_1 < ... < z_m of a grid of spacing s, one law for
every state x. The Bellman operator T draws an outcome (r, y) of x and moves the law of the successor y to r + g Z(y),
g the discount, or to r alone where the return ends. What it gives lies between the atoms. The projection Pi shares a
mass at u between the two atoms beside it, in proportion to how near they are, and puts what lies beyond the grid on
the last atom on that side (it clips). Pi T is the operator here, and it is linear in the law. Its three forms say the
same:

- PMF: p'(x; i) = sum over outcomes of P * sum_j h_i(r + g z_j) p(y; j), h_i the hat function of atom i;
- CDF: F' = A F + b on the first m - 1 atoms, where A >= 0 (claim `cdf-nonnegative`) has at most two non-zeros a column
  for each reward (claim `cdf-two-nonzeros`);
- stop-loss: E (G - z_i)+ at the atoms, which Pi keeps where it does not clip (claim `stop-loss-interpolation`).

Pi T contracts sup-W1 with modulus g, clipped or not (claim `categorical-w1-contraction`), and sup-Cramer with modulus
sqrt(g) (claim `categorical-cramer-contraction`), so it has one fixed point (claim `categorical-unique-fixed-point`),
the solution of a linear system (claim `dcfp-linear-system`). In W2 it is no contraction (claim
`categorical-w2-contraction` is refuted). Where it clips nothing it keeps means (claim `mean-preservation`); where it
clips it need not (claim `mean-preservation-clipped` is refuted).

Source: Rowland et al. 2018, "An Analysis of Categorical Distributional Reinforcement Learning"; for the linear system
Rowland et al. 2024, "Near-Minimax-Optimal Distributional Reinforcement Learning with a Generative Model".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import categorical as kernels
from distrl._lazy import sparse
from distrl._steady import steady
from distrl._threads import Workers
from distrl._tolerances import GRID_SLACK
from distrl._validation import FloatArray, float_array, plain
from distrl.models.discounts import said_discount, settled
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.operators.kernel_plan import NO_DISCOUNT, TableModel, build_plan, plan_matrix
from distrl.operators.law_matrices import laws_of_states, projected_sum
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns, as_categorical
from distrl.returns.grid import Grid

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


@dataclass(frozen=True)
class Application:
    """One application to a categorical law, with what projection lost; all arrays have one entry a source.

    Attributes
    ----------
    probs : (n, m) the projected image
    variance : (n,) variance added by rounding to the atoms, in units of reward squared
    overshoot : (n,) expected distance of the unprojected image from the grid's interval
    clipped_mass : (n,) its probability to be outside
    """

    probs: FloatArray
    variance: FloatArray
    overshoot: FloatArray
    clipped_mass: FloatArray


class CategoricalBellman:
    """Pi T: draw an outcome, move the successor's law to r + discount * z, project it on the grid.

    In PMF form p'(x; i) = sum over outcomes P * sum_j h_i(r + discount * z_j) p(y; j), h_i the hat function of atom
    i, flat outside the grid; an outcome that ends puts its mass at r. In CDF form F = A F + b on the first m - 1
    atoms. A contraction with modulus discount in sup-W1, sqrt(discount) in sup-Cramer, clipped or not.

    Parameters
    ----------
    model : MRP
    grid : Grid

    Raises
    ------
    TypeError
        If `model` is not an MRP, or `grid` not a `Grid`.
    ValueError
        If the matrices of reward laws would take more than 4 GB.

    Notes
    -----
    Time O(nnz * m + groups * m) an application, nnz the number of outcomes, m the atoms; a reward law that is not
    finite costs one (m, m) matrix product for its states and 8 m^2 bytes, a finite one on many values a band of it.
    Source: Rowland et al. 2018, "An Analysis of Categorical Distributional Reinforcement Learning".

    Examples
    --------
    >>> import numpy as np, distrl
    >>> mrp = distrl.MRP([[1.0]], [1.0], discount=0.5)
    >>> T = CategoricalBellman(mrp, distrl.Grid(0, 2, 3))
    >>> T(np.array([[0.0, 0.0, 1.0]])).tolist()
    [[0.0, 0.0, 1.0]]
    """

    @steady
    def __init__(self, model: MRP | TableModel, grid: Grid) -> None:
        if not isinstance(model, MRP | TableModel):
            raise TypeError(f"CategoricalBellman needs an MRP, got {model!r}; an MDP needs .under(policy) first")
        if not isinstance(grid, Grid):
            raise TypeError(f"grid must be a distrl.Grid, got {grid!r}")
        self.model, self.table, self.grid = model, model.outcomes, grid
        self.plan, self.law_blocks = build_plan(self.table, model.uniform_discount, grid)

    @classmethod
    def for_table(cls, table: OutcomeTable, discount: float | None, grid: Grid) -> CategoricalBellman:
        """The operator of a table, from laws of its states to laws of its sources, e.g. (state, action) pairs.

        Parameters
        ----------
        table : OutcomeTable
            For example `mdp.outcomes`.
        discount : float, or None for a table with discounts of its own
        grid : Grid
        """
        return cls(TableModel(*settled(table, discount)), grid)

    def __repr__(self) -> str:
        discount = said_discount(self.model)
        return f"CategoricalBellman(sources={self.table.n_sources}, discount={discount}, grid={self.grid})"

    @property
    def discount(self) -> float:
        """The model's; refused where outcomes have discounts of their own."""
        return self.model.discount

    # -- one application --------------------------------------------------------------------------------------------

    @overload
    def __call__(self, probs: CategoricalReturns) -> CategoricalReturns: ...

    @overload
    def __call__(self, probs: ArrayLike) -> FloatArray: ...

    @steady
    def __call__(self, probs: CategoricalReturns | ArrayLike) -> CategoricalReturns | FloatArray:
        """PMF form: (S, m) probabilities `probs`, or `CategoricalReturns` on this grid, to the same kind.

        Raises
        ------
        ValueError, TypeError
            If the shape does not fit, or the returns live on another grid or on none.
        """
        if isinstance(probs, Returns):
            laws = as_categorical(probs)
            if laws is None:
                raise TypeError(f"{probs!r} live on no grid; use apply_to")
            if laws.grid != self.grid:
                raise ValueError(f"the returns live on {laws.grid}, the operator on {self.grid}; use apply_to")
            return CategoricalReturns.trusted(self.grid, self.apply(np.asarray(laws.probs)).probs)
        return self.apply(self._checked(probs, "probs")).probs

    @steady
    def cdf(self, values: ArrayLike) -> FloatArray:
        """CDF form: (S, m) CDF values at the atoms (last column 1) to the same."""
        out = np.empty((self.table.n_sources, self.grid.atoms))
        self.apply_cdf(self._checked(values, "values"), out)
        return out

    @steady
    def stop_loss(self, values: ArrayLike) -> FloatArray:
        """Stop-loss form: (S, m) values E[(G - z_i)+] at the atoms (last column 0) to the same."""
        given = self._checked(values, "values")
        cdf = np.ones_like(given)
        cdf[:, :-1] += np.diff(given, axis=1) / self.grid.spacing
        survival = 1.0 - self.cdf(cdf)[:, :-1]
        out = np.zeros((self.table.n_sources, self.grid.atoms))
        out[:, :-1] = np.cumsum(survival[:, ::-1], axis=1)[:, ::-1] * self.grid.spacing
        return out

    def apply(self, probs: FloatArray, threads: int | None = 1) -> Application:
        """PMF form with what projection lost: see `Application`; `probs` is taken as it is.

        `threads` share out the work; None: one a core.
        """
        spacing = self.grid.spacing
        out = np.empty((self.table.n_sources, self.grid.atoms))
        spread = np.empty((self.table.n_sources, 3))
        slack = GRID_SLACK * (self.grid.atoms - 1)
        probs = plain(probs)
        workers = Workers(threads, 4 * len(self.table.probs) * self.grid.atoms)
        workers.rows(len(out), kernels.apply_pmf, probs, self.plan, slack, out, spread, np.empty(0))
        for block in self.law_blocks:
            mixed = block.continuing @ probs
            block.add_image(probs, out, pmf=True)
            out[block.sources] += np.outer(block.ending, np.diff(block.ending_cdf, prepend=0.0))
            weights = np.column_stack([mixed, block.ending])
            losses = np.stack([block.variance, block.overshoot, block.clipped])
            spread[block.sources] += weights @ losses.T
        return Application(out, spread[:, 0] * spacing**2, spread[:, 1] * spacing, spread[:, 2])

    def losses(
        self, probs: FloatArray, threads: int | None = 1
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """W1 between the laws `probs` (S, m) and their images, then variance, overshoot and clipped mass as in `apply`.

        Each is (n,). Without continuous reward laws the image is never stored: memory O(n). `threads` share out the
        work; None: one a core.
        """
        spacing = self.grid.spacing
        if self.law_blocks:
            image = self.apply(probs)
            distance = np.abs(np.cumsum(image.probs - probs, axis=1)[:, :-1]).sum(axis=1) * spacing
            return distance, image.variance, image.overshoot, image.clipped_mass
        n = self.table.n_sources
        distance, spread = np.empty(n), np.empty((n, 3))
        slack = GRID_SLACK * (self.grid.atoms - 1)
        workers = Workers(threads, 4 * len(self.table.probs) * self.grid.atoms)
        nothing = np.empty((0, self.grid.atoms))
        workers.rows(n, kernels.apply_pmf, plain(probs), self.plan, slack, nothing, spread, distance)
        return distance * spacing, spread[:, 0] * spacing**2, spread[:, 1] * spacing, spread[:, 2].copy()

    def apply_cdf(self, cdf: FloatArray, out: FloatArray, *, affine: bool = True) -> None:
        """The image of `cdf` (S, m) into `out` (n, m), without checks; `affine=False` is the linear part, for
        differences of CDFs."""
        nothing = np.empty((0, self.grid.atoms))
        cdf = plain(cdf)
        kernels.apply_cdf(cdf, self.plan, affine, nothing, out, np.empty(0), 0, len(out))
        self.add_law_blocks(cdf, out, affine=affine)

    def add_law_blocks(self, cdf: FloatArray, out: FloatArray, *, affine: bool = True) -> None:
        """Add to `out` (n, m) what outcomes with continuous reward laws, or laws on many values, make of `cdf` (S, m).

        `affine` as for `apply_cdf`.
        """
        for block in self.law_blocks:
            block.add_image(cdf, out)
            if affine:
                out[block.sources] += np.outer(block.ending, block.ending_cdf)

    @steady
    def apply_to(self, law: object) -> CategoricalReturns:
        """The projected image of laws that need not live on the grid.

        Parameters
        ----------
        law : Returns of S states, or S laws (`FiniteLaw` or frozen scipy.stats), or one law for all states

        Returns
        -------
        CategoricalReturns of every source.

        Raises
        ------
        ValueError
            On a wrong number of laws, or if both a reward and a successor have a law that is not finite: their sum
            has no closed form.
        """
        images = laws_of_states(law, self.table.n_states)
        table, m = self.table, self.grid.atoms
        cdf = np.zeros((table.n_sources, m))
        factors = self.model.discounts
        going_on = factors > NO_DISCOUNT
        for row in range(len(table.probs)):
            reward = table.reward_laws[table.laws[row]] if table.laws[row] >= 0 else float(table.rewards[row])
            successor = images[table.next_states[row]] if going_on[row] else 0.0
            image = projected_sum(reward, successor, float(factors[row]), self.grid)
            cdf[table.sources[row]] += table.probs[row] * image
        return CategoricalReturns.trusted(self.grid, np.maximum(np.diff(cdf, axis=1, prepend=0.0), 0.0))

    def linear_operator(self) -> LinearOperator:
        """The linear part A of F = A F + b as a scipy `LinearOperator`, matrix-free; index state * (m - 1) + atom."""
        from distrl.operators.linear_part import LinearPart  # SciPy's half that not everybody needs

        return LinearPart(self)

    def matrix(self) -> sparse.csr_array:
        """The linear part A of F = A F + b as a sparse matrix; index state * (m - 1) + atom.

        At most 2 (m - 1) non-zeros an outcome and reward value (dense blocks for laws that are not finite).
        """
        matrix = plan_matrix(self.plan, self.grid.atoms, self.table.n_states)
        for block in self.law_blocks:
            matrix = matrix + block.matrix(self.table.n_sources)
        return matrix

    @steady
    def offset(self) -> FloatArray:
        """b of F = A F + b, (S * (m - 1),): the image of 0 mass below the last atom."""
        cdf = np.zeros((self.table.n_states, self.grid.atoms))
        cdf[:, -1] = 1.0
        out = np.empty((self.table.n_sources, self.grid.atoms))
        self.apply_cdf(cdf, out)
        return out[:, :-1].ravel()

    def _checked(self, values: ArrayLike, name: str) -> FloatArray:
        array = float_array(values, name, ndim=2)
        if array.shape != (self.table.n_states, self.grid.atoms):
            raise ValueError(f"{name} must have shape ({self.table.n_states}, {self.grid.atoms}), got {array.shape}")
        return array
