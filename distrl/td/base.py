"""What the temporal-difference methods of this library share: options, starts and averages."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, IntArray, float_array, whole_number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.td.learner import Learner
from distrl.td.rule import Memory, R, Start
from distrl.td.sampling import Transitions
from distrl.td.step_sizes import StepSize


@dataclass(frozen=True, kw_only=True)
class TDMethod(ABC, Generic[R]):
    """The options that all methods share, and a `LearningRule` but for what a method learns.

    Parameters
    ----------
    steps : int or None
        Rewards in a target: sum_{i<n} discount^i r_i + discount^n G(state after n steps), n = `steps`. None: all to the
        end of the episode (Monte Carlo, nothing is bootstrapped). With synchronous and generative sampling each target
        is a path of its own; along a trajectory every visit is a target once its n rewards are there, which its
        episode's end brings forward.
    average_from : int or None
        Report averages of a state's estimates after each of its renewals but the first `average_from`: 0 is
        Polyak-Ruppert averaging, more leaves out a burn-in (tail averaging). None: the last estimate.

    Raises
    ------
    ValueError, TypeError
        If an option is not what it must be, naming it.
    """

    steps: int | None = 1
    average_from: int | None = None

    largest_step: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if self.steps is not None:
            object.__setattr__(self, "steps", whole_number(self.steps, "steps", low=1))
        if self.average_from is not None:
            object.__setattr__(self, "average_from", whole_number(self.average_from, "average_from"))

    def learner(
        self,
        model: MRP | MDP | int,
        discount: float | None = None,
        step_size: StepSize | ArrayLike = 0.1,
        start: Start = None,
    ) -> Learner[R]:
        """A learner to be fed transitions by hand.

        Parameters
        ----------
        model, discount, step_size, start
            As for `distrl.td.Learner`.

        Raises
        ------
        ValueError, TypeError
            If an argument is not what it must be, naming it.
        """
        return Learner(self, model, discount, step_size, start)

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers an estimate."""

    @property
    @abstractmethod
    def arrays(self) -> int:
        """How many arrays of (S, width) a replication needs at most."""

    @property
    def all_at_once(self) -> bool:
        """Whether all states must be renewed together; False unless a method says otherwise."""
        return False

    def on(self, model: MRP | MDP | None) -> Self:
        """This method with all that it takes from the model filled in: itself, unless a method says otherwise."""
        return self

    def starts(self, start: Start, replications: int, states: int) -> FloatArray:
        """(R, S, width) the estimates to begin with, read-only: the user's, or 0.

        Raises
        ------
        ValueError, TypeError
            If `start` has another shape.
        """
        return for_replications(start, "values", 0.0, (replications, states, self.width))

    @abstractmethod
    def remember(self, start: FloatArray) -> Memory:
        """The memory of one replication, from its start (S, width), which may be kept."""

    @abstractmethod
    def renew(self, memory: Memory, transitions: Transitions, counts: IntArray, steps: FloatArray, block: int) -> None:
        """Learn from the transitions, those of a block at once; `counts` numbers each state's renewals."""

    @abstractmethod
    def estimates(self, memory: Memory) -> FloatArray:
        """(S, width) the estimates to report."""

    @abstractmethod
    def means(self, estimates: FloatArray) -> FloatArray:
        """(..., S) the means of estimates (..., S, width)."""

    @abstractmethod
    def returns(self, estimates: FloatArray) -> R:
        """Estimates (..., S, width) as what a user works with."""

    def axis(self) -> dict[str, FloatArray]:
        """What the last axis of estimates stands for, by name; for files."""
        return {}

    @property
    def burn_in(self) -> int:
        """How many renewals of a state the averages leave out."""
        return self.average_from or 0

    def averages(self, start: FloatArray) -> FloatArray:
        """Where a memory keeps the averages of estimates that begin at `start`: nowhere unless they are asked for."""
        return np.array(start) if self.average_from is not None else np.empty((0, start.shape[-1]))


def for_replications(start: Start, field: str, default: float, shape: tuple[int, ...]) -> FloatArray:
    """`start` as an array of `shape` (R, ...), read-only: the `default` for None, or an array, or returns with an
    attribute `field`, for each replication or for all.

    Raises
    ------
    ValueError, TypeError
        If it is no array of these shapes.
    """
    if start is None:
        return np.broadcast_to(default, shape)
    array = float_array(getattr(start, field, start), "start")
    if array.shape not in (shape, shape[1:]):
        raise ValueError(f"start has shape {array.shape}; it must be {shape[1:]}, or {shape} with replications")
    return np.broadcast_to(array, shape)


def reported(memory: Memory, name: str) -> FloatArray:
    """The averages of a memory where they are kept, else its array `name`."""
    return np.asarray(memory["averages"] if len(memory["averages"]) else memory[name])
