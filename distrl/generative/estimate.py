"""The verb: I can sample the model, how well can I estimate it?"""

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np

from distrl._steady import steady
from distrl._validation import FloatArray, generator, whole_number
from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint
from distrl.dp.certificate import SAMPLES_LAW
from distrl.dp.evaluate import evaluate, solve
from distrl.dp.method import GridMethod, Method, check_method
from distrl.dp.monte_carlo import MonteCarlo
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.generative.allocation import adaptive_samples, cautious_deviations, even_sizes
from distrl.generative.intervals import Estimate
from distrl.generative.learners import learnt
from distrl.models.generative import EmpiricalMDP, EmpiricalMRP, GenerativeModel
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.td.methods import TDMethod
from distrl.theory.bounds import dkw_halfwidth

_ALLOCATIONS = ("uniform", "adaptive")


@steady
def estimate(
    model: MRP | MDP | GenerativeModel,
    method: Method | TDMethod,
    policy: Any = None,
    samples_per_state: int = 1000,
    rng: Any = None,
    *,
    rewards: str = "sampled",
    step_size: Any = 0.1,
    budget: int | None = None,
    allocate: str = "uniform",
    functional: Any = "mean",
    at: float | None = None,
    state: int | None = None,
    batches: int = 5,
    tol: float | None = None,
    max_iterations: int | None = None,
    throw: bool = True,
    progress: Any = False,
) -> Estimate:
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
        Samples of every state of an MRP, of every (state, action) of an MDP.
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
    check_method(method, TDMethod)
    if allocate not in _ALLOCATIONS:
        raise ValueError(f"allocate must be one of {', '.join(_ALLOCATIONS)}; got {allocate!r}")
    options = {"tol": tol, "max_iterations": max_iterations, "throw": throw, "progress": progress}
    if isinstance(method, TDMethod):
        options = {"step_size": step_size}
    if isinstance(model, EmpiricalMRP | EmpiricalMDP):
        if budget is not None or allocate != "uniform" or isinstance(method, MonteCarlo):
            raise ValueError("logged transitions cannot be added to: no budget, no allocation and no rollouts")
        return _solved(model, method, policy, generator(rng), options)
    source = model if isinstance(model, GenerativeModel) else GenerativeModel(model, rewards)
    n, rng = source.model.outcomes.n_sources, generator(rng)
    if budget is None:
        if allocate == "adaptive":
            raise ValueError("allocate='adaptive' needs a budget= of samples")
        total = n * whole_number(samples_per_state, "samples_per_state", low=1)
    else:
        total = whole_number(budget, "budget", low=n)
    if isinstance(method, MonteCarlo):
        return _rollouts(source, method, policy, total, rng)
    if allocate == "uniform":
        empirical = source.sample(even_sizes(total, n).reshape(source.shape), rng)
        return _solved(empirical, method, policy, rng, options)
    start = _start(source, state)
    pilot = method if isinstance(method, CategoricalFixedPoint) else CategoricalFixedPoint(201)

    def deviations(empirical: Any) -> FloatArray:
        so_far = _solved(empirical, pilot, policy, rng, {"throw": False})
        return cautious_deviations(so_far.influence(functional, at, start), empirical.samples.totals)

    empirical = adaptive_samples(source, total, whole_number(batches, "batches", low=2), rng, deviations)
    return replace(_solved(empirical, method, policy, rng, options), adaptive=True)


def _solved(empirical: Any, method: Any, policy: Any, rng: np.random.Generator, options: dict[str, Any]) -> Estimate:
    if isinstance(method, GridMethod) and method.grid is None and empirical.return_range is not None:
        method = method.on_interval(*empirical.return_range)
    if isinstance(method, TDMethod):
        solution = learnt(empirical, method, policy, call=Call(rng=rng), **options)
    else:
        options = {"max_iterations": None, "throw": True, "progress": False, "tol": None, **options}
        given = options["tol"] is not None
        if not given and empirical.return_range is not None:
            options["tol"] = 1e-9 * (empirical.return_range[1] - empirical.return_range[0]) or None
        solution = solve(empirical, method, policy, rng=rng, given=given, **options)
    return _estimate(solution, empirical, policy)


def _estimate(solution: Solution, empirical: Any, policy: Any) -> Estimate:
    columns = {field.name: getattr(solution, field.name) for field in fields(Solution)}
    if empirical is not None and solution.certificate is not None:
        columns["certificate"] = replace(solution.certificate, of=SAMPLES_LAW)
    return Estimate(**columns, empirical=empirical, policy=policy)


def _start(source: GenerativeModel, state: int | None) -> int:
    if state is not None:
        return whole_number(state, "state", high=source.model.n_states - 1)
    initial = source.model.initial
    if initial is None or np.count_nonzero(initial) != 1:
        raise ValueError("allocate='adaptive' needs state=, the one whose interval is to shrink")
    return int(np.argmax(initial))


def _rollouts(
    source: GenerativeModel, method: MonteCarlo, policy: Any, total: int, rng: np.random.Generator
) -> Estimate:
    """Episodes from every state that take at most `total` steps together.

    Cut after n steps, n the first whose truncation, discount^n of the returns' range, is within the sampling error of
    the episodes that are paid for then; undiscounted ones run to their end, which a budget cannot bound.
    """
    model = source.model
    states, g = model.n_states, model.discount
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
    if solution.status in (Status.MAX_ITERATIONS, Status.STALLED):
        solution = replace(solution, status=Status.SAMPLED)
    return _estimate(replace(solution, reason=reason), None, policy)
