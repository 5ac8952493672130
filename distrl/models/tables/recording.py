"""A recorder: steps in a Gymnasium environment as a log of transitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from distrl._validation import RandomSource, generator, real_number, whole_number
from distrl.models.gymnasium_making import make_environment
from distrl.models.tables.episodes import label_of

#: How a recorder acts: None at random, numbers by state, or a function from an observation to an action.
Behaviour: TypeAlias = Callable[[Any], Any] | Sequence[int] | np.ndarray | None


class Recording(NamedTuple):
    """{state, action, reward, next_state, terminal} of steps, and the numbers of ids where these are 0..n-1."""

    columns: dict[str, list[Any]]
    n_states: int | None
    n_actions: int | None


def record(
    env_or_id: object, steps: int, rng: RandomSource, policy: Behaviour, make_kwargs: dict[str, object]
) -> Recording:
    """`steps` steps in an environment; `EmpiricalMDP.from_gymnasium` says how.

    Raises
    ------
    ValueError, TypeError
        If it is no environment, or the policy does not act there.
    """
    number = whole_number(steps, "steps", low=1)
    env: Any = make_environment(env_or_id, make_kwargs) if isinstance(env_or_id, str) else env_or_id
    if not isinstance(env_or_id, str) and make_kwargs:
        raise TypeError(f"{', '.join(make_kwargs)}: keywords are for gymnasium.make, so give an id instead of an env")
    if not all(hasattr(env, name) for name in ("reset", "step", "action_space")):
        raise TypeError(f"a Gymnasium environment, or its id, is needed, got {env_or_id!r}")
    try:
        columns = _record(env, number, generator(rng), policy)
        return Recording(columns, size_of(getattr(env, "observation_space", None)), size_of(env.action_space))
    finally:
        if isinstance(env_or_id, str):
            env.close()


def size_of(space: object) -> int | None:
    """The number of ids of a space whose members are 0..n-1; None for any other."""
    n = getattr(space, "n", None)
    return int(n) if isinstance(n, int | np.integer) and int(getattr(space, "start", 0)) == 0 else None


def _record(env: Any, steps: int, rng: np.random.Generator, policy: Behaviour) -> dict[str, list[Any]]:
    act = _actor(env, policy, rng)
    columns: dict[str, list[Any]] = {name: [] for name in ("state", "action", "reward", "next_state", "terminal")}
    observed, _ = env.reset(seed=int(rng.integers(2**31)))
    for _ in range(steps):
        action = act(observed)
        following, reward, terminated, truncated, _ = env.step(action)
        entries = (_id(observed), _id(action), _paid(reward), _id(following), bool(terminated))
        for name, entry in zip(columns, entries, strict=True):
            columns[name].append(entry)
        observed = env.reset()[0] if terminated or truncated else following
    return columns


def _actor(env: Any, policy: Behaviour, rng: np.random.Generator) -> Callable[[Any], Any]:
    if policy is None:
        env.action_space.seed(int(rng.integers(2**31)))
        return lambda _: env.action_space.sample()
    if callable(policy):
        return policy
    table = np.asarray(policy)
    if table.ndim == 1 and table.dtype.kind in "iu":
        return lambda observed: int(table[int(observed)])
    if table.ndim == 2 and table.dtype.kind in "iuf":
        marks = np.cumsum(table, axis=1)
        return lambda observed: int(
            np.searchsorted(marks[int(observed)], rng.random() * marks[int(observed), -1], "right")
        )
    raise TypeError("policy must be None, a function from an observation to an action, (S,) actions or (S, A) shares")


def _id(entry: Any) -> Hashable:
    label = label_of(entry)
    if isinstance(label, float) and not math.isfinite(label):
        raise ValueError(f"the environment observes {entry!r}, which names no state")
    return label


def _paid(reward: Any) -> float:
    return real_number(reward, "the environment's reward")
