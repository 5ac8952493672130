"""What one acts in: a decision process that is sampled, or whatever makes moves."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from distrl._kernels import td as kernels
from distrl._kernels.td import Stride, World
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.models.sampling import cumulative_marks
from distrl.td.noise import Noise
from distrl.td.rule import Memory
from distrl.td.sampling import SAMPLINGS, Transitions

#: Names in a replication's memory: (pairs,) the means that actions are chosen by, and (2,) where a trajectory stands,
#: its state (-1: an episode is to begin) and the pair that is played next (-1: not chosen yet).
MEANS, PLACE = "means of pairs", "place"


class Player(Protocol):
    """What makes the transitions of a replication."""

    @property
    def world(self) -> World | None:
        """The outcomes, where they are known: kernels then draw by themselves."""

    @property
    def noise(self) -> Noise:
        """The random rewards that it needs."""

    @property
    def sampling(self) -> str:
        """One of `SAMPLINGS`."""

    @property
    def block(self) -> int:
        """Transitions an update: the number of pairs, or 1."""

    @property
    def choices(self) -> Choices:
        """The (state, action) pairs."""

    def draw(self, memory: Memory, stride: Stride, update: int, out: Transitions) -> None:
        """Fill `out` with the transitions of an update, from pairs to the pairs that targets bootstrap from.

        Parameters
        ----------
        memory : of the replication, with `MEANS` and `PLACE`
        stride : Stride
        update : int
            Which of the stride's, from 0.
        out : Transitions
        """


@dataclass(frozen=True, eq=False)
class ModelPlayer:
    """A decision process that is sampled; the same for all replications."""

    world: World
    noise: Noise
    choices: Choices
    sampling: str

    @classmethod
    def of(cls, mdp: MDP, sampling: str) -> "ModelPlayer":
        """What is sampled of `mdp`; `sampling` is one of `SAMPLINGS`."""
        table, noise = mdp.outcomes, Noise.of(mdp.outcomes.reward_laws)
        with_law = table.laws >= 0
        families, rewards, scales = np.full(len(table.probs), -1), np.array(table.rewards), np.zeros(len(table.probs))
        laws = table.laws[with_law]
        families[with_law], rewards[with_law] = noise.family_of[laws], noise.locations[laws]
        scales[with_law] = noise.scales[laws]
        live = ~mdp.terminal if (~mdp.terminal).any() else np.ones(mdp.n_states, dtype=np.bool_)
        initial = np.cumsum(live / live.sum() if mdp.initial is None else mdp.initial)
        world = World(
            np.array(mdp.choices.indptr, dtype=np.int64),
            np.array(table.indptr, dtype=np.int64),
            np.stack([table.next_states, families, table.terminals], axis=1).astype(np.int64),
            np.stack([cumulative_marks(table), rewards, scales, mdp.discounts], axis=1),
            (initial / initial[-1])[:, None],
        )
        return cls(world, noise, mdp.choices, sampling)

    @property
    def block(self) -> int:
        """Transitions an update: the number of pairs with synchronous sampling, else 1."""
        return len(self.choices.actions) if self.sampling == "synchronous" else 1

    def draw(self, memory: Memory, stride: Stride, update: int, out: Transitions) -> None:
        """As `Player` says.

        Parameters
        ----------
        memory, stride, update, out
            See there.
        """
        exploration, at = stride.explorations[update], update * stride.block
        how = (stride.sampling, stride.sarsa, stride.numbers, exploration, stride.noise, at)
        kernels.draw(self.world, memory[MEANS], *how, memory[PLACE], out)


def number_of(sampling: str) -> int:
    """What kernels call a way of sampling."""
    return SAMPLINGS.index(sampling)
