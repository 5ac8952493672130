"""A decision process as a Gymnasium environment, one or many at once; needs the `gymnasium` extra."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike

from distrl._validation import BoolArray, FloatArray, IntArray, int_array, whole_number
from distrl.models.choices import Choices
from distrl.models.outcomes import OutcomeTable
from distrl.models.sampling import OutcomeSampler

#: P[state][action]: (probability, next state, reward, terminated) of each outcome.
Table: TypeAlias = dict[int, dict[int, list[tuple[float, int, Any, bool]]]]
#: What `reset` and `step` say besides: "action_mask".
Info: TypeAlias = dict[str, np.ndarray]


class Process(NamedTuple):
    """What an environment is made of: the parts of an MDP, and the mask of the states whose return is 0."""

    outcomes: OutcomeTable
    choices: Choices
    states: Sequence[Hashable]
    actions: Sequence[Hashable]
    discount: float
    initial: FloatArray | None
    layout: tuple[int, int] | None
    terminal: BoolArray
    labels: Mapping[str, BoolArray]

    def first_law(self) -> FloatArray:
        """(S,) the law of the first state; where the model has none, uniform over the states that are not terminal."""
        if self.initial is not None:
            return self.initial
        live = np.where(self.terminal, 0.0, 1.0)
        return np.asarray(live / live.sum() if live.any() else np.full(len(live), 1.0 / len(live)))

    def table(self) -> Table:
        """Its outcomes as Gymnasium's toy environments publish theirs; a reward that is a law stays one."""
        outcomes, found = self.outcomes, dict[int, dict[int, Any]]()
        paid: list[Any] = outcomes.rewards.tolist()
        for row in np.flatnonzero(outcomes.laws >= 0).tolist():
            paid[row] = outcomes.reward_laws[outcomes.laws[row]]
        columns = (outcomes.probs.tolist(), outcomes.next_states.tolist(), paid, outcomes.terminals.tolist())
        rows = list(zip(*columns, strict=True))
        pairs = zip(self.choices.states.tolist(), self.choices.actions.tolist(), strict=True)
        starts = outcomes.indptr.tolist()
        for source, (state, action) in enumerate(pairs):
            found.setdefault(state, {})[action] = rows[starts[source] : starts[source + 1]]
        return found


class AvailableActions(Discrete):  # type: ignore[misc]  # Gymnasium is not type-checked here
    """Gymnasium's `Discrete(n)`, of which `sample()` draws what is available in the state that was seen last."""

    available: np.ndarray | None = None

    def sample(self, mask: np.ndarray | None = None, probability: np.ndarray | None = None) -> np.int64:
        """An action, uniform over those of `mask` (int8), of the state's own by default; or drawn by `probability`."""
        if mask is None and probability is None:
            mask = self.available
        drawn = super().sample(mask) if probability is None else super().sample(probability=probability)
        return np.int64(drawn)


class AvailableActionsOfMany(MultiDiscrete):  # type: ignore[misc]
    """The same for many copies: `sample()` draws, for each, what is available in the state that it was in last."""

    available: np.ndarray | None = None

    def sample(
        self, mask: Sequence[np.ndarray] | None = None, probability: Sequence[np.ndarray] | None = None
    ) -> IntArray:
        """One action for each copy; `mask` and `probability` are those of `MultiDiscrete`."""
        if mask is None and probability is None and self.available is not None:
            mask = tuple(self.available)
        drawn = super().sample(mask) if probability is None else super().sample(probability=probability)
        return np.asarray(drawn)


class TabularEnv(gymnasium.Env):  # type: ignore[misc]
    """The environment of an MDP: `mdp.to_gymnasium()`.

    Parameters
    ----------
    process : Process
        The MDP's parts.

    Attributes
    ----------
    P : {state: {action: [(probability, next state, reward, terminated)]}}
        The table, made when it is first asked for; `distrl.from_gymnasium(env, discount)` gives the MDP back. A reward
        that is random is a law, and `step` draws from it.
    state_names, action_names : sequences
        The names of positions; `range(n)` where the model has none.
    state_labels : {label: (S,) mask}
        The model's labels.
    initial_state_distrib : (S,) array or None
        As the model has it.
    discount : float
    nrow, ncol : int
        The shape of the map, where the model has one.

    Notes
    -----
    Observations and actions are positions. `info["action_mask"]` (int8) says which actions the state has; where some
    lack some, `action_space.sample()` draws from those that are there, and `step` refuses the others.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # Gymnasium's own name and kind

    def __init__(self, process: Process) -> None:
        self._process = process
        self._sampler = OutcomeSampler(process.outcomes)
        self._first = np.cumsum(process.first_law())
        self._state = -1
        self.discount = process.discount
        self.initial_state_distrib = process.initial
        self.state_names, self.action_names = process.states, process.actions
        self.state_labels = process.labels
        self.observation_space = Discrete(process.choices.n_states)
        kind = Discrete if process.choices.even else AvailableActions
        self.action_space = kind(process.choices.n_actions)
        if process.layout is not None:
            self.nrow, self.ncol = process.layout

    @cached_property
    def P(self) -> Table:
        """The table of outcomes."""
        return self._process.table()

    def reset(self, *, seed: int | None = None, options: Mapping[str, object] | None = None) -> tuple[int, Info]:
        """Start an episode: in a state drawn from the first state's law, or in `options["state"]`, a position."""
        super().reset(seed=seed)
        self._state = int(_drawn(self._first, 1, self.np_random)[0])
        if options is not None and "state" in options:
            self._state = whole_number(options["state"], 'options["state"]', high=self._process.choices.n_states - 1)
        return self._state, self._seen()

    def step(self, action: int) -> tuple[int, float, bool, bool, Info]:
        """(next state, reward, terminated, False, info) of an action."""
        if self._state < 0:
            raise ValueError("no episode is under way; call reset() first, and again when one has terminated")
        row, reward = self._sampler.one(self._source(action), self.np_random)
        outcomes = self._process.outcomes
        state, ended = int(outcomes.next_states[row]), bool(outcomes.terminals[row])
        self._state = state
        info = self._seen()
        if ended:
            self._state = -1
        return state, reward, ended, False, info

    def _source(self, action: int) -> int:
        """The source of an action in the present state, which has to have it."""
        choices, state = self._process.choices, self._state
        plain = type(action) is int or isinstance(action, np.integer)
        if plain and 0 <= action < choices.n_actions and choices.available[state, action]:
            first, last = choices.indptr[state], choices.indptr[state + 1]
            return int(first + choices.actions[first:last].searchsorted(action))
        return int(_sources(self._process, np.array([state]), int_array([action], "action"))[0])

    def _seen(self) -> Info:
        mask = self._process.choices.available[self._state].astype(np.int8)
        if isinstance(self.action_space, AvailableActions):
            self.action_space.available = mask
        return {"action_mask": mask}


class TabularVectorEnv(VectorEnv):  # type: ignore[misc]
    """Many copies of the environment of an MDP, stepped together: `mdp.to_gymnasium(num_envs=n)`.

    A copy whose episode has terminated starts anew at the next step, whose action is not looked at and whose reward is
    0: Gymnasium's "next step". Draws are those of one generator for all. A step costs O(n log rows).

    Parameters
    ----------
    process : Process
        The MDP's parts.
    num_envs : int
        The number of copies.

    Attributes
    ----------
    state_names, action_names, state_labels, initial_state_distrib, discount
        As for `TabularEnv`.
    """

    def __init__(self, process: Process, num_envs: int) -> None:
        super().__init__()
        self.num_envs = whole_number(num_envs, "num_envs", low=1)
        self._process = process
        self._sampler = OutcomeSampler(process.outcomes)
        self._first = np.cumsum(process.first_law())
        self._states = np.full(self.num_envs, -1)
        self._over = np.zeros(self.num_envs, dtype=np.bool_)
        self.discount = process.discount
        self.initial_state_distrib = process.initial
        self.state_names, self.action_names = process.states, process.actions
        self.state_labels = process.labels
        self.single_observation_space = Discrete(process.choices.n_states)
        self.single_action_space = Discrete(process.choices.n_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        several = np.full(self.num_envs, process.choices.n_actions)
        even = process.choices.even
        self.action_space = (MultiDiscrete if even else AvailableActionsOfMany)(several)
        mode = getattr(gymnasium.vector, "AutoresetMode", None)  # which Gymnasium 1.0 does not say yet
        self.metadata = {"render_modes": []} | ({} if mode is None else {"autoreset_mode": mode.NEXT_STEP})

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: Mapping[str, object] | None = None
    ) -> tuple[IntArray, Info]:
        """Start all episodes; `seed` is for all together, a number or a sequence of such."""
        if seed is not None:
            self._np_random, self._np_random_seed = np.random.default_rng(seed), seed
        self._states = _drawn(self._first, self.num_envs, self.np_random)
        if options is not None and "state" in options:
            given = np.broadcast_to(np.asarray(options["state"]), (self.num_envs,))
            self._states = int_array(given, 'options["state"]', low=0, high=self._process.choices.n_states)
        self._over[:] = False
        return self._states.copy(), self._seen()

    def step(self, actions: ArrayLike) -> tuple[IntArray, FloatArray, BoolArray, BoolArray, Info]:
        """(next states, rewards, terminated, all False, infos) of one action for each copy."""
        chosen = int_array(actions, "actions")
        if self._states[0] < 0 or len(chosen) != self.num_envs:
            what = f"{len(chosen)} actions for {self.num_envs} copies" if self._states[0] >= 0 else "call reset() first"
            raise ValueError(f"step takes one action for each copy that reset() has started; {what}")
        going = np.flatnonzero(~self._over)
        sources = _sources(self._process, self._states[going], chosen[going])
        rows = self._sampler.rows(sources, self.np_random)
        rewards, ended = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=np.bool_)
        rewards[going] = self._sampler.rewards(rows, self.np_random)
        ended[going] = self._process.outcomes.terminals[rows]
        states = self._states.copy()
        states[going] = self._process.outcomes.next_states[rows]
        states[self._over] = _drawn(self._first, int(self._over.sum()), self.np_random)
        self._states, self._over = states, ended
        return states.copy(), rewards, ended.copy(), np.zeros_like(ended), self._seen()

    def _seen(self) -> Info:
        masks = _masks(self._process.choices, self._states)
        if isinstance(self.action_space, AvailableActionsOfMany):
            self.action_space.available = masks
        return {"action_mask": masks}


def _drawn(cumulative: FloatArray, size: int, rng: np.random.Generator) -> IntArray:
    """States drawn from a law, given as running sums."""
    found = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
    return np.asarray(found, dtype=np.int64)


def _sources(process: Process, states: IntArray, actions: IntArray) -> IntArray:
    """The source of each (state, action), which has to be available."""
    choices = process.choices
    known = (actions >= 0) & (actions < choices.n_actions)
    there = known & choices.available[states, np.where(known, actions, 0)]
    if not there.all():
        first = int(np.argmin(there))
        state = int(states[first])
        open_here = choices.actions[choices.indptr[state] : choices.indptr[state + 1]]
        raise ValueError(
            f"action {actions[first]} is not available in state {process.states[state]!r}; available there: "
            f"{', '.join(map(str, open_here.tolist()))}; see info['action_mask']"
        )
    return choices.sources(states, actions)


def _masks(choices: Choices, states: IntArray) -> np.ndarray:
    """(len(states), A) int8 masks of the actions that they have."""
    return choices.available[states].astype(np.int8)
