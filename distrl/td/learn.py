"""The verb: I see a stream of transitions, what do I learn of the returns?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from distrl._memory import check_memory
from distrl._steady import steady
from distrl._threads import check_threads
from distrl._validation import IntArray, RandomSource, int_array, whole_number
from distrl.dp.call import Call
from distrl.dp.progress import ProgressHook, progress_hook
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy
from distrl.models.process import as_mrp
from distrl.returns.base import Returns
from distrl.td.acting.environment import Environment
from distrl.td.acting.exploration import ExplorationLike
from distrl.td.acting.method import ActingMethod, K
from distrl.td.acting.run import ControlRun
from distrl.td.acting.starting import ActingOptions, before_acting, players
from distrl.td.noise import Noise
from distrl.td.recorded import LearningStatus
from distrl.td.replication import Checkpoint, Recipe, Replication, Replications, Working
from distrl.td.result import LearningRun
from distrl.td.rule import LearningRule, R, Start, check_rule
from distrl.td.sampling import Sampler, child
from distrl.td.starting import Options, new_run, resumed_options
from distrl.td.step_sizes import StepSize, as_step_size, check_step_size

#: The kind of a run.
Run = TypeVar("Run", bound=LearningRun[Returns])


@overload
def learn(
    model: MDP | Environment,
    method: ActingMethod[R, K],
    policy: None = None,
    step_size: StepSize | ArrayLike | None = None,
    updates: int = 1000,
    replications: int | None = None,
    start: Start = None,
    resume: LearningRun[R] | None = None,
    sampling: str | None = None,
    records: ArrayLike = 10,
    rng: RandomSource = None,
    progress: bool | ProgressHook = False,
    threads: int | None = None,
    exploration: ExplorationLike | None = None,
    discount: float | None = None,
) -> ControlRun[R, K]: ...
@overload
def learn(
    model: MRP | MDP,
    method: LearningRule[R],
    policy: Policy | None = None,
    step_size: StepSize | ArrayLike | None = None,
    updates: int = 1000,
    replications: int | None = None,
    start: Start = None,
    resume: LearningRun[R] | None = None,
    sampling: str | None = None,
    records: ArrayLike = 10,
    rng: RandomSource = None,
    progress: bool | ProgressHook = False,
    threads: int | None = None,
    exploration: None = None,
    discount: None = None,
) -> LearningRun[R]: ...
@steady
def learn(
    model: MRP | MDP | Environment,
    method: LearningRule[R] | ActingMethod[R, K],
    policy: Policy | None = None,
    step_size: StepSize | ArrayLike | None = None,
    updates: int = 1000,
    replications: int | None = None,
    start: Start = None,
    resume: LearningRun[R] | None = None,
    sampling: str | None = None,
    records: ArrayLike = 10,
    rng: RandomSource = None,
    progress: bool | ProgressHook = False,
    threads: int | None = None,
    exploration: ExplorationLike | None = None,
    discount: float | None = None,
) -> LearningRun[R] | ControlRun[R, K]:
    """Learn return distributions, or how to act, from sampled transitions, in independent replications.

    Parameters
    ----------
    model : MRP, or MDP together with `policy`; to act: MDP, Gymnasium environment, its id, or a function that makes one
        It is sampled from and nothing else; rewards with a law are drawn from it. Every replication steps through a
        copy of an environment, or one that it makes; observations and actions have to be `Discrete`.
    method : TD, CategoricalTD, QuantileTD, ExpectileTD or MonteCarloTD
        Or a rule of your own; see `distrl.td.LearningRule`. MeanQ, CategoricalQ, QuantileQ, ExpectileQ, TargetQ or
        QLearning(rule) learn to act.
    policy : (S,) ints, (S, A) probabilities or "uniform", for an MDP; not where one learns to act
    step_size : float, array or step-size object of `distrl.td`, optional
        None: 0.1, or that of `resume`. A number is `Constant`; an array lists a_1, a_2, ... Steps count the renewals of
        a state unless their `clock` says otherwise. At most 1, but for `QuantileTD` and `ExpectileTD`, whose steps are
        not shares.
    updates : int
        How many to make (more of them, with `resume`).
    replications : int, optional
        Their number R; None: 1, or as many as `resume` has. Replication k learns from `default_rng(child k of
        SeedSequence(rng))`, however many there are.
    start : array, optional
        (S,) or (R, S) for TD, (S, m) or (R, S, m) otherwise, or estimates such as `other.final`. None: 0; for
        categorical methods the uniform law on the grid.
    resume : LearningRun, optional
        The run to go on with from where it stopped, bit for bit as if it had not: its method, step size, sampling,
        replications and random streams are used (leave them out, or give the same), and its records come first. It is
        not changed.
    sampling : {"synchronous", "generative", "trajectory"}, optional
        synchronous: an update renews every state once, each from its own independent transition, all from the estimates
        before the update. generative: an update renews one uniformly random state. trajectory: an update is one step of
        an episode, restarted at its end from the model's `initial` law (uniform over the states that are not
        terminal, if it has none), and renews the state whose target that step completes. Where one learns to act, read
        "pair of state and action" for "state". None: synchronous, or trajectory in an environment.
    records : int or array of update counts
        When estimates are kept: this often, evenly spaced, the last at `updates`; or at these counts (0 is the start).
    rng : anything `numpy.random.default_rng` takes
        Equal seeds give equal transitions to every method (with equal `steps`). A Generator gives up four numbers.
    progress : bool or callable
        True shows a bar with the time left; a callable is called with (share done, updates, seconds).
    threads : int, optional
        How many share out the replications; None is one a core. Results do not depend on their number.
    exploration : float in [0, 1], schedule of `distrl.td`, or function of the update count, where one learns to act
        The probability of a random action, among those that the state has, along a trajectory and in targets of
        `update="sarsa"`; with "q" nothing else depends on it. None: 0.1.
    discount : float in [0, 1], for an environment

    Returns
    -------
    LearningRun, or ControlRun where one learns to act

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it must be, naming it, or the arrays do not fit into memory.

    Notes
    -----
    A renewal takes time O(1) for TD and O(m) for categorical and quantile estimates, and its transition takes
    O(log outcomes of a state). A record takes 8 R S m bytes, and the estimates two to four times that.

    Ctrl-C stops within a second and gives back what was recorded, with the estimates as they are then as the last
    record; all replications have made the same number of updates, and `resume` goes on.

    Examples
    --------
    >>> import distrl
    >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> run = distrl.learn(mrp, distrl.CategoricalTD(atoms=51), step_size=0.05, updates=2000, replications=20, rng=0)
    >>> run.values.shape, run.final.probs.shape
    ((10, 20, 2), (20, 2, 51))
    >>> bool(abs(run.values[-1].mean(axis=0) - [6.5, 3.5]).max() < 1.0)
    True
    """
    more = whole_number(updates, "updates", low=1)
    kept = np.size(records) if np.ndim(records) else min(whole_number(records, "records"), more)
    options = Options(None if step_size is None else as_step_size(step_size), replications, start, sampling, rng)
    if isinstance(method, ActingMethod):
        acting = ActingOptions(policy, exploration, discount)
        run = before_acting(model, method, options, acting, resume)
        check_step_size(run.step_size, run.method, run.done + more)
        pairs = run.replications * len(run.choices.actions)
        check_memory(pairs, run.method.width, kept + run.method.arrays, "use fewer records, replications or atoms")
        return _continued(run, lambda copies: players(run, copies), records, more, threads, progress)
    check_rule(method)
    for name, given in (("exploration", exploration), ("discount", discount)):
        if given is not None:
            raise ValueError(f"{method!r} does not choose actions; leave {name} out")
    mrp = as_mrp(model, policy)  # type: ignore[arg-type]  # which refuses all but models
    rule = method.on(mrp)
    before = new_run(mrp, rule, options) if resume is None else resumed_options(resume, mrp, rule, options)
    check_step_size(before.step_size, rule, before.done + more)
    sampler = Sampler.of(mrp, before.sampling, rule.steps or 0)
    _check_memory(before, sampler.noise, kept)
    recipe = Recipe(rule, before.step_size, sampler)

    def working(copies: list[Checkpoint]) -> list[Replication]:
        return [Replication(recipe, child(before.seed, k), copy) for k, copy in enumerate(copies)]

    return _continued(before, working, records, more, threads, progress)


def _continued(
    before: Run,
    working: Callable[[list[Checkpoint]], Sequence[Working]],
    records: ArrayLike,
    more: int,
    threads: int | None,
    progress: bool | ProgressHook,
) -> Run:
    """`before` with `more` updates, or as many as there was time for; `working` goes on from copies of checkpoints."""
    moments, lanes = _moments(records, before.done, more), check_threads(threads)
    hook, close = progress_hook(progress, lambda done, seconds: f"{done} updates")
    try:
        call = Call(progress=hook)
        work = Replications(working([kept.copy() for kept in before.checkpoints]), call, lanes)
        work.run(moments, before.done + more)
    finally:
        close()
    counts = np.array([count for count, _ in work.recorded], dtype=np.int64)
    return replace(
        before,
        updates=np.concatenate([before.updates, counts]),
        done=work.done,
        status=LearningStatus.INTERRUPTED if call.interrupted else LearningStatus.DONE,
        elapsed=before.elapsed + call.elapsed,
        estimates=before.estimates + tuple(estimates for _, estimates in work.recorded),
        checkpoints=work.checkpoints(),
    )


def _moments(records: ArrayLike, done: int, more: int) -> IntArray:
    """The update counts to record, in order."""
    if np.ndim(records) == 0:
        count = whole_number(records, "records", low=1)
        return np.unique(done + more * np.arange(1, min(count, more) + 1) // min(count, more))
    moments = int_array(records, "records", low=done + 1 if done else 0, high=done + more + 1)
    if (np.diff(moments) <= 0).any():
        raise ValueError("records must be update counts in increasing order")
    return moments


def _check_memory(run: LearningRun[Returns], noise: Noise, records: int) -> None:
    width, states = run.method.width, run.model.n_states
    blocks = len(noise.families) * noise.block / (states * width)
    arrays = records + run.method.arrays + blocks
    check_memory(run.replications * states, width, arrays, "use fewer records, replications or atoms")
