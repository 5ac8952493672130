"""What `learn` gives back where it learns to act."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic

import numpy as np
from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._validation import FloatArray, IntArray
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.td.acting.environment import Spaces
from distrl.td.acting.exploration import Exploration, Fixed
from distrl.td.acting.method import ActingMethod, K
from distrl.td.acting.pairs import best_pairs
from distrl.td.result import LearningRun
from distrl.td.rule import R


@dataclass(frozen=True, eq=False, repr=False)
class ControlRun(LearningRun[R], Generic[R, K]):
    """R independent replications of a method that learns to act, recorded at T update counts.

    What is said of `LearningRun` holds with (state, action) pairs in place of states, but for `values`: those are of
    states. `at` and `final` have the batch axes (R, S, A), or (R, pairs) in the order of `mdp.pairs` where not every
    state has every action. It is saved and resumed alike.

    Attributes
    ----------
    model : MDP or Spaces
        What was acted in; `Spaces` are those of an environment.
    method : ActingMethod
    exploration : Exploration
    estimates : T arrays, (R, pairs, width)
    updates, done, status, elapsed, step_size, sampling, seed, checkpoints
        As for `LearningRun`.
    """

    model: MDP | Spaces  # type: ignore[assignment]  # where a LearningRun has what a policy makes of one
    method: ActingMethod[R, K]  # type: ignore[assignment]
    exploration: Exploration = field(default_factory=Fixed)

    @property
    def choices(self) -> Choices:
        """The (state, action) pairs."""
        return self.model.choices

    @cached_property
    @steady
    def _means(self) -> FloatArray:
        """(T, R, pairs)."""
        shape = (0, self.replications, len(self.choices.actions))
        return np.stack([self.method.means(record) for record in self.estimates]) if self.estimates else np.empty(shape)

    @property
    def action_values(self) -> FloatArray:
        """(T, R, S, A) the means of the estimates, in units of reward; NaN where an action is not available."""
        return self._by_action(self._means, np.nan)

    def _by_action(self, pairs: FloatArray, fill: float) -> FloatArray:
        """(..., S, A) of (..., pairs)."""
        choices = self.choices
        out = np.full((*pairs.shape[:-1], choices.n_states, choices.n_actions), fill, dtype=pairs.dtype)
        out[..., choices.states, choices.actions] = pairs
        return out

    @cached_property
    @steady
    def values(self) -> FloatArray:
        """(T, R, S) the greedy mean: the largest of a state's action values."""
        return np.asarray(np.maximum.reduceat(self._means, self.choices.indptr[:-1], axis=-1))

    def policy(self, updates: int | None = None) -> K:
        """The greedy policy after so many updates; None: after all.

        Parameters
        ----------
        updates : int, optional
            A count that was recorded.

        Returns
        -------
        array (R, S) of actions, the first where some tie; row k is a policy for `evaluate`. From `TargetQ`: R policies
        with a memory.

        Raises
        ------
        ValueError
            If that count was not recorded, naming those that were.
        """
        record = self._last if updates is None else self.record(updates)
        discount = self.model.uniform_discount if isinstance(self.model, MDP) else self.model.discount
        return self.method.policies(record, self.choices, discount)

    def _returns(self, record: FloatArray) -> R:
        return self.method.returns(record.reshape(len(record), *self.choices.shape, record.shape[-1]))

    @property
    def _axes(self) -> dict[str, Sequence[Hashable]]:
        if self.choices.even:
            return {"state": self.model.states, "action": self.model.actions}
        return {"pair": range(len(self.choices.actions))}

    def _learnt(self) -> Iterator[R]:
        """The laws of the greedy actions, (S,), record by record and replication by replication."""
        for record in self.estimates:
            best = best_pairs(self.method.means(record), self.choices)
            for row, pairs in zip(record, best, strict=True):
                yield self.method.returns(row[pairs])

    @property
    def visits(self) -> IntArray:
        """(R, S, A) how often each pair was renewed."""
        pairs = np.stack([each.visits for each in self.checkpoints])
        return np.asarray(self._by_action(pairs.astype(np.float64), 0.0), dtype=np.int64)

    @steady
    def summary(self, states: ArrayLike | None = None) -> str:
        """What a person wants to read: how it ended, and the greedy action and its mean in some states.

        Parameters
        ----------
        states : positions, optional
            Which states are shown; the first eight unless given. The action is that of most replications, with their
            share beside it; the column +- is the standard deviation of the mean over replications.

        Raises
        ------
        IndexError
            If there is no such state.
        """
        never = int((np.stack([each.visits for each in self.checkpoints]).min(axis=0) == 0).sum())
        lines = self._head()
        lines[-1] += f", exploration {self.exploration!r}"
        if never:
            lines.append(
                f"{never} pair(s) of state and action were never renewed in some replication: they are at the start"
            )
        means = self.method.means(self._last)
        greedy = best_pairs(means, self.choices)
        shown = np.arange(self.model.n_states)[:8] if states is None else np.atleast_1d(states)
        lines += ["", f"{'state':>8}{'action':>12}{'share':>8}{'mean':>14}{'+-':>12}{'renewals':>12}"]
        for s in shown:
            played, often = np.unique(self.choices.actions[greedy[:, s]], return_counts=True)
            action, best = played[np.argmax(often)], np.take_along_axis(means, greedy, axis=1)[:, s]
            spread = best.std(ddof=1) if self.replications > 1 else np.nan
            seen = self.visits[:, s].sum(axis=-1).mean()
            names = f"{self.model.states[s]!s:>8}{self.model.actions[action]!s:>12}"
            share = often.max() / self.replications
            lines.append(f"{names}{share:>8.0%}{best.mean():>14.6g}{spread:>12.3g}{seen:>12.6g}")
        if len(shown) < self.model.n_states and states is None:
            lines.append(
                f"... and {self.model.n_states - len(shown)} more state(s); summary(states=...) shows any of them"
            )
        return "\n".join(lines)

    def _shown_arrays(self) -> dict[str, FloatArray | IntArray]:
        return {"action_values": self.action_values}
