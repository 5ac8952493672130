"""What a log says of a model: its pairs, its samples, what nobody visited, and the range of its returns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from distrl._memory import check_memory
from distrl._validation import BoolArray, float_array
from distrl.models.choices import Choices, available_mask
from distrl.models.ids import Ids
from distrl.models.outcomes import OutcomeTable
from distrl.models.reading import Log
from distrl.models.samples import Samples


def choices_of_log(ids: Ids, available: Choices | ArrayLike | None) -> Choices:
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


def logged(log: Log, choices: Choices) -> Samples:
    """The transitions of a log, each a sample of its pair."""
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


def rows_of_unvisited(
    samples: Samples, choice: object, kind: type, describe: Callable[[int], str]
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


def known_return_range(
    reward_range: ArrayLike | None, discount: float | None, samples: Samples
) -> tuple[float, float] | None:
    """(low, high) that holds every return, from an interval that is known to hold every reward."""
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
