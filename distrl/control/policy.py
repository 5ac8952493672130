"""Policies that a search for the best one gives back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from distrl._validation import FloatArray, IntArray, whole_number


@dataclass(frozen=True, eq=False)
class MarkovPolicy:
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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.actions, dtype=dtype) if copy is not False else np.asarray(self.actions, dtype=dtype)

    def __getitem__(self, index: Any) -> Any:
        return self.actions[index]

    def __len__(self) -> int:
        return len(self.actions)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.actions)

    @property
    def depends_on_step(self) -> bool:
        """Whether there is an action for each step."""
        return self.actions.ndim == 2

    @property
    def shape(self) -> tuple[int, ...]:
        """(S,), or (H, S) where it depends on the step."""
        return self.actions.shape

    def tolist(self) -> list[Any]:
        """The actions as lists of ints."""
        return list(self.actions.tolist())

    def matrix(self) -> FloatArray:
        """The probabilities of the actions, (S, A) or (H, S, A)."""
        return np.eye(self.n_actions)[self.actions]

    def start(self, state: int) -> int | None:
        """The memory at the start: the number of steps made, None where it makes no difference.

        Parameters
        ----------
        state : int
            Where it starts.
        """
        return None if self.actions.ndim == 1 else 0

    def act(self, state: int, memory: int | None) -> int:
        """The action in a state.

        Parameters
        ----------
        state : int
        memory : what `start` or `observe` gave

        Raises
        ------
        ValueError
            If the horizon is over.
        """
        if self.actions.ndim == 1:
            return int(self.actions[state])
        step = whole_number(memory, "memory")
        if step >= len(self.actions):
            raise ValueError(f"all {len(self.actions)} steps of the horizon were made; start again")
        return int(self.actions[step, state])

    def observe(self, state: int, memory: int | None, reward: float, next_state: int) -> int | None:
        """The memory after a step.

        Parameters
        ----------
        state, memory : int, and what `start` or `observe` gave before
        reward, next_state : float, int
            What came of it.
        """
        return None if memory is None else memory + 1
