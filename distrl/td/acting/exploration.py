"""How often a random action is played: a number, or a schedule of the update count."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, IntArray, real_number, whole_number
from distrl.td.step_sizes import Constant, StepSize


class Exploration(ABC):
    """The probability of a random action at update k = 1, 2, ...; call it with an array of counts k."""

    @abstractmethod
    def __call__(self, counts: IntArray) -> FloatArray:
        """The probability for every k in `counts`, which are at least 1."""


@dataclass(frozen=True)
class Fixed(Exploration):
    """The same probability at all times.

    Parameters
    ----------
    share : float in [0, 1]

    Raises
    ------
    ValueError, TypeError
        If it is no such number.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", real_number(self.share, "exploration", low=0.0, high=1.0))

    def __call__(self, counts: IntArray) -> FloatArray:
        return np.full(len(counts), self.share)


@dataclass(frozen=True)
class LinearDecay(Exploration):
    """From `first` at update 1 to `last` at update `updates`, along a line, and `last` from there on.

    Parameters
    ----------
    first, last : float in [0, 1]
    updates : int

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range, naming it.
    """

    first: float = 1.0
    last: float = 0.05
    updates: int = 10_000

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            object.__setattr__(self, name, real_number(getattr(self, name), name, low=0.0, high=1.0))
        object.__setattr__(self, "updates", whole_number(self.updates, "updates", low=1))

    def __call__(self, counts: IntArray) -> FloatArray:
        gone = np.minimum((counts - 1) / max(self.updates - 1, 1), 1.0)
        return np.asarray((1.0 - gone) * self.first + gone * self.last)


@dataclass(frozen=True)
class LikeSteps(Exploration):
    """The numbers of a step-size object, such as `Polynomial(1.0, 0.5, clock="updates")`, as probabilities.

    Parameters
    ----------
    steps : StepSize
        Of numbers up to 1, by the clock "updates".

    Raises
    ------
    ValueError
        If it goes beyond 1, or counts visits.
    """

    steps: StepSize

    def __post_init__(self) -> None:
        if self.steps.clock != "updates" and not isinstance(self.steps, Constant):
            raise ValueError(f"exploration counts updates; give {type(self.steps).__name__}(..., clock='updates')")
        if self.steps.largest > 1.0:
            raise ValueError(f"exploration goes up to {self.steps.largest:g}; probabilities are at most 1")

    def __call__(self, counts: IntArray) -> FloatArray:
        return self.steps(counts)


@dataclass(frozen=True)
class ByFunction(Exploration):
    """The numbers of a function of the update count.

    Parameters
    ----------
    function : callable
        Of one int, 1, 2, ...; it gives a float in [0, 1]. A run whose function is not of this library is saved without
        what `distrl.load` would need.
    """

    function: Callable[[int], float]

    def __call__(self, counts: IntArray) -> FloatArray:
        return np.array([real_number(self.function(count), f"exploration({count})") for count in counts.tolist()])


#: What `exploration=` takes.
ExplorationLike = Exploration | StepSize | Callable[[int], float] | float


def as_exploration(value: ExplorationLike | None) -> Exploration:
    """A schedule as it is, a number as `Fixed`, step sizes as `LikeSteps`, a function as `ByFunction`; None is 0.1.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or a probability is out of [0, 1].
    """
    if value is None:
        return Fixed()
    if isinstance(value, Exploration):
        return value
    if isinstance(value, StepSize):
        return LikeSteps(value)
    if callable(value):
        if isinstance(value, type):
            raise TypeError(f"exploration must be an object, such as {value.__name__}(), got the class")
        return ByFunction(value)
    return Fixed(real_number(value, "exploration", low=0.0, high=1.0))


def explorations(schedule: Exploration, first: int, count: int) -> FloatArray:
    """(count,) the probabilities at the updates first + 1, ..., first + count.

    Raises
    ------
    ValueError
        If one is out of [0, 1], naming the update, or there is not one for each.
    """
    found = np.asarray(schedule(np.arange(first + 1, first + count + 1)), dtype=np.float64)
    if found.shape != (count,):
        raise ValueError(
            f"{schedule!r} gave probabilities of shape {found.shape} for {count} counts; it must give one for each"
        )
    wrong = ~((found >= 0.0) & (found <= 1.0))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ValueError(f"exploration at update {first + 1 + place} is {found[place]:g}; it must lie in [0, 1]")
    return found
