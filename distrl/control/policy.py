"""Policies that a search for the best one gives back: what a stranger needs to run one, and those without memory.

A policy is run by hand:

    memory = policy.start(state)
    while not ended:
        action = policy.act(state, memory)
        ...                                   # the environment gives reward and next_state
        memory = policy.observe(state, memory, reward, next_state)     # not after an end
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from distrl._validation import FloatArray, IntArray, whole_number
from distrl.dp import Method, Solution, evaluate
from distrl.models.mdp import MDP
from distrl.returns import Returns
from distrl.returns.arrays import StateIndex

#: What a policy remembers: nothing, the number of steps made, a target, or both.
Memory: TypeAlias = int | float | tuple[int, float] | None
#: What an index or a step of the iteration gives: an action, or those of a step.
_Actions: TypeAlias = np.int64 | IntArray


class Strip(NamedTuple):
    """What is played in a state, by what is remembered: `actions[k]` from `edges[k]` to `edges[k + 1]`.

    Attributes
    ----------
    edges : (n + 1,) rising
        Beyond the outer ones the outer actions go on.
    actions : (n,) int, neighbours differ
    start : float
        With which it starts in the state; NaN where it starts elsewhere.
    """

    edges: FloatArray
    actions: IntArray
    start: float

    @classmethod
    def of(cls, edges: FloatArray, actions: IntArray, start: float) -> "Strip":
        """Neighbours that play the same are one."""
        changes = np.concatenate([[0], np.flatnonzero(np.diff(actions)) + 1])
        return cls(np.append(edges[changes], edges[-1]), np.asarray(actions[changes], dtype=np.int64), start)


def place_of(state: object, n_states: int, name: str = "state") -> int:
    """A state's position, or an error: a negative one would be read as one from the end."""
    return whole_number(state, name, high=n_states - 1)


class RunnablePolicy(ABC):
    """A policy that can be run, with a memory of a number or two."""

    remembers: ClassVar[str] = "number of steps made"
    """What the memory is, with its unit: what `strip` is along."""

    @abstractmethod
    def start(self, state: int) -> Memory:
        """The memory at the start.

        Parameters
        ----------
        state : int
            Where it starts.
        """

    @abstractmethod
    def act(self, state: int, memory: Memory) -> int:
        """The action in a state.

        Parameters
        ----------
        state : int
        memory : what `start` or `observe` gave
        """

    @abstractmethod
    def observe(self, state: int, memory: Memory, reward: float, next_state: int) -> Memory:
        """The memory after a step.

        Parameters
        ----------
        state, memory : int, and what `start` or `observe` gave before
        reward, next_state : float, int
            What came of it.
        """

    @abstractmethod
    def first_actions(self, n_states: int) -> IntArray:
        """(S,) the action with which it starts in every state.

        Parameters
        ----------
        n_states : int
        """

    def strip(self, state: int, step: int = 0) -> Strip:
        """What is played in a state along the memory; for pictures.

        Parameters
        ----------
        state : int
        step : int
            For policies that know a target and a horizon: when.

        Raises
        ------
        ValueError
            For a policy without a memory, or one of somebody else.
        """
        raise ValueError(f"{type(self).__name__} has no memory along which its actions could be drawn")

    @abstractmethod
    def evaluated(self, mdp: MDP, method: Method[Returns] | None, horizon: int | None) -> Solution[Returns]:
        """The law of the return under this policy, row s from state s, certified for that law.

        Parameters
        ----------
        mdp : MDP
            The one for which it was found.
        method : Method or None
            None: what `evaluate` takes by default.
        horizon : int or None
        """

    @abstractmethod
    def arrays(self) -> dict[str, FloatArray | IntArray]:
        """What a file shows to people, by name."""


@dataclass(frozen=True, eq=False)
class MarkovPolicy(RunnablePolicy):
    """One action for each state, or for each step and state; it looks at nothing else.

    It is taken wherever a policy is: `evaluate(mdp, method, policy=policy)`, with `horizon=H` where it depends on the
    step. `numpy.asarray(policy)` are its actions.

    Attributes
    ----------
    actions : (S,) or (H, S) int
        Positions of actions, step 0 first.
    n_actions : int
    """

    actions: IntArray
    n_actions: int

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.actions, dtype=dtype) if copy is not False else np.asarray(self.actions, dtype=dtype)

    def __getitem__(self, index: StateIndex) -> _Actions:
        found: _Actions = self.actions[index]
        return found

    def __len__(self) -> int:
        return len(self.actions)

    def __iter__(self) -> Iterator[_Actions]:
        return iter(self.actions)

    @property
    def depends_on_step(self) -> bool:
        """Whether there is an action for each step."""
        return self.actions.ndim == 2

    @property
    def shape(self) -> tuple[int, ...]:
        """(S,), or (H, S) where it depends on the step."""
        return self.actions.shape

    def tolist(self) -> list[int] | list[list[int]]:
        """The actions as lists of ints."""
        return list(self.actions.tolist())

    def matrix(self) -> FloatArray:
        """The probabilities of the actions, (S, A) or (H, S, A)."""
        return np.eye(self.n_actions)[self.actions]

    def start(self, state: int) -> Memory:
        """The memory at the start: the number of steps made, None where it makes no difference."""
        place_of(state, self.actions.shape[-1])
        return None if self.actions.ndim == 1 else 0

    def act(self, state: int, memory: Memory) -> int:
        """The action in a state.

        Raises
        ------
        ValueError, TypeError
            If the horizon is over, there is no such state, or the memory is none of this policy.
        """
        place = place_of(state, self.actions.shape[-1])
        if self.actions.ndim == 1:
            return int(self.actions[place])
        step = whole_number(memory, "memory")
        if step >= len(self.actions):
            raise ValueError(f"all {len(self.actions)} steps of the horizon were made; start again")
        return int(self.actions[step, place])

    def observe(self, state: int, memory: Memory, reward: float, next_state: int) -> Memory:
        """The memory after a step: one step more."""
        return None if memory is None else whole_number(memory, "memory") + 1

    def first_actions(self, n_states: int) -> IntArray:
        if self.actions.ndim == 1:
            return self.actions
        return self.actions[0] if len(self.actions) else np.empty(0, dtype=np.int64)

    def strip(self, state: int, step: int = 0) -> Strip:
        if not self.depends_on_step or not len(self.actions):
            return super().strip(state, step)
        place = place_of(state, self.actions.shape[-1])
        return Strip.of(np.arange(len(self.actions) + 1.0) - 0.5, self.actions[:, place], 0.0)

    def evaluated(self, mdp: MDP, method: Method[Returns] | None, horizon: int | None) -> Solution[Returns]:
        """`evaluate(mdp, method, policy=policy, horizon=horizon)`."""
        return evaluate(mdp, method, policy=self, horizon=horizon)

    def arrays(self) -> dict[str, FloatArray | IntArray]:
        return {"actions": self.actions}
