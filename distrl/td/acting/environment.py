"""Gymnasium environments that one acts in, step by step."""

from collections.abc import Callable, Hashable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np

from distrl._kernels import td as kernels
from distrl._kernels.td import Stride
from distrl._validation import real_number, whole_number
from distrl.models.choices import Choices
from distrl.models.gymnasium_making import make_environment
from distrl.td.acting.player import MEANS, PLACE
from distrl.td.noise import Noise
from distrl.td.rule import Memory
from distrl.td.sampling import Position, Transitions, child


class Steppable(Protocol):
    """What an environment of Gymnasium has."""

    observation_space: object
    action_space: object

    def reset(self, *, seed: int | None = None) -> tuple[object, object]:
        """(observation, info) of a new episode.

        Parameters
        ----------
        seed : int or None
        """

    def step(self, action: int) -> tuple[object, object, object, object, object]:
        """(observation, reward, terminated, truncated, info).

        Parameters
        ----------
        action : int
        """


#: An id for `gymnasium.make`, an environment, or a function that makes one.
Environment: TypeAlias = str | Steppable | Callable[[], Steppable]


def is_environment(thing: object) -> TypeGuard[Environment]:
    """Whether it is an id, has the methods of an environment, or makes one."""
    return isinstance(thing, str) or _can_step(thing) or (callable(thing) and not isinstance(thing, type))


def _can_step(thing: object) -> TypeGuard[Steppable]:
    return all(hasattr(thing, name) for name in ("reset", "step", "observation_space", "action_space"))


@dataclass(frozen=True)
class Spaces:
    """The states and actions of an environment: what stands where a run has its model.

    Attributes
    ----------
    name : str
    discount : float
    first_state, first_action : int
        The observation and the action that stand for position 0.
    mask : tuple of tuples of bool
        (S, A) which actions each state has.
    """

    name: str
    discount: float
    first_state: int
    first_action: int
    mask: tuple[tuple[bool, ...], ...]

    @property
    def choices(self) -> Choices:
        """The (state, action) pairs."""
        return Choices.where(np.array(self.mask))

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return len(self.mask)

    @property
    def states(self) -> Sequence[Hashable]:
        """The observations, by position."""
        return range(self.first_state, self.first_state + len(self.mask))

    @property
    def actions(self) -> Sequence[Hashable]:
        """The actions, by position."""
        return range(self.first_action, self.first_action + len(self.mask[0]))

    def __repr__(self) -> str:
        return (
            f"Spaces({self.name!r}, states={len(self.mask)}, actions={len(self.mask[0])}, discount={self.discount:g})"
        )


def spaces_of(env: Steppable, name: str, discount: float) -> Spaces:
    """The spaces of an environment.

    Raises
    ------
    TypeError, ValueError
        If they are not discrete, naming them.
    """
    if hasattr(env, "num_envs"):
        raise TypeError(f"{name} is many environments at once; give one, and replications= their number")
    sizes = []
    for kind in ("observation_space", "action_space"):
        space: Any = getattr(env, kind)
        if not any(base.__name__ == "Discrete" for base in type(space).__mro__):
            raise TypeError(
                f"the {kind} of {name} is {space}, and tables need a Discrete one: number what is observed, and done, "
                "in a wrapper"
            )
        sizes.append((int(space.n), int(getattr(space, "start", 0))))
    (states, first_state), (actions, first_action) = sizes
    mask = np.ones((states, actions), dtype=np.bool_)
    if type(env.action_space).__name__ == "AvailableActions":  # of a model of ours, whose table says which
        table = env.unwrapped.P  # type: ignore[attr-defined]
        mask[:] = [[action in table[state] for action in range(actions)] for state in range(states)]
    return Spaces(name, discount, first_state, first_action, tuple(map(tuple, mask.tolist())))


def made(environment: Environment) -> tuple[Steppable, str]:
    """An environment of our own, and what it is called: a copy of what was given, or a new one.

    Raises
    ------
    TypeError, ValueError
        If it is none, or cannot be made or copied.
    """
    if isinstance(environment, str):
        env: Any = make_environment(environment, {})
        return env, environment
    if not _can_step(environment) and callable(environment):
        env = environment()
        if not _can_step(env):
            raise TypeError(f"the function that makes an environment gave {env!r}")
    else:
        env = _copied(environment)
    return env, str(getattr(getattr(env, "spec", None), "id", None) or type(getattr(env, "unwrapped", env)).__name__)


def _copied(env: object) -> Any:
    try:
        return deepcopy(env)
    except Exception as error:  # whatever it holds may refuse to be copied, in any way
        raise TypeError(
            f"{type(env).__name__} cannot be copied ({error}), and every replication needs one of its own: give a "
            "function that makes one, such as lambda: gymnasium.make(...)"
        ) from error


@dataclass
class Standing(Position):
    """Where a replication in an environment stands, with the environment itself, which no file holds.

    Attributes
    ----------
    env : environment or None
        None where it was read from a file: then nothing can go on.
    """

    env: Steppable | None = field(default=None, init=False)

    def copy(self) -> "Standing":
        """One that goes on independently, in a copy of the environment."""
        twin = Standing(self.updates, self.drawn, self.used.copy(), self.state, self.waiting)
        twin.env = None if self.env is None else _copied(self.env)
        return twin


class EnvironmentPlayer:
    """An environment that is stepped through, one for each replication.

    Parameters
    ----------
    spaces : Spaces
    standing : Standing
        With the environment.
    seed : SeedSequence
        Of the replication; the environment's first `reset` gets a number of its child 0.
    """

    world, sampling, block = None, "trajectory", 1

    def __init__(self, spaces: Spaces, standing: Standing, seed: np.random.SeedSequence) -> None:
        assert standing.env is not None  # `learn` has asked
        self.spaces, self.choices, self._env = spaces, spaces.choices, standing.env
        self.noise = Noise.of(())
        self._seed = int(child(seed, 0).generate_state(1)[0]) if standing.updates == 0 else None
        self._pairs = self.choices.indptr.tolist()
        self._actions = self.choices.actions.tolist()

    def state(self, memory: Memory) -> int:
        """Where it is; a new episode begins where one has to.

        Parameters
        ----------
        memory : of the replication
        """
        place = memory[PLACE]
        if place[0] < 0:
            observation, _ = self._env.reset(seed=self._seed)
            self._seed = None
            place[0], place[1] = self._position(observation), -1
        return int(place[0])

    def move(self, memory: Memory, pair: int) -> tuple[float, int, bool]:
        """(reward, next state, whether the return ended) of playing a pair, after which `memory` says where it is.

        Parameters
        ----------
        memory : of the replication
        pair : int
        """
        action = self._actions[pair] + self.spaces.first_action
        observation, reward, terminated, truncated, _ = self._env.step(action)
        state, place = self._position(observation), memory[PLACE]
        place[0], place[1] = -1 if terminated or truncated else state, -1
        return real_number(reward, f"the reward of {self.spaces.name}"), state, bool(terminated)

    def _position(self, observation: object) -> int:
        first = self.spaces.first_state
        state = whole_number(observation, f"the observation of {self.spaces.name}", low=first) - first
        if not 0 <= state < self.spaces.n_states:
            raise ValueError(f"{self.spaces.name} gave the observation {observation!r}, which is not in its space")
        return state

    def choose(self, memory: Memory, state: int, exploration: float, number: float) -> int:
        """A pair of a state: any with probability `exploration`, else the best; `number` in [0, 1) decides.

        Parameters
        ----------
        memory : of the replication
        state : int
        exploration, number : float
        """
        return kernels.choose(memory[MEANS], self._pairs[state], self._pairs[state + 1], exploration, number)

    def draw(self, memory: Memory, stride: Stride, update: int, out: Transitions) -> None:
        """As `Player` says.

        Parameters
        ----------
        memory, stride, update, out
            See there.
        """
        numbers, exploration = stride.numbers[update], float(stride.explorations[update])
        here, pair = self.state(memory), int(memory[PLACE][1])
        if pair < 0:
            pair = self.choose(memory, here, exploration, float(numbers[2]))
        reward, state, ended = self.move(memory, pair)
        following = self.choose(memory, state, exploration if stride.sarsa else 0.0, float(numbers[1]))
        if stride.sarsa and memory[PLACE][0] >= 0:
            memory[PLACE][1] = following
        out.states[0], out.rewards[0], out.next_states[0] = pair, reward, following
        out.weights[0] = 0.0 if ended else self.spaces.discount
