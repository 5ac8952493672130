"""Q-learning and SARSA by any learning rule, whose states are (state, action) pairs here."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import td as kernels
from distrl._kernels.td import Stride
from distrl._validation import FloatArray, IntArray
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.td.acting.exploration import ExplorationLike
from distrl.td.acting.learner import ControlLearner
from distrl.td.acting.method import ActingMethod, Move
from distrl.td.acting.pairs import best_pairs, by_pairs
from distrl.td.acting.player import MEANS, PLACE, Player
from distrl.td.replication import renew
from distrl.td.rule import LearningRule, Memory, R, Start, check_rule
from distrl.td.sampling import Transitions
from distrl.td.step_sizes import StepSize

UPDATES = ("q", "sarsa")

#: A kernel of the family `play_...`, and the arrays and numbers that it takes of a memory.
Compiled = tuple[Callable[..., None], tuple[Any, ...]]


class QMethod(ActingMethod[R, IntArray]):
    """Q-learning and SARSA by a learning rule, whose states are (state, action) pairs here."""

    @property
    @abstractmethod
    def rule(self) -> LearningRule[R]:
        """The rule that pairs are learnt by."""

    def learner(
        self,
        model: MDP | tuple[int, int],
        discount: float | None = None,
        step_size: StepSize | ArrayLike = 0.1,
        start: Start = None,
        exploration: ExplorationLike | None = None,
    ) -> ControlLearner[R, IntArray]:
        """A learner to be fed transitions by hand, and asked for actions.

        Parameters
        ----------
        model, discount, step_size, start, exploration
            As for `distrl.td.ControlLearner`.

        Raises
        ------
        ValueError, TypeError
            If an argument is not what it must be, naming it.
        """
        return ControlLearner(self, model, discount, step_size, start, exploration)

    def linear(self, memory: Memory) -> tuple[FloatArray, FloatArray] | None:
        """(rows, weights) of which the means are rows @ weights, arrays (pairs, n) and (n,); None: ask the rule.

        Parameters
        ----------
        memory : of a replication
        """
        return None

    def compiled(self, memory: Memory) -> Compiled | None:
        """What makes the updates of a stride in one go; None: they are made one by one, in Python.

        Parameters
        ----------
        memory : of a replication
        """
        return None

    @property
    def width(self) -> int:
        return self.rule.width

    @property
    def arrays(self) -> int:
        return self.rule.arrays

    @property
    def largest_step(self) -> float:
        return self.rule.largest_step

    def starts(self, start: Start, replications: int, choices: Choices) -> FloatArray:
        return self.rule.starts(by_pairs(start, choices), replications, len(choices.actions))

    def remember(self, start: FloatArray) -> Memory:
        memory = {**self.rule.remember(start), MEANS: np.zeros(len(start)), PLACE: np.full(2, -1)}
        self._renew_means(memory, np.arange(len(start)), self.linear(memory))
        return memory

    def _renew_means(self, memory: Memory, pairs: IntArray, linear: tuple[FloatArray, FloatArray] | None) -> None:
        means = memory[MEANS]
        if linear is not None:
            rows, weights = linear
            kernels.renew_means(rows, pairs, weights, means)
            return
        estimates = self.rule.estimates(memory)
        means[pairs] = self.rule.means(estimates[pairs])

    def play(
        self,
        memory: Memory,
        visits: IntArray,
        step_size: StepSize,
        player: Player,
        stride: Stride,
    ) -> None:
        compiled, linear = self.compiled(memory), self.linear(memory)
        if player.world is not None and compiled is not None and linear is not None:
            kernel, own = compiled
            kernel(player.world, stride, memory[PLACE], memory[MEANS], linear[1], visits, *own)
            return
        ints, floats = np.zeros((3, stride.block), np.int64), np.zeros((2, stride.block))
        out = Transitions(ints[0], floats[0], ints[1], floats[1], ints[2])
        for update in range(len(stride.explorations)):
            player.draw(memory, stride, update, out)
            out.updates[:] = stride.first + update + 1
            renew(self.rule, memory, visits, step_size, out, stride.block)
            self._renew_means(memory, out.states, linear)

    def learn_one(self, memory: Memory, visits: IntArray, step_size: StepSize, one: Move, choices: Choices) -> None:
        following = one.next_pair if one.next_pair >= 0 else self.choose(memory, one.next_state, 0.0, 1.0, choices)
        ints = (np.array([one.pair]), np.array([following]), np.array([one.updates]))
        move = Transitions(ints[0], np.array([one.reward]), ints[1], np.array([one.weight]), ints[2])
        renew(self.rule, memory, visits, step_size, move, 1)
        self._renew_means(memory, ints[0], self.linear(memory))

    def choose(self, memory: Memory, state: int, exploration: float, number: float, choices: Choices) -> int:
        first, last = int(choices.indptr[state]), int(choices.indptr[state + 1])
        return kernels.choose(memory[MEANS], first, last, exploration, number)

    def estimates(self, memory: Memory) -> FloatArray:
        return self.rule.estimates(memory)

    def means(self, estimates: FloatArray) -> FloatArray:
        return self.rule.means(estimates)

    def returns(self, estimates: FloatArray) -> R:
        return self.rule.returns(estimates)

    def axis(self) -> dict[str, FloatArray]:
        return self.rule.axis()

    def policies(self, estimates: FloatArray, choices: Choices, discount: float | None) -> IntArray:
        """(R, S) the greedy actions, the first where some tie."""
        return choices.actions[best_pairs(self.means(estimates), choices)]


def check_update(update: object) -> None:
    """Refuse what is no kind of update.

    Raises
    ------
    ValueError
    """
    if update not in UPDATES:
        raise ValueError(f'update must be "q" or "sarsa", got {update!r}')


def check_pair_rule(rule: object) -> None:
    """Refuse what is no rule for single steps of pairs.

    Raises
    ------
    ValueError, TypeError
        Naming it.
    """
    check_rule(rule)
    if getattr(rule, "steps", 1) != 1:
        raise ValueError(f"{rule!r} has targets of several steps, along which actions were not the best; give steps=1")
    if getattr(rule, "all_at_once", False):
        raise ValueError(f"{rule!r} renews all states at once, by a scheme that is not for choices between actions")
