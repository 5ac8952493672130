"""The empirical MRP: what samples or logged transitions make, frequencies as probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import IntArray
from distrl.models.choices import Choices
from distrl.models.discounts import with_one_discount
from distrl.models.given import Names, TableLike
from distrl.models.logged import known_return_range, logged, rows_of_unvisited
from distrl.models.mrp import MRP, names_of
from distrl.models.outcomes import OutcomeTable
from distrl.models.reading import transition_columns
from distrl.models.samples import Samples
from distrl.models.tables.episodes import Episode, transitions_of


class EmpiricalMRP(MRP):
    """The MRP of logged transitions, frequencies as probabilities; an MRP like any other.

    Parameters
    ----------
    transitions : DataFrame, mapping of columns, (n, 4) array or sequence of tuples; or `Samples`
        (state, reward, next_state, terminal); columns that have names are taken by name, see `MRP.from_outcomes`.
    discount : float in [0, 1]; None: each transition has its own, in a column `discount`, or `Samples` have them
    states : int or sequence of names, optional
        As for `MRP.from_outcomes`: by default one more than the largest index in sight.
    columns : {our name: theirs}, optional
        Where a column has another name than these and their usual ones (done, terminated, obs, next_obs, ...).
    unvisited : "error", "unknown" or an MRP
        States without a transition. error: refuse them; unknown: `unknown` marks them, and intervals for states that
        can reach one say nothing; an MRP of as many states: its outcomes are taken for known there.
    reward_range : (low, high), optional
        An interval known to hold every reward: finite-sample intervals need it.
    initial, layout
        As for `MRP`.

    Attributes
    ----------
    samples : Samples
    sample_counts : (S,) number of samples
    unknown : (S,) mask of states about which nothing is known; they stand in the model as ending with reward 0
    return_range : (low, high) that holds every return, or None

    Raises
    ------
    ValueError, TypeError
        Naming the column, the row or the state without a transition.
    """

    sampled = True

    def __init__(
        self,
        transitions: TableLike | Samples,
        discount: float | None,
        *,
        states: Names = None,
        columns: Mapping[str, str | None] | None = None,
        unvisited: str | MRP | OutcomeTable = "error",
        reward_range: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        layout: tuple[int, int] | None = None,
    ) -> None:
        names: Any = states
        if isinstance(transitions, Samples):
            samples = transitions
        else:
            header = ("state", "reward", "next_state", "terminal", *["discount"] * (discount is None))
            log = transition_columns(transitions, header, columns, states)
            samples, names = logged(log, Choices.full(len(log.ids.states), 1)), log.ids.states
        describe = names_of(range(samples.n_states) if names is None else names)
        known, unknown = rows_of_unvisited(samples, unvisited, MRP, describe)
        table = samples.table(known, describe)
        super().__init__(table, None, discount, initial=initial, layout=layout, states=names)
        self.samples, self.unknown, self._known = samples, unknown, known
        self.return_range = known_return_range(reward_range, self.uniform_discount, samples)
        self.drawn_from: object = None

    @staticmethod
    def from_episodes(
        episodes: Iterable[Episode] | object,
        discount: float,
        *,
        states: Names = None,
        unvisited: str | MRP | OutcomeTable = "unknown",
        reward_range: ArrayLike | None = None,
        initial: ArrayLike | None = None,
    ) -> EmpiricalMRP:
        """The MRP of logged episodes: a Minari data set, or whole episodes in its form.

        It is the process of whoever acted: the actions of an episode are not looked at, and it need not have any.

        Parameters
        ----------
        episodes : Minari data set, or iterable of episodes
            As for `EmpiricalMDP.from_episodes`, with one observation more than `rewards`.
        discount, states, reward_range, initial
            As for `EmpiricalMRP`.
        unvisited : "unknown", "error" or an MRP
            As for `EmpiricalMRP`; a state in which episodes only end has no transition of its own.

        Raises
        ------
        ValueError, TypeError
            Naming the episode, and the step.

        Examples
        --------
        >>> walk = {"observations": [0, 1, 1, 0], "rewards": [2, 5, 1], "terminations": [0, 0, 1]}
        >>> EmpiricalMRP.from_episodes([walk], discount=0.9).expected_rewards
        array([2., 3.])
        """
        named: dict[str, Any] = {"states": states, "unvisited": unvisited, "initial": initial}
        columns = transitions_of(episodes, with_actions=False)
        return EmpiricalMRP(columns, discount, reward_range=reward_range, **named)

    @property
    def sample_counts(self) -> IntArray:
        """(S,) number of samples of every state."""
        return self.samples.totals

    def with_discount(self, discount: float) -> Self:
        """The same model with another discount; which interval holds every return is not known then."""
        model = super().with_discount(discount)
        model.return_range, model.samples = None, replace(self.samples, discounts=None)
        model._known = None if self._known is None else with_one_discount(self._known, discount, "source")[0]
        return model

    def redrawn(self, rng: np.random.Generator) -> EmpiricalMRP:
        """A bootstrap replicate: as many samples of everything, drawn from these with replacement by `rng`."""
        samples = self.samples.redrawn(rng)
        filling: str | OutcomeTable = "error" if self._known is None else self._known
        discount = None if self.samples.discounts is not None else self.discount
        model = EmpiricalMRP(
            samples, discount, unvisited=filling, initial=self.initial, layout=self.layout, states=self.states
        )
        model.unknown, model.return_range = self.unknown, self.return_range
        return model
