"""Where a call of `learn` that learns to act starts: at a new run, or at one that it resumes."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._validation import real_number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.policies import Policy
from distrl.returns.base import Returns
from distrl.td.acting.environment import (
    Environment,
    EnvironmentPlayer,
    Spaces,
    Standing,
    is_environment,
    made,
    spaces_of,
)
from distrl.td.acting.exploration import ExplorationLike, as_exploration
from distrl.td.acting.method import ActingMethod, K
from distrl.td.acting.player import ModelPlayer
from distrl.td.acting.replication import ActingRecipe, ActingReplication
from distrl.td.acting.run import ControlRun
from distrl.td.noise import Noise
from distrl.td.recorded import LearningStatus
from distrl.td.replication import Checkpoint
from distrl.td.result import LearningRun
from distrl.td.rule import R
from distrl.td.sampling import SAMPLINGS, Position, child, seed_root
from distrl.td.starting import Options, check_resumed


class ActingOptions(NamedTuple):
    """What a call says beside what every learner takes, as `learn` was given it."""

    policy: Policy | None
    exploration: ExplorationLike | None
    discount: float | None


def before_acting(
    model: MRP | MDP | Environment,
    method: ActingMethod[R, K],
    options: Options,
    acting: ActingOptions,
    resume: LearningRun[R] | None,
) -> ControlRun[R, K]:
    """The run that a call goes on with: one without updates, or `resume`.

    Raises
    ------
    ValueError, TypeError
        If an option does not fit the model or the method, naming it, and if the estimates do not fit into memory.
    """
    if acting.policy is not None:
        raise ValueError(f"{method!r} chooses the actions itself; leave policy out, and say exploration=")
    if isinstance(model, MDP):
        if acting.discount is not None:
            raise ValueError("the model has a discount of its own; leave discount out")
        return (
            _new(model, method.on(model), options, acting)
            if resume is None
            else _resumed(model, method.on(model), options, acting, resume)
        )
    if not is_environment(model):
        raise TypeError(
            f"model must be a distrl.MDP, a Gymnasium environment, its id or a function that makes one, got {model!r}: "
            f"{method!r} needs actions to choose from"
        )
    if acting.discount is None:
        raise ValueError("an environment has no discount; give discount=")
    env, name = made(model)
    spaces = spaces_of(env, name, real_number(acting.discount, "discount", low=0.0, high=1.0))
    if options.sampling not in (None, "trajectory"):
        raise ValueError(f"an environment is stepped through: sampling must be 'trajectory', got {options.sampling!r}")
    options = options._replace(sampling="trajectory")
    if resume is not None:
        return _resumed(spaces, method.on(None), options, acting, resume)
    run = _new(spaces, method.on(None), options, acting)
    kept = []
    for place, (memory, visits, _) in enumerate(run.checkpoints):
        standing = Standing(0, 0, np.zeros(0, np.int64))
        standing.env = env if place == 0 else made(model)[0]
        kept.append(Checkpoint(memory, visits, standing))
    return replace(run, checkpoints=tuple(kept))


def _new(model: MDP | Spaces, method: ActingMethod[R, K], options: Options, acting: ActingOptions) -> ControlRun[R, K]:
    count, choices = options.copies, model.choices
    sampling = "synchronous" if options.sampling is None else options.sampling
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLINGS)}; got {sampling!r}")
    pairs = len(choices.actions)
    check_memory(count * pairs, method.width, method.arrays, "use fewer replications or atoms")
    families = len(Noise.of(model.outcomes.reward_laws).families) if isinstance(model, MDP) else 0
    checkpoints = tuple(
        Checkpoint(method.remember(row.copy()), np.zeros(pairs, np.int64), Position(0, 0, np.zeros(families, np.int64)))
        for row in method.starts(options.start, count, choices)
    )
    return ControlRun(
        updates=np.empty(0, np.int64),
        done=0,
        status=LearningStatus.DONE,
        elapsed=0.0,
        model=model,
        method=method,
        step_size=options.steps,
        sampling=sampling,
        estimates=(),
        seed=seed_root(options.rng),
        checkpoints=checkpoints,
        exploration=as_exploration(acting.exploration),
    )


def _resumed(
    model: MDP | Spaces,
    method: ActingMethod[R, K],
    options: Options,
    acting: ActingOptions,
    resume: LearningRun[Returns],
) -> ControlRun[R, K]:
    if not isinstance(resume, ControlRun):
        raise TypeError(f"resume must be a run that learnt to act, got {resume!r}")
    check_resumed(resume, model, method, options)
    if acting.exploration is not None and as_exploration(acting.exploration) != resume.exploration:
        raise ValueError(f"resume explored by {resume.exploration!r}; leave exploration out")
    if isinstance(model, Spaces) and any(getattr(each.position, "env", None) is None for each in resume.checkpoints):
        raise ValueError(
            "resume was read from a file, which does not hold its environments; begin a new run with start=run.final"
        )
    return resume


def players(run: ControlRun[R, K], checkpoints: list[Checkpoint]) -> list[ActingReplication]:
    """The replications of a run, at work from `checkpoints`, which are changed."""
    recipe = ActingRecipe(run.method, run.step_size, run.exploration)
    seeds = [child(run.seed, k) for k in range(len(checkpoints))]
    if isinstance(run.model, MDP):
        player = ModelPlayer.of(run.model, run.sampling)
        pairs = zip(seeds, checkpoints, strict=True)
        return [ActingReplication(recipe, player, seed, kept) for seed, kept in pairs]
    found = []
    for seed, kept in zip(seeds, checkpoints, strict=True):
        assert isinstance(kept.position, Standing)
        own = EnvironmentPlayer(run.model, kept.position, seed)
        found.append(ActingReplication(recipe, own, seed, kept))
    return found
