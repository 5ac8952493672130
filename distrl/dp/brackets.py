"""Enclosures of the true return law, in convex or in stochastic order.

Definitions. L is below U in convex order if E f(L) <= E f(U) for every convex f, that is if means agree and the
stop-loss transforms E(. - k)+ of U are nowhere smaller; in stochastic order if the CDF of U is nowhere larger.

Operator. The Bellman operator T is monotone in both orders. In convex order linear projection on a grid makes a law
larger and merging the particles of a cell makes it smaller (`distrl.dp.bracketing`, `distrl.dp.merging`); in stochastic
order rounding up to an atom makes it larger, rounding down smaller (`distrl.dp.rounding`). Started from laws on the
right side, every iterate stays on that side.

Termination. After enough sweeps that what is left is small against the spacing, or a number that is asked for: each is
valid. Floating point, clipping and what iteration left are counted in the ends (claims `brackets-convex`,
`brackets-stochastic`).

Sources: Shaked and Shanthikumar 2007, "Stochastic Orders"; the brackets are this library's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from distrl._tolerances import EPS
from distrl._validation import real_number, whole_number
from distrl.dp.bracketing import convex_around
from distrl.dp.call import Call
from distrl.dp.categorical import solution_of
from distrl.dp.certificate import Certificate, float_slack
from distrl.dp.fixed_point import arrays_needed, fixed_point
from distrl.dp.horizon_brackets import convex_of_steps, stochastic_of_steps
from distrl.dp.horizon_grid import Span
from distrl.dp.horizon_walk import steps_in_words
from distrl.dp.moment_systems import enclosed_mean
from distrl.dp.on_grid import OnGrid, check_atoms_and_grid
from distrl.dp.problem import Problem
from distrl.dp.refine import Goal, enough_atoms, solve_to_goal
from distrl.dp.rounding import clipping_at_the_ends, far_mass, resolution_of, rounded_sweeps
from distrl.dp.scales import unknown_mass
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.dp.undiscounted import default_grid
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.brackets import BracketReturns, StochasticBrackets
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import CDF, Functional, Quantile, Variance, parse
from distrl.returns.grid import Grid, return_ranges
from distrl.theory import fixed_point_w1

_ORDERS = ("convex", "stochastic")
_CLIPPED = 1e-12  # a mass off the grid up to this may be a far tail: it is counted; more is refused in stochastic order


@dataclass(frozen=True)
class Brackets(OnGrid):
    """Two laws that enclose the true return law, and certified intervals for what users read from it.

    Parameters
    ----------
    atoms : int
        Number of atoms of the grid, if none is given.
    grid : Grid, optional
        By default `Grid.covering(model, atoms)`; at discount 1 as for `CategoricalFixedPoint`. Stochastic order needs a
        grid that clips nothing.
    order : "convex" or "stochastic"
        convex: lower merges each cell of the grid to its conditional mean, upper is the categorical fixed point (linear
        projection); both have the exact mean. Encloses stop-loss, variance and CVaR with width O(spacing^2) for a
        bounded density. stochastic: lower rounds down to atoms, upper rounds up. Encloses the CDF, quantiles and every
        increasing functional, with width O(spacing / (1 - discount)).
    sweeps : int, optional
        Sweeps for the laws that are iterated, each valid at every sweep; by default enough that what is left is small
        against the spacing, squared for the convex order.
    target_width : float, optional
        Choose the number of atoms so that `interval(functional, at, tail=tail)` is at most this wide at every state:
        `atoms` is not used then (but for the first try at discount 1), and of `grid` only the interval. From a guess,
        spacing^2 / (4 (1 - discount^2)) against the target for the convex order, in proportion until it is met;
        `Solution.reason` says how many and why. With continuous rewards time grows with the square of the atoms.
    functional, at, tail : Functional or str, float, str, optional
        What the target is for: "cvar" and 0.1, say; see `BracketReturns.interval`.

    Raises
    ------
    ValueError
        If an option is out of range, or is given without those that it goes with. From `evaluate`: if the arrays do
        not fit in memory, the grid clips in stochastic order, or `target_width` cannot be met.
    TypeError
        If `grid` is no Grid, or `functional` no functional.

    Notes
    -----
    `Solution.returns` is a `ConvexBrackets` or `StochasticBrackets`: `.lower`, `.upper`,
    `.interval("cvar", 0.1)` -> (S, 2). `values` are the exact means. The convex upper law F is an upper one up to
    eps (I - g P)^{-1} 1, eps the largest excess of the stop-loss of Pi T F over F's; iterates of the lower one
    are valid from the Dirac of the exact mean on. Intervals include these, the means' error and floating point.
    Time O(nnz m) a sweep. `Solution.certificate` bounds W1 of the upper law (convex); for the stochastic order of both,
    by the distance between them.
    Claims: `brackets-convex`, `brackets-stochastic`.
    """

    atoms: int = 201
    grid: Grid | None = None
    order: str = "convex"
    sweeps: int | None = None
    target_width: float | None = None
    functional: Functional | str | None = None
    at: float | None = None
    tail: str = "lower"

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        if self.order not in _ORDERS:
            raise ValueError(f"order must be 'convex' or 'stochastic', got {self.order!r}")
        if self.sweeps is not None:
            object.__setattr__(self, "sweeps", whole_number(self.sweeps, "sweeps", low=1))
        if (self.target_width is None) != (self.functional is None):
            raise ValueError(
                "target_width and functional go together, as in target_width=1e-3, functional='cvar', at=0.1"
            )
        if self.functional is None and (self.at is not None or self.tail != "lower"):
            raise ValueError(
                "at and tail say what target_width is for; without it, ask `returns.interval(...)` for them"
            )
        if self.target_width is not None and self.functional is not None:
            object.__setattr__(self, "target_width", real_number(self.target_width, "target_width"))
            if not self.target_width > 0.0:
                raise ValueError(f"target_width must be positive, got {self.target_width:g}")
            if self.at is not None:
                object.__setattr__(self, "at", real_number(self.at, "at"))
            self._question.single()

    @property
    def _question(self) -> Functional:
        """What `target_width` is of."""
        return parse(self.functional, self.at, self.tail)

    def solve(self, model: MRP, call: Call) -> Solution[BracketReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        if self.target_width is None or self.functional is None:
            return self._enclose(model, call).solution
        asked, width = self._question, self.target_width

        def worst(enclosed: _Enclosed) -> float:
            return float(np.diff(enclosed.laws.interval(asked)).max())

        def solve(grid: Grid) -> _Enclosed:
            return replace(self, grid=grid)._enclose(model, call)

        goal = self._goal(asked, width, worst)
        interval = default_grid(model, 2) if self.grid is None else self.grid
        first, g = self.atoms, model.largest_discount
        if g < 1.0:  # shifts of spacing / (1 - g), or an added variance of spacing^2 / (4 (1 - g^2)), over the width
            rate = 1.0 / (1.0 - g) if self.order == "stochastic" else fixed_point_w1(1.0, g)
            unit = interval.width ** (2 if isinstance(asked, Variance) else 0 if isinstance(asked, CDF) else 1)
            first = enough_atoms(rate, width / unit, goal.order)
        found, how = solve_to_goal(model, interval, first, goal, solve, partial(arrays_needed, "auto"))
        solution = found.solution
        return replace(solution, reason=f"{solution.reason}; {how}", method=self, elapsed=call.elapsed)

    def _goal(self, asked: Functional, width: float, worst: "Callable[[_Enclosed], float]") -> "Goal[_Enclosed]":
        at = "" if asked.points is None else f" at {asked.single():g}"
        linear = self.order == "stochastic" or isinstance(asked, CDF | Quantile)
        return Goal(f"target_width={width:g} of {asked.name}{at}", width, worst, order=1 if linear else 2)

    def _enclose(self, model: MRP, call: Call) -> "_Enclosed":
        return self._convex(model, call) if self.order == "convex" else self._stochastic(model, call)

    def _convex(self, model: MRP, call: Call) -> "_Enclosed":
        grid = self._grid_for(model)
        upper = fixed_point(model, grid, call)
        returns = convex_around(Problem.of(model, grid, call), upper.returns, self.sweeps, call)
        status = Status.INTERRUPTED if call.interrupted else upper.status
        plain: Solution[Any] = solution_of(upper, model, self, call)
        return _Enclosed(replace(plain, returns=returns, status=status), returns)

    def _stochastic(self, model: MRP, call: Call) -> "_Enclosed":
        grid = self._grid_for(model)
        problem = Problem.of(model, grid, call)
        operator = problem.operator
        linear = problem.certifier.linear
        mean, mean_error = enclosed_mean(model, linear)
        clipped, overshoot = clipping_at_the_ends(problem)
        if (clipped > _CLIPPED).any():
            state = int(np.argmax(clipped))
            wider = "grid=Grid.covering(model, atoms), or " if model.largest_discount < 1.0 else ""
            raise ValueError(
                f"stochastic-order brackets need a grid that clips nothing, but outcomes of state {state} leave "
                f"[{grid.low:g}, {grid.high:g}]; use {wider}order='convex'"
            )
        near = resolution_of(operator, grid)  # a mass within this of an atom is taken to be on it
        below, last_below = rounded_sweeps(problem, False, near, self.sweeps, call)
        above, last_above = rounded_sweeps(problem, True, near, self.sweeps, call)
        moved = max(last_below, last_above)
        table = model.outcomes
        unknown, odd = unknown_mass(model), table.law_cdf_errors + table.defects  # what is not known of a step's law
        far = overshoot + table.law_errors + odd * grid.width + unknown
        aside, lost = far_mass(problem, clipped + odd, far)
        shift = linear.upper(np.full(model.n_states, 2.0 * near)) + aside
        floats = float_slack(operator)
        # masses out of place do not come closer by discounting: every sweep's count
        slack_mass = np.minimum(lost + call.iterations * float(floats.max()) / grid.width + grid.atoms * EPS, 1.0)
        slack_far = linear.upper(floats + table.law_errors + overshoot + unknown)
        lower, upper = (CategoricalReturns.trusted(grid, probs) for probs in (below, above))
        returns = StochasticBrackets(
            lower, upper, mean, mean_error, shift, shift, *return_ranges(model), slack_mass, slack_far
        )
        gap = np.asarray(upper.mean() - lower.mean()) + 2.0 * (shift + slack_far)
        zeros = np.zeros(model.n_states)
        status = Status.STEADY if moved <= problem.tol else Status.SWEEPS_DONE
        if gap.max() <= problem.tol:  # both limits lie between the two laws
            status = Status.CONVERGED
        solution = Solution.of(
            returns,
            model,
            self,
            call,
            status=Status.INTERRUPTED if call.interrupted else status,
            certificate=Certificate(gap, "brackets-stochastic", gap, zeros, zeros, clipped),
            bounds=gap,
            residual=moved,
            clipped_mass=float(clipped.max()),
            tol=problem.tol,
            solver="sweeps",
            reason="rounding down and up, valid at every sweep",
        )
        return _Enclosed(solution, returns)

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[BracketReturns]:
        """Brackets of the laws of H steps; `sweeps` is not to be given.

        `stages` and `call` are as `HorizonMethod` says.
        """
        if self.sweeps is not None:
            raise ValueError("with a horizon there is one sweep for each step; leave sweeps out")
        span = Span.of(stages)
        if self.target_width is None or self.functional is None:
            return self._enclose_steps(span, span.grid(self.atoms) if self.grid is None else self.grid, call).solution
        asked, width = self._question, self.target_width

        def worst(enclosed: _Enclosed) -> float:
            return float(np.diff(enclosed.laws.interval(asked)).max())

        def solve(grid: Grid) -> _Enclosed:
            return self._enclose_steps(span, span.grid(grid.atoms) if self.grid is None else grid, call)

        goal = self._goal(asked, width, worst)
        interval = span.grid(self.atoms) if self.grid is None else self.grid
        found, how = solve_to_goal(stages.process(0), interval, self.atoms, goal, solve, lambda n, m: 6.0)
        return replace(found.solution, reason=f"{found.solution.reason}; {how}", elapsed=call.elapsed)

    def _enclose_steps(self, span: Span, grid: Grid, call: Call) -> "_Enclosed":
        stages = span.stages
        laws: BracketReturns
        if self.order == "convex":
            convex = convex_of_steps(stages, span.facts, grid, call)
            laws, certificate, status, tol = convex.laws, convex.upper.certificate, convex.status, convex.upper.tol
            bounds, reason = certificate.residual, convex.upper.reason
        else:
            rounded = stochastic_of_steps(stages, span, grid, call)
            laws, certificate, status, tol = rounded.laws, rounded.certificate, rounded.status, rounded.tol
            bounds, reason = certificate.w1, f"{steps_in_words(stages, rounded.done)}, rounding down and up"
        solution = Solution.of(
            laws,
            stages.process(0),
            self,
            call,
            status=status,
            certificate=certificate,
            bounds=bounds,
            clipped_mass=float(certificate.clipped_mass.max()),
            tol=tol,
            solver="steps",
            reason=reason,
        )
        return _Enclosed(solution, laws)


class _Enclosed(NamedTuple):
    """A solution, and its laws once more: known to be a pair that encloses the true ones."""

    solution: Solution[BracketReturns]
    laws: BracketReturns

    @property
    def status(self) -> Status:
        """How the solve ended."""
        return self.solution.status
