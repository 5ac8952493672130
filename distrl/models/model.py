"""What reward and decision processes have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, IntArray, check_layout, distribution
from distrl.models.discounts import Discounted, with_one_discount
from distrl.models.labels import StateLabels, masks_of, states_of
from distrl.models.outcomes import OutcomeTable
from distrl.models.reach import until_table


class TabularModel(Discounted):
    """An outcome table with a discount, and what is known of its states."""

    outcomes: OutcomeTable
    states: Sequence[Hashable]
    initial: FloatArray | None
    layout: tuple[int, int] | None
    labels: StateLabels

    def describe_states(
        self, initial: ArrayLike | None, layout: tuple[int, int] | None, labels: Mapping[str, ArrayLike] | None
    ) -> None:
        """Check and keep the law `initial` of the first state, the map `layout` and the `labels`."""
        self.initial = None if initial is None else distribution(initial, "initial", self.n_states)
        self.layout = check_layout(layout, self.n_states)
        self.labels = masks_of(labels, self.n_states)

    def settle(self, table: OutcomeTable, discount: float | None) -> None:
        """Keep the table and the discount of all its rows, None where they have their own."""
        self.outcomes, self.uniform_discount = table, discount

    def check_ends(self) -> None:
        """Refuse returns that need not end where something needs them to; of decision processes, a policy decides."""

    def with_discount(self, discount: float) -> Self:
        """The same model with another discount, one number for all outcomes; those of factor 0 end as before."""
        model = copy(self)
        what = "state" if self.outcomes.n_sources == self.n_states else "source"
        model.settle(*with_one_discount(self.outcomes, discount, what))
        return model

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.outcomes.n_states

    @property
    def state_rows(self) -> IntArray:
        """(S + 1,) rows `state_rows[s]:state_rows[s + 1]` of `outcomes` are those of state s."""
        return self.outcomes.indptr

    def reach(self, target: ArrayLike) -> Self:
        """The undiscounted model whose return is 1 if the walk ever enters `target`, else 0.

        Parameters
        ----------
        target : (S,) mask of booleans, positions, or the name of a label
            From its own states the return is 1.

        Returns
        -------
        MRP or MDP, as this one
            The mean of its return is the probability of reaching `target`. States from which no path leads there are
            found by graph search: their return is 0.

        Raises
        ------
        ValueError, TypeError
            For a target that names no states.

        Notes
        -----
        Time O(n log n), memory O(n) in the number of outcomes.

        Examples
        --------
        >>> import distrl
        >>> walk = distrl.MRP([[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]], [0, 0, 0], 0.9)
        >>> distrl.evaluate(walk.reach([2]), distrl.Lattice()).values.tolist()
        [0.0, 0.5, 1.0]
        """
        return self.until(np.ones(self.n_states, dtype=np.bool_), target)

    def until(self, allowed: ArrayLike, target: ArrayLike, reward: str = "reach") -> Self:
        """The undiscounted model of walks that stay in `allowed` until they enter `target`.

        Parameters
        ----------
        allowed, target : (S,) masks of booleans, positions, or names of labels
        reward : "reach" or "steps"
            reach: the return is 1 if the walk enters `target`, all states before that being allowed, else 0. steps: the
            number of moves until it enters `target` or leaves `allowed`; P(at most k steps) is a value of its CDF.

        Returns
        -------
        MRP or MDP, as this one
            With "steps", where a walk may go on for ever before it enters `target` or leaves `allowed`, the number of
            moves is infinite with a positive probability. `evaluate(..., horizon=H)` then has the law of the smaller of
            it and H; without a horizon the verbs refuse the model, with a state and that probability.

        Raises
        ------
        ValueError, TypeError
            For states that are none, or an unknown `reward`; for "steps" if a walk may end before it enters `target` or
            leaves `allowed`, naming a state and the probability.

        Notes
        -----
        Time O(n log n), memory O(n) in the number of outcomes; see `distrl.models.reach`.
        """
        goal, inside = states_of(self, target), states_of(self, allowed, "allowed")
        sources = np.searchsorted(self.state_rows, self.outcomes.indptr[:-1], side="right") - 1
        table = until_table(self.outcomes, sources, inside, goal, reward, self.states)
        model = copy(self)
        model.settle(table, 1.0)
        return model
