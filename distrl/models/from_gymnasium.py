"""Import of Gymnasium environments that publish their transition table."""

import inspect
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distrl.models.gymnasium_table import by_pair, map_of, table_rows
from distrl.models.mdp import MDP
from distrl.models.step_check import compare_steps

#: Wrappers of Gymnasium that leave states, rewards and ends alone, though they have a `step` or `reset` of their own.
_HARMLESS = {
    "AddWhiteNoise",
    "Autoreset",
    "FrameStackObservation",
    "HumanRendering",
    "ObstructView",
    "OrderEnforcing",
    "PassiveEnvChecker",
    "RecordEpisodeStatistics",
    "RecordVideo",
    "RenderCollection",
    "TimeAwareObservation",
    "TimeLimit",
}


def from_gymnasium(env_or_id: Any, discount: float, check: bool = True, **make_kwargs: Any) -> MDP:
    """The MDP of a Gymnasium environment with a table `P`.

    `P[state][action]` is a list of (probability, next state, reward, terminated); an action whose list is missing or
    empty is not available in the state. No state is added and every state keeps its own rows, those of terminal states
    too; rows of one (state, action, next state) with the same reward and flag add up. Time limits are wrappers, not
    part of the table, and are ignored.

    Parameters
    ----------
    env_or_id : str, environment, or table
        An id for `gymnasium.make`, an environment, wrapped or not, or a table `P` itself. A wrapper that has a `P` of
        its own is read with that. Wrappers that only look on are passed over; any other outside the table (of
        rewards, of actions, sticky actions, a step or numbers of states of its own) is refused, since the table does
        not know of it: give `env.unwrapped` to read the table without it. A deprecated id is followed to its successor
        with a UserWarning naming both.
    discount : float in [0, 1]
    check : bool
        Compare 500 random steps of the environment with the table. They are taken in a copy, with fixed seeds:
        neither the environment nor a global generator is touched. What the table gives probability 0 is refused, as
        are frequencies that the table would show with probability 1e-9; an environment that cannot be copied, or
        observes something else than the number of its state, is not compared, with a UserWarning. A deviation in a
        place that random actions hardly reach may be missed.
    **make_kwargs
        For `gymnasium.make`, with an id only.

    Returns
    -------
    MDP
        `initial` is the environment's law of the first state, if it publishes one; `layout` is the shape of its map,
        if its states are the cells of one. Time and memory O(rows of the table), and that of the steps.

    Raises
    ------
    ValueError, TypeError
        If Gymnasium cannot make the environment, there is no table `P`, the table is not an MDP's, or the environment
        does something else, naming the wrapper, or the state, the action and what was seen.
    ModuleNotFoundError
        If Gymnasium is not installed and an id was given.

    Examples
    --------
    >>> mdp = from_gymnasium("FrozenLake-v1", discount=0.99, is_slippery=True)  # doctest: +SKIP
    """
    if not isinstance(check, bool):
        raise TypeError(f"check must be True or False, got {check!r}")
    made = None
    if isinstance(env_or_id, str):
        env = made = _make(env_or_id, make_kwargs)
    elif make_kwargs:
        raise TypeError(f"{', '.join(make_kwargs)}: keywords are for gymnasium.make, so give an id instead of an env")
    else:
        env = env_or_id
    try:
        return _convert(env, env_or_id, discount, check)
    finally:
        if made is not None:
            made.close()


def constructor_defaults(name: str) -> dict[str, Any]:
    """Defaults of the keywords that `gymnasium.make(name)` passes on to the environment, as far as they are known."""
    try:
        import gymnasium

        spec = gymnasium.registry.get(name.rpartition(":")[2])
        entry = None if spec is None else spec.entry_point
        if spec is None or entry is None:
            return {}
        creator = entry if callable(entry) else gymnasium.envs.registration.load_env_creator(entry)
        parameters = inspect.signature(creator).parameters.values()
    except (ImportError, AttributeError, ValueError, TypeError):
        return {}  # gymnasium.make will say what is wrong with it
    return {each.name: each.default for each in parameters if each.default is not each.empty} | dict(spec.kwargs)


def _convert(env: Any, given: Any, discount: float, check: bool) -> MDP:
    name = repr(given) if isinstance(given, str) else type(given).__name__
    if isinstance(env, Mapping) or (isinstance(env, Sequence) and not isinstance(env, str | bytes)):
        core, name = None, "what was given"
        table: Any = env
    else:
        core = _with_table(env)
        name = name if isinstance(given, str) else type(core).__name__
        table = getattr(core, "P", None)
    if table is None or isinstance(core, type):
        raise ValueError(
            f"{name} has no transition table `P` (state -> action -> list of (probability, next state, reward, "
            "terminated)); only tabular environments such as FrozenLake, CliffWalking and Taxi publish one. "
            "Build the model with MDP.from_outcomes instead"
        )
    if getattr(core, "fickle_passenger", False):
        raise ValueError(
            f"{name}: with fickle_passenger its step changes the destination, and the table P does not know of it; "
            "make it with fickle_passenger=False"
        )
    rows, states, actions = table_rows(table, name)
    initial = getattr(core, "initial_state_distrib", None)
    if initial is None:
        initial = getattr(core, "isd", None)
    mdp = MDP.from_outcomes(
        rows,
        discount,
        absorbing="keep",
        normalise=None,
        states=states,
        actions=actions,
        initial=initial,
        layout=map_of(core, states),
    )
    if check and core is not None and (why := compare_steps(core, table, by_pair(rows), mdp.initial, name)):
        warnings.warn(
            f"{name}: whether its step follows its table P was not checked, since {why}; check=False reads the table "
            "without this warning",
            UserWarning,
            stacklevel=3,
        )
    return mdp


def _with_table(env: Any) -> Any:
    """The outermost layer of `env` that has a table of its own, unless a wrapper outside it changes what it does."""
    layer = env
    outside: list[Any] = []
    while not _has_own_table(layer) and (inner := _inner(layer)) is not None and len(outside) < 1000:
        outside.append(layer)
        layer = inner
    for wrapper in outside:
        if not _only_looks_on(wrapper):
            raise ValueError(
                f"the wrapper {type(wrapper).__name__} may change states, actions, rewards or ends, and the table P of "
                f"{type(layer).__name__} does not know of it; give env.unwrapped to read the table without it, or a "
                "wrapper with a table P of its own"
            )
    return layer if _has_own_table(layer) else getattr(layer, "unwrapped", layer)


def _inner(layer: Any) -> Any:
    own = getattr(layer, "__dict__", {})
    return own.get("env") if isinstance(own, Mapping) else None


def _has_own_table(layer: Any) -> bool:
    """Whether the layer itself has a `P`; older wrappers pass on every attribute of what they wrap."""
    own = getattr(layer, "__dict__", {})
    return "P" in own or any("P" in vars(kind) for kind in type(layer).__mro__)


def _only_looks_on(wrapper: Any) -> bool:
    kind = type(wrapper)
    bases = {base.__name__: base for base in kind.__mro__ if base.__module__.split(".")[0] in ("gymnasium", "gym")}
    if {"step", "reset"} & set(getattr(wrapper, "__dict__", {})):  # an instance may have been patched
        return False
    if kind.__name__ in _HARMLESS and kind in bases.values():
        return True
    for name in ("Wrapper", "ObservationWrapper"):
        if name in bases and all(getattr(kind, f) is vars(bases[name]).get(f) for f in ("step", "reset")):
            # an observation that is again the number of a state may be another number, and a policy would go by that
            return name == "Wrapper" or not hasattr(getattr(wrapper, "observation_space", None), "n")
    return False


def _make(name: str, kwargs: dict[str, Any]) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise ModuleNotFoundError(
            f"making {name!r} needs gymnasium: pip install 'distrl[gymnasium]'", name="gymnasium"
        ) from error
    successor = None
    try:
        made = gymnasium.make(name, **kwargs)
    except gymnasium.error.DeprecatedEnv as error:
        successor = _successor(name, str(error), gymnasium)
        if successor is None:
            raise ValueError(f"gymnasium cannot make {name!r}: {_line(error)}") from error
    except TypeError as error:
        raise TypeError(f"gymnasium cannot make {name!r}: {_line(error)}") from error
    except Exception as error:  # an environment's constructor may raise anything
        raise ValueError(f"gymnasium cannot make {name!r}: {type(error).__name__}: {_line(error)}") from error
    if successor is None:
        try:
            _check_kinds(name, kwargs)
        except TypeError:
            made.close()
            raise
        return made
    warnings.warn(f"{name} is deprecated in gymnasium; using {successor}", UserWarning, stacklevel=3)
    return _make(successor, kwargs)


def _check_kinds(name: str, kwargs: dict[str, Any]) -> None:
    """Python takes any text for True: refuse text, or another stranger, where the default is True or False."""
    defaults = constructor_defaults(name)
    for key, value in kwargs.items():
        default = defaults.get(key)
        if isinstance(default, bool | np.bool_):
            if not isinstance(value, bool | np.bool_) and not (isinstance(value, int) and value in (0, 1)):
                raise TypeError(f"{key} of {name} must be True or False, got {value!r}")
        elif isinstance(default, int | float) and isinstance(value, str | bytes):
            raise TypeError(f"{key} of {name} must be a number, got {value!r}")


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


def _line(error: Exception) -> str:
    """The message of an error on one line; a KeyError's is its key."""
    return " ".join(str(error).split())
