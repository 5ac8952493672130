"""What methods with options `atoms` and `grid` share."""

from dataclasses import replace
from typing import Self

from distrl._validation import whole_number
from distrl.dp.undiscounted import default_grid
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid


class OnGrid:
    """A method on a grid, by default one that suits the model: see `distrl.dp.undiscounted.default_grid`."""

    atoms: int
    grid: Grid | None

    def on_interval(self, low: float, high: float) -> Self:
        """The same method on a grid from `low` to `high`, widened where that is one point."""
        return replace(self, grid=Grid.spanning(low, high, self.atoms))  # type: ignore[type-var]

    def _grid_for(self, model: MRP) -> Grid:
        return default_grid(model, self.atoms) if self.grid is None else self.grid


def check_atoms_and_grid(method: object, free: bool = False) -> None:
    """Check the options `atoms` and `grid` of a method; `free` if the number of atoms may be left open."""
    atoms, grid = getattr(method, "atoms", None), getattr(method, "grid", None)
    if atoms is not None or not free:
        object.__setattr__(method, "atoms", whole_number(atoms, "atoms", low=2))
    if grid is not None and not isinstance(grid, Grid):
        raise TypeError(f"grid must be a distrl.Grid or None, got {grid!r}")
