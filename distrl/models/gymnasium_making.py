"""Making Gymnasium's environments: ids, deprecated ones, and keywords of the wrong kind."""

import inspect
import re
import warnings
from typing import Any, Protocol

import numpy as np


class Environment(Protocol):
    """What is asked of any environment; its table is looked for later."""

    def close(self) -> object:
        """Give back what it holds."""


def constructor_defaults(name: str) -> dict[str, object]:
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


def make_environment(name: str, kwargs: dict[str, object]) -> Environment:
    """What `gymnasium.make` gives, errors as one sentence; a deprecated id is followed to its successor.

    It is called from `from_gymnasium`, to whose caller its warning points.
    """
    try:
        import gymnasium
    except ImportError as error:
        raise ModuleNotFoundError(
            f"making {name!r} needs gymnasium: pip install 'distrl[gymnasium]'", name="gymnasium"
        ) from error
    successor = None
    try:
        made: Environment = gymnasium.make(name, **kwargs)
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
    return make_environment(successor, kwargs)


def _check_kinds(name: str, kwargs: dict[str, object]) -> None:
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
