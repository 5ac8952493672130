"""An instance as data: a model, a grid, laws, numbers. It is saved, replayed, printed and moved a little."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import distrl
from distrl._validation import FloatArray

Row = tuple[int, float, int, float, bool]


@dataclass(frozen=True)
class Case:
    """An instance.

    Attributes
    ----------
    rows : (state, probability, next state, reward, terminal), or with the action after the state for an MDP
    discount : float
    grid : (low, high, atoms), or None
    weights : arrays (S, n) of probabilities, the laws that a claim speaks of
    values : arrays (S, n), their values where they do not live on the grid
    numbers : whatever else there is, by name
    """

    rows: tuple[tuple[Any, ...], ...] = ()
    discount: float = 0.0
    grid: tuple[float, float, int] | None = None
    weights: tuple[FloatArray, ...] = ()
    values: tuple[FloatArray, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def model(self) -> distrl.MRP:
        return distrl.MRP.from_outcomes(self.rows, self.discount)

    @property
    def mdp(self) -> distrl.MDP:
        return distrl.MDP.from_outcomes(self.rows, self.discount)

    @property
    def valid(self) -> bool:
        """Whether the rows make a model: moved ones can be beyond what a model may be."""
        try:
            if self.rows:
                (self.model if len(self.rows[0]) == 5 else self.mdp).check_ends()
        except ValueError:
            return False
        return True

    @property
    def states(self) -> int:
        return 1 + max(int(row[0]) for row in self.rows)

    @property
    def on(self) -> distrl.Grid:
        """The grid."""
        assert self.grid is not None
        return distrl.Grid(*self.grid)

    @property
    def operator(self) -> distrl.operators.CategoricalBellman:
        """The library's categorical operator of the model on the grid."""
        return distrl.operators.CategoricalBellman(self.model, self.on)

    def law(self, index: int) -> Any:
        """Law `index` as returns: particles, or categorical on the grid."""
        if self.values:
            return distrl.ParticleReturns(self.values[index], self.weights[index])
        return distrl.CategoricalReturns(self.on, self.weights[index])

    # -- as text ----------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": [list(row) for row in self.rows],
            "discount": self.discount,
            "grid": None if self.grid is None else list(self.grid),
            "weights": [array.tolist() for array in self.weights],
            "values": [array.tolist() for array in self.values],
            "numbers": dict(self.numbers),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Case":
        return cls(
            rows=tuple(tuple(row) for row in data["rows"]),
            discount=data["discount"],
            grid=None if data["grid"] is None else (data["grid"][0], data["grid"][1], int(data["grid"][2])),
            weights=tuple(np.array(array, dtype=float) for array in data["weights"]),
            values=tuple(np.array(array, dtype=float) for array in data["values"]),
            numbers=dict(data["numbers"]),
        )

    def __str__(self) -> str:
        parts = []
        if self.rows:
            parts.append(f"discount {self.discount:.6g}; " + ", ".join(_row(row) for row in self.rows[:12]))
            if len(self.rows) > 12:
                parts[-1] += f", ... ({len(self.rows)} rows)"
        if self.grid is not None:
            parts.append(f"grid {self.grid[0]:.6g} to {self.grid[1]:.6g}, {self.grid[2]} atoms")
        for place, weights in enumerate(self.weights):
            at = f" at {_array(self.values[place])}" if self.values else ""
            parts.append(f"law {place + 1}: {_array(weights)}{at}")
        parts += [f"{name} = {value:.6g}" for name, value in self.numbers.items()]
        return "; ".join(parts)

    # -- moved a little ---------------------------------------------------------------------------------------------

    @property
    def dimension(self) -> int:
        """Number of coordinates of `moved`."""
        return sum(array.size for array in self._arrays())

    def moved(self, step: FloatArray) -> "Case":
        """Rewards and values shifted, probabilities multiplied and divided by their sum, the discount's odds scaled."""
        parts, start = [], 0
        for array in self._arrays():
            parts.append(step[start : start + array.size].reshape(array.shape))
            start += array.size
        probs, rewards, odds = parts[:3]
        rows = self.rows
        if rows:
            weight = np.array([row[-4] for row in rows]) * np.exp(np.clip(probs, -30.0, 30.0))
            source = [row[:-4] for row in rows]
            sums = {key: sum(w for w, other in zip(weight, source, strict=True) if other == key) for key in source}
            rows = tuple(
                (*row[:-4], float(w / sums[row[:-4]]), row[-3], float(row[-2] + shift), row[-1])
                for row, w, shift in zip(rows, weight, rewards, strict=True)
            )
        discount = self.discount
        if 0.0 < discount < 1.0 and odds.size:
            scaled = discount * float(np.exp(np.clip(odds[0], -30.0, 30.0)))
            discount = min(scaled / (1.0 - self.discount + scaled), 0.99)
        count = len(self.weights)
        weights = []
        for array, part in zip(self.weights, parts[3 : 3 + count], strict=True):
            scaled_array = array * np.exp(np.clip(part, -30.0, 30.0))
            weights.append(scaled_array / scaled_array.sum(axis=-1, keepdims=True))
        values = tuple(array + part for array, part in zip(self.values, parts[3 + count :], strict=True))
        return Case(rows, discount, self.grid, tuple(weights), values, self.numbers)

    def _arrays(self) -> Iterator[FloatArray]:
        yield np.array([row[-4] for row in self.rows])
        yield np.array([row[-2] for row in self.rows])
        yield np.zeros(1 if self.rows and 0.0 < self.discount < 1.0 else 0)
        yield from self.weights
        yield from self.values


def _row(row: tuple[Any, ...]) -> str:
    *source, probability, successor, reward, terminal = row
    name = " action ".join(str(part) for part in source)
    goal = "end" if terminal else str(successor)
    return f"{name} -> {goal} with {probability:.6g}, reward {reward:.6g}"


def _array(array: FloatArray) -> str:
    return np.array2string(array, precision=6, separator=", ", max_line_width=10_000, threshold=40).replace("\n", "")
