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

from distrl._memory import check_memory
from distrl._validation import FloatArray, int_array, real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint
from distrl.dp.certificate import Certificate
from distrl.dp.distinct_sums import distinct_sums, never_returns
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.lattice_certificate import certified_levels, levels_enclosed
from distrl.dp.lattice_rows import LatticeRows, OffLattice
from distrl.dp.level_recursion import MEND, LevelRecursion, Reached
from distrl.dp.moment_systems import absolute_rewards
from distrl.dp.resolvent import Resolvent
from distrl.dp.solution import Solution
from distrl.dp.status import Status, settle
from distrl.dp.undiscounted import lattice_grid
from distrl.models.discounts import said_discount
from distrl.models.mrp import MRP
from distrl.models.process import as_mrp
from distrl.returns.base import Returns
from distrl.returns.categorical import as_categorical
from distrl.returns.functionals import Enclosing
from distrl.returns.grid import Grid
from distrl.returns.lattice import LatticeReturns


class TooManyLevels(ValueError):
    """The laws have more levels than were allowed; the message says how many, and what to use instead."""


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
        Limit on the number of levels, or of the distinct sums of one state.

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
      their elimination a level. Memory 8 * S * levels bytes; `laws_of` keeps some states' masses alone. The result is a
      `LatticeReturns` on 0, d, 2 d, ... (on ..., -2 d, -d, 0 where no reward is positive), its `.tail` (S,) the mass
      beyond the last level, which is put onto it.
    - *fixed point on the lattice*: rewards of both signs. The general solver, `CategoricalFixedPoint`, on a grid with
      spacing d: exact but for its error and a clipped tail, which the certificate has. A `LatticeReturns`, whose
      `.tail` is the probability that one more application leaves the grid.
    - *distinct sums*: any rewards and any discount, where no state is met twice: every sum that a walk can make, equal
      ones merged. The result is `ParticleReturns`. Time and memory O(sums) for each outcome.

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "tail", real_number(self.tail, "tail", low=0.0, high=1.0))
        if self.tail in (0.0, 1.0):
            raise ValueError(f"tail must lie in (0, 1), got {self.tail:g}")
        object.__setattr__(self, "max_values", whole_number(self.max_values, "max_values", low=2))

    def solve(self, model: MRP, call: Call) -> Solution[Returns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        rows = _rows_of(model)
        if not isinstance(rows, str) and rows.sign:
            return self._levels(model, rows, call)
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
            raise ValueError(f"{rows}, and some state can be met again, so that sums have no end; {_INSTEAD}")
        raise ValueError(
            f"rewards of both signs reach over more than {self.max_values} multiples of {rows.step:g}; raise "
            f"max_values, or use a coarser grid: {_INSTEAD}"
        )

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
        rows = _rows_of(model)
        if isinstance(rows, str) or not rows.sign:
            raise ValueError(f"the recursion over levels does not apply: {self.applies_to(model)}; {_INSTEAD}")
        return self._levels(model, rows, call)

    def applies_to(self, model: MRP) -> str:
        """Why the recursion over levels does not solve `model`; empty if it does."""
        rows = _rows_of(model)
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
        if laws is None or certificate.rounding.any() or table.law_errors.any() or table.defects.any():
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
        rows = _rows_of(whole)
        if isinstance(rows, str) or not rows.sign:
            raise ValueError(f"laws_of is by levels, but {self.applies_to(whole)}; {_INSTEAD}")
        found = self._run(whole, rows, call, chosen)
        if call.interrupted:
            raise KeyboardInterrupt
        tail = found.reached.beyond[chosen]
        returns = LatticeReturns(found.grid, found.masses, check=False, tail=tail)
        return StateLaws(returns, found.certificate[chosen])

    # -- by levels --------------------------------------------------------------------------------------------------

    def _levels(self, model: MRP, rows: LatticeRows, call: Call) -> Solution[LatticeReturns]:
        found = self._run(model, rows, call, np.arange(model.n_states))
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

    def _run(self, model: MRP, rows: LatticeRows, call: Call, states: np.ndarray) -> "_Found":
        call.enter("bounding what errors add up to")
        linear = Resolvent.of(model)
        mean = float(linear.upper(absolute_rewards(model, of_laws=True)).max())
        at_least = mean / rows.step
        if at_least > self.max_values:
            raise TooManyLevels(
                f"the largest mean return is {at_least:.4g} times the step {rows.step:g} of the rewards, so that more "
                f"than {self.max_values} levels are needed; raise max_values, or use {_GENERAL}"
            )
        check_memory(len(states), int(at_least) + 2, 1.0, MEND)
        recursion = LevelRecursion(rows, model.n_states, states, rows.reach(model))
        reach = recursion.largest * rows.step + mean
        enough = self.tail if call.tol is None else min(self.tail, 0.5 * call.tol / max(reach, 1e-300))
        limit = self.max_values if call.max_iterations is None else min(call.max_iterations, self.max_values)
        call.enter("solving level after level")
        likely = int(1.1 * at_least + 12.0 * at_least**0.5) + 64  # a law that is nearly normal, of a walk forward
        reached = recursion.run(call, max(enough, 1e-290), limit, likely)
        left = float(reached.beyond.max())
        stopped = left > enough and not call.interrupted
        if stopped and limit == self.max_values:
            state = int(np.argmax(reached.beyond))
            raise TooManyLevels(
                f"after {self.max_values} levels the return from state {model.states[state]!r} still goes beyond with "
                f"probability {left:.3g}, more than tail={enough:g}; raise max_values or tail, or use {_GENERAL}"
            )
        certificate, cut = certified_levels(model, rows, linear, recursion, reached, mean)
        end = reached.last * rows.step
        if rows.sign > 0:
            grid, masses = Grid(0.0, end, reached.last + 1), reached.masses
        else:
            grid, masses = Grid(-end, 0.0, reached.last + 1), np.ascontiguousarray(reached.masses[:, ::-1])
        return _Found(grid, masses, reached, certificate, cut, stopped, recursion.how)


class _Found(NamedTuple):
    """What the recursion reached, with signs as they were; `cut` is what the tail may cost."""

    grid: Grid
    masses: FloatArray
    reached: Reached
    certificate: Certificate
    cut: FloatArray
    stopped: bool
    how: str


def _rows_of(model: MRP) -> LatticeRows | str:
    """The model's outcomes on a lattice, or why they are on none."""
    if model.uniform_discount != 1.0:
        return f"discounted returns (discount {said_discount(model)}) are on no lattice"
    try:
        return LatticeRows.of(model)
    except OffLattice as error:
        return str(error)


_GENERAL = "distrl.CategoricalFixedPoint(), which works on a coarser grid"
_INSTEAD = "use distrl.CategoricalFixedPoint() or distrl.Brackets(), which need no lattice"
