"""Solvers of F = A F + b, the system of a categorical fixed point: `CategoricalFixedPoint(solver=...)` takes any."""

from distrl.dp.solvers.aggregation import Aggregation, Grouped
from distrl.dp.solvers.banded import Banded
from distrl.dp.solvers.base import Solved, Solver, Stop
from distrl.dp.solvers.bicgstab import Preconditioner
from distrl.dp.solvers.direct import Direct
from distrl.dp.solvers.gauss_seidel import GaussSeidel
from distrl.dp.solvers.krylov import Krylov
from distrl.dp.solvers.select import select_solver
from distrl.dp.solvers.shifted_coarse import Clustered, ShiftedCoarse
from distrl.dp.solvers.sweeps import Sweeps
from distrl.dp.solvers.traits import Traits
from distrl.dp.solvers.two_grid import TwoGrid

__all__ = [
    "Aggregation",
    "Banded",
    "Clustered",
    "Direct",
    "GaussSeidel",
    "Grouped",
    "Krylov",
    "Preconditioner",
    "ShiftedCoarse",
    "Solved",
    "Solver",
    "Stop",
    "Sweeps",
    "Traits",
    "TwoGrid",
    "select_solver",
]
