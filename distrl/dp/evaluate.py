"""The verb: I know the model, what is the return's distribution?

`evaluate` reads its arguments, makes the MRP that an MDP and a policy are, hands it with a `Call` to the method
(`Method.solve`), and raises where the method ended early. Everything else is the method's.
"""

from dataclasses import replace
from typing import Any, overload

from distrl._steady import steady
from distrl._validation import RandomSource, generator, real_number, whole_number
from distrl.dp.call import Call
from distrl.dp.certificate import SAMPLES_LAW
from distrl.dp.default import Default
from distrl.dp.errors import ConvergenceError, EvaluationInterrupted
from distrl.dp.method import Method, check_method
from distrl.dp.progress import ProgressHook, progress_hook
from distrl.dp.result import R
from distrl.dp.solution import Solution
from distrl.dp.status import NOT_REACHED, Status
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy
from distrl.models.process import as_mrp
from distrl.returns.categorical import CategoricalReturns


@overload
def evaluate(
    model: MRP | MDP,
    method: None = None,
    policy: Policy | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
) -> Solution[CategoricalReturns]: ...
@overload
def evaluate(
    model: MRP | MDP,
    method: Method[R],
    policy: Policy | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
) -> Solution[R]: ...
@steady
def evaluate(
    model: MRP | MDP,
    method: Method[Any] | None = None,
    policy: Policy | None = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    rng: RandomSource = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
) -> Solution[Any]:
    """The return distribution of a known model.

    Parameters
    ----------
    model : MRP, or MDP together with `policy`
    method : Method, optional
        CategoricalFixedPoint, Lattice, CategoricalDP, QuantileDP, ExpectileDP, ParticleDP, Brackets, Moments or
        MonteCarlo, or an object of your own with `solve(model, call)`: see `distrl.dp.Method`. None:
        `CategoricalFixedPoint()`; at discount 1 `Lattice()` where rewards are of one sign and multiples of one step.
    policy : (S,) ints, (S, A) probabilities or "uniform", for an MDP
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
    return solve(model, chosen, policy, tol, max_iterations, rng, throw, progress, given=tol is not None)


def solve(
    model: MRP | MDP,
    method: Method[R],
    policy: Policy | None,
    tol: float | None,
    max_iterations: int | None,
    rng: RandomSource,
    throw: bool,
    progress: bool | ProgressHook,
    given: bool,
) -> Solution[R]:
    """`evaluate`; a `tol` that was not `given` by the user makes room for rounding, as None does."""
    check_method(method)
    mrp = as_mrp(model, policy)
    mdp = model if isinstance(model, MDP) else None
    if tol is not None:
        tol = real_number(tol, "tol")
        if tol <= 0.0:
            raise ValueError(f"tol must be positive, got {tol:g}")
    if max_iterations is not None:
        max_iterations = whole_number(max_iterations, "max_iterations", low=1)
    hook, close = progress_hook(progress)
    call = Call(tol, max_iterations, generator(rng), hook, given=given)
    try:
        solution = method.solve(mrp.whole(), call)
    finally:
        close()
    solution = replace(solution, mdp=mdp, compiled=call.compiled)
    if mrp.sampled and solution.certificate is not None:
        solution = replace(solution, certificate=replace(solution.certificate, of=SAMPLES_LAW))
    if throw and solution.status is Status.INTERRUPTED:
        raise EvaluationInterrupted(solution)
    if throw and solution.status in NOT_REACHED:
        raise ConvergenceError(solution)
    return solution
