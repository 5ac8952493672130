"""What a planted fault is, and the plainest ways to plant one."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import distrl


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault by name, what it does, how it is planted, and claims near it."""

    name: str
    what: str
    plant: Callable[[], AbstractContextManager[Any]]
    near: tuple[str, ...]


def returned(owner: Any, name: str, change: Callable[[Any], Any]) -> Callable[[], AbstractContextManager[Any]]:
    """Alter what a function or method gives back."""
    original = getattr(owner, name)

    def altered(*arguments: Any, **options: Any) -> Any:
        return change(original(*arguments, **options))

    return lambda: mock.patch.object(owner, name, altered)


def given(owner: Any, name: str, change: Callable[..., tuple[Any, ...]]) -> Callable[[], AbstractContextManager[Any]]:
    """Alter the positional arguments of a function or method."""
    original = getattr(owner, name)

    def altered(*arguments: Any, **options: Any) -> Any:
        return original(*change(*arguments), **options)

    return lambda: mock.patch.object(owner, name, altered)


def longer_steps(factor: float) -> AbstractContextManager[Any]:
    """`learn` takes steps `factor` times as long as asked for."""
    learn = distrl.learn

    def altered(*arguments: Any, **options: Any) -> Any:
        return learn(*arguments, **{**options, "step_size": factor * options["step_size"]})

    return mock.patch.object(distrl, "learn", altered)


def recorded(factor: float) -> AbstractContextManager[Any]:
    """What `learn` records is multiplied by `factor`."""

    def change(run: Any) -> Any:
        return dataclasses.replace(run, estimates=tuple(factor * row for row in run.estimates))

    return returned(distrl, "learn", change)()
