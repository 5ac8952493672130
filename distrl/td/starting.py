"""Where a call of `learn` starts: at a new run, or at one that it resumes."""

from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._validation import RandomSource, whole_number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.returns.base import Returns
from distrl.td.noise import Noise
from distrl.td.recorded import LearningStatus
from distrl.td.replication import Checkpoint
from distrl.td.result import LearningRun
from distrl.td.rule import LearningRule, R, Start
from distrl.td.sampling import SAMPLINGS, Position, seed_root
from distrl.td.step_sizes import Constant, StepSize


class Options(NamedTuple):
    """How a user wants to learn, each option as `learn` was given it; None where it was left out."""

    step_size: StepSize | None
    replications: int | None
    start: Start
    sampling: str | None
    rng: RandomSource

    @property
    def steps(self) -> StepSize:
        """The steps of a new run."""
        return Constant(0.1) if self.step_size is None else self.step_size

    @property
    def copies(self) -> int:
        """How many replications a new run has.

        Raises
        ------
        ValueError, TypeError
            If that is no whole number above 0.
        """
        return 1 if self.replications is None else whole_number(self.replications, "replications", low=1)


def new_run(model: MRP, rule: LearningRule[R], options: Options) -> LearningRun[R]:
    """A run that has made no update.

    Raises
    ------
    ValueError, TypeError
        If an option does not fit the model or the rule, naming it, and if the estimates do not fit into memory.
    """
    count = options.copies
    sampling = "synchronous" if options.sampling is None else options.sampling
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLINGS)}; got {sampling!r}")
    if rule.all_at_once and sampling != "synchronous":
        raise ValueError(f"{rule!r} renews all states at once; it needs sampling='synchronous'")
    if rule.steps is None:
        endless = model.outcomes.never_ending_source()
        if endless is not None:
            raise ValueError(
                f"targets to the end of the episode (steps=None) need one, but none can be reached from state "
                f"{model.states[endless]!r}; give a number of steps"
            )
    n = model.n_states
    check_memory(count * n, rule.width, rule.arrays, "use fewer replications or atoms")
    families = len(Noise.of(model.outcomes.reward_laws).families)
    checkpoints = tuple(
        Checkpoint(rule.remember(row.copy()), np.zeros(n, np.int64), Position(0, 0, np.zeros(families, np.int64)))
        for row in rule.starts(options.start, count, n)
    )
    return LearningRun(
        updates=np.empty(0, np.int64),
        done=0,
        status=LearningStatus.DONE,
        elapsed=0.0,
        model=model,
        method=rule,
        step_size=options.steps,
        sampling=sampling,
        estimates=(),
        seed=seed_root(options.rng),
        checkpoints=checkpoints,
    )


def resumed_options(run: LearningRun[R], model: MRP, rule: LearningRule[R], options: Options) -> LearningRun[R]:
    """`run`, if the options beside it are its own or left out.

    Raises
    ------
    ValueError, TypeError
        If one is not, naming it.
    """
    check_resumed(run, model, rule, options)
    return run


def check_resumed(run: LearningRun[Returns], model: object, method: object, options: Options) -> None:
    """Refuse to resume a run with what is not its own.

    Raises
    ------
    ValueError, TypeError
        Naming it.
    """
    if not isinstance(run, LearningRun):
        raise TypeError(f"resume must be a LearningRun, got {run!r}")
    if model is not run.model and not _same_model(model, run.model):
        raise ValueError("resume is a run on another model (or policy)")
    if method != run.method:
        raise ValueError(f"resume is a run of {run.method!r}, not of {method!r}")
    if options.start is not None:
        raise ValueError("a resumed run goes on with its own estimates; leave start out")
    if options.rng is not None:
        root = seed_root(options.rng)
        if (root.entropy, root.spawn_key) != (run.seed.entropy, run.seed.spawn_key):
            raise ValueError("a resumed run goes on with its own random streams; leave rng out")
    if options.step_size not in (None, run.step_size):
        raise ValueError(f"resume took steps {run.step_size!r}, not {options.step_size!r}; leave step_size out")
    if options.replications not in (None, run.replications):
        raise ValueError(f"resume has {run.replications} replications, not {options.replications}; leave them out")
    if options.sampling not in (None, run.sampling):
        raise ValueError(f"resume has {run.sampling} sampling, not {options.sampling}; leave it out")


def _same_model(a: object, b: object) -> bool:
    if not isinstance(a, MRP | MDP) or not isinstance(b, MRP | MDP):
        return a == b
    if isinstance(a, MDP) or isinstance(b, MDP):
        mdps = isinstance(a, MDP) and isinstance(b, MDP)
        if not (mdps and np.array_equal(a.available, b.available)):  # type: ignore[union-attr]
            return False
    x, y = a.outcomes, b.outcomes
    return (
        np.array_equal(a.discounts, b.discounts)
        and a.n_states == b.n_states
        and [law.key for law in x.reward_laws] == [law.key for law in y.reward_laws]
        and all(
            np.array_equal(getattr(x, column), getattr(y, column))
            for column in ("indptr", "probs", "next_states", "rewards", "terminals", "laws")
        )
        and (a.initial is None) == (b.initial is None)
        and (a.initial is None or b.initial is None or np.array_equal(a.initial, b.initial))
    )
