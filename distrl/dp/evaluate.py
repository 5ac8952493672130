"""The verb: I know the model, what is the return's distribution?

`evaluate` reads its arguments, makes the MRP that an MDP and a policy are, hands it with a `Call` to the method
(`Method.solve`), and raises where the method ended early. Everything else is the method's.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from distrl._steady import steady
from distrl._validation import RandomSource, generator, real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import SAMPLES_LAW
from distrl.dp.default import Default
from distrl.dp.errors import ConvergenceError, EvaluationInterrupted
from distrl.dp.horizon import solve_stages
from distrl.dp.method import Method, check_method
from distrl.dp.progress import ProgressHook, progress_hook
from distrl.dp.result import R
from distrl.dp.solution import Solution
from distrl.dp.status import NOT_REACHED, Status
from distrl.models.mdp import MDP
from distrl.models.policies import Policy
from distrl.models.process import Model, as_mrp
from distrl.models.stages import Stages, of_samples
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns


@overload
def evaluate(
    model: Model | Sequence[Model],
    method: None = None,
    policy: Policy | Sequence[Policy] | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
    *,
    horizon: int | None = None,
) -> Solution[CategoricalReturns]: ...
@overload
def evaluate(
    model: Model | Sequence[Model],
    method: Method[R],
    policy: Policy | Sequence[Policy] | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
    *,
    horizon: int | None = None,
) -> Solution[R]: ...
@steady
def evaluate(
    model: Model | Sequence[Model],
    method: Method[Returns] | None = None,
    policy: Policy | Sequence[Policy] | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
    *,
    horizon: int | None = None,
) -> Solution[Returns]:
    """The return distribution of a known model.

    Parameters
    ----------
    model : MRP, or MDP together with `policy`
        With a horizon also a sequence of H models, one for each step, step 0 first.
    method : Method, optional
        CategoricalFixedPoint, Lattice, CategoricalDP, QuantileDP, ExpectileDP, ParticleDP, Brackets, Moments or
        MonteCarlo, or an object of your own with `solve(model, call)`: see `distrl.dp.Method`. None:
        `CategoricalFixedPoint()`; at discount 1 `Lattice()` where rewards are of one sign and multiples of one step.
    policy : (S,) ints, (S, A) probabilities or "uniform", for an MDP
        With a horizon also one for each step: (H, S) ints, (H, S, A) probabilities, or a sequence of H policies.
    tol : float, optional
        What `Solution.bound`, the certified bound on the iteration error, is to be at most: sup over states of W1, in
        units of reward. The status is CONVERGED if and only if it is. A tolerance below what float64 reaches raises.
        None: 1e-10 of the grid's width (1e-12, or 2e-10 of its spacing if that is less, where that can be had: CDF
        values are then right to 2e-10), or the bound that the best solver reaches, whichever is larger: rounding alone
        never raises. For `QuantileDP` in sup-W_inf, for `ExpectileDP` on the last step; None: 1e-10 of the returns'
        range. For `MonteCarlo` on what cutting episodes leaves out; None: 1e-6 of the largest E|G|.
    max_iterations : int, optional
        Limit on applications of the operator. None: enough for the contraction to reach `tol`.
    rng : anything `numpy.random.default_rng` takes
        For methods that sample.
    throw : bool
        Raise `ConvergenceError` if the tolerance is not met (its `.solution` holds what there is).
    progress : bool or callable
        True shows a bar with the time left, what the work is at, and says so if kernels are compiled first; a callable
        is called with (share done, applications, bound). If it has an attribute `phase`, that is called with words for
        what begins.
    horizon : int, optional
        H: the return of H steps from any state, 0 after them. At discount 1 nothing has to end then. Laws follow by H
        applications, from the last step to the first; all that the solution certifies is about these returns, and its
        bounds are those of H steps. There is no iteration to converge: `Solution.bound`, which `tol` is compared with,
        is what rounding leaves. None: returns go on until they end.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError, TypeError
        On bad input, naming the argument.
    ConvergenceError
        See `throw`.

    Notes
    -----
    Ctrl-C ends the work at the last iterate: with `throw` as `EvaluationInterrupted` (a KeyboardInterrupt) that carries
    the certified solution, else by returning it with `Status.INTERRUPTED`.

    Examples
    --------
    >>> import distrl
    >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> sol = distrl.evaluate(mrp, distrl.CategoricalFixedPoint(atoms=51))
    >>> sol.values.round(6).tolist()
    [6.5, 3.5]
    """
    chosen = Default() if method is None else method
    return solve(model, chosen, policy, tol, max_iterations, rng, throw, progress, tol is not None, horizon)


def solve(
    model: Model | Sequence[Model],
    method: Method[R],
    policy: Policy | Sequence[Policy] | None,
    tol: float | None,
    max_iterations: int | None,
    rng: RandomSource,
    throw: bool,
    progress: bool | ProgressHook,
    given: bool,
    horizon: int | None = None,
) -> Solution[R]:
    """`evaluate`; a `tol` that was not `given` by the user makes room for rounding, as None does."""
    check_method(method)
    stages = None if horizon is None else Stages.of(model, policy, horizon)
    if stages is None:
        mrp, mdp = as_mrp(model, policy), model if isinstance(model, MDP) else None
    else:
        mrp, mdp = stages.process(0), stages.decisions(0)
    if tol is not None:
        tol = real_number(tol, "tol")
        if tol <= 0.0:
            raise ValueError(f"tol must be positive, got {tol:g}")
    if max_iterations is not None:
        max_iterations = whole_number(max_iterations, "max_iterations", low=1)
    hook, close = progress_hook(progress)
    call = Call(tol, max_iterations, generator(rng), hook, given=given, horizon=horizon)
    try:
        solution = method.solve(mrp.whole(), call) if stages is None else solve_stages(stages, method, call)
    finally:
        close()
    solution = replace(solution, mdp=mdp, compiled=call.compiled)
    if mrp.sampled or (stages is not None and any(of_samples(each) for each in stages.models)):
        solution = _of_samples(solution)
    if throw and solution.status is Status.INTERRUPTED:
        raise EvaluationInterrupted(solution)
    if throw and solution.status in NOT_REACHED:
        raise ConvergenceError(solution)
    return solution


def _of_samples(solution: Solution[R]) -> Solution[R]:
    """The solution of an empirical model, whose certificates say that they are about its samples' law."""
    if solution.later is not None:
        later = solution.later._replace(certificate=replace(solution.later.certificate, of=SAMPLES_LAW))
        solution = replace(solution, later=later)
    if solution.certificate is None:
        return solution
    return replace(solution, certificate=replace(solution.certificate, of=SAMPLES_LAW))
