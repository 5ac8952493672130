"""Dynamic programming over states and targets."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._kernels.target import Choice
from distrl._validation import whole_number
from distrl.control.method import ControlMethod, Found
from distrl.control.target.certify import certified
from distrl.control.target.chance import best_chance
from distrl.control.target.family import TargetFamily
from distrl.control.target.free import FreeMoves
from distrl.control.target.goals import Goal
from distrl.control.target.knots import Curve, Knots
from distrl.control.target.layers import Layers
from distrl.control.target.parts import Side
from distrl.control.target.policy import TargetPolicy
from distrl.control.target.problem import Known, Problem
from distrl.control.target.rule import ActionTable, TargetRule
from distrl.control.target.search import Search
from distrl.control.target.spread import least_spread
from distrl.control.target.sure import Sure
from distrl.dp.call import Call
from distrl.models.mdp import MDP
from distrl.returns import Functional, MeanVariance, ProbabilityAbove, Quantile

_CELLS = 4096  # of the finest lattice for probabilities, and knots of a state for variances
_PARTS = 8  # of a law of rewards, to begin with
_SPARE = 0.03  # of the gap, that what is certified of the policy may be too cautious by


@dataclass(frozen=True)
class TargetDP(ControlMethod):
    """Dynamic programming over states and targets: CVaR, its mixtures with the mean, shortfalls, mean less variance,
    probabilities to reach a target, and quantiles.

    With the loss l of `Goal` (the put (b - G)+ for CVaR), U(x, b) = min over policies of E_x l(b - G) satisfies

        U(x, b) = min_a sum p [l(b - r) where the return ends, else g U(y, (b - r) / g)],    g that of the outcome,

    and the policy that takes the best a at the target b, and goes on with (b - r) / g, reaches it (Bauerle and Ott
    2011). U is enclosed by piecewise linear functions of b: every kink of a backed-up function that comes to lie within
    a cell lowers (raises) the knots beside it by what the chord is off at most, so that chords stay below (above). The
    actions of the upper function, one for each cell, are the policy's; `lower` is what it reaches with its exact target
    as memory. U is not convex, and interpolation alone bounds it on neither side. Claims `target-chords-below`,
    `target-chords-above`, and for the whole claim `target-optimum-enclosed`.

    At discount 1, where all rewards are multiples of one step, targets stay on a lattice, and nothing is lost but
    rounding.

    `MeanVariance` has the loss (b - G)^2: less b^2 it is concave in b, so that chords bound it from below, and the
    lines of policies from above; knots are where these lines meet. `ProbabilityAbove` and `Quantile` have the loss
    1{G < b}: targets are rounded to knots, up for the policy and down for the bound on all. Where all returns of a
    state are few (a horizon, processes without loops), or on a lattice at discount 1, nothing is lost. Else, below
    discount 1 without a horizon, there are piecewise linear functions for them too, whose gap is of second order where
    returns have a density; the better of both is played, and `reason` says what was tried. Targets that differ by less
    than 1e-11 of the size of returns, a step, are one. Policies by rounding, and for `MeanVariance`, are `NodePolicy`s:
    a finite memory.
    Claim `mean-variance-enclosed`, claim `probability-enclosed`, claim `quantile-enclosed`.

    Parameters
    ----------
    cells : int, optional
        How many cells of the finest lattice the range of returns may have, and how many knots of its own a state. The
        search begins with a coarse one, halves its spacing while the gap is above `tol`, and stops there, or where
        memory ends. None: the search for CVaR, its mixtures and shortfalls goes on while halving gains something, on
        more than 4,096 cells up to 2^22 knots of all states (a sweep takes up to a second then); others have 4,096.

    Raises
    ------
    ValueError, TypeError
        If `cells` is no whole number of at least 2.

    Notes
    -----
    The gap is of second order in the spacing where returns have a density, else of first order. `ControlSolution.at`
    and `frontier` read all levels, or all targets, from one solve. Time O(outcomes * knots) a sweep, a few ns each,
    knots being those of a state's window, which is as wide as its returns are likely; memory 18 bytes a state and knot,
    and up to 160 while a lattice is exchanged. Guarantee: `lower` <= value of the policy, and the best value <= `upper`
    (for shortfalls the other way round), at every sweep, rounding counted. For CVaR, its mixtures and shortfalls
    outcomes may have discounts of their own, below 1 without a horizon, and rewards any bounded laws: these are cut
    into up to 2^14 parts, with a gap of first order in them. Else rewards need finitely many values. Source:
    Bauerle and Ott 2011, "Markov Decision Processes with Average-Value-at-Risk Criteria", for the recursion; the
    enclosure is this library's, see docs/control.md.
    """

    cells: int | None = None

    counts: ClassVar[str] = "sweeps"

    def __post_init__(self) -> None:
        if self.cells is not None:
            object.__setattr__(self, "cells", whole_number(self.cells, "cells", low=2))

    def serves(self, objective: Functional) -> bool:
        return Goal.serves(objective) or isinstance(objective, MeanVariance | ProbabilityAbove | Quantile)

    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The policy of the best value, from every state.

        Parameters
        ----------
        mdp : MDP
        objective : CVaR of the lower tail, MeanCVaR, Shortfall, MeanVariance, ProbabilityAbove or Quantile
            With one parameter; others follow from `ControlSolution.at`.
        call : Call
            Its `max_iterations` counts sweeps, of both functions at once.

        Raises
        ------
        ValueError
            As `PolicyIteration` does, whose bounds on means are where the search begins; for reward laws of infinitely
            many values; and for several parameters.
        """
        objective.single()
        if not Goal.serves(objective) and mdp.uniform_discount is None:
            raise ValueError(
                f"{objective!r} takes one discount for all outcomes, and here it differs by outcome: use "
                "mdp.with_discount(number), or CVaR, MeanCVaR or Shortfall, which take such models"
            )
        if isinstance(objective, MeanVariance):
            return least_spread(mdp, objective, self.cells or _CELLS, call)
        if isinstance(objective, ProbabilityAbove | Quantile):
            return best_chance(mdp, objective, self.cells or _CELLS, call)
        goal, problem = Goal(objective), Problem.of(mdp, call.horizon is None, Side.DOWN, _PARTS)
        if call.horizon is not None:
            return _by_steps(problem, goal, self.cells, call)
        inner, free = FreeMoves.without(problem, call.horizon)
        call.enter("looking for a policy of the largest mean")
        search = Search(inner, Known.of(inner), goal, self.cells, call.tol)
        call.enter("enclosing the loss at every target")
        with call.interruptible():
            search.run(call)
        call.enter("bounding what the policy reaches")
        above, choice = _policy_of(search, call)
        below, width, sure = search.bracket.below, search.known.width, search.sure
        if free is None:
            actions = _actions(inner, above.knots, choice)
        else:
            actions = free.actions(choice, above.knots)
            below, above = free.curve(below), free.curve(above)
            sure = sure.of_components(free.small.number)
        tables = (ActionTable(above.knots.first, above.knots.ptr, actions, *sure.played),)
        policy = _started(problem, above, tables, sure.near, None)
        return _family(goal, below, above, policy, sure, width, search.stopped, call).at(objective)


def _actions(problem: Problem, knots: Knots, choice: Choice) -> Choice:
    choices = problem.mdp.choices
    return np.asarray(choices.actions[choices.indptr[:-1][knots.states] + choice], dtype=np.int16)


def _started(
    problem: Problem, above: Curve, tables: tuple[ActionTable, ...], near: float, horizon: int | None
) -> TargetPolicy:
    knots, n = above.knots, problem.mdp.n_states
    rule = TargetRule(problem.mdp.uniform_discount, knots.origin, knots.spacing, tables, above.exact, horizon, near)
    return TargetPolicy(np.zeros(n), rule)


def _family(
    goal: Goal, below: Curve, above: Curve, policy: TargetPolicy, sure: Sure, width: float, stopped: str, call: Call
) -> TargetFamily:
    knots = above.knots
    lattice = "the lattice of all returns" if above.exact else "a lattice"
    reason = f"{call.iterations} sweeps, at last on {lattice} of spacing {knots.spacing:g} with {knots.size} knots"
    reason += f"; {stopped}" if stopped else ""
    return TargetFamily(goal.objective, below, above, policy, sure, width, bool(stopped), reason)


def _by_steps(problem: Problem, goal: Goal, cells: int | None, call: Call) -> Found:
    layers = Layers(problem, goal, call.horizon or 0, cells, call.tol)
    call.enter("stepping back from the horizon")
    with call.interruptible():
        layers.run(call)
    tables = layers.tables if layers.done else layers.anything
    below, above = layers.first.below, layers.first.above
    sure = layers.sure[layers.horizon]
    policy = _started(problem, above, tables, max(each.near for each in layers.sure), layers.horizon)
    stopped = layers.stopped if layers.done else layers.stopped or "no lattice was gone through"
    return _family(goal, below, above, policy, sure, layers.width, stopped, call).at(goal.objective)


def _policy_of(search: Search, call: Call) -> tuple[Curve, Choice]:
    """A policy and a function above its loss: the search's, or the mean-optimal one where more is known of that."""
    bracket, goal = search.bracket, search.goal
    above = certified(bracket, search.known, search.order, search.toll, _SPARE * goal.scale * search.enough, call)
    if above is None:
        return search.mean_optimal
    if not (search.stopped or call.interrupted):
        return above, bracket.choice
    other, mean_choice = search.mean_optimal
    gaps = [float(np.ptp(goal.read(bracket.below, each, search.sure)[:2], axis=0).max()) for each in (above, other)]
    return (above, bracket.choice) if gaps[0] <= gaps[1] else (other, mean_choice)
