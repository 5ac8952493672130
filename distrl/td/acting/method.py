"""What a method that learns to act is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from distrl._kernels.td import Stride
from distrl._validation import FloatArray, IntArray
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.td.acting.player import Player
from distrl.td.rule import Memory, R, Start
from distrl.td.step_sizes import StepSize

#: What the policies of all replications are given as.
K = TypeVar("K", covariant=True)


class ActingMethod(ABC, Generic[R, K]):
    """A method that learns which action is best, from estimates for (state, action) pairs, shared by replications."""

    @property
    @abstractmethod
    def update(self) -> str:
        """What a target bootstraps from: "q", the best action, or "sarsa", the one that is played."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers an estimate; asked of the method that `on` has given."""

    @property
    @abstractmethod
    def arrays(self) -> int:
        """How many arrays of (pairs, width) a replication needs at most: for the check of memory."""

    @property
    @abstractmethod
    def largest_step(self) -> float:
        """The largest step size that makes sense."""

    @abstractmethod
    def on(self, model: MDP | None) -> Self:
        """This method with all that it takes from the model filled in; None: there is no model.

        Parameters
        ----------
        model : MDP or None

        Raises
        ------
        ValueError
            If something must be given that the model does not tell.
        """

    @abstractmethod
    def starts(self, start: Start, replications: int, choices: Choices) -> FloatArray:
        """(R, pairs, width) the estimates to begin with; it may be read-only.

        Parameters
        ----------
        start : array, returns or None
            As the user gave it.
        replications : int
        choices : Choices
            The pairs.

        Raises
        ------
        ValueError, TypeError
            If `start` has another shape, or is not what estimates can be.
        """

    @abstractmethod
    def remember(self, start: FloatArray) -> Memory:
        """The memory of one replication, from its start (pairs, width), an array of its own which may be kept.

        Parameters
        ----------
        start : (pairs, width)
        """

    @abstractmethod
    def play(
        self,
        memory: Memory,
        visits: IntArray,
        step_size: StepSize,
        player: Player,
        stride: Stride,
    ) -> None:
        """Make the updates of a stride: act, learn and count.

        Parameters
        ----------
        memory : of the replication; it is changed
        visits : (pairs,) int, how often each was renewed; it is changed
        step_size : StepSize
        player : Player
        stride : Stride
        """

    @abstractmethod
    def learn_one(self, memory: Memory, visits: IntArray, step_size: StepSize, one: "Move", choices: Choices) -> None:
        """Learn from one transition that somebody has seen.

        Parameters
        ----------
        memory, visits, step_size : as for `play`
        one : Move
        choices : Choices
        """

    @abstractmethod
    def choose(self, memory: Memory, state: int, exploration: float, number: float, choices: Choices) -> int:
        """A pair of a state: any with probability `exploration`, else the best; `number` in [0, 1) decides.

        Parameters
        ----------
        memory : of a replication
        state : int
        exploration, number : float
        choices : Choices
        """

    @abstractmethod
    def estimates(self, memory: Memory) -> FloatArray:
        """(pairs, width) the estimates to report; it may be an array of the memory.

        Parameters
        ----------
        memory : of a replication
        """

    @abstractmethod
    def means(self, estimates: FloatArray) -> FloatArray:
        """(..., pairs) the means of estimates (..., pairs, width), in units of reward.

        Parameters
        ----------
        estimates : (..., pairs, width)
        """

    @abstractmethod
    def returns(self, estimates: FloatArray) -> R:
        """Estimates (..., width) as what a user works with, of batch shape (...).

        Parameters
        ----------
        estimates : (..., width)
        """

    @abstractmethod
    def axis(self) -> dict[str, FloatArray]:
        """What the last axis of estimates stands for, by name; for files."""

    @abstractmethod
    def policies(self, estimates: FloatArray, choices: Choices, discount: float | None) -> K:
        """The policies of estimates (R, pairs, width), one for each replication.

        Parameters
        ----------
        estimates : (R, pairs, width)
        choices : Choices
        discount : float or None
            None where transitions have their own.
        """


@dataclass(frozen=True)
class Move:
    """One transition that somebody has seen.

    Attributes
    ----------
    pair : int
    reward : float
    next_state : int
    next_pair : int
        The pair that was played there; -1 where the method chooses.
    weight : float
        The discount, 0 where the episode ended.
    updates : int
        The number of the update, from 1.
    """

    pair: int
    reward: float
    next_state: int
    next_pair: int
    weight: float
    updates: int
