"""From a target for what is certified to a number of atoms."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from distrl._memory import check_memory
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid

_ROUNDS = 8  # solves before giving up
_SPARE = 0.5  # what is certified below this share of the target is worth fewer atoms


class Ended(Protocol):
    """Anything that says how its solve ended."""

    @property
    def status(self) -> Status:
        """How it ended."""


R = TypeVar("R", bound=Ended)


@dataclass(frozen=True)
class Goal(Generic[R]):
    """What a result is to be: `worst` of it, which `words` name in messages, at most `value`.

    It falls with a power of the spacing, `order` at best.
    """

    words: str
    value: float
    worst: Callable[[R], float]
    order: int


def solve_to_goal(
    model: MRP,
    interval: Grid,
    atoms: int,
    goal: Goal[R],
    solve: Callable[[Grid], R],
    arrays: Callable[[int, int], float],
) -> tuple[R, str]:
    """Solve on as many atoms of the grid's interval as the target needs, `atoms` first, and say how many.

    As long as the target is missed: two to four times as many, as its order allows; and once fewer where it is undercut
    by half. `arrays(states, atoms)` is what a solve needs in memory.

    Raises
    ------
    ValueError
        If more atoms no longer help (clipping or float64 is what remains), are too many, or do not fit in memory.
    """
    tried: list[str] = []
    results: list[float] = []

    def attempt(atoms: int) -> tuple[R, float]:
        so_far = f" ({', '.join(tried)})" if tried else ""
        mend = f"{goal.words} asks for that many{so_far}; a larger target needs fewer atoms"
        check_memory(model.n_states, atoms, arrays(model.n_states, atoms), mend)
        solution = solve(Grid(interval.low, interval.high, atoms))
        worst = goal.worst(solution)
        tried.append(f"{atoms} atoms give {worst:.3g}")
        return solution, worst

    for _ in range(_ROUNDS):
        solution, worst = attempt(atoms)
        if solution.status is Status.INTERRUPTED or worst <= goal.value:
            break
        results.append(worst)
        if len(results) > 2 and not min(results[-2:]) < 0.9 * min(results[:-2]):
            raise ValueError(
                f"{goal.words} cannot be met on [{interval.low:g}, {interval.high:g}]: {', '.join(tried)}. What "
                "remains is clipping, the iteration error or float64; widen the grid, lower tol or raise the target"
            )
        gains = len(results) < 2 or worst < 0.9 * results[-2]
        growth = min(max(2.0, (worst / goal.value) ** (1 / goal.order)), 4.0) if gains else 2.0
        atoms = math.ceil(growth * (atoms - 1)) + 1
    else:
        raise ValueError(f"{goal.words} was not met: {', '.join(tried)}; raise it")
    if worst < _SPARE * goal.value and atoms > 2 and solution.status is not Status.INTERRUPTED:
        share = 1.1 * (worst / goal.value) ** (1 / goal.order)
        fewer = max(math.ceil(share * (atoms - 1)) + 1, 2)
        smaller, worst = attempt(fewer)
        if worst <= goal.value:
            solution, atoms = smaller, fewer
    return solution, f"{atoms} atoms for {goal.words} ({', '.join(tried)})"


def enough_atoms(rate: float, relative: float, order: int) -> int:
    """Atoms m with (rate / (m - 1))^order <= relative, for errors in units of the grid's width."""
    needed: float = min(rate / relative ** (1 / order), 2.0**53)
    return max(math.ceil(needed) + 1, 2)
