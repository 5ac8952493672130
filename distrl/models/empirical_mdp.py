"""The empirical MDP: what samples or logged transitions make, frequencies as probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import BoolArray, IntArray, RandomSource
from distrl.models.choices import Choices
from distrl.models.discounts import with_one_discount
from distrl.models.given import Names, TableLike
from distrl.models.logged import choices_of_log, known_return_range, logged, rows_of_unvisited
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.models.policies import Policy
from distrl.models.reading import transition_columns
from distrl.models.samples import Samples
from distrl.models.tables.episodes import Episode, transitions_of
from distrl.models.tables.recording import Behaviour, record


class EmpiricalMDP(MDP):
    """The MDP of logged transitions, frequencies as probabilities; an MDP like any other, for any policy.

    Parameters
    ----------
    transitions : DataFrame, mapping of columns, (n, 5) array or sequence of tuples; or `Samples`
        (state, action, reward, next_state, terminal); columns that have names are taken by name.
    states, actions : int or sequence of names, optional
        As for `MDP.from_outcomes`: by default one more than the largest index in sight.
    available : (S, A) mask, optional
        Which actions each state has; None: all, or those that the MDP `unvisited` has. The others need no transition,
        and may have none.
    discount, columns, unvisited, reward_range, initial, layout
        As for `EmpiricalMRP`, `unvisited` for (state, action) pairs.

    Attributes
    ----------
    samples, return_range
        As for `EmpiricalMRP`.
    sample_counts : (S, A) number of samples, 0 where an action is not available
    unknown : (S, A) mask, False where an action is not available

    Raises
    ------
    ValueError, TypeError

    Examples
    --------
    >>> log = [(0, 0, 1.0, 1, False), (0, 0, 0.0, 0, False), (1, 0, 2.0, 1, True)]
    >>> EmpiricalMDP(log, discount=0.9).expected_rewards
    array([[0.5],
           [2. ]])
    """

    sampled = True

    def __init__(
        self,
        transitions: TableLike | Samples,
        discount: float | None,
        *,
        states: Names = None,
        actions: Names = None,
        columns: Mapping[str, str | None] | None = None,
        available: Choices | ArrayLike | None = None,
        unvisited: str | MDP | OutcomeTable = "error",
        reward_range: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> None:
        names: Any = states
        named: Any = actions
        if available is None and isinstance(unvisited, MDP) and not unvisited.choices.even:
            available = unvisited.choices
        if isinstance(transitions, Samples):
            samples = transitions
            choices = Choices.of_sources(samples.n_sources, samples.n_states, available)
        else:
            header = ("state", "action", "reward", "next_state", "terminal", *["discount"] * (discount is None))
            log = transition_columns(transitions, header, columns, states, actions)
            names, named = log.ids.states, log.ids.actions
            choices = choices_of_log(log.ids, available)
            samples = logged(log, choices)
        describe = choices.described(
            range(choices.n_states) if names is None else names, range(choices.n_actions) if named is None else named
        )
        known, unknown = rows_of_unvisited(samples, unvisited, MDP, describe)
        table = samples.table(known, describe)
        labels: dict[str, Any] = {"available": choices, "states": names, "actions": named}
        super().__init__(table, None, discount, initial=initial, layout=layout, **labels)
        self.samples, self._known = samples, known
        self.unknown: BoolArray = choices.matrix(unknown, False)
        self.return_range = known_return_range(reward_range, self.uniform_discount, samples)
        self.drawn_from: object = None

    @staticmethod
    def from_episodes(
        episodes: Iterable[Episode] | object,
        discount: float,
        *,
        states: Names = None,
        actions: Names = None,
        available: Choices | ArrayLike | None = None,
        unvisited: str | MDP | OutcomeTable = "unknown",
        reward_range: ArrayLike | None = None,
        initial: ArrayLike | None = None,
    ) -> EmpiricalMDP:
        """The MDP of logged episodes: a Minari data set, or whole episodes in its form.

        Parameters
        ----------
        episodes : Minari data set, or iterable of episodes
            An episode has `observations`, one more than `actions`, `rewards`, `terminations` and `truncations` (or
            none), as attributes or keys. A step that was truncated is a step that goes on; an episode that goes on
            after its end is refused, since what follows is no step of it. Observations and actions that are arrays
            become tuples.
        discount, states, actions, available, reward_range, initial
            As for `EmpiricalMDP`.
        unvisited : "unknown", "error" or an MDP
            As for `EmpiricalMRP`; a state in which episodes only end has no transition of its own.

        Raises
        ------
        ValueError, TypeError
            Naming the episode, and the step.
        """
        named: dict[str, Any] = {"states": states, "actions": actions, "available": available, "initial": initial}
        return EmpiricalMDP(transitions_of(episodes), discount, unvisited=unvisited, reward_range=reward_range, **named)

    @staticmethod
    def from_gymnasium(
        env_or_id: object,
        discount: float,
        *,
        steps: int,
        rng: RandomSource = None,
        policy: Behaviour = None,
        unvisited: str | MDP | OutcomeTable = "unknown",
        reward_range: ArrayLike | None = None,
        **make_kwargs: object,
    ) -> EmpiricalMDP:
        """The MDP of steps taken in a Gymnasium environment, which need not publish a table.

        Parameters
        ----------
        env_or_id : environment, or an id for `gymnasium.make`, which takes `make_kwargs`
        discount, reward_range
            As for `EmpiricalMDP`.
        steps : int
            How many; the environment is reset where an episode ends or is cut off, which no step crosses.
        rng : anything `numpy.random.default_rng` takes
            It seeds the first reset and the choice of actions.
        policy : None, a function from an observation to an action, (S,) actions or (S, A) shares
            None: the samples of the environment's `action_space`.
        unvisited
            As for `from_episodes`.

        Returns
        -------
        EmpiricalMDP
            Where observations or actions are 0..n-1 (`Discrete(n)`), they are positions and all of them are there; any
            others are names, arrays as tuples.

        Raises
        ------
        ValueError, TypeError, ModuleNotFoundError
            If the environment cannot be made or stepped.
        """
        columns, n_states, n_actions = record(env_or_id, steps, rng, policy, make_kwargs)
        named: dict[str, Any] = {"states": n_states, "actions": n_actions}
        return EmpiricalMDP(columns, discount, unvisited=unvisited, reward_range=reward_range, **named)

    @property
    def sample_counts(self) -> IntArray:
        """(S, A) number of samples of every state and action, 0 where an action is not available."""
        return np.asarray(self.choices.matrix(self.samples.totals, 0))

    def with_discount(self, discount: float) -> Self:
        """The same model with another discount; which interval holds every return is not known then."""
        model = super().with_discount(discount)
        model.return_range, model.samples = None, replace(self.samples, discounts=None)
        model._known = None if self._known is None else with_one_discount(self._known, discount, "source")[0]
        return model

    def redrawn(self, rng: np.random.Generator) -> EmpiricalMDP:
        """A bootstrap replicate: as many samples of everything, drawn from these with replacement by `rng`."""
        samples = self.samples.redrawn(rng)
        filling: str | OutcomeTable = "error" if self._known is None else self._known
        named: dict[str, Any] = {"available": self.choices, "states": self.states, "actions": self.actions}
        discount = None if self.samples.discounts is not None else self.discount
        model = EmpiricalMDP(samples, discount, unvisited=filling, initial=self.initial, layout=self.layout, **named)
        model.unknown, model.return_range = self.unknown, self.return_range
        return model

    def under(self, policy: Policy) -> MRP:
        """The MRP that follows `policy`, as of any MDP; it knows that its probabilities are those of samples."""
        model = super().under(policy)
        model.sampled = True
        return model
