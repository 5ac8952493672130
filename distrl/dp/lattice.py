"""Exact return laws: on a lattice level by level, or as the finitely many sums that a model can make.

Definitions. Rewards are multiples of d > 0 and none is negative, the discount is 1: returns are levels 0, d, 2 d, ...
With P_r the moves that pay r levels, e_k the ends that pay k, f_k(x) = P(G(x) = k d) and s_k(x) = P(G(x) > k d),

    (I - P_0) f_k = e_k + sum_{r >= 1} P_r f_{k - r},    (I - P_0) s_k = e_{> k} + sum_{r >= 1} P_r s_{k - r},

s = 1 below 0: one solve a level, and sums of non-negative numbers only. Where no reward is positive, the same with
signs changed.

Termination. At the first level K that leaves s_K <= `tail` everywhere. What is beyond goes onto the last level, which
costs at most s_K(x) (largest reward + largest mean) in W1.

Rounding. An error of u s_k(x) made by the solve at level k and state x, u some roundings, adds up along the walk: over
all levels at most d [(I - P)^{-1} u sum_k s_k](x) in W1. The masses f are held against s, and what their sums differ
by is added. Both are in the certificate (claim `lattice-levels`).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import IntArray, int_array, real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint
from distrl.dp.certificate import Certificate
from distrl.dp.distinct_sums import distinct_sums, never_returns
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.horizon_lattice import StepLattice, levels_of_steps
from distrl.dp.horizon_sums import sums_of_steps
from distrl.dp.lattice_certificate import levels_enclosed
from distrl.dp.lattice_rows import INSTEAD, LatticeRows, rows_or_why
from distrl.dp.levels import Wanted, run_levels
from distrl.dp.solution import Solution
from distrl.dp.status import Status, settle
from distrl.dp.undiscounted import lattice_grid
from distrl.models.mrp import MRP
from distrl.models.process import as_mrp
from distrl.models.stages import Stages
from distrl.returns.base import Returns
from distrl.returns.categorical import as_categorical
from distrl.returns.functionals import Enclosing
from distrl.returns.lattice import LatticeReturns


class StateLaws(NamedTuple):
    """The laws of some states, in the order that was asked for, and their certificate."""

    returns: LatticeReturns
    certificate: Certificate


@dataclass(frozen=True)
class Lattice:
    """Exact laws of undiscounted returns whose rewards are multiples of one step, and of models that surely end soon.

    Parameters
    ----------
    tail : float in (0, 1)
        The recursion stops at the first level that leaves at most this probability beyond it, at every state.
    max_values : int
        Limit on the number of levels that are made, or of the distinct sums of one state.
    atoms : int, optional
        For rewards of one sign: keep the masses of so many levels at most, equally many steps apart, and split the
        others between them. By default every level is kept. With fewer atoms laws take less memory, and the certificate
        counts at most half their distance more; a tail that falls geometrically is not made level by level.

    Raises
    ------
    ValueError
        If an option is out of range. From `evaluate`: if the rewards are on no lattice (or the discount is below 1) and
        the model has a cycle, saying what to use instead; if there are more than `max_values` values, naming the
        number; if the laws do not fit in memory.

    Notes
    -----
    What is done depends on the model, and `Solution.solver` says what was:

    - *levels*: discount 1, rewards of one sign that are multiples of one step d, finite reward laws included. The
      recursion over levels: time O(levels * outcomes), where moves without reward make no cycle; else a solve with
      their elimination a level. Memory 8 * S * levels bytes; `laws_of` keeps some states' masses alone, `atoms` some of
      the levels. The result is a
      `LatticeReturns` on 0, d, 2 d, ... (on ..., -2 d, -d, 0 where no reward is positive), its `.tail` (S,) the mass
      beyond the last level, which is put onto it.
    - *fixed point on the lattice*: rewards of both signs. The general solver, `CategoricalFixedPoint`, on a grid with
      spacing d: exact but for its error and a clipped tail, which the certificate has. A `LatticeReturns`, whose
      `.tail` is the probability that one more application leaves the grid.
    - *distinct sums*: any rewards and any discount, where no state is met twice: every sum that a walk can make, equal
      ones merged. The result is `ParticleReturns`. Time and memory O(sums) for each outcome.

    With a horizon: H sweeps over the *levels*, of both signs too, or else over the *distinct sums*; three layers of S
    laws in memory (`distrl.dp.horizon_lattice`).

    Guarantee: the certificate (claim `lattice-levels`), which bounds W1 to the true law with the tail and all rounding;
    `tol` bounds the same, and more levels are made for a smaller one. Source: block triangular elimination of a Markov
    reward process by its reward; Ummels and Baier 2013, "Computing Quantiles in Markov Reward Models", for the levels.

    Examples
    --------
    >>> import distrl
    >>> coin = distrl.MRP.from_outcomes([(0, 0.5, 0, 1.0, False), (0, 0.5, 0, 1.0, True)], discount=1.0)
    >>> law = distrl.evaluate(coin, distrl.Lattice()).returns[0]
    >>> law.probs[:4].tolist()
    [0.0, 0.5, 0.25, 0.125]
    """

    tail: float = 1e-12
    max_values: int = 100_000
    atoms: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tail", real_number(self.tail, "tail", low=0.0, high=1.0))
        if self.tail in (0.0, 1.0):
            raise ValueError(f"tail must lie in (0, 1), got {self.tail:g}")
        object.__setattr__(self, "max_values", whole_number(self.max_values, "max_values", low=2))
        if self.atoms is not None:
            object.__setattr__(self, "atoms", whole_number(self.atoms, "atoms", low=2))

    def solve(self, model: MRP, call: Call) -> Solution[Returns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        rows = rows_or_why(model)
        if not isinstance(rows, str) and rows.sign:
            return self._levels(model, rows, call)
        if self.atoms is not None:
            raise ValueError(f"atoms is for laws made by levels, but {self.applies_to(model)}; leave it out")
        if not isinstance(rows, str):
            grid = lattice_grid(model, rows.step, self.tail, self.max_values)
            if grid is not None:
                reached = CategoricalFixedPoint(grid=grid).solve(model, call)
                reason = f"rewards of both signs, multiples of {rows.step:g}; {reached.reason}"
                probs, tail = reached.returns.probs, reached.certificate.clipped_mass
                returns = LatticeReturns(grid, probs, check=False, tail=tail)
                solver = "fixed point on the lattice"
                return replace(reached, returns=returns, method=self, solver=solver, reason=reason)
        if never_returns(model):
            return distinct_sums(model, self, self.max_values, call)
        if isinstance(rows, str):
            raise ValueError(f"{rows}, and some state can be met again, so that sums have no end; {INSTEAD}")
        raise ValueError(
            f"rewards of both signs reach over more than {self.max_values} multiples of {rows.step:g}; raise "
            f"max_values, or use a coarser grid: {INSTEAD}"
        )

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[Returns]:
        """The laws of H steps, one sweep over the levels, or over the distinct sums, for each of them.

        `stages` and `call` are as `HorizonMethod` says. Rewards of both signs lie on levels, too: there are finitely
        many. Memory is that of three layers, S laws each.
        """
        lattice = StepLattice.of(stages)
        if isinstance(lattice, StepLattice) and (lattice.sign or lattice.levels <= self.max_values):
            return levels_of_steps(lattice, self.tail, self.max_values, self, call)
        return sums_of_steps(stages, self, self.max_values, call)

    def _wanted(self, states: IntArray) -> Wanted:
        return Wanted(states, self.tail, self.max_values, self.atoms)

    def by_levels(self, model: MRP, call: Call) -> Solution[LatticeReturns]:
        """`solve` by the recursion over levels and by nothing else.

        Parameters
        ----------
        model : MRP
            One to which the recursion `applies_to`.
        call : Call

        Raises
        ------
        TooManyLevels, ValueError
            As from `evaluate`.
        """
        rows = rows_or_why(model)
        if isinstance(rows, str) or not rows.sign:
            raise ValueError(f"the recursion over levels does not apply: {self.applies_to(model)}; {INSTEAD}")
        return self._levels(model, rows, call)

    def applies_to(self, model: MRP) -> str:
        """Why the recursion over levels does not solve `model`; empty if it does."""
        rows = rows_or_why(model)
        if isinstance(rows, str):
            return rows
        return "" if rows.sign else "there are rewards of both signs"

    def enclosing(
        self, model: MRP, returns: Returns, certificate: Certificate, moments: CertifiedMoments
    ) -> Enclosing | None:
        """What is certain of CDF values of laws made by levels; None for others, and where rewards are not certain.

        Parameters
        ----------
        model, returns, certificate : what was solved, and what `evaluate` gave
        moments : of the model, certified
        """
        laws, table = as_categorical(returns), model.outcomes
        if laws is None or table.law_errors.any() or table.defects.any():
            return None
        if certificate.rounding.any() and self.applies_to(model):
            return None
        return levels_enclosed(model, laws, certificate, moments)

    def laws_of(self, model: MRP, states: ArrayLike) -> StateLaws:
        """The laws of some states alone, by the recursion over levels, and their certificate.

        Parameters
        ----------
        model : MRP
            At discount 1, rewards of one sign on a lattice; of an MDP, `mdp.under(policy)`.
        states : (n,) positions

        Returns
        -------
        StateLaws
            `.returns` of batch shape (n,), `.certificate` with arrays (n,). Memory 8 * n * levels bytes, and 16 * S
            for each level that the largest reward reaches back.

        Raises
        ------
        ValueError
            As from `evaluate`, and for a model to which the recursion does not apply.
        """
        whole, call = as_mrp(model, None).whole(), Call()
        chosen = int_array(states, "states", low=0, high=whole.n_states)
        rows = rows_or_why(whole)
        if isinstance(rows, str) or not rows.sign:
            raise ValueError(f"laws_of is by levels, but {self.applies_to(whole)}; {INSTEAD}")
        found = run_levels(whole, rows, call, self._wanted(chosen))
        if call.interrupted:
            raise KeyboardInterrupt
        tail = found.reached.beyond[chosen]
        returns = LatticeReturns(found.grid, found.masses, check=False, tail=tail)
        return StateLaws(returns, found.certificate[chosen])

    # -- by levels --------------------------------------------------------------------------------------------------

    def _levels(self, model: MRP, rows: LatticeRows, call: Call) -> Solution[LatticeReturns]:
        found = run_levels(model, rows, call, self._wanted(np.arange(model.n_states)))
        reached, certificate = found.reached, found.certificate
        bounds = found.cut + certificate.residual
        worst, width = float(bounds.max()), found.grid.width
        tol = 1e-10 * width if call.tol is None else call.tol
        if call.tol is None and not found.stopped:  # the tail was reached, whatever rounding adds
            tol = max(tol, worst)
        status = Status.MAX_ITERATIONS if found.stopped else Status.CONVERGED
        status = Status.INTERRUPTED if call.interrupted else status
        status, tol = settle(status, worst, tol, call.given, float(certificate.residual.max()), 1e-10 * width)
        returns = LatticeReturns(found.grid, found.masses, check=False, tail=reached.beyond)
        return Solution.of(
            returns,
            model,
            self,
            call,
            status=status,
            certificate=certificate,
            bounds=bounds,
            clipped_mass=float(reached.beyond.max()),
            tol=tol,
            solver="levels",
            reason=f"rewards of one sign, multiples of {rows.step:g}; {reached.last + 1} levels; {found.how}",
        )
