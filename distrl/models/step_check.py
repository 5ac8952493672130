"""Does an environment's `step` do what its table `P` says? A few hundred steps of a copy tell."""

import copy
import inspect
import math
import operator
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from distrl._lazy import special
from distrl._validation import FloatArray

#: Steps that are compared: a second at 2 ms each; a reward that every tenth step changes is missed with e^-50.
STEPS = 500
#: Probability with which a faithful environment is refused, all frequencies together.
FALSE_ALARM = 1e-9
#: An episode of the comparison is cut after that many steps, so that there are several.
_LONGEST = 60

Outcome = tuple[float, int, float, bool]


def compare_steps(
    env: object, table: object, rows: Mapping[tuple[int, int], Sequence[Outcome]], initial: FloatArray | None, name: str
) -> str | None:
    """Raise if `env.step` contradicts the table; say why if the two cannot be compared.

    Random actions are taken in a deep copy of the environment, with fixed seeds. What the table gives probability 0 is
    certain evidence against it. Frequencies of outcomes are compared by exact binomial tests, pair by pair, and by
    Hoeffding's bound (for martingales) on the first, second, ... outcome of all pairs together; a table that is right
    passes these with probability 1 - 1e-9 (NumPy's generators taken for random).

    Parameters
    ----------
    env : environment
        As it is; neither it nor the global generators of `random` and `numpy.random` are touched.
    table : object
        The table as the environment holds it, so that it is not copied.
    rows : {(state, action): [(probability, next state, reward, terminated)]}
    initial : (S,) array, optional
        The law of the first state that the environment publishes.
    name : str
        What errors call the environment.

    Returns
    -------
    str or None
        Why nothing was compared.

    Raises
    ------
    ValueError
        Naming the state, the action and what was seen there.
    """
    if not (callable(getattr(env, "step", None)) and callable(getattr(env, "reset", None))):
        return None  # a table and nothing else
    with _same_global_generators():
        try:
            walker: Any = copy.deepcopy(env, {id(table): table})
            if getattr(walker, "render_mode", None) is not None:
                walker.render_mode = None
        except Exception as error:  # windows, sockets, locks: whatever an environment may hold
            return f"it cannot be copied ({type(error).__name__}: {' '.join(str(error).split())})"
        try:
            seen = _walk(walker, rows, initial, name)
        except _NoStateError as error:
            return f"it observes {error}, which is not the number of a state"
    _check_frequencies(seen, rows, name)
    return None


class _NoStateError(Exception):
    """An observation that is not the number of a state."""


def _walk(
    env: Any, rows: Mapping[tuple[int, int], Sequence[Outcome]], initial: FloatArray | None, name: str
) -> dict[tuple[int, int], list[int]]:
    """{(state, action): index of the outcome that was seen, for each step}, or an error at the first that P lacks."""
    rng = np.random.default_rng(0)
    actions: dict[int, list[int]] = {}
    for state, action in sorted(rows):
        actions.setdefault(state, []).append(action)
    states = len(actions)
    seen: dict[tuple[int, int], list[int]] = {}
    state = left = episode = 0
    for _ in range(STEPS):
        if left == 0:
            state, left, episode = _started(env, episode, states, initial, rng, name), _LONGEST, episode + 1
        pair = state, actions[state][int(rng.integers(len(actions[state])))]
        with _blamed(name, f"step({pair[1]}) in state {state}"):
            observation, reward, ended, cut = _stepped(env.step(pair[1]))
        state, left = _as_state(observation, states), left - 1
        seen.setdefault(pair, []).append(_found(rows[pair], state, reward, ended, pair, name))
        if ended or cut:
            left = 0
    return seen


def _started(
    env: Any, episode: int, states: int, initial: FloatArray | None, rng: np.random.Generator, name: str
) -> int:
    """The first state of an episode; Gymnasium's own toy environments are put into a random state half of the time."""
    with _blamed(name, "reset()"):
        takes = inspect.signature(env.reset).parameters.values()
        seeded = any(each.name == "seed" or each.kind == each.VAR_KEYWORD for each in takes)
        first = env.reset(seed=episode) if seeded else env.reset()
    observation = first[0] if isinstance(first, tuple) and len(first) == 2 else first
    state = _as_state(observation, states)
    if initial is not None and initial[state] == 0.0:
        raise ValueError(
            f"{name}: reset() starts in state {state}, to which its law of the first state gives probability 0; "
            "check=False takes that law all the same"
        )
    toy = any(kind.__module__.startswith("gymnasium.envs.toy_text") for kind in type(env).__mro__)
    if toy and getattr(env, "s", None) == state and rng.random() < 0.5:
        env.s = state = int(rng.integers(states))
    return state


def _stepped(result: Any) -> tuple[Any, float, bool, bool]:
    observation, reward, ended, *rest = result
    return observation, float(reward), bool(ended), len(rest) == 2 and bool(rest[0])


def _as_state(observation: Any, states: int) -> int:
    try:
        state = operator.index(observation)
    except TypeError as error:
        raise _NoStateError(repr(observation)[:60]) from error
    if not 0 <= state < states:
        raise _NoStateError(repr(observation)[:60])
    return state


def _found(
    outcomes: Sequence[Outcome], state: int, reward: float, ended: bool, pair: tuple[int, int], name: str
) -> int:
    for index, (probability, successor, paid, terminal) in enumerate(outcomes):
        same_reward = math.isnan(paid) or abs(paid - reward) <= 1e-9 * max(1.0, abs(paid))
        if probability > 0.0 and (successor, terminal) == (state, ended) and same_reward:
            return index
    raise ValueError(
        f"{name}: its step does not follow its table P: in state {pair[0]}, action {pair[1]} it went to state {state} "
        f"with reward {reward:g}, terminated {ended}, which P[{pair[0]}][{pair[1]}] does not have. The table is not "
        "the whole environment; check=False reads it all the same"
    )


def _check_frequencies(
    seen: Mapping[tuple[int, int], Sequence[int]], rows: Mapping[tuple[int, int], Sequence[Outcome]], name: str
) -> None:
    width = max((len(rows[pair]) for pair in seen), default=0)
    expected, counted = np.zeros(width), np.zeros(width)
    tests = sum(len(rows[pair]) for pair in seen) + width
    for pair, indices in seen.items():
        probs = np.array([row[0] for row in rows[pair]])
        counts = np.bincount(indices, minlength=len(probs))
        expected[: len(probs)] += len(indices) * probs
        counted[: len(probs)] += counts
        for index, (count, prob) in enumerate(zip(counts, np.minimum(probs, 1.0), strict=True)):
            below, above = special.bdtr(count, len(indices), prob), special.bdtrc(count - 1, len(indices), prob)
            # how often a pair is visited depends on what came before: one test for each number of visits
            if min(below, above if count else 1.0) < FALSE_ALARM / (4 * tests * STEPS):
                _, successor, reward, _ = rows[pair][index]
                raise ValueError(
                    f"{name}: its step does not follow its table P: in state {pair[0]}, action {pair[1]} it went to "
                    f"state {successor} with reward {reward:g} {count} times of {len(indices)}, P gives it probability "
                    f"{prob:g}; check=False reads the table all the same"
                )
    steps = sum(map(len, seen.values()))
    room = np.sqrt(0.5 * steps * np.log(4.0 * max(tests, 1) / FALSE_ALARM))
    off = np.abs(counted - expected) > room
    if off.any():
        index = int(np.argmax(off))
        raise ValueError(
            f"{name}: its step does not follow its table P: outcome {index} of the entries P[state][action] came "
            f"{counted[index]:.0f} times in {steps} steps, where P gives {expected[index]:.1f}; check=False reads the "
            "table all the same"
        )


@contextmanager
def _blamed(name: str, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a step may raise anything
        raise ValueError(
            f"{name}: {what} fails, {type(error).__name__}: {' '.join(str(error).split())}; check=False reads the "
            "table without trying the environment"
        ) from error


@contextmanager
def _same_global_generators() -> Iterator[None]:
    """An environment may draw from the global generators; they go on as if nothing had been drawn."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
