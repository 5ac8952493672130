"""The grid that a method chooses itself: closed under every outcome below discount 1, else what returns reach.

Undiscounted returns have a largest and a smallest value unless a cycle pays; else the grid ends where hardly any mass
is left (`Grid.tight`), and the certificate counts what is clipped. Where rewards are multiples of one step, atoms stand
on its multiples: nothing is rounded then, and a law on the grid is exact up to the solver's error.
"""

import math

from distrl.dp.lattice_rows import LatticeRows, OffLattice
from distrl.dp.resolution import ENTRIES, MOST
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid

#: The probability that a chosen end leaves beyond it at most.
TAIL = 1e-10
_WIDER = 1.1  # times the range that returns reach, which a grid may have to stand on multiples of the step


def default_grid(model: MRP | MDP, atoms: int) -> Grid:
    """A grid of so many atoms that suits the model: `Grid.covering` below discount 1, at 1 on what returns reach.

    Of a decision process at discount 1 the returns under all policies, where these have ends.

    Raises
    ------
    ValueError
        For unbounded reward laws below discount 1; at 1 where no end is found, saying what to give instead.
    """
    if model.uniform_discount != 1.0:
        return Grid.covering(model, atoms)
    reach = Grid.tight(model, 2, tail=TAIL)
    step = step_of(model)
    if step is not None:
        first, last = _ends(reach, step)
        parts = (atoms - 1) // (last - first)  # of a step, an atom each
        if parts:
            parts = 2 ** (parts.bit_length() - 1)  # so that atoms meet levels to the last digit
            return Grid(first * step, first * step + (atoms - 1) * step / parts, atoms)
        times = math.ceil((last - first) / (atoms - 1))  # steps from an atom to the next
        if times * (atoms - 1) <= _WIDER * (last - first):
            return Grid(first * step, (first + times * (atoms - 1)) * step, atoms)
    return Grid.spanning(reach.low, reach.high, atoms)


def on_own_lattice(model: MRP) -> Grid | None:
    """At discount 1, the grid of the lattice that returns lie on, if it has few enough atoms; None if not."""
    step = step_of(model) if model.uniform_discount == 1.0 else None
    return None if step is None else lattice_grid(model, step, TAIL, max(ENTRIES // model.n_states, MOST))


def lattice_grid(model: MRP, step: float, tail: float, most: int) -> Grid | None:
    """The multiples of `step` between the ends of the returns, but for `tail`; None if there are more than `most`."""
    first, last = _ends(Grid.tight(model, 2, tail=min(tail, 0.25)), step)
    return Grid(first * step, last * step, last - first + 1) if last - first < most else None


def words_of(grid: Grid | None) -> str:
    """What a chosen grid is, for people."""
    if grid is None:
        return f"an interval that returns leave with probability {TAIL:g} at most"
    return (
        f"{grid.atoms} atoms from {grid.low:g} to {grid.high:g}, which hold returns but for a probability of {TAIL:g}"
    )


def step_of(model: MRP | MDP) -> float | None:
    """The step of the rewards' lattice; None where they are on none."""
    try:
        return LatticeRows.of(model).step
    except OffLattice:  # an answer, and not a fault: the caller takes another grid
        return None


def _ends(reach: Grid, step: float) -> tuple[int, int]:
    """The multiples of `step` between the grid's ends, which are one apart at least; what rounding made is left out."""
    first, last = math.ceil(reach.low / step - 1e-6), math.floor(reach.high / step + 1e-6)
    return (first, last) if last > first else (first, first + 1)
