"""The quantile Bellman operator: one application.

A law of m particles theta(x, 1) <= ... <= theta(x, m) has mass 1 / m on each, one law for every state x. The Bellman
operator T draws an outcome (r, y) of x and moves the particles of the successor y to r + g theta(y, J), g the discount
and J uniform, or to r alone where the return ends: a mixture of many more particles, or with a continuous part where a
reward law has one. The projection reads m quantiles of it, at the middles tau_i = (2 i - 1) / (2 m) of m equal shares
of the mass. They are the best m values of equal mass in W1 (claim `quantile-projection-w1-optimal`). Where the
mixture's CDF is flat at the height tau_i the quantile is an interval; `flat` says which of its points is taken.

The operator has one form, the particles themselves, and it is not linear: which particles are taken depends on their
order. Along a choice that is held fixed it is (`read`), which is what `solve` and the solvers of `QuantileDP` use.

It contracts sup-W_inf with modulus g whatever `flat` is (claim `quantile-winf-contraction-flat-half`), so it has one
fixed point (claim `quantile-unique-fixed-point`), within width / (2 m (1 - g)) of the true law in W1 (claim
`quantile-fixed-point-w1`). In W1 and W2 it is no contraction (claim `quantile-w1-contraction` is refuted), and its
fixed point's means are not exact (claim `quantile-mean-exact` is refuted).

Source: Dabney et al. 2018, "Distributional Reinforcement Learning with Quantile Regression"; Rowland et al. 2024, "An
Analysis of Quantile Temporal-Difference Learning" for the contraction and `flat`.
"""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import quantile as kernels
from distrl._steady import steady
from distrl._threads import Workers, check_threads
from distrl._validation import FloatArray, IntArray, float_array, real_number, whole_number
from distrl.models.discounts import said_discount, settled
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.operators.kernel_plan import TableModel
from distrl.operators.particle_targets import ParticleTargets
from distrl.returns.quantile import QuantileReturns, midpoint_levels

_MOST_POLICIES = 1000  # tens are usual


class QuantileBellman:
    """Pi_flat T: draw an outcome, move the successor's particles to r + discount * v, read m quantiles of the mixture.

        theta'(x, i) = (1 - flat) F^{-1}(tau_i) + flat Fbar^{-1}(tau_i),   tau_i = (2 i - 1) / (2 m),

    F the CDF of the target r + discount * theta(y, J), J uniform on 1..m, or r alone where the return ends; F^{-1}(t) =
    inf{z : F(z) >= t}, Fbar^{-1}(t) = inf{z : F(z) > t}: they differ where F is flat at height t. A contraction with
    modulus discount in sup-W_inf for every `flat`, with a unique fixed point below discount 1; not in W_p, p < inf.

    Parameters
    ----------
    model : MRP
    quantiles : int
        Number m of quantiles of the image. What the operator is applied to may have any number of particles.
    flat : float in [0, 1]
        Which end of a flat region of F is taken: 0 the lower, 1 the upper.
    threads : int, optional
        As for `CategoricalFixedPoint`; results do not depend on it, bit for bit.

    Raises
    ------
    ValueError, TypeError
        If `model` is not an MRP, or on bad options, naming the argument.

    Notes
    -----
    Levels and cumulative probabilities are compared up to 1e-9 (up to 1e-12 for targets with a continuous part), so
    that 0.1 + 0.2 reaches the level 0.3: exactly the operator at the levels tau_i - 1e-9 and tau_i + 1e-9, as
    contractive as the one without tolerance. Time O(K n log K) a source by a k-way merge of the successors' sorted
    lists, K the number of outcomes (times the number of values of a `FiniteLaw` reward), n the number of particles;
    memory O(S m).

    A source with another reward law has a continuous part in its target: F(z) = sum over outcomes p * mean_j F_R(z -
    discount * v_j) is inverted by a bracketing search to 8 eps of the values' size, about 20 evaluations of F at the m
    levels (4 when iterating: the present values are near), each O(K n m) calls of F_R. Sources: Dabney et al. 2018,
    "Distributional Reinforcement Learning with Quantile Regression"; Rowland et al. 2024, "An Analysis of Quantile
    Temporal-Difference Learning" (contraction, `flat`).

    Examples
    --------
    >>> import distrl
    >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> QuantileBellman(mrp, 2)([[0.0, 1.0], [10.0, 20.0]]).tolist()
    [[2.0, 11.0], [-1.0, 8.0]]
    """

    @steady
    def __init__(self, model: MRP | TableModel, quantiles: int, flat: float = 0.0, threads: int | None = None) -> None:
        if not isinstance(model, MRP | TableModel):
            raise TypeError(f"QuantileBellman needs an MRP, got {model!r}; an MDP needs .under(policy) first")
        self.model, self.table, self.threads = model, model.outcomes, check_threads(threads)
        self.quantiles = whole_number(quantiles, "quantiles", low=1)
        self.flat = real_number(flat, "flat", low=0.0, high=1.0)
        self.levels = midpoint_levels(self.quantiles)
        self.targets = ParticleTargets(self.table, model.uniform_discount, self.threads)

    @classmethod
    def for_table(
        cls, table: OutcomeTable, discount: float | None, quantiles: int, flat: float = 0.0, threads: int | None = None
    ) -> "QuantileBellman":
        """The operator of a table, from laws of its states to laws of its sources, e.g. (state, action) pairs.

        Parameters
        ----------
        table : OutcomeTable
            For example `mdp.outcomes`.
        discount : float, or None for a table with discounts of its own
        quantiles, flat, threads
            As for the operator of a model.
        """
        return cls(TableModel(*settled(table, discount)), quantiles, flat, threads)

    def __repr__(self) -> str:
        return (
            f"QuantileBellman(sources={self.table.n_sources}, discount={said_discount(self.model)}, "
            f"quantiles={self.quantiles}, flat={self.flat:g})"
        )

    @property
    def discount(self) -> float:
        """The model's; refused where outcomes have discounts of their own."""
        return self.model.discount

    @overload
    def __call__(self, values: QuantileReturns) -> QuantileReturns: ...

    @overload
    def __call__(self, values: ArrayLike) -> FloatArray: ...

    @steady
    def __call__(self, values: QuantileReturns | ArrayLike) -> QuantileReturns | FloatArray:
        """One application to (S, n) values, in any order within a row, or to `QuantileReturns`; the same kind, sorted.

        Raises
        ------
        ValueError
            If there is not a row for each state.
        """
        if isinstance(values, QuantileReturns):
            return QuantileReturns.trusted(self._image(values.values))
        return self._image(self.checked(values, "values"))

    def _image(self, given: FloatArray) -> FloatArray:
        if given.shape[:-1] != (self.table.n_states,):
            raise ValueError(f"values is for {given.shape[:-1]} states, the operator acts on {self.table.n_states}")
        out = np.empty((self.table.n_sources, self.quantiles))
        self.apply(np.sort(given, axis=1), self.empty_choices(), out)
        return out

    def checked(self, values: ArrayLike, name: str) -> FloatArray:
        """`values` as an array of at least one column for each state; an error calls it `name`."""
        array = float_array(values, name, ndim=2)
        if array.shape[0] != self.table.n_states or not array.shape[1]:
            raise ValueError(
                f"{name} must have shape ({self.table.n_states}, n), n particles a state, got {array.shape}"
            )
        return array

    def empty_choices(self) -> IntArray:
        """Room for the particles that an application takes: (sources, m, 1), or 2 where both ends of a flat count."""
        ends = 1 if self.flat in (0.0, 1.0) else 2
        return np.empty((self.table.n_sources, self.quantiles, ends), dtype=np.int64)

    def empty_cuts(self) -> IntArray:
        """Room for the cuts of an application: (lists, m) numbers of particles."""
        return np.empty((len(self.targets.plan.shift), self.quantiles), dtype=np.int32)

    def apply(
        self,
        values: FloatArray,
        choices: IntArray,
        out: FloatArray,
        moved: FloatArray | None = None,
        tol: float = 0.0,
        cuts: IntArray | None = None,
    ) -> float:
        """One application to sorted rows, without checks; `choices` gets the particles taken, `cuts` how many
        of each list are met up to the first.

        `moved` (S,), if given, gets the W_inf distances max_i |out - values| (as many particles as quantiles).
        Continuous targets are inverted to `tol`, in units of reward, or to rounding if that is wider: the error is
        returned.
        """
        workers = Workers(self.threads, 8 * len(self.targets.plan.shift) * values.shape[1])
        cuts = np.empty((0, 0), dtype=np.int32) if cuts is None else cuts
        workers.rows(len(out), kernels.choose, values, self.targets.plan, self.levels, self.flat, choices, cuts)
        self.read(values, choices, out, moved)
        error = 0.0
        for target in self.targets.with_laws:
            x = target.source
            near = None if moved is None else values[x]
            out[x], inversion = target.quantiles(values, self.levels, self.flat, tol, near)
            error = max(error, inversion)
            if moved is not None:
                moved[x] = np.abs(out[x] - values[x]).max()
        return error

    def solve(self, values: FloatArray, choices: IntArray, cuts: IntArray) -> int:
        """Solve values(x, i) = max over lists k of particle cuts[k, i] of k, in place; the number of policies taken.

        Policy iteration from the policy `choices` (S, m), overwritten; rows of continuous targets are constants.
        """
        changed = np.empty(len(values), dtype=np.int64)
        workers = Workers(self.threads, cuts.size)
        count, better = 0, True
        while better and count < _MOST_POLICIES:
            kernels.follow(self.targets.plan, choices, values)
            workers.rows(len(values), kernels.largest, values, self.targets.plan, cuts, choices, changed)
            count, better = count + 1, bool(changed.any())
        return count

    def read(self, values: FloatArray, choices: IntArray, out: FloatArray, moved: FloatArray | None = None) -> None:
        """The application with the particles in `choices`, whatever the ranks of `values`, into `out`: linear.

        `moved` as for `apply`. Time O(S m).

        Time O(S m). Rows of sources with continuous targets are left as they are. `moved`, if it is given, receives how
        far each row has moved.
        """
        nothing = np.empty(0)
        Workers(self.threads, out.size).rows(
            len(out),
            kernels.read,
            values,
            self.targets.plan,
            choices,
            self.flat,
            out,
            nothing if moved is None else moved,
        )
