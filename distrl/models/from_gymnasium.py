"""Import of Gymnasium environments that publish their transition table."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from distrl.models.gymnasium_making import Environment, make_environment
from distrl.models.gymnasium_table import by_pair, by_positions, labels_in, map_of, names_of, table_rows
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


def from_gymnasium(env_or_id: object, discount: float, check: bool = True, **make_kwargs: object) -> MDP:
    """The MDP of a Gymnasium environment with a table `P`.

    `P[state][action]` is a list of (probability, next state, reward, terminated); an action whose list is missing or
    empty is not available in the state. No state is added and every state keeps its own rows, those of terminal states
    too; rows of one (state, action, next state) with the same reward and flag add up. Time limits are wrappers, not
    part of the table, and are ignored.

    Parameters
    ----------
    env_or_id : str, environment, or table
        An id for `gymnasium.make`, an environment, wrapped or not, or a table `P` itself: dicts or lists; where keys
        are names, `mdp.states` and `mdp.actions` have them. A wrapper that has a `P` of its own is read with that.
        Wrappers that only look on are passed over; any other outside the table (of rewards, of actions, sticky
        actions, a step or numbers of states of its own) is refused, since the table does not know of it: give
        `env.unwrapped` to read the table without it. A deprecated id is followed to its successor with a UserWarning
        naming both.
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
    made: Environment | None = None
    env = env_or_id
    if isinstance(env_or_id, str):
        env = made = make_environment(env_or_id, make_kwargs)
    elif make_kwargs:
        raise TypeError(f"{', '.join(make_kwargs)}: keywords are for gymnasium.make, so give an id instead of an env")
    try:
        return _convert(env, env_or_id, discount, check)
    finally:
        if made is not None:
            made.close()


def _convert(env: object, given: object, discount: float, check: bool) -> MDP:
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
    named = by_positions(table, name)
    rows, states, actions = table_rows(named.table, name)
    names, doing = names_of(core, states, actions)
    initial = getattr(core, "initial_state_distrib", None)
    if initial is None:
        initial = getattr(core, "isd", None)
    numbers: dict[str, Any] = {"states": states, "actions": actions, "initial": initial}
    read = MDP.from_outcomes(rows, discount, absorbing="keep", normalise=None, **numbers)
    mdp = MDP.from_table(
        read.outcomes,
        read.discount,
        read.initial,
        map_of(core, states),
        available=read.choices,
        states=names if named.states is None else named.states,
        actions=doing if named.actions is None else named.actions,
        labels=labels_in(core, states),
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
