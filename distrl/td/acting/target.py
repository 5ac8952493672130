"""Q-learning of losses at targets: how to act for the CVaR, at all levels from one table."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import target_learning as kernels
from distrl._kernels.td import Stride
from distrl._validation import FloatArray, IntArray, whole_number
from distrl.dp.undiscounted import default_grid
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.returns.grid import Grid
from distrl.td.acting.environment import EnvironmentPlayer
from distrl.td.acting.exploration import ExplorationLike
from distrl.td.acting.learner import ControlLearner
from distrl.td.acting.losses import TargetLosses, TargetPolicy, check_level
from distrl.td.acting.method import ActingMethod, Move
from distrl.td.acting.pairs import by_pairs
from distrl.td.acting.player import PLACE, Player
from distrl.td.base import for_replications
from distrl.td.rule import Memory, Start
from distrl.td.step_sizes import StepSize

TARGET = "target"  # what is left of it along a trajectory, (1,)


@dataclass(frozen=True)
class TargetQ(ActingMethod[TargetLosses, tuple[TargetPolicy, ...]]):
    """Q-learning for CVaR: U(x, a, b) += step (discount min_c U(y, c, (b - r) / discount) - U(x, a, b)) at all knots b.

    U(x, a, b) estimates the least E(b - G)+ after action a in state x. Every transition renews all targets of its pair:
    what was left of the target when it was seen does not matter.

    Parameters
    ----------
    cells : int
        The knots are cells + 1.
    level : float in (0, 1]
        The policies are for the CVaR of this level, and so is what is played along a trajectory; the table is for all
        (`TargetPolicy.at`).
    grid : Grid, optional
        The knots; by default the grid of `CategoricalTD(cells + 1)`.

    Notes
    -----
    CVaR_level = max_b {b - E(b - G)+ / level}, and the policy that is best for a target has what is left of it as its
    memory (Bäuerle and Ott 2011): `run.final.cvar(level)` is the best CVaR after every action, its largest entry the
    state's. Time O(actions * cells) an update, memory 8 cells bytes a pair. Between knots losses are interpolated: they
    come near the least ones, and lie on neither side of them for certain, since these are not convex in the target. An
    error of a loss counts 1 / level times in the CVaR: small levels want many cells.
    `run.values` are the largest means: at the last knot the update is that of `MeanQ`. Steps must be at most 1.

    Raises
    ------
    ValueError, TypeError
        If an option is not what it must be, naming it.
    """

    cells: int = 64
    level: float = 0.1
    grid: Grid | None = None

    update: ClassVar[str] = "q"
    largest_step: ClassVar[float] = 1.0
    arrays: ClassVar[int] = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", whole_number(self.cells, "cells", low=1))
        object.__setattr__(self, "level", check_level(self.level))
        if self.grid is not None:
            if not isinstance(self.grid, Grid):
                raise TypeError(f"grid must be a distrl.Grid or None, got {self.grid!r}")
            object.__setattr__(self, "cells", self.grid.atoms - 1)

    def learner(
        self,
        model: MDP | tuple[int, int],
        discount: float | None = None,
        step_size: StepSize | ArrayLike = 0.1,
        start: Start = None,
        exploration: ExplorationLike | None = None,
    ) -> ControlLearner[TargetLosses, tuple[TargetPolicy, ...]]:
        """A learner to be fed transitions by hand, and asked for actions.

        `act` goes on with the target that is left where the last transition led to the state, and starts with the
        state's own elsewhere.

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

    def on(self, model: MDP | None) -> Self:
        if self.grid is not None:
            return self
        if model is None:
            raise ValueError("without a model the grid must be given: TargetQ(grid=distrl.Grid(low, high, knots))")
        return replace(self, grid=default_grid(model, self.cells + 1))

    @property
    def _knots(self) -> Grid:
        assert self.grid is not None  # `on` has chosen one
        return self.grid

    @property
    def _lattice(self) -> tuple[float, float]:
        return self._knots.low, self._knots.spacing

    @property
    def width(self) -> int:
        return self.cells + 1

    def starts(self, start: Start, replications: int, choices: Choices) -> FloatArray:
        shape = (replications, len(choices.actions), self.width)
        if start is None:  # of returns in the middle
            middle = 0.5 * (self._knots.low + self._knots.high)
            return np.broadcast_to(np.maximum(self._knots.points - middle, 0.0), shape)
        return for_replications(by_pairs(start, choices), "losses", 0.0, shape)

    def remember(self, start: FloatArray) -> Memory:
        return {"losses": start, PLACE: np.full(2, -1), TARGET: np.zeros(1)}

    def play(self, memory: Memory, visits: IntArray, step_size: StepSize, player: Player, stride: Stride) -> None:
        if player.world is not None:
            kernels.play_losses(
                player.world,
                stride,
                memory[PLACE],
                memory[TARGET],
                visits,
                memory["losses"],
                *self._lattice,
                self.level,
            )
            return
        assert isinstance(player, EnvironmentPlayer)
        for update, exploration in enumerate(stride.explorations.tolist()):
            begins = memory[PLACE][0] < 0
            state = player.state(memory)
            if begins:
                memory[TARGET][0] = self._start(memory, state, player.choices)
            number = float(stride.numbers[update, 2])
            pair = self.choose(memory, state, exploration, number, player.choices)
            reward, following, ended = player.move(memory, pair)
            weight = 0.0 if ended else player.spaces.discount
            move = Move(pair, reward, following, -1, weight, stride.first + update + 1)
            self._renew(memory, visits, step_size, move, player.choices)

    def learn_one(self, memory: Memory, visits: IntArray, step_size: StepSize, one: Move, choices: Choices) -> None:
        state = int(choices.states[one.pair])
        if memory[PLACE][0] != state:
            memory[TARGET][0] = self._start(memory, state, choices)
        memory[PLACE][0] = -1 if one.weight == 0.0 else one.next_state
        self._renew(memory, visits, step_size, one, choices)

    def _renew(self, memory: Memory, visits: IntArray, step_size: StepSize, one: Move, choices: Choices) -> None:
        """Learn from a transition, and from the target go on to what is left of it."""
        first, last = int(choices.indptr[one.next_state]), int(choices.indptr[one.next_state + 1])
        visits[one.pair] += 1
        clock = visits[one.pair] if step_size.clock == "visits" else one.updates
        step = float(step_size(np.array([clock]))[0])
        kernels.renew_losses(memory["losses"], one.pair, first, last, one.reward, one.weight, step, *self._lattice)
        ends = (self._knots.low, self._knots.high)
        memory[TARGET][0] = kernels.left(float(memory[TARGET][0]), one.reward, one.weight, *ends)

    def _start(self, memory: Memory, state: int, choices: Choices) -> float:
        first, last = int(choices.indptr[state]), int(choices.indptr[state + 1])
        return kernels.start_target(memory["losses"], first, last, *self._lattice, self.level)

    def choose(self, memory: Memory, state: int, exploration: float, number: float, choices: Choices) -> int:
        on = memory[PLACE][0] == state
        target = float(memory[TARGET][0]) if on else self._start(memory, state, choices)
        first, last = int(choices.indptr[state]), int(choices.indptr[state + 1])
        return kernels.least(memory["losses"], first, last, target, *self._lattice, exploration, number)

    def estimates(self, memory: Memory) -> FloatArray:
        return memory["losses"]

    def means(self, estimates: FloatArray) -> FloatArray:
        """(..., pairs) the largest means: the last knot less its loss."""
        return np.asarray(self._knots.high - estimates[..., -1])

    def returns(self, estimates: FloatArray) -> TargetLosses:
        return TargetLosses(self._knots, estimates)

    def axis(self) -> dict[str, FloatArray]:
        return {"targets": self._knots.points}

    def policies(self, estimates: FloatArray, choices: Choices, discount: float | None) -> tuple[TargetPolicy, ...]:
        """One `TargetPolicy` for each replication."""
        return tuple(TargetPolicy(self._knots, np.array(row), choices, self.level, discount) for row in estimates)
