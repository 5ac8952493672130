"""What `evaluate` does where no method is given."""

from dataclasses import dataclass, replace

import numpy as np

from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint
from distrl.dp.lattice import Lattice
from distrl.dp.lattice_rows import LatticeRows, TooManyLevels
from distrl.dp.level_recursion import moves_in_order
from distrl.dp.resolution import ENTRIES, PILOT
from distrl.dp.solution import Solution
from distrl.dp.undiscounted import TAIL
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.categorical import CategoricalReturns

_ATOMS = 4_097  # a half to all of them are used: of a geometric law's sd, of whose range of 28, rounding is .6%
_WORK = 6e8  # moves times levels that the recursion makes in a second or two
_RING = 2e7  # states times levels that the largest reward reaches back
_SOLVE = 30_000  # moves whose work is that of a linear solve a level, where moves without reward come back


@dataclass(frozen=True)
class Default:
    """`Lattice()` at discount 1 where rewards are of one sign and multiples of a step; else `CategoricalFixedPoint()`.

    Where there are more than 100,000 levels, `Lattice(atoms=4097)`, fewer for many states, if levels can be made soon.
    `Solution.method` is the one that was taken, and `Solution.reason` says why.
    """

    def solve(self, model: MRP, call: Call) -> Solution[CategoricalReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        general = CategoricalFixedPoint()
        if model.uniform_discount != 1.0:
            return general.solve(model, call)
        exact = Lattice()
        against = exact.applies_to(model)
        if not against:
            try:
                return exact.by_levels(model, call)
            except TooManyLevels as error:
                against = str(error).split(";")[0]
            gathered = _gathered(model)
            if gathered is not None:
                try:
                    found = gathered.by_levels(model, call)
                except TooManyLevels:  # more than can be made soon: the general method has no levels
                    pass
                else:
                    return replace(found, reason=f"{found.reason}; not every level is kept, since {against}")
        solution = general.solve(model, call)
        return replace(solution, reason=f"{solution.reason}; not exact by levels, since {against}")

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[CategoricalReturns]:
        """The laws of so many steps, by `CategoricalFixedPoint()`; see `HorizonMethod`."""
        return CategoricalFixedPoint().solve_horizon(stages, call)


def _gathered(model: MRP) -> Lattice | None:
    """The recursion over levels with laws on fewer atoms, and so many levels as can be made soon; None for few."""
    rows = LatticeRows.of(model)
    moves = len(rows.probs)
    if not moves_in_order(rows, model.n_states):
        moves = max(moves, _SOLVE)
    levels = int(_WORK / moves)
    largest = int(np.abs(rows.levels).max())
    if largest * model.n_states > _RING or levels < 4 * largest:
        return None
    atoms = min(max(ENTRIES // model.n_states, PILOT), _ATOMS)
    return Lattice(tail=TAIL, max_values=max(levels, 2), atoms=atoms)
