"""Laws of H steps on one grid: H applications of the categorical operator, each with what it loses.

From the Dirac at 0, shared between the two atoms around it where it is none of them, Pi T_t goes back over the steps.
The certificate is `Certifier`'s, its sums broken off after H steps: variances of projections add up with discount^2,
overshoots and the rounding of floats with the discount (claim `certificate-martingale-coupling`). A projection that
adds next to no variance, since outcomes meet atoms up to rounding, is counted by how far it moves mass instead: twice
its variance over the spacing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from distrl._memory import check_memory
from distrl._tolerances import EPS
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certificate import Certificate, Certifier, float_slack, row_terms
from distrl.dp.horizon_grid import Span
from distrl.dp.horizon_walk import HELD, ForProcess, Walked, ended, later_of, left_out, onward, steps_in_words, walk
from distrl.dp.refine import Goal, enough_atoms, solve_to_goal
from distrl.dp.resolution import FEWEST, MOST, PILOT, SHARE
from distrl.dp.result import Later
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.operators.categorical import CategoricalBellman
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid

#: Arrays of (S, atoms) float64 that a walk needs: the laws of two numbers of steps, and the next ones.
ARRAYS = 3.0
_LOOK = 8  # steps after which it is looked whether laws still change
_NEAR = 1e-12  # of spacing^2: a variance up to this is counted by the distance that it moves mass


class GridLayer(NamedTuple):
    """Laws (S, m) on the grid after so many steps, and the parts of their certificate, (S,)."""

    probs: FloatArray
    variance: FloatArray
    overshoot: FloatArray
    residual: FloatArray
    clipped: FloatArray

    def certificate(self, grid: Grid, left: float = 0.0) -> Certificate:
        """`left`: what steps that were not made can change."""
        defect = np.abs(self.probs.sum(axis=1) - 1.0) * grid.width
        rounding = np.sqrt(self.variance) * (1.0 + 2.0 * EPS)
        residual = self.residual + defect + left
        w1 = rounding + self.overshoot + residual
        return Certificate(w1, Certifier.claim, rounding, self.overshoot, residual, self.clipped)


class _Tools:
    """The operator of a process on the grid, and what its float errors are."""

    def __init__(self, process: MRP, grid: Grid) -> None:
        self.operator = CategoricalBellman(process, grid)
        self.slack = float_slack(self.operator)
        self.relative = 1.0 + (row_terms(self.operator) + 4.0 * grid.atoms) * EPS


def start_on(grid: Grid, n_states: int) -> GridLayer:
    """The Dirac at 0 on the grid, in every state."""
    at = -grid.low / grid.spacing
    inside = min(max(at, 0.0), grid.atoms - 1.0)
    low = min(int(inside), grid.atoms - 2)
    share = inside - low
    if abs(share - round(share)) <= 1e-12 * grid.atoms:
        share = float(round(share))
    row = np.zeros(grid.atoms)
    row[low], row[low + 1] = 1.0 - share, share
    nothing = np.zeros(n_states)
    moved = abs(at - low - share) if share in (0.0, 1.0) else abs(at - inside)
    return GridLayer(
        probs=np.tile(row, (n_states, 1)),
        variance=nothing + share * (1.0 - share) * grid.spacing**2,
        overshoot=nothing + moved * grid.spacing,
        residual=nothing + 4.0 * EPS * max(abs(grid.low), abs(grid.high)) * (share not in (0.0, 1.0)),
        clipped=nothing + float(at != inside),
    )


def walk_on(
    stages: Stages, grid: Grid, call: Call, threads: int | None, each: Callable[[GridLayer], None] | None = None
) -> Walked[GridLayer]:
    """Back over the steps on a grid; `each` is told of the laws of 0, 1, ... steps."""
    back, start = back_on(stages, grid, threads, each), start_on(grid, stages.n_states)
    if each is not None:
        each(start)
    return walk(stages, call, start, back)


def back_on(
    stages: Stages, grid: Grid, threads: int | None, each: Callable[[GridLayer], None] | None = None
) -> Callable[[GridLayer, MRP], GridLayer]:
    """What takes laws on a grid back over one step; it gives back the same layer where nothing changes any more."""
    check_memory(stages.n_states, grid.atoms, ARRAYS, "use fewer atoms")
    tools_of = ForProcess(partial(_Tools, grid=grid))
    near, count = _NEAR * grid.spacing**2, [0]

    def back(layer: GridLayer, process: MRP) -> GridLayer:
        tools = tools_of(process)
        operator = tools.operator
        image = operator.apply(layer.probs, threads)
        probs = np.maximum(image.probs, 0.0, out=image.probs)
        local, far = tools.relative * image.variance, tools.relative * image.overshoot + operator.table.law_errors
        moved = np.where(local <= near, 2.0 * local / grid.spacing, 0.0)
        count[0] += 1
        if stages.stationary and count[0] % _LOOK == 0 and np.abs(probs - layer.probs).max() <= HELD:
            change = np.abs(np.cumsum(probs - layer.probs, axis=1)[:, :-1]).sum(axis=1) * grid.spacing
            probs, moved, count[0] = layer.probs, moved + change * (1.0 + grid.atoms * EPS), -1
        reached = GridLayer(
            probs=probs,
            variance=np.where(local <= near, 0.0, local) + onward(process, layer.variance, 2),
            overshoot=far + onward(process, layer.overshoot),
            residual=tools.slack + moved + onward(process, layer.residual),
            clipped=image.clipped_mass,
        )
        if all(np.array_equal(a, b) for a, b in zip(reversed(reached), reversed(layer), strict=True)):
            return layer  # looked at from the short arrays on
        if each is not None:
            each(reached)
        return reached

    return back


class Reached(NamedTuple):
    """Laws on a grid after H steps, or as many as were made, with their certificate."""

    grid: Grid
    walked: Walked[GridLayer]
    certificate: Certificate
    status: Status
    tol: float
    reason: str
    later: Later | None

    @property
    def returns(self) -> CategoricalReturns:
        """The laws."""
        return CategoricalReturns.trusted(self.grid, self.walked.layer.probs)


def reach_on(
    stages: Stages,
    grid: Grid,
    call: Call,
    threads: int | None = None,
    each: Callable[[GridLayer], None] | None = None,
) -> Reached:
    """The laws of H steps on a grid."""
    walked = walk_on(stages, grid, call, threads, each)
    certificate = walked.layer.certificate(grid, left_out(stages, walked.done))
    status, tol = ended(stages, call, walked.done, certificate.residual)

    def tell(layer: GridLayer) -> tuple[CategoricalReturns, Certificate]:
        return CategoricalReturns.trusted(grid, layer.probs), layer.certificate(grid)

    later = later_of(walked, stages, tell)
    return Reached(grid, walked, certificate, status, tol, steps_in_words(stages, walked.done), later)


@dataclass(frozen=True)
class GridSearch:
    """What a method says of its grid: the grid itself, its interval, its number of atoms, or a target for W1."""

    atoms: int | None
    grid: Grid | None
    interval: tuple[float, float] | None = None
    target: float | None = None
    threads: int | None = None

    def reached(self, stages: Stages, call: Call, each: Callable[[GridLayer], None] | None = None) -> Reached:
        """The laws of H steps on the grid that is wanted; on a given grid `each` is told of those of fewer steps.

        Raises
        ------
        ValueError
            If returns have no bounds and no grid is given, or a target cannot be met.
        """
        if self.target is None and self.grid is not None:
            return reach_on(stages, self.grid, call, self.threads, each)
        span = Span.of(stages)
        if self.target is not None:
            return self._to_target(span, call, self.target)
        if self.atoms is not None:
            return self._on(span, self.atoms, call)
        resolution = span.resolution(ARRAYS, None if self.interval is None else self.interval[1] - self.interval[0])
        atoms = resolution.enough
        if atoms > PILOT and not (self.interval is None and resolution.exact(span, atoms)):
            pilot = self._on(span, PILOT, call)
            if call.interrupted:
                return pilot
            atoms = max(resolution.after(PILOT, resolution.share(pilot.certificate)), PILOT)
        while True:
            reached = self._on(span, atoms, call)
            share = resolution.share(reached.certificate)
            if share <= SHARE or atoms >= resolution.enough or call.interrupted:
                break
            atoms = min(max(resolution.after(atoms, share), atoms + atoms // 10), resolution.enough)
        return reached._replace(reason=f"{reached.reason}; {resolution.words(atoms, reached.certificate)}")

    def _on(self, span: Span, atoms: int, call: Call) -> Reached:
        grid = span.grid(atoms) if self.interval is None else Grid(*self.interval, atoms)
        return reach_on(span.stages, grid, call, self.threads)

    def _ends(self, span: Span, atoms: int) -> Grid:
        if self.grid is not None:
            return Grid(self.grid.low, self.grid.high, atoms)
        return span.grid(atoms) if self.interval is None else Grid(*self.interval, atoms)

    def _to_target(self, span: Span, call: Call, target: float) -> Reached:
        def solve(grid: Grid) -> Reached:
            return reach_on(span.stages, self._ends(span, grid.atoms), call, self.threads)

        def worst(reached: Reached) -> float:
            return float(reached.certificate.w1.max())

        goal = Goal(f"target_w1={target:g}", target, worst, order=1)
        interval = self._ends(span, MOST)
        rate = 0.5 * float(np.sqrt(span.facts.gains.max()))
        first = min(max(enough_atoms(rate, target / interval.width, 1), FEWEST), MOST)
        whole = span.whole_atoms if self.grid is None and self.interval is None else 0
        first = whole if FEWEST <= whole <= first else first
        reached, how = solve_to_goal(span.stages.process(0), interval, first, goal, solve, lambda n, m: ARRAYS)
        return reached._replace(reason=f"{reached.reason}; {how}")
