"""The verb: which policy is best?

`optimize` reads its arguments, hands the decision process with a `Call` to the method, and raises where the work ended
early. Objectives are functionals of the return: the same objects that `returns` and intervals are asked with.
"""

from typing import overload

import numpy as np

from distrl._steady import steady
from distrl._validation import RandomSource, real_number, whole_number
from distrl.control.choosing import method_for, pessimistic
from distrl.control.errors import OptimizationError, OptimizationInterrupted
from distrl.control.method import ControlMethod, Found
from distrl.control.policy import MarkovPolicy, RunnablePolicy
from distrl.control.solution import ControlSolution
from distrl.dp.call import Call
from distrl.dp.progress import ProgressHook, progress_hook
from distrl.dp.status import Status
from distrl.models.mdp import MDP
from distrl.returns import Functional, Mean

_SHARE = 0.01  # of the values' size, which the gap is to be at most by default


@overload
def optimize(
    mdp: MDP,
    objective: Mean,
    method: ControlMethod | None = None,
    horizon: int | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    pessimism: float | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
) -> ControlSolution[MarkovPolicy]: ...
@overload
def optimize(
    mdp: MDP,
    objective: Functional,
    method: ControlMethod | None = None,
    horizon: int | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    pessimism: float | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
) -> ControlSolution[RunnablePolicy]: ...
@steady
def optimize(
    mdp: MDP,
    objective: Functional,
    method: ControlMethod | None = None,
    horizon: int | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    pessimism: float | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
) -> ControlSolution[RunnablePolicy]:
    """The best policy of a decision process, with bounds that hold for certain.

    Parameters
    ----------
    mdp : MDP
    objective : Functional
        What is to be largest, or smallest where `objective.minimised`: `distrl.Mean()`; `CVaR(level)`,
        `MeanCVaR(level, weight)`, `Shortfall(target)`, `MeanVariance(weight)`, `ProbabilityAbove(target)` or
        `Quantile(level)`, by `TargetDP`; `EntropicRisk(beta)` or `EVaR(level)`, by `TimedDP`; `NestedCVaR(level)`, by
        `NestedIteration`.
    method : ControlMethod, optional
        By default the one for the objective, for the mean `PolicyIteration`; `ControlSolution.method` says which. The
        mean can be found by `control.CategoricalValueIteration` and `control.QuantileValueIteration` as well.
    horizon : int, optional
        H: the return of H steps, 0 after them; the policy depends on the step then. None: returns go on until they end,
        and at discount 1 policies that surely end are compared.
    tol : float, optional
        What `gap`, upper - lower, is to be at most at every state, in units of the objective. None: 1% of the largest
        value, difference of values or reward.
    max_iterations : int, optional
        Limit on policies that are looked at, or on sweeps, as `method.counts` says; not for a horizon.
    pessimism : float in [0.5, 1), optional
        For an `EmpiricalMDP`: the policy with the best confidence bound, and bounds on the true process that hold with
        this probability at all states together; see `PessimisticIteration` for the mean, and `PessimisticProcess` for
        other objectives, all but `MeanVariance`, and for horizons. `tol` is not about what the samples leave open then.
        None: the policy is the best one of the samples' own process, and so are the bounds about that.
    rng : None
        For methods that come later; refused if given.
    throw : bool
        Raise `OptimizationError` if the tolerance is not met (its `.solution` holds what there is). Where nothing can
        be certified at discount 1 and no `tol` was given, `status` is UNCERTIFIED, and `reason` says why.
    progress : bool or callable
        As for `evaluate`.

    Returns
    -------
    ControlSolution

    Raises
    ------
    ValueError, TypeError
        On bad input, naming the argument; at discount 1 where from a state no policy ends, or means have no largest.
    OptimizationError
        See `throw`.

    Notes
    -----
    Ctrl-C ends the work at the last policy: with `throw` as `OptimizationInterrupted` (a KeyboardInterrupt) that
    carries it with bounds that are valid, else by returning it with `Status.INTERRUPTED`.

    Examples
    --------
    >>> import distrl
    >>> rows = [(0, 0, 1.0, 0, 1.0, False), (0, 1, 1.0, 0, 5.0, True)]
    >>> mdp = distrl.MDP.from_outcomes(rows, discount=0.9)
    >>> ctl = distrl.optimize(mdp, distrl.Mean())
    >>> ctl.policy.tolist(), ctl.values.round(6).tolist()
    ([0], [10.0])
    """
    chosen = method_for(objective, method) if pessimism is None else pessimistic(objective, method, pessimism, horizon)
    if rng is not None:
        raise ValueError(f"rng is not for the objective {objective!r}; leave it out")
    if not isinstance(mdp, MDP):
        raise TypeError(f"mdp must be a distrl.MDP, got {mdp!r}; a Markov reward process has nothing to decide")
    if tol is not None:
        tol = real_number(tol, "tol")
        if tol <= 0.0:
            raise ValueError(f"tol must be positive, got {tol:g}")
    if max_iterations is not None:
        max_iterations = whole_number(max_iterations, "max_iterations", low=1)
    if horizon is not None:
        horizon = whole_number(horizon, "horizon")
        if max_iterations is not None:
            raise ValueError(
                f"max_iterations counts {chosen.counts}; with a horizon there are its steps, so leave it out"
            )
    hook, close = progress_hook(progress, lambda done, bound: f"{done} {chosen.counts}")
    call = Call(tol, max_iterations, progress=hook, given=tol is not None, horizon=horizon)
    try:
        found = chosen.optimal(mdp, objective, call)
    finally:
        close()
    solution = _solution(found, mdp, objective, chosen, call)
    if throw and solution.status is Status.INTERRUPTED:
        raise OptimizationInterrupted(solution)
    if throw and not solution.converged and (call.given or solution.status is not Status.UNCERTIFIED):
        raise OptimizationError(solution)
    return solution


def _solution(
    found: Found, mdp: MDP, objective: Functional, method: ControlMethod, call: Call
) -> ControlSolution[RunnablePolicy]:
    gap = float(np.max(found.upper - found.lower)) if found.unsolved is None else found.unsolved
    tol = _SHARE * found.size if call.tol is None else call.tol
    status = Status.CONVERGED if gap <= tol else Status.STALLED
    if call.interrupted:
        status = Status.INTERRUPTED
    elif status is Status.STALLED and not np.isfinite(gap):
        status = Status.MAX_ITERATIONS if found.better else Status.UNCERTIFIED
    elif status is Status.STALLED and found.better:
        status = Status.MAX_ITERATIONS
    return ControlSolution(
        policy=found.policy,
        values=found.values,
        lower=found.lower,
        upper=found.upper,
        status=status,
        iterations=call.iterations,
        elapsed=call.elapsed,
        tol=tol,
        reason=found.reason,
        model=mdp,
        objective=objective,
        method=method,
        horizon=call.horizon,
        compiled=call.compiled,
        targets=found.targets,
        family=found.family,
        unsolved=found.unsolved,
    )
