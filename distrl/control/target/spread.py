"""The best mean less a multiple of the variance."""

import numpy as np

from distrl.control.method import Found
from distrl.control.policy_iteration import PolicyIteration
from distrl.control.target.free import FreeMoves
from distrl.control.target.problem import Known, Problem
from distrl.control.target.unrolled import Unrolled
from distrl.control.target.variance import Fan, FanSearch, Limits
from distrl.control.target.variance_family import VarianceFamily
from distrl.dp.call import Call
from distrl.models.mdp import MDP
from distrl.returns import Mean, MeanVariance

_MOST = 256  # batches of sweeps at once


def least_spread(mdp: MDP, objective: MeanVariance, cells: int, call: Call) -> Found:
    """The policy of the largest mean less weight times variance, from every state.

    Parameters
    ----------
    mdp : MDP
    objective : MeanVariance
        With one weight; at weight 0 it is the mean, and `PolicyIteration` finds it.
    cells : int
        Knots of a state at most.
    call : Call

    Raises
    ------
    ValueError
        As `TargetDP.optimal` does.
    """
    weight = objective.single()
    if weight == 0.0 or call.horizon == 0:
        return PolicyIteration().optimal(mdp, Mean(), call)
    problem, free = FreeMoves.without(Problem.of(mdp, ends=call.horizon is None), call.horizon)
    known = None
    if call.horizon is None:
        call.enter("looking for a policy of the largest mean")
        known = Known.of(problem)
    search = FanSearch(Unrolled.of(problem, call.horizon), known, weight, cells, call.tol)
    call.enter("enclosing means and mean squares")
    batches = 1
    while True:
        with call.interruptible():
            search.run(call, batches)
        call.enter("bounding what the policy reaches")
        found = _family(mdp, search, free, call).at(objective)
        if search.stopped or call.interrupted or float((found.upper - found.lower).max()) <= search.enough:
            return found
        if batches > _MOST or known is None:
            search.stopped = "more sweeps gain nothing"
            return _family(mdp, search, free, call).at(objective)
        batches *= 2


def _family(mdp: MDP, search: FanSearch, free: FreeMoves | None, call: Call) -> VarianceFamily:
    fan, limits, rule = search.fan, search.limits, search.rule()
    reason = (
        f"{call.iterations} sweeps, at last on {len(fan.points)} knots, {int(np.diff(fan.ptr).max())} a state at most"
    )
    reason += f"; {search.stopped}" if search.stopped else ""
    if free is not None:
        ptr, states, places = free.spread(fan.ptr)
        points, lower, means, squares = (column[places] for column in (fan.points, fan.lower, fan.means, fan.squares))
        fan = Fan(ptr, points, lower, means, squares, free.meant(fan.choice[places], states))
        rule = free.rule(rule)
        limits = Limits(*(limit[free.small.number] for limit in limits))
    return VarianceFamily(mdp, fan, limits, rule, search.width, bool(search.stopped), reason)
