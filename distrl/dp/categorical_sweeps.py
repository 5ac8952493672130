"""Sweeps of the categorical operator, every iterate kept: the textbook's algorithm, to look at."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._validation import FloatArray, whole_number
from distrl.dp.call import Call
from distrl.dp.categorical import solution_of, solution_of_steps
from distrl.dp.horizon_categorical import GridLayer, GridSearch
from distrl.dp.on_grid import OnGrid, check_atoms_and_grid
from distrl.dp.problem import Problem, dirac_start
from distrl.dp.solution import Solution
from distrl.dp.solvers.base import Solved
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.system import System
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid


@dataclass(frozen=True)
class CategoricalDP(OnGrid):
    """`sweeps` applications of the categorical Bellman operator to a Dirac at the grid's middle, history kept.

    Parameters
    ----------
    atoms : int
        Number of atoms m, if no grid is given.
    sweeps : int
        How many applications are made, whatever is left of the error.
    grid : Grid, optional
        By default `Grid.covering(model, atoms)`, on which nothing is clipped; at discount 1 as for
        `CategoricalFixedPoint`.

    Raises
    ------
    ValueError
        If an option is out of range. From `evaluate`: if the iterates do not fit in memory, or the returns have no
        bounds and no grid is given.
    TypeError
        If `grid` is no Grid.

    Notes
    -----
    `Solution.history.probs` is (sweeps + 1, S, m), the start first, and `.residuals` (sweeps,) the sup-W1 size of each
    step. With a horizon the sweeps are its steps. Memory 8 * sweeps * S * m bytes. Each iterate's error is at most
    discount^k times the first plus the certificate's rounding part. Source: Rowland et al. 2018; Bellemare,
    Dabney, Rowland 2023.
    """

    atoms: int = 201
    sweeps: int = 100
    grid: Grid | None = None

    def __post_init__(self) -> None:
        check_atoms_and_grid(self)
        object.__setattr__(self, "sweeps", whole_number(self.sweeps, "sweeps", low=0))

    def solve(self, model: MRP, call: Call) -> Solution[CategoricalReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        grid = self._grid_for(model)
        check_memory(model.n_states, grid.atoms, 2.0 * (self.sweeps + 1), "use fewer atoms or sweeps")
        problem = Problem.of(model, grid, call)
        cdf = dirac_start(problem)
        system = System.whole(problem.operator, None)
        history = np.empty((self.sweeps + 1, *cdf.shape))
        residuals = np.empty(self.sweeps)
        history[0] = cdf
        done = 0
        with call.interruptible():
            while done < self.sweeps:
                residual = system.apply(history[done], history[done + 1])
                residuals[done] = problem.grid.spacing * residual
                done += 1
                call.count()
                call.advance(done / self.sweeps, float(residuals[done - 1]) * problem.gain)
        status = Status.INTERRUPTED if call.interrupted else Status.SWEEPS_DONE
        kept = history[: done + 1]
        probs = np.diff(kept, axis=2, prepend=0.0)
        reached = problem.reached(Solved(kept[-1], status, "sweeps", f"{done} sweeps asked for"), call)
        return replace(solution_of(reached, model, self, call), history=History(probs, residuals[:done]))

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[CategoricalReturns]:
        """The laws of H steps; the sweeps are the steps, and history keeps the laws of 0, 1, ..., H of them.

        `Solution.history.residuals` are the sup-W1 distances between these.

        `stages` and `call` are as `HorizonMethod` says.
        """
        grid = self._grid_of_steps(stages)
        check_memory(stages.n_states, grid.atoms, 2.0 * stages.horizon + 6.0, "use fewer atoms or steps")
        kept: list[FloatArray] = []

        def keep(layer: GridLayer) -> None:
            kept.append(layer.probs)

        reached = GridSearch(self.atoms, grid).reached(stages, call, keep)
        kept += [kept[-1]] * (reached.walked.done + 1 - len(kept))  # at rest
        probs = np.stack(kept[: reached.walked.done + 1])
        steps = np.abs(np.cumsum(np.diff(probs, axis=0), axis=2)[:, :, :-1]).sum(axis=2) * grid.spacing
        residuals = steps.max(axis=1) if len(steps) else np.empty(0)
        return replace(solution_of_steps(reached, stages, self, call), history=History(probs, residuals))


class History(NamedTuple):
    """Iterates (k + 1, S, m), the start first, and the sup-W1 sizes (k,) of the steps between them."""

    probs: FloatArray
    residuals: FloatArray
