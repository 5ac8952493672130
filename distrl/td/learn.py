"""The verb: I see a stream of transitions, what do I learn of the returns?"""

import time
from functools import partial
from typing import Any

import numpy as np

from distrl._compiling import watch
from distrl._memory import check_memory
from distrl._steady import steady
from distrl._threads import check_threads, side_by_side
from distrl._validation import FloatArray, IntArray, int_array, whole_number
from distrl.dp.progress import ProgressHook, progress_hook
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.td.methods import TDMethod
from distrl.td.replication import Kept, Replication
from distrl.td.run import LearningRun, LearningStatus
from distrl.td.sampling import SAMPLINGS, Noise, Position, Source, child, seed_root
from distrl.td.step_sizes import StepSize, as_step_size

_PAUSE = 0.25  # seconds between two looks at the keyboard
_GROWTH = 8  # how much longer one stretch of updates may be than the one before


@steady
def learn(
    model: MRP | MDP,
    method: TDMethod,
    policy: Any = None,
    step_size: Any = 0.1,
    updates: int = 1000,
    replications: int = 1,
    start: Any = None,
    resume: LearningRun | None = None,
    sampling: str = "synchronous",
    records: Any = 10,
    rng: Any = None,
    progress: Any = False,
    threads: int | None = None,
) -> LearningRun:
    """Learn return distributions from sampled transitions, in independent replications.

    Parameters
    ----------
    model : MRP, or MDP together with `policy`
        Sampled from only; rewards with a law are drawn from it.
    method : TD, CategoricalTD, QuantileTD, ExpectileTD or MonteCarloTD
    policy : (S,) ints, (S, A) probabilities or "uniform", for an MDP
    step_size : float, array or step-size object of `distrl.td`
        A number is `Constant`; an array lists a_1, a_2, ... Steps count the renewals of a state unless their `clock`
        says otherwise. At most 1, but for `QuantileTD` and `ExpectileTD`, whose steps are not shares.
    updates : int
        How many to make (more of them, with `resume`).
    replications : int
        R. Replication k learns from `default_rng(child k of SeedSequence(rng))`, however many there are.
    start : array, optional
        (S,) or (R, S) for TD, (S, m) or (R, S, m) otherwise, or estimates such as `other.final`. None: 0; for
        categorical methods the uniform law on the grid.
    resume : LearningRun, optional
        Go on from where it stopped, bit for bit as if it had not: its method, step size, sampling, replications and
        random streams are used (leave them out, or give the same), and its records come first. It is not changed.
    sampling : {"synchronous", "generative", "trajectory"}
        synchronous: an update renews every state once, each from its own independent transition, all from the estimates
        before the update. generative: an update renews one uniformly random state. trajectory: an update is one step of
        an episode, restarted at its end from the model's `initial` law (uniform over the states that are not
        terminal, if it has none), and renews the state whose target that step completes.
    records : int or array of update counts
        When estimates are kept: so often, evenly spaced, the last at `updates`; or at these counts (0 is the start).
    rng : anything `numpy.random.default_rng` takes
        Equal seeds give equal transitions to every method (with equal `steps`). A Generator gives up four numbers.
    progress : bool or callable
        True shows a bar with the time left; a callable is called with (share done, updates, seconds).
    threads : int, optional
        None: one a core. Threads share out the replications; results do not depend on their number.

    Returns
    -------
    LearningRun

    Raises
    ------
    ValueError, TypeError
        On bad input, naming the argument, and if the arrays do not fit into memory.

    Notes
    -----
    Time: a renewal is O(1) for TD, O(m) for categorical and quantile estimates, O(log outcomes of a state) for its
    transition. Memory: 8 R S m bytes a record, and two to four times that for the estimates.

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
    if not isinstance(method, TDMethod):
        hint = f"; create it: {method.__name__}(...)" if isinstance(method, type) else ""
        raise TypeError(f"method must be a method such as distrl.CategoricalTD(), got {method!r}{hint}")
    mrp = as_mrp(model, policy)
    method = method._on(mrp)
    more = whole_number(updates, "updates", low=1)
    if resume is None:
        count = whole_number(replications, "replications", low=1)
        before = _fresh(mrp, method, as_step_size(step_size), count, start, sampling, rng)
    else:
        before = _checked(resume, mrp, method, step_size, replications, start, sampling, rng)
    check_step_size(before.method, before.step_size, before.done + more)
    source = Source.of(mrp, before.sampling, before.method.steps or 0)
    _check_memory(before, source, np.size(records) if np.ndim(records) else min(whole_number(records, "records"), more))
    moments = _moments(records, before.done, more)
    hook, close = progress_hook(progress, lambda done, seconds: f"{done} updates")
    try:
        return _Work(before, source, before.done + more, moments, check_threads(threads), hook).run()
    finally:
        close()


def as_mrp(model: Any, policy: Any) -> MRP:
    """The process that is sampled."""
    if isinstance(model, MDP):
        if policy is None:
            raise ValueError("an MDP needs a policy: (S,) actions, (S, A) probabilities or 'uniform'")
        return model.under(policy)
    if not isinstance(model, MRP):
        raise TypeError(f"model must be a distrl.MRP or a distrl.MDP, got {model!r}")
    if policy is not None:
        raise ValueError("an MRP has no actions; leave policy out")
    return model


def check_step_size(method: TDMethod, step_size: StepSize, updates: float) -> None:
    """Refuse steps that overshoot their target, and lists that are too short."""
    if step_size.largest > method._largest_step:
        raise ValueError(
            f"step_size goes up to {step_size.largest:g}; {type(method).__name__} needs steps of at most "
            f"{method._largest_step:g} (for Harmonic, an offset of at least scale - 1)"
        )
    sizes = getattr(step_size, "sizes", None)
    if sizes is not None and len(sizes) < updates:
        raise ValueError(f"step_size lists {len(sizes)} steps; {updates} updates may need as many")


def _fresh(
    mrp: MRP, method: TDMethod, step_size: StepSize, count: int, start: Any, sampling: str, rng: Any
) -> LearningRun:
    """A run that has made no update."""
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLINGS)}; got {sampling!r}")
    if method._all_at_once and sampling != "synchronous":
        raise ValueError(f"{method!r} renews all states at once; it needs sampling='synchronous'")
    if method.steps is None:
        endless = mrp.outcomes.never_ending_source()
        if endless is not None:
            raise ValueError(
                f"targets to the end of the episode (steps=None) need one, but none can be reached from state "
                f"{endless}; give a number of steps"
            )
    n, width = mrp.n_states, method._width
    check_memory(count * n, width, method._arrays, "use fewer replications or atoms")
    starts = method._starts(start, count, n)
    families = len(Noise.of(mrp.outcomes.reward_laws).families)
    kept = tuple(
        Kept(method._remember(row.copy()), np.zeros(n, np.int64), Position(0, 0, np.zeros(families, np.int64)))
        for row in starts
    )
    return LearningRun(
        np.empty(0, np.int64), 0, LearningStatus.DONE, 0.0, mrp, method, step_size, sampling, (), seed_root(rng), kept
    )


def _checked(
    run: Any, mrp: MRP, method: TDMethod, step_size: Any, replications: Any, start: Any, sampling: str, rng: Any
) -> LearningRun:
    """`run`, if the arguments beside it are its own or left out."""
    if not isinstance(run, LearningRun):
        raise TypeError(f"resume must be a LearningRun, got {run!r}")
    if mrp is not run.model and not _same_model(mrp, run.model):
        raise ValueError("resume is a run on another model (or policy)")
    if method != run.method:
        raise ValueError(f"resume is a run of {run.method!r}, not of {method!r}")
    if start is not None:
        raise ValueError("a resumed run goes on with its own estimates; leave start out")
    if rng is not None:
        root = seed_root(rng)
        if (root.entropy, root.spawn_key) != (run._root.entropy, run._root.spawn_key):
            raise ValueError("a resumed run goes on with its own random streams; leave rng out")
    given = as_step_size(step_size)
    if given not in (as_step_size(0.1), run.step_size):
        raise ValueError(f"resume took steps {run.step_size!r}, not {given!r}; leave step_size out")
    if replications not in (1, run.replications):
        raise ValueError(f"resume has {run.replications} replications, not {replications}; leave them out")
    if sampling not in ("synchronous", run.sampling):
        raise ValueError(f"resume has {run.sampling} sampling, not {sampling}; leave it out")
    return run


def _same_model(a: MRP, b: MRP) -> bool:
    x, y = a.outcomes, b.outcomes
    return (
        a.discount == b.discount
        and a.n_states == b.n_states
        and [law.key for law in x.reward_laws] == [law.key for law in y.reward_laws]
        and all(
            np.array_equal(getattr(x, column), getattr(y, column))
            for column in ("indptr", "probs", "next_states", "rewards", "terminals", "laws")
        )
        and (a.initial is None) == (b.initial is None)
        and (a.initial is None or b.initial is None or np.array_equal(a.initial, b.initial))
    )


def _moments(records: Any, done: int, more: int) -> IntArray:
    """The update counts to record, in order."""
    if np.ndim(records) == 0:
        count = whole_number(records, "records", low=1)
        return np.unique(done + more * np.arange(1, min(count, more) + 1) // min(count, more))
    moments = int_array(records, "records", low=done + 1 if done else 0, high=done + more + 1)
    if (np.diff(moments) <= 0).any():
        raise ValueError("records must be update counts in increasing order")
    return moments


def _check_memory(run: LearningRun, source: Source, records: int) -> None:
    width = run.method._width
    blocks = len(source.noise.families) * source.noise.block / (run.model.n_states * width)
    check_memory(
        run.replications * run.model.n_states,
        width,
        records + run.method._arrays + blocks,
        "use fewer records, replications or atoms",
    )


class _Work:
    """One call at work."""

    def __init__(
        self,
        before: LearningRun,
        source: Source,
        stop: int,
        moments: IntArray,
        threads: int | None,
        hook: ProgressHook | None,
    ) -> None:
        self.before = before
        self.stop = stop
        self.moments = moments
        self.threads = threads
        self.hook = hook
        self.replications = [
            Replication(before.method, before.step_size, source, child(before._root, k), kept.copy())
            for k, kept in enumerate(before._kept)
        ]
        self.recorded: list[tuple[int, FloatArray]] = []

    @property
    def done(self) -> int:
        return self.replications[0].kept.position.updates

    def record(self) -> None:
        """Keep the estimates as they are."""
        self.recorded.append((self.done, np.stack([replication.estimates() for replication in self.replications])))

    def run(self) -> LearningRun:
        """All updates, or as many as there was time for."""
        started, compiled = time.perf_counter(), watch.seconds
        status = LearningStatus.DONE
        try:
            self._advance(started)
        except KeyboardInterrupt:
            status = LearningStatus.INTERRUPTED
            self._level()
            if not self.recorded or self.recorded[-1][0] != self.done:
                self.record()
        before = self.before
        counts = np.array([count for count, _ in self.recorded], dtype=np.int64)
        return LearningRun(
            np.concatenate([before.updates, counts]),
            self.done,
            status,
            before.elapsed + max(time.perf_counter() - started - (watch.seconds - compiled), 0.0),
            before.model,
            before.method,
            before.step_size,
            before.sampling,
            before._records + tuple(record for _, record in self.recorded),
            before._root,
            tuple(replication.kept for replication in self.replications),
        )

    def _level(self) -> None:
        """Bring replications that an interrupt left behind to where the others are."""
        furthest = max(each.kept.position.updates for each in self.replications)
        tasks = [partial(each.advance, furthest - each.kept.position.updates) for each in self.replications]
        side_by_side(tasks, self.threads)

    def _advance(self, started: float) -> None:
        """To each moment in turn, in stretches of about `_PAUSE` seconds: between them Ctrl-C takes effect."""
        stretch = 1
        for moment in [*self.moments.tolist(), self.stop]:
            while self.done < moment:
                now = time.perf_counter()
                count = min(stretch, moment - self.done)
                side_by_side([partial(each.advance, count) for each in self.replications], self.threads)
                taken = time.perf_counter() - now
                if count == stretch or taken > _PAUSE:
                    stretch = max(int(count * min(_PAUSE / max(taken, 1e-9), _GROWTH)), 1)
                if self.hook is not None:
                    first = self.before.done
                    self.hook((self.done - first) / (self.stop - first), self.done, now + taken - started)
            if len(self.recorded) < len(self.moments) and moment == self.moments[len(self.recorded)]:
                self.record()
