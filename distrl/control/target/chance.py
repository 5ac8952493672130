"""The largest probability to reach a target, and the largest quantile."""

from dataclasses import replace

import numpy as np

from distrl.control.method import Found
from distrl.control.policy_iteration import PolicyIteration
from distrl.control.target.chance_family import ChanceFamily
from distrl.control.target.free import FreeMoves
from distrl.control.target.problem import Known, Problem
from distrl.control.target.steps import Steps, StepSearch
from distrl.control.target.unrolled import Unrolled
from distrl.dp.call import Call
from distrl.models.mdp import MDP
from distrl.returns import Functional, Mean, ProbabilityAbove

_SHARE = 0.01  # of 1, or of the range of returns, is the gap to be at most by default
_LITTLE = 1e-3  # of the gap that is asked for, changes of a sweep that count for nothing


def best_chance(mdp: MDP, objective: Functional, cells: int, call: Call) -> Found:
    """The policy of the largest P(G >= target), or of the largest lower quantile, from every state.

    Parameters
    ----------
    mdp : MDP
    objective : ProbabilityAbove or Quantile
        With one parameter.
    cells : int
        Of the range of returns, on the finest lattice; and returns of a state, where all are listed, at most.
    call : Call
        Its `max_iterations` counts sweeps of all lattices.

    Raises
    ------
    ValueError
        As `TargetDP.optimal` does.
    """
    if call.horizon == 0:  # the return is 0
        stay, n = PolicyIteration().optimal(mdp, Mean(), call), mdp.n_states
        value = np.zeros(n)
        if isinstance(objective, ProbabilityAbove):
            value = np.full(n, float(objective.single() <= 0.0))
        return Found(stay.policy, value, value, value, False, "no step is made", 1.0)
    problem, free = FreeMoves.without(Problem.of(mdp, ends=call.horizon is None), call.horizon)
    known = None
    if call.horizon is None:
        call.enter("looking for a policy of the largest mean")
        known = Known.of(problem)
    search = StepSearch(Unrolled.of(problem, call.horizon), known, cells, objective)
    enough = call.tol
    if enough is None:
        enough = _SHARE * (1.0 if isinstance(objective, ProbabilityAbove) else search.width)
    little = 0.0 if search.every else _LITTLE * min(enough, _SHARE)
    best: ChanceFamily | None = None
    call.enter("enclosing probabilities to fall short")
    with call.interruptible():
        while True:
            search.swept(call, little)
            best = _better(best, _family(search, objective, free))
            call.report(best.gap, enough)
            if best.gap <= enough or search.stopped or not search.further():
                break
    if best is None or call.interrupted:
        best = _better(best, _family(search, objective, free))
    reason = f"{call.iterations} sweeps, the best bounds from {best.reason}"
    reason += f"; {search.stopped}" if search.stopped else ""
    return replace(best, better=bool(search.stopped), reason=reason).at(objective)


def _better(best: ChanceFamily | None, other: ChanceFamily) -> ChanceFamily:
    return other if best is None or other.gap < best.gap else best


def _family(search: StepSearch, objective: Functional, free: FreeMoves | None) -> ChanceFamily:
    if not search.certain:
        search.forget()
    ptr, points, below, above, choice = search.steps
    steps = Steps(ptr, points, below.copy(), above.copy(), choice.copy())  # more sweeps may follow, in place
    rule = search.rule()
    highest = search.window.highest[: search.rows.problem.mdp.n_states]
    how = "all returns" if search.every else f"a lattice of spacing {search.spacing:.3g}"
    reason = f"{how}, {len(steps.points)} knots"
    if free is not None:
        ptr, states, places = free.spread(steps.ptr)
        points, below, above = (column[places] for column in (steps.points, steps.below, steps.above))
        steps = Steps(ptr, points, below, above, free.meant(steps.choice[places], states))
        rule = free.rule(rule)
        highest = highest[free.small.number]
    return ChanceFamily(objective, steps, rule, highest, search.every, search.near, search.width, False, reason)
