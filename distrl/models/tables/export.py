"""Models as frames: one row an outcome, in the columns that `from_outcomes` reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from distrl._validation import IntArray
from distrl.models.outcomes import OutcomeTable
from distrl.models.tables.frames import NativeFrame, frame_of


class ToFrame:
    """What a model with rows of outcomes has: `to_frame`."""

    outcomes: OutcomeTable
    states: Sequence[Hashable]

    def to_frame(self, backend: str = "pandas") -> NativeFrame:
        """The model's outcomes as a frame: state, action (of an MDP), probability, next_state, reward, terminal.

        Where outcomes have discounts of their own there is a column `discount`, and None is the `discount` below.
        `from_outcomes(frame, discount, absorbing="keep", states=model.states, actions=model.actions)` gives the model
        back bit for bit, what is no outcome (initial law, layout) aside. The names alone do so too, where they come in
        the order of their positions and every action is available somewhere.

        Parameters
        ----------
        backend : str
            The library of the frame: "pandas", "polars", "pyarrow", or another that narwhals makes frames of.

        Returns
        -------
        a frame of that library
            States and actions are their names, positions where they have none; a reward is a number, or the law itself
            in a column of objects, which PyArrow does not have. Time and memory O(outcomes).

        Raises
        ------
        ValueError, TypeError, ModuleNotFoundError
            If there is no such library, or it cannot hold a name or a law.
        """
        table = self.outcomes
        columns: dict[str, Any] = {
            **self._source_columns(),
            "probability": table.probs,
            "next_state": named_column(self.states, table.next_states),
            "reward": _rewards(table),
            "terminal": table.terminals,
            **({} if table.discounts is None else {"discount": table.discounts}),
        }
        return frame_of(columns, backend)

    def _source_columns(self) -> dict[str, Any]:
        """The state, and the action of an MDP, of every row."""
        return {"state": named_column(self.states, self.outcomes.sources)}


def named_column(names: Sequence[Hashable], positions: IntArray) -> IntArray | list[Hashable]:
    """The names of positions: an array where these are positions, or whole numbers, themselves."""
    if isinstance(names, range):
        return positions
    if all(type(name) is int and abs(name) < 2**53 for name in names):
        return np.array(names, dtype=np.int64)[positions]
    return [names[position] for position in positions.tolist()]


def _rewards(table: OutcomeTable) -> Any:
    if not table.reward_laws:
        return table.rewards
    rows = zip(table.rewards.tolist(), table.laws.tolist(), strict=True)
    return [reward if law < 0 else table.reward_laws[law] for reward, law in rows]
