"""Step sizes a_1, a_2, ... of stochastic approximation.

By default the clock is the state's own: its k-th renewal takes the step a_k. That is what the convergence theorems for
asynchronous learning ask for (each state needs sum a = inf), and what a state that is rarely seen needs; with
`clock="updates"` the k-th update takes a_k, whichever state it renews. With synchronous sampling both are the same.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, IntArray, float_array, real_number

_CLOCKS = ("visits", "updates")


class StepSize(ABC):
    """A sequence a_k, k = 1, 2, ..., of positive steps; call it with an array of counts k."""

    clock: str

    @abstractmethod
    def __call__(self, counts: IntArray) -> FloatArray:
        """The step a_k for every k in `counts`, which are at least 1."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """The supremum of a_k."""

    @property
    @abstractmethod
    def robbins_monro(self) -> bool | None:
        """Whether sum a_k = inf and sum a_k^2 < inf: TD and categorical TD then converge almost surely.

        It is decided from the formula; None if there is none. Source: Rowland et al. 2018, Theorem 1, for categorical
        TD.
        """

    @property
    @abstractmethod
    def quantile_convergent(self) -> bool | None:
        """Whether sum a_k = inf and a_k = o(1 / log k): quantile TD then converges to the set of its fixed points.

        Source: Rowland et al. 2024, "An Analysis of Quantile Temporal-Difference Learning", Theorem 8.
        """


@dataclass(frozen=True)
class Constant(StepSize):
    """a_k = size: the start is forgotten at a steady rate, and estimates keep fluctuating around the limit.

    Parameters
    ----------
    size : float > 0

    Raises
    ------
    ValueError, TypeError
        If `size` is not positive.
    """

    size: float = 0.1
    clock = "visits"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _positive(self.size, "step_size"))

    def __call__(self, counts: IntArray) -> FloatArray:
        return np.full(len(counts), self.size)

    @property
    def largest(self) -> float:
        return self.size

    @property
    def robbins_monro(self) -> bool:
        return False

    @property
    def quantile_convergent(self) -> bool:
        return False


@dataclass(frozen=True)
class Polynomial(StepSize):
    """a_k = scale / (offset + k)^exponent.

    Parameters
    ----------
    scale : float > 0
    exponent : float >= 0
        In (1/2, 1] the Robbins-Monro conditions hold; averaging iterates asks for less than 1.
    offset : float >= 0
        How many steps the decay is delayed.
    clock : {"visits", "updates"}
        Whether k counts the renewals of the state or all updates.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range, naming it.
    """

    scale: float = 1.0
    exponent: float = 0.75
    offset: float = 0.0
    clock: str = "visits"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _positive(self.scale, "scale"))
        object.__setattr__(self, "exponent", real_number(self.exponent, "exponent", low=0.0))
        object.__setattr__(self, "offset", real_number(self.offset, "offset", low=0.0))
        _check_clock(self.clock)

    def __call__(self, counts: IntArray) -> FloatArray:
        return np.asarray(self.scale / (self.offset + counts) ** self.exponent)

    @property
    def largest(self) -> float:
        return float(self.scale / (self.offset + 1.0) ** self.exponent)

    @property
    def robbins_monro(self) -> bool:
        return 0.5 < self.exponent <= 1.0

    @property
    def quantile_convergent(self) -> bool:
        return 0.0 < self.exponent <= 1.0


@dataclass(frozen=True)
class Harmonic(StepSize):
    """a_k = scale / (offset + k); with scale 1 and offset 0 the estimate is the average of its targets.

    Parameters
    ----------
    scale : float > 0
        A discount g slows the limit down to errors of order k^(-scale (1 - g)): take scale > 1 / (1 - g), or averages.
    offset : float >= 0
        For a largest step of at most 1 it must be at least scale - 1.
    clock : {"visits", "updates"}
        Whether k counts the renewals of the state or all updates.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range, naming it.
    """

    scale: float = 1.0
    offset: float = 0.0
    clock: str = "visits"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _positive(self.scale, "scale"))
        object.__setattr__(self, "offset", real_number(self.offset, "offset", low=0.0))
        _check_clock(self.clock)

    def __call__(self, counts: IntArray) -> FloatArray:
        return np.asarray(self.scale / (self.offset + counts))

    @property
    def largest(self) -> float:
        return self.scale / (self.offset + 1.0)

    @property
    def robbins_monro(self) -> bool:
        return True

    @property
    def quantile_convergent(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Listed(StepSize):
    """a_k = sizes[k - 1].

    Parameters
    ----------
    sizes : (K,) float, at least 0
        As many as there are counts: one for each update suffices.
    clock : {"visits", "updates"}
        Whether k counts the renewals of the state or all updates.

    Raises
    ------
    ValueError, TypeError
        If there is no step, or naming the one that is negative or no number.
    """

    sizes: Any
    clock: str = "visits"

    def __post_init__(self) -> None:
        sizes = float_array(self.sizes, "step_size", ndim=1)
        if not sizes.size or (sizes < 0).any():
            raise ValueError("step_size is an array of steps; it must not be empty, and each must be at least 0")
        sizes.flags.writeable = False
        object.__setattr__(self, "sizes", sizes)
        _check_clock(self.clock)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listed) and self.clock == other.clock and np.array_equal(self.sizes, other.sizes)

    def __hash__(self) -> int:
        return hash((self.clock, self.sizes.tobytes()))

    def __call__(self, counts: IntArray) -> FloatArray:
        return np.asarray(self.sizes[counts - 1])

    @property
    def largest(self) -> float:
        return float(self.sizes.max())

    @property
    def robbins_monro(self) -> None:
        return None

    @property
    def quantile_convergent(self) -> None:
        return None


def as_step_size(value: StepSize | ArrayLike) -> StepSize:
    """A `StepSize` as it is, a number as `Constant`, an array as `Listed`.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or a step is negative.
    """
    if isinstance(value, StepSize):
        return value
    if isinstance(value, np.ndarray | list | tuple) and np.ndim(value) > 0:
        return Listed(value)
    return Constant(real_number(value, "step_size"))


class Stepping(Protocol):
    """What takes steps."""

    @property
    def largest_step(self) -> float:
        """The largest step size that makes sense."""


def check_step_size(step_size: StepSize, rule: Stepping, updates: int) -> None:
    """Refuse steps that overshoot the targets of a rule, and lists that are too short for so many updates.

    Raises
    ------
    ValueError
        Saying what the rule needs, or how long the list must be.
    """
    if step_size.largest > rule.largest_step:
        raise ValueError(
            f"step_size goes up to {step_size.largest:g}; {type(rule).__name__} needs steps of at most "
            f"{rule.largest_step:g} (for Harmonic, an offset of at least scale - 1)"
        )
    sizes = getattr(step_size, "sizes", None)
    if sizes is not None and len(sizes) < updates:
        raise ValueError(f"step_size lists {len(sizes)} steps; {updates} updates may need as many")


def _positive(value: Any, name: str) -> float:
    number = real_number(value, name)
    if number <= 0.0:
        raise ValueError(f"{name} must be positive, got {number:g}")
    return number


def _check_clock(clock: str) -> None:
    if clock not in _CLOCKS:
        raise ValueError(f'clock must be "visits" or "updates", got {clock!r}')
