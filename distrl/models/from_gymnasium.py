"""Import of Gymnasium environments that publish their transition table."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distrl.models.mdp import MDP


def from_gymnasium(env_or_id: Any, discount: float, **make_kwargs: Any) -> MDP:
    """The MDP of a Gymnasium environment with a table `P`.

    `env.unwrapped.P[state][action]` is a list of (probability, next state, reward, terminated). No state is added and
    every state keeps its own rows, those of terminal states too; rows of one (state, action, next state) with the same
    reward and flag add up. Time limits are wrappers, not part of the table, and are ignored.

    Parameters
    ----------
    env_or_id : str or environment
        An id for `gymnasium.make`, or an environment, wrapped or not. A deprecated id is followed to its successor
        with a UserWarning naming both.
    discount : float in [0, 1]
    **make_kwargs
        For `gymnasium.make`, with an id only.

    Returns
    -------
    MDP
        `initial` is the environment's law of the first state, if it publishes one; `layout` is the shape of its map,
        if its states are the cells of one. Time and memory O(rows of the table).

    Raises
    ------
    ValueError, TypeError
        If Gymnasium cannot make the environment, there is no table `P`, or the table is not an MDP's.
    ModuleNotFoundError
        If Gymnasium is not installed and an id was given.

    Examples
    --------
    >>> mdp = from_gymnasium("FrozenLake-v1", discount=0.99, is_slippery=True)  # doctest: +SKIP
    """
    made = None
    if isinstance(env_or_id, str):
        env = made = _make(env_or_id, make_kwargs)
    elif make_kwargs:
        raise TypeError(f"{', '.join(make_kwargs)}: keywords are for gymnasium.make, so give an id instead of an env")
    else:
        env = env_or_id
    try:
        return _convert(getattr(env, "unwrapped", env), env_or_id, discount)
    finally:
        if made is not None:
            made.close()


def _convert(core: Any, given: Any, discount: float) -> MDP:
    name = repr(given) if isinstance(given, str) else type(core).__name__
    table = getattr(core, "P", None)
    if table is None or isinstance(core, type):
        raise ValueError(
            f"{name} has no transition table `P` (state -> action -> list of (probability, next state, reward, "
            "terminated)); only tabular environments such as FrozenLake, CliffWalking and Taxi publish one. "
            "Build the model with MDP.from_outcomes instead"
        )
    rows, states, actions = _rows(table, name)
    initial = getattr(core, "initial_state_distrib", None)
    if initial is None:
        initial = getattr(core, "isd", None)
    return MDP.from_outcomes(
        rows, discount, states=states, actions=actions, initial=initial, layout=_layout(core, states)
    )


def _make(name: str, kwargs: dict[str, Any]) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise ModuleNotFoundError(
            f"making {name!r} needs gymnasium: pip install 'distrl[gymnasium]'", name="gymnasium"
        ) from error
    try:
        return gymnasium.make(name, **kwargs)
    except gymnasium.error.DeprecatedEnv as error:
        successor = _successor(name, str(error), gymnasium)
        if successor is None:
            raise ValueError(f"gymnasium cannot make {name!r}: {_line(error)}") from error
    except TypeError as error:
        raise TypeError(f"gymnasium cannot make {name!r}: {_line(error)}") from error
    except Exception as error:  # an environment's constructor may raise anything
        raise ValueError(f"gymnasium cannot make {name!r}: {type(error).__name__}: {_line(error)}") from error
    warnings.warn(f"{name} is deprecated in gymnasium; using {successor}", UserWarning, stacklevel=3)
    return _make(successor, kwargs)


def _successor(name: str, message: str, gymnasium: Any) -> str | None:
    """The registered id that a deprecation names, else the latest version of the same environment."""
    stem = re.sub(r"-v\d+$", "", name)
    named = [found for found in re.findall(r"[\w./:-]+-v\d+", message) if found != name and found in gymnasium.registry]
    versions = [
        (int(found.group(1)), key)
        for key in gymnasium.registry
        if (found := re.fullmatch(re.escape(stem) + r"-v(\d+)", key)) and key != name
    ]
    return named[0] if named else max(versions)[1] if versions else None


def _rows(table: Any, name: str) -> tuple[list[tuple[Any, ...]], int, int]:
    """(state, action, probability, next state, reward, terminated) rows, S and A."""
    by_state = _entries(table, f"the table P of {name}")
    rows: list[tuple[Any, ...]] = []
    actions = 0
    for state, entry in enumerate(by_state):
        by_action = _entries(entry, f"P[{state}] of {name}")
        actions = actions or len(by_action)
        if len(by_action) != actions:
            raise ValueError(
                f"{name}: state {state} has {len(by_action)} actions, state 0 has {actions}; every action must be open "
                "in every state"
            )
        for action, outcomes in enumerate(by_action):
            for outcome in _entries(outcomes, f"P[{state}][{action}] of {name}"):
                if not isinstance(outcome, Sequence | np.ndarray) or len(outcome) != 4:
                    raise ValueError(
                        f"P[{state}][{action}] of {name} holds {outcome!r}; expected (probability, next state, "
                        "reward, terminated)"
                    )
                rows.append((state, action, *outcome))
    return rows, len(by_state), actions


def _entries(value: Any, what: str) -> list[Any]:
    """Entries 0, 1, ... of a dict with those keys or of a sequence."""
    if isinstance(value, Mapping):
        if missing := [key for key in range(len(value)) if key not in value]:
            raise ValueError(f"{what} has no entry {missing[0]}; its keys must be 0..{len(value) - 1}")
        listed = [value[key] for key in range(len(value))]
    elif isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
        listed = list(value)
    else:
        raise TypeError(f"{what} is {value!r}; expected a dict or a list")
    if not listed:
        raise ValueError(f"{what} is empty")
    return listed


def _layout(core: Any, states: int) -> tuple[int, int] | None:
    """Shape of the map, if the environment has one with as many cells as states."""
    candidates = (
        (getattr(core, "nrow", None), getattr(core, "ncol", None)),
        getattr(core, "shape", None),
        getattr(getattr(core, "desc", None), "shape", None),
    )
    for shape in candidates:
        if (
            isinstance(shape, tuple)
            and len(shape) == 2
            and all(isinstance(side, int | np.integer) for side in shape)
            and shape[0] * shape[1] == states
        ):
            return int(shape[0]), int(shape[1])
    return None


def _line(error: Exception) -> str:
    """The message of an error on one line; a KeyError's is its key."""
    return " ".join(str(error).split())
