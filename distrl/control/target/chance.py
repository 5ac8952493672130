"""The largest probability to reach a target, and the largest quantile."""

import numpy as np

from distrl.control.method import Found
from distrl.control.policy_iteration import PolicyIteration
from distrl.control.target.chance_family import ChanceFamily
from distrl.control.target.problem import Known, Problem
from distrl.control.target.steps import StepSearch
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
    problem = Problem.of(mdp, ends=call.horizon is None)
    known = None
    if call.horizon is None:
        call.enter("looking for a policy of the largest mean")
        known = Known.of(problem)
    targets = np.array([objective.single()] if isinstance(objective, ProbabilityAbove) else [])
    search = StepSearch(Unrolled.of(problem, call.horizon), known, cells, targets)
    enough = call.tol
    if enough is None:
        enough = _SHARE * (1.0 if isinstance(objective, ProbabilityAbove) else search.width)
    best: Found | None = None
    call.enter("enclosing probabilities to fall short")
    while True:
        with call.interruptible():
            search.swept(call, _LITTLE * min(enough, _SHARE) if not search.every else 0.0)
        found = _family(search, objective, call).at(objective)
        if best is None or _gap(found) < _gap(best):
            best = found
        call.report(_gap(best), enough)
        if _gap(best) <= enough or search.stopped or call.interrupted or not search.finer():
            break
    if best is found or not search.stopped:
        return _family(search, objective, call).at(objective) if best is found else best
    assert isinstance(best.family, ChanceFamily)
    return best.family.after(search.stopped).at(objective)


def _gap(found: Found) -> float:
    with np.errstate(invalid="ignore"):
        return float((found.upper - found.lower).max())


def _family(search: StepSearch, objective: Functional, call: Call) -> ChanceFamily:
    if not search.certain:
        search.forget()
    steps, n = search.steps, search.rows.problem.mdp.n_states
    how = "all returns" if search.every else f"a lattice of spacing {search.spacing:.3g}"
    reason = f"{call.iterations} sweeps, at last on {how}, {len(steps.points)} knots"
    reason += f"; {search.stopped}" if search.stopped else ""
    highest = search.window.highest[:n]
    stopped = bool(search.stopped)
    return ChanceFamily(
        objective, steps, search.rule(), highest, search.every, search.near, search.width, stopped, reason
    )
