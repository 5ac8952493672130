"""Policies whose memory is a place on a ladder: an action for every rung and state, and one for those below it."""

from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, IntArray, whole_number
from distrl.control.executed import evaluated_on
from distrl.control.policy import Memory, RunnablePolicy, Strip, place_of
from distrl.control.timed.law import law_by_rungs
from distrl.control.timed.product import TooLarge, product_of
from distrl.dp import CategoricalFixedPoint, Method, Solution
from distrl.models.mdp import MDP
from distrl.returns import Returns


@dataclass(frozen=True, eq=False)
class TimedPolicy(RunnablePolicy):
    """Actions that depend on the state and on a rung, which every step moves on by `stride`.

    For entropic risk the rung is the number of steps made, and the actions of rung t are the best at beta * discount^t.
    For EVaR rungs are betas in the order of a ladder, `stride` to a factor of the discount, and each state starts on
    the rung of its own best beta. The memory is the rung, a whole number.

    Attributes
    ----------
    actions : (N, S) int
        Positions of actions, of the smallest type that holds them.
    tail : (S,) int, or None
        Actions on all rungs from N on. None: the last step was made there.
    first : (S,) int
        The rung on which it starts in every state.
    stride : int
        0: the rung stays.
    betas : (S,)
        The beta of the entropic risk that the policy is for, by the state in which it starts.
    n_actions : int
    """

    actions: IntArray
    tail: IntArray | None
    first: IntArray
    stride: int
    betas: FloatArray
    n_actions: int

    def __repr__(self) -> str:
        rungs, states = self.actions.shape
        return f"TimedPolicy(rungs={rungs}, states={states}, stride={self.stride})"

    @property
    def rungs(self) -> int:
        """N, the number of rungs with actions of their own."""
        return len(self.actions)

    def row(self, rung: int) -> IntArray:
        """(S,) the actions on a rung.

        Parameters
        ----------
        rung : int

        Raises
        ------
        ValueError
            If the horizon is over.
        """
        if rung < self.rungs:
            return np.asarray(self.actions[rung], dtype=np.int64)
        if self.tail is None:
            raise ValueError("all steps of the horizon were made; start again")
        return self.tail

    def start(self, state: int) -> Memory:
        """The rung at the start."""
        return int(self.first[place_of(state, len(self.first))])

    def act(self, state: int, memory: Memory) -> int:
        """The action in a state.

        Raises
        ------
        ValueError, TypeError
            If the horizon is over, there is no such state, or the memory is none of this policy.
        """
        return int(self.row(whole_number(memory, "memory"))[place_of(state, len(self.first))])

    def observe(self, state: int, memory: Memory, reward: float, next_state: int) -> Memory:
        """The rung after a step: `stride` further."""
        return whole_number(memory, "memory") + self.stride

    def first_actions(self, n_states: int) -> IntArray:
        return np.array([self.row(int(rung))[state] for state, rung in enumerate(self.first)], dtype=np.int64)

    def strip(self, state: int, step: int = 0) -> Strip:
        place, first = place_of(state, len(self.first)), int(self.first[state])
        rungs = np.arange(first, self.rungs, self.stride) if self.stride else np.array([first])
        rows = [*rungs.tolist(), *([self.rungs] if self.tail is not None and self.stride else [])]
        actions = np.array([self.row(rung)[place] for rung in rows], dtype=np.int64)
        return Strip.of(np.arange(len(rows) + 1.0) - 0.5, actions, 0.0)

    def evaluated(self, mdp: MDP, method: Method[Returns] | None, horizon: int | None) -> Solution[Returns]:
        """The law of the return, row s from state s, on the process whose states are a rung and a state.

        Where that is too large, by the steps of `law_by_rungs`.

        Raises
        ------
        ValueError
            If it is too large and a method was given that has no grid.
        """
        general = CategoricalFixedPoint() if method is None else method
        try:
            product, rows = product_of(mdp, self.actions, self.tail, self.first, self.stride)
        except TooLarge:
            if self.tail is None or self.stride == 0 or not isinstance(general, CategoricalFixedPoint):
                raise
            return law_by_rungs(mdp, self.actions, self.tail, self.first, self.stride, general)
        return evaluated_on(product, rows, mdp, self.first_actions(mdp.n_states), method)

    def arrays(self) -> dict[str, FloatArray | IntArray]:
        found: dict[str, FloatArray | IntArray] = {"actions": self.actions, "first": self.first, "betas": self.betas}
        return found if self.tail is None else {**found, "tail": self.tail}


def empty_table(rungs: int, mdp: MDP) -> IntArray:
    """(rungs, S) actions, all 0, of the smallest unsigned type that holds them."""
    return np.zeros((rungs, mdp.n_states), dtype=np.min_scalar_type(max(mdp.n_actions - 1, 0)))


def trimmed(actions: IntArray, tail: IntArray) -> IntArray:
    """(N', S) the rungs up to the last one whose actions are not the tail's."""
    differs = np.flatnonzero((actions != tail).any(axis=1))
    return actions[: int(differs[-1]) + 1 if differs.size else 0]
