"""From a target for the certificate to a number of atoms."""

import math
from collections.abc import Callable

from distrl.dp.solution import Solution, Status
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid
from distrl.theory.bounds import fixed_point_w1

_ROUNDS = 6  # solves before giving up
_SPARE = 0.5  # a certificate below this share of the target is worth fewer atoms


def solve_to_target(
    model: MRP, grid: Grid | None, target: float, solve: Callable[[Grid], Solution]
) -> tuple[Solution, str]:
    """Solve on as many atoms as the certificate needs to be at most `target` everywhere, and say how.

    First as many atoms as the a-priori bound spacing / (2 sqrt(1 - discount^2)) asks for, which is enough where nothing
    is clipped; then twice as many as long as the certificate is too large; and once fewer, in proportion, where it is
    below half the target. `grid` gives the interval.

    Raises
    ------
    ValueError
        If doubling no longer helps: clipping or float64 keeps the certificate above the target.
    """
    interval = Grid.covering(model, 2) if grid is None else grid
    unit = fixed_point_w1(1.0, model.discount) if model.discount < 1.0 else math.inf
    atoms = 2
    if math.isfinite(unit):
        atoms = int(min(max(math.ceil(interval.width * unit / target) + 1, 2), 2**53))
    elif grid is not None:
        atoms = grid.atoms
    tried = []
    previous = math.inf
    for _ in range(_ROUNDS):
        solution = solve(Grid(interval.low, interval.high, atoms))
        assert solution.certificate is not None
        worst = float(solution.certificate.w1.max())
        tried.append(f"{atoms} atoms give {worst:.3g}")
        if solution.status is Status.INTERRUPTED or worst <= target:
            break
        if not worst < 0.9 * previous:
            raise ValueError(
                f"target_w1={target:g} cannot be met on [{interval.low:g}, {interval.high:g}]: {', '.join(tried)}. "
                "What remains is clipping, the iteration error or float64; widen the grid, lower tol or raise target_w1"
            )
        previous, atoms = worst, 2 * atoms - 1
    else:
        raise ValueError(f"target_w1={target:g} was not met: {', '.join(tried)}; raise it")
    if worst < _SPARE * target and atoms > 2 and solution.status is not Status.INTERRUPTED:
        fewer = max(math.ceil(1.1 * worst / target * (atoms - 1)) + 1, 2)
        smaller = solve(Grid(interval.low, interval.high, fewer))
        assert smaller.certificate is not None
        tried.append(f"{fewer} atoms give {float(smaller.certificate.w1.max()):.3g}")
        if smaller.certificate.w1.max() <= target:
            solution = smaller
    return solution, f"{solution.returns.grid.atoms} atoms for target_w1={target:g} ({', '.join(tried)})"  # type: ignore[attr-defined]
