"""What methods with options `atoms` and `grid` share."""

from dataclasses import replace
from typing import Protocol, Self

from distrl._validation import whole_number
from distrl.dp.horizon_grid import Span
from distrl.dp.undiscounted import default_grid
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.grid import Grid


class OnGrid:
    """A method on a grid, by default one that suits the model: see `distrl.dp.undiscounted.default_grid`."""

    atoms: int
    grid: Grid | None

    def on_interval(self, low: float, high: float) -> Self:
        """The same method on a grid from `low` to `high`, widened where that is one point."""
        return replace(self, grid=Grid.spanning(low, high, self.atoms))  # type: ignore[type-var]

    def _grid_of_steps(self, stages: Stages) -> Grid:
        return Span.of(stages).grid(self.atoms) if self.grid is None else self.grid

    def _grid_for(self, model: MRP) -> Grid:
        return default_grid(model, self.atoms) if self.grid is None else self.grid


class _WithGrid(Protocol):
    """A method that has both."""

    @property
    def atoms(self) -> int | None:
        """How many atoms."""

    @property
    def grid(self) -> Grid | None:
        """Where they are."""


def check_atoms_and_grid(method: _WithGrid, free: bool = False) -> None:
    """The options that categorical methods share; `free` if the number of atoms may be left open."""
    if method.atoms is not None or not free:
        object.__setattr__(method, "atoms", whole_number(method.atoms, "atoms", low=2))
    if method.grid is not None and not isinstance(method.grid, Grid):
        raise TypeError(f"grid must be a distrl.Grid or None, got {method.grid!r}")
