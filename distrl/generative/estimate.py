"""The verb: I can sample the model, how well can I estimate it?"""

import math
from dataclasses import dataclass, replace
from typing import Any, TypedDict, TypeVar, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._validation import RandomSource, generator, whole_number
from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint
from distrl.dp.evaluate import evaluate, solve
from distrl.dp.method import GridMethod, Method, check_method
from distrl.dp.monte_carlo import MonteCarlo
from distrl.dp.progress import ProgressHook
from distrl.dp.result import R
from distrl.dp.status import NOT_REACHED, Status
from distrl.generative.adaptive import Adaptive, even_sizes
from distrl.generative.influence import Influence
from distrl.generative.learners import learn_solution
from distrl.generative.result import Estimate
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.empirical_mrp import EmpiricalMRP
from distrl.models.generative import GenerativeModel
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.returns.base import Returns
from distrl.returns.finite import FiniteReturns, ParticleReturns
from distrl.returns.functionals import Functional, parse
from distrl.td.rule import LearningRule, is_rule
from distrl.td.step_sizes import StepSize
from distrl.theory import dkw_halfwidth

_ALLOCATIONS = ("uniform", "adaptive")
Empirical = EmpiricalMRP | EmpiricalMDP
F = TypeVar("F", bound=FiniteReturns, covariant=True)


class Options(TypedDict, total=False):
    """The arguments of `estimate` that are given by name."""

    rewards: str
    step_size: StepSize | ArrayLike
    budget: int | None
    allocate: str
    functional: str | Functional
    at: float | None
    state: int | None
    batches: int
    tol: float | None
    max_iterations: int | None
    throw: bool
    progress: bool | ProgressHook


@overload
def estimate(
    model: MRP | MDP | GenerativeModel,
    method: Method[R],
    policy: ArrayLike | None = None,
    samples_per_state: int = 1000,
    rng: RandomSource = None,
    **options: Unpack[Options],
) -> Estimate[R]: ...


@overload
def estimate(
    model: MRP | MDP | GenerativeModel,
    method: LearningRule[F],
    policy: ArrayLike | None = None,
    samples_per_state: int = 1000,
    rng: RandomSource = None,
    **options: Unpack[Options],
) -> Estimate[F]: ...


@overload
def estimate(
    model: MRP | MDP | GenerativeModel,
    method: LearningRule[Returns],
    policy: ArrayLike | None = None,
    samples_per_state: int = 1000,
    rng: RandomSource = None,
    **options: Unpack[Options],
) -> Estimate[Returns]: ...


@steady
def estimate(
    model: MRP | MDP | GenerativeModel,
    method: Method[Returns] | LearningRule[Returns],
    policy: ArrayLike | None = None,
    samples_per_state: int = 1000,
    rng: RandomSource = None,
    *,
    rewards: str = "sampled",
    step_size: StepSize | ArrayLike = 0.1,
    budget: int | None = None,
    allocate: str = "uniform",
    functional: str | Functional = "mean",
    at: float | None = None,
    state: int | None = None,
    batches: int = 5,
    tol: float | None = None,
    max_iterations: int | None = None,
    throw: bool = True,
    progress: bool | ProgressHook = False,
) -> Estimate[Returns]:
    """The return distribution of a model that is sampled, or of logged transitions, with confidence intervals.

    Parameters
    ----------
    model : MRP, MDP or GenerativeModel: what is sampled; an EmpiricalMRP or EmpiricalMDP is taken as it is
    method : any method of `evaluate` or `learn`
        Methods of `evaluate` run on the empirical model; those of `learn` take its samples one after the other in
        random order, each at most once (under a policy in its proportions). So methods compare sample for sample.
        `MonteCarlo` is different: its episodes are drawn from `model` itself, as many as all the samples pay for, one
        sample a step; its own number of episodes is not used.
    policy : for an MDP, as in `evaluate`
    samples_per_state : int
        Samples of every state of an MRP, of every available (state, action) of an MDP.
    rng : anything `numpy.random.default_rng` takes
    rewards : "sampled" or "known", see `GenerativeModel`
    step_size : float, array or step-size object
        For methods of `learn`, as there.
    budget : int, optional
        Number of samples altogether, instead of `samples_per_state`.
    allocate : "uniform" or "adaptive"
        adaptive: in `batches`, where the influence function says that samples shrink the interval of `functional` at
        `state` most (Neyman allocation, at least 2 each); needs `budget`.
    functional, at, state
        What adaptive samples are for; by default the mean at the one state where `model.initial` starts.
    tol, max_iterations, throw, progress
        As for `evaluate`; `tol=None` is 1e-9 of the width of the range of returns where that is known, far below any
        sampling error.

    Returns
    -------
    Estimate
        A `Solution` of the empirical model, and `.interval(...)`.

    Raises
    ------
    ValueError, TypeError
        On bad input, naming the argument.

    Notes
    -----
    Where the reward range is known (bounded reward laws, or `reward_range` of a log) a method without a grid of its own
    gets one that covers every possible return, not only those of the empirical model: the same for every sample.
    Source of the categorical estimator: Rowland et al. 2024, "Near-Minimax-Optimal Distributional Reinforcement
    Learning with a Generative Model".

    Examples
    --------
    >>> import distrl
    >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> est = estimate(mrp, distrl.CategoricalFixedPoint(atoms=51), samples_per_state=10_000, rng=0)
    >>> low, high = est.interval("mean")[0]
    >>> bool(low < 6.5 < high)
    True
    """
    if not is_rule(method):
        check_method(method)
    if allocate not in _ALLOCATIONS:
        raise ValueError(f"allocate must be one of {', '.join(_ALLOCATIONS)}; got {allocate!r}")
    rng = generator(rng)
    fit = _Fit(method, policy, rng, tol, max_iterations, throw, progress, step_size)
    if isinstance(model, Empirical):
        if budget is not None or allocate != "uniform" or isinstance(method, MonteCarlo):
            raise ValueError("logged transitions cannot be added to: no budget, no allocation and no rollouts")
        return fit(model)
    source = model if isinstance(model, GenerativeModel) else GenerativeModel(model, rewards)
    n = source.model.outcomes.n_sources
    if budget is None:
        if allocate == "adaptive":
            raise ValueError("allocate='adaptive' needs a budget= of samples")
        total = n * whole_number(samples_per_state, "samples_per_state", low=1)
    else:
        total = whole_number(budget, "budget", low=n)
    if isinstance(method, MonteCarlo):
        return _rollouts(source, method, policy, total, rng)
    if allocate == "uniform":
        return fit(source.sample(even_sizes(total, n).reshape(source.shape), rng))
    start = _start(source, state)
    sizes = Adaptive(total, whole_number(batches, "batches", low=2), parse(functional, at), start)
    pilot = method if isinstance(method, CategoricalFixedPoint) else CategoricalFixedPoint(201)
    look = _Fit(pilot, policy, rng, throw=False)

    def seen(empirical: Empirical) -> Influence:
        return look(empirical).influence(sizes.functional, state=start)

    return fit(sizes.sample(source, rng, seen))


@dataclass(frozen=True)
class _Fit:
    """How an empirical model becomes an estimate: the method, and the options of `evaluate` or `learn`."""

    method: Any
    policy: ArrayLike | None
    rng: np.random.Generator
    tol: float | None = None
    max_iterations: int | None = None
    throw: bool = True
    progress: bool | ProgressHook = False
    step_size: StepSize | ArrayLike = 0.1

    def __call__(self, empirical: Empirical) -> Estimate[Returns]:
        method, known = self.method, empirical.return_range
        if isinstance(method, GridMethod) and method.grid is None and known is not None:
            method = method.on_interval(*known)
        if is_rule(method):
            call = Call(rng=self.rng)
            solution = learn_solution(empirical, method, self.policy, self.step_size, call)
            return Estimate.from_solution(solution, empirical, self.policy, empirical.samples.adaptive)
        tol = self.tol
        if tol is None and known is not None:
            tol = 1e-9 * (known[1] - known[0]) or None
        solution = solve(
            empirical,
            method,
            self.policy,
            tol,
            self.max_iterations,
            self.rng,
            self.throw,
            self.progress,
            given=self.tol is not None,
        )
        return Estimate.from_solution(solution, empirical, self.policy, empirical.samples.adaptive)


def _start(source: GenerativeModel, state: int | None) -> int:
    if state is not None:
        return whole_number(state, "state", high=source.model.n_states - 1)
    initial = source.model.initial
    if initial is None or np.count_nonzero(initial) != 1:
        raise ValueError("allocate='adaptive' needs state=, the one whose interval is to shrink")
    return int(np.argmax(initial))


def _rollouts(
    source: GenerativeModel, method: MonteCarlo, policy: ArrayLike | None, total: int, rng: np.random.Generator
) -> Estimate[ParticleReturns]:
    """Episodes from every state that take at most `total` steps together.

    Cut after n steps, n the first whose truncation, discount^n of the returns' range, is within the sampling error of
    the episodes that are paid for then; undiscounted ones run to their end, which a budget cannot bound.
    """
    model = source.model
    states, g = model.n_states, model.largest_discount
    if g == 1.0:
        raise ValueError(
            "undiscounted episodes have no largest length, so no budget; use evaluate(..., MonteCarlo(...))"
        )
    per_state = total // states
    steps = 1
    while steps < per_state and g**steps > dkw_halfwidth(max(per_state // steps, 1), method.confidence):
        steps += 1
    episodes = per_state // steps
    cut = replace(method, episodes=episodes)
    solution = evaluate(model, cut, policy, tol=math.ulp(0.0), max_iterations=steps, rng=rng, throw=False)
    solution = replace(solution, tol=solution.bound)  # what cutting after so many steps costs is what was asked for
    reason = f"{episodes} episodes of at most {steps} steps a state: {states * episodes * steps} of {total} samples"
    if solution.status in NOT_REACHED:
        solution = replace(solution, status=Status.SAMPLED)
    return Estimate.from_solution(replace(solution, reason=reason), None, policy)
