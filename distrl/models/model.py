"""What reward and decision processes have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from typing import Self

from numpy.typing import ArrayLike

from distrl._validation import FloatArray, check_layout, distribution, real_number
from distrl.models.labels import StateLabels, masks_of
from distrl.models.outcomes import OutcomeTable


class TabularModel:
    """An outcome table with a discount, and what is known of its states."""

    outcomes: OutcomeTable
    states: Sequence[Hashable]
    discount: float
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

    def checked_discount(self, discount: float) -> float:
        """`discount` in [0, 1], or an error."""
        return real_number(discount, "discount", low=0.0, high=1.0)

    def with_discount(self, discount: float) -> Self:
        """The same model with another discount."""
        model = copy(self)
        model.discount = model.checked_discount(discount)
        return model

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return self.outcomes.n_states
