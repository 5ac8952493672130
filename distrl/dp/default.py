"""What `evaluate` does where no method is given."""

from dataclasses import dataclass, replace

from distrl.dp.call import Call
from distrl.dp.categorical import CategoricalFixedPoint
from distrl.dp.lattice import Lattice
from distrl.dp.lattice_rows import TooManyLevels
from distrl.dp.solution import Solution
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.categorical import CategoricalReturns


@dataclass(frozen=True)
class Default:
    """`Lattice()` at discount 1 where rewards are of one sign and multiples of a step; else `CategoricalFixedPoint()`.

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
            except TooManyLevels as error:  # as many as its message says: the grid of the general method is coarser
                against = str(error).split(";")[0]
        solution = general.solve(model, call)
        return replace(solution, reason=f"{solution.reason}; not exact by levels, since {against}")

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[CategoricalReturns]:
        """The laws of so many steps, by `CategoricalFixedPoint()`; see `HorizonMethod`."""
        return CategoricalFixedPoint().solve_horizon(stages, call)
