"""Empirical models: what samples or logged transitions make, frequencies as probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._memory import check_memory
from distrl._validation import BoolArray, IntArray, float_array
from distrl.models.choices import Choices, available_mask
from distrl.models.discounts import with_one_discount
from distrl.models.given import Names, TableLike
from distrl.models.ids import Ids
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP, names_of
from distrl.models.outcomes import OutcomeTable
from distrl.models.policies import Policy
from distrl.models.reading import Log, transition_columns
from distrl.models.samples import Samples


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
            samples, names = _logged(log, Choices.full(len(log.ids.states), 1)), log.ids.states
        describe = names_of(range(samples.n_states) if names is None else names)
        known, unknown = _unvisited(samples, unvisited, MRP, describe)
        table = samples.table(known, describe)
        super().__init__(table, None, discount, initial=initial, layout=layout, states=names)
        self.samples, self.unknown, self._known = samples, unknown, known
        self.return_range = _return_range(reward_range, self.uniform_discount, samples)
        self.drawn_from: object = None

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
        model = EmpiricalMRP(
            samples, _given(self), unvisited=filling, initial=self.initial, layout=self.layout, states=self.states
        )
        model.unknown, model.return_range = self.unknown, self.return_range
        return model


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
            choices = _choices_of_log(log.ids, available)
            samples = _logged(log, choices)
        describe = choices.described(
            range(choices.n_states) if names is None else names, range(choices.n_actions) if named is None else named
        )
        known, unknown = _unvisited(samples, unvisited, MDP, describe)
        table = samples.table(known, describe)
        labels: dict[str, Any] = {"available": choices, "states": names, "actions": named}
        super().__init__(table, None, discount, initial=initial, layout=layout, **labels)
        self.samples, self._known = samples, known
        self.unknown: BoolArray = choices.matrix(unknown, False)
        self.return_range = _return_range(reward_range, self.uniform_discount, samples)
        self.drawn_from: object = None

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
        model = EmpiricalMDP(
            samples, _given(self), unvisited=filling, initial=self.initial, layout=self.layout, **named
        )
        model.unknown, model.return_range = self.unknown, self.return_range
        return model

    def under(self, policy: Policy) -> MRP:
        """The MRP that follows `policy`, as of any MDP; it knows that its probabilities are those of samples."""
        model = super().under(policy)
        model.sampled = True
        return model


def _given(model: EmpiricalMRP | EmpiricalMDP) -> float | None:
    """The discount that its like is made with: None where the samples have theirs."""
    return None if model.samples.discounts is not None else model.discount


def _choices_of_log(ids: Ids, available: Any) -> Choices:
    """The pairs of a log's model: all of them, or those of a mask, which has to hold every transition's."""
    n, n_actions = len(ids.states), len(ids.actions)
    if available is None:
        check_memory(n, n_actions, 20.0, "give states= and actions=, or look for a stray index")
        return Choices.full(n, n_actions)
    choices = available if isinstance(available, Choices) else Choices.where(available_mask(available, (n, n_actions)))
    if (choices.n_states, choices.n_actions) != (n, n_actions):
        raise ValueError(
            f"the transitions are of {n} states and {n_actions} actions, the available actions of {choices.n_states} "
            f"and {choices.n_actions}; give states= and actions="
        )
    stray = ~choices.available[ids.state, ids.action]
    if stray.any():
        row = int(np.argmax(stray))
        state, action = ids.states[ids.state[row]], ids.actions[ids.action[row]]
        raise ValueError(f"transitions[{row}] takes action {action!r} in state {state!r}, where it is not available")
    if (choices.numbers == 0).any():
        raise ValueError(f"state {ids.states[int(np.argmin(choices.numbers))]!r} has no available action")
    return choices


def _logged(log: Log, choices: Choices) -> Samples:
    ids = log.ids
    return Samples(
        len(choices.actions),
        choices.n_states,
        choices.sources(ids.state, ids.action),
        ids.next_state,
        log.rewards + 0.0,
        log.terminals,
        np.full(len(ids.state), -1),
        np.ones(len(ids.state), dtype=np.int64),
        indptr=None if choices.even else choices.indptr,
        discounts=log.discounts,
    ).collected()


def _unvisited(
    samples: Samples, choice: Any, kind: type, describe: Callable[[int], str]
) -> tuple[OutcomeTable | None, BoolArray]:
    """Rows that stand in for sources without samples, None if there are none, and which of them say nothing."""
    missing = samples.totals == 0
    if isinstance(choice, kind):
        known: OutcomeTable = choice.outcomes  # type: ignore[attr-defined]
    elif isinstance(choice, OutcomeTable):
        known = choice
    elif not isinstance(choice, str) or choice not in ("error", "unknown"):
        raise ValueError(f"unvisited must be 'error', 'unknown' or a distrl.{kind.__name__}, got {choice!r}")
    elif not missing.any():
        return None, missing
    elif choice == "error":
        raise ValueError(
            f"{describe(int(np.argmax(missing)))} has no sample; give it some, or say what unvisited ones are: "
            f"unvisited='unknown' (intervals then say nothing about it) or a distrl.{kind.__name__} taken for known"
        )
    else:
        return samples.ending_at_once(), missing
    if known.n_sources != samples.n_sources or known.n_states != samples.n_states:
        raise ValueError(
            f"the model for unvisited sources has {known.n_states} states and {known.n_sources} rows, "
            f"the transitions {samples.n_states} and {samples.n_sources}"
        )
    return known, np.zeros(samples.n_sources, dtype=np.bool_)


def _return_range(reward_range: Any, discount: float | None, samples: Samples) -> tuple[float, float] | None:
    if reward_range is None:
        return None
    ends = float_array(reward_range, "reward_range", ndim=1)
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ValueError(f"reward_range must be (low, high), got {ends.tolist()}")
    low, high = ends
    outside = (samples.rewards < low) | (samples.rewards > high)
    if outside.any():
        raise ValueError(
            f"a transition has reward {samples.rewards[outside][0]:g}, outside reward_range {ends.tolist()}"
        )
    if discount is None or discount == 1.0 or samples.discounts is not None:
        return None  # no interval holds every undiscounted return, and discounts that were not drawn are not known
    return float(min(low, low / (1.0 - discount))), float(max(high, high / (1.0 - discount)))
