"""The rule of `solver="auto"`: which solver for one system of states that lead to each other, and why.

The solver and the sentence that argues for it are made in one place, so that neither can contradict the other.
"""

from distrl.dp.solvers.aggregation import Grouped
from distrl.dp.solvers.banded import Banded
from distrl.dp.solvers.base import Solver
from distrl.dp.solvers.direct import Direct
from distrl.dp.solvers.gauss_seidel import RELAXATION, GaussSeidel
from distrl.dp.solvers.krylov import Krylov
from distrl.dp.solvers.shifted_coarse import COARSE_UNKNOWNS, Clustered
from distrl.dp.solvers.sweeps import Sweeps
from distrl.dp.solvers.traits import FAST_MIXING, Traits
from distrl.dp.solvers.two_grid import TwoGrid

# measured as `distrl.dp.solvers.traits` says
#: Up to this effective horizon (steps) Gauss-Seidel is never far from the best; it needs no set-up.
SHORT_HORIZON = 12.0
#: ... and where differences between states last, up to this one.
SLOW_HORIZON = 60.0
#: Groups of neighbouring states pay from here on; below it only where states lead to many others.
LONG_HORIZON = 300.0
#: Sparse LU: non-zeros up to 500, 5 h or h^2 / 20, h the horizon; at most this many, three times that for cycles.
DIRECT_NONZEROS = 10_000
#: ... but from this horizon on so many times that: nothing that iterates comes to an end there.
HOPELESS_HORIZON, HOPELESS = 1e5, 20
#: ... and unknowns up to so many for each step of the horizon where reward laws make the matrix dense.
LAW_UNKNOWNS = 2.5
#: Flow one way, as a share of all flow, from which Krylov methods need more applications than they save.
DIRECTED = 0.5
_ONE_WAY = 0.9  # with so much of the flow one way Gauss-Seidel is close to exact and needs no over-relaxation
_SMALL_NONZEROS = 250_000  # below it a coarse set-up takes longer than it saves at a short horizon


def select_solver(traits: Traits) -> tuple[Solver, str]:
    """The solver for a system with these traits, and the sentence that argues for it.

    `Banded` (elimination along a narrow chain), `Direct` (sparse LU), `GaussSeidel`, `TwoGrid` (sweeps with a coarse
    correction, a vector for each cluster; BiCGSTAB with it where that is slow), `Krylov` with a solve on groups of
    neighbouring states (krylov-groups) or alone. Where reward laws apply as matrices: `Sweeps`, `Banded`, `Direct` or
    `Krylov`; `benchmarks/continuous_rewards.py` measures it.
    """
    steps = f"effective horizon {traits.gain:.3g} steps"
    if traits.gain <= SHORT_HORIZON / 2:
        return Sweeps() if traits.laws else _gauss_seidel(traits), f"{steps}, at most {SHORT_HORIZON / 2:g}"
    if traits.narrow is not None:
        return Banded(*traits.narrow), f"{steps}, and in some order states lead at most {traits.narrow[1]} places"
    if traits.laws:
        unknowns = traits.unknowns
        if unknowns <= min(LAW_UNKNOWNS * traits.gain, DIRECT_NONZEROS / 10):
            return Direct(), f"a small system ({unknowns} unknowns, with rewards that have a density) and {steps}"
        return Krylov(), f"{steps}, and rewards have a density"
    fill = 0.3 if traits.matrix.nnz <= 1.5 * traits.matrix.shape[0] else 1.0
    worth = min(max(500.0, 5.0 * traits.gain, 0.05 * traits.gain**2), DIRECT_NONZEROS)
    worth *= HOPELESS if traits.gain > HOPELESS_HORIZON else 1
    if fill * traits.nonzeros <= worth:
        return Direct(), f"a small system ({traits.nonzeros} non-zeros) and {steps}"
    coarse = traits.atoms - 1 <= COARSE_UNKNOWNS and (traits.gain > SHORT_HORIZON or traits.nonzeros >= _SMALL_NONZEROS)
    if coarse and traits.invertible(1) and traits.keeps <= FAST_MIXING:
        count = int(traits.labels.max()) + 1
        where = f" within {count} clusters" if count > 1 else ""
        shifted = Clustered(traits.means, traits.weights, traits.labels)
        return TwoGrid(shifted), f"{steps}, and a step keeps {traits.keeps:.2g} of a difference between states{where}"
    if traits.gain <= SLOW_HORIZON:
        return _gauss_seidel(traits), f"{steps}, at most {SLOW_HORIZON:g}"
    matrix = traits.matrix
    spread = matrix.nnz >= 3 * matrix.shape[0] and traits.nonzeros >= _SMALL_NONZEROS  # rooms, not lines
    if (traits.gain > LONG_HORIZON or spread) and traits.directed <= _ONE_WAY and traits.groups is not None:
        grouped = Krylov(Grouped(traits.groups), "krylov-groups")
        return grouped, f"{steps}, and {traits.groups.max() + 1} groups of neighbouring states"
    if traits.directed > DIRECTED and traits.gain <= LONG_HORIZON:
        return _gauss_seidel(traits), f"{steps}, and {traits.directed:.0%} of the flow goes one way"
    return Krylov(), f"{steps}, and differences between states last"


def _gauss_seidel(traits: Traits) -> GaussSeidel:
    return GaussSeidel(1.0 if traits.directed > _ONE_WAY else RELAXATION)
