"""Learning of categorical laws: probabilities of fixed atoms.

Definitions. Z(x) is the law with masses p(x) at the atoms of a grid; T p(x) is the law of r + discount Z(y) for one
sampled transition (x, r, y), projected onto the grid by Pi, which splits a mass between the two atoms around it in
proportion to their nearness.

Update. p(x) moves by the share a: p(x) <- (1 - a) p(x) + a T p(x). Its mean over transitions is that of one exact
application of the projected operator (claim `ctd-expected-update`).

Convergence. Almost surely to the fixed point of the projected operator, in Cramer distance, for Robbins-Monro steps
(claim `ctd-limit`; not for constant ones, claim `ctd-limit-constant-steps`). That point is as far from the true laws as
`distrl.Certificate` says of it. Where nothing is clipped the means are TD's, update by update (claim `ctd-mean-is-td`).
Source: Rowland et al. 2018, "An Analysis of Categorical Distributional Reinforcement Learning", Theorem 1; Peng et al.
2025 for the means.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from distrl._kernels import td as kernels
from distrl._validation import FloatArray, IntArray, whole_number
from distrl.dp.undiscounted import default_grid
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.returns.arrays import check_weights
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid
from distrl.td.base import TDMethod, for_replications, reported
from distrl.td.rule import Memory, Start
from distrl.td.sampling import Transitions


@dataclass(frozen=True)
class VarianceReduced:
    """Recentring for `CategoricalTD`: epochs of `epoch` updates, of which the first `gathering` only gather.

    With q the estimate at the epoch's start, those average the sampled T q; the others move by

        p <- (1 - a) p + a (T p - T q + average of T q),

    both T from one transition, so that the noise of T p - T q vanishes as p nears q. Every update still uses one
    transition a state. The scheme is that of variance-reduced Q-learning (Wainwright 2019), on distributions.

    Raises
    ------
    ValueError, TypeError
        If the numbers are not whole, or not 1 <= gathering < epoch.
    """

    epoch: int = 1000
    gathering: int = 500

    def __post_init__(self) -> None:
        object.__setattr__(self, "gathering", whole_number(self.gathering, "gathering", low=1))
        object.__setattr__(self, "epoch", whole_number(self.epoch, "epoch", low=self.gathering + 1))


@dataclass(frozen=True)
class CategoricalTD(TDMethod[CategoricalReturns]):
    """Categorical TD: p(x) <- (1 - a) p(x) + a Pi(law of r + discount Z(y)), Z(y) ~ p(y).

    Parameters
    ----------
    atoms : int
    grid : Grid, optional
        By default that of `CategoricalDP(atoms)`: `Grid.covering(model, atoms)`, at discount 1 on what returns reach
        (`distrl.dp.undiscounted`).
    variant : None, "speedy" or VarianceReduced
        speedy: p_{k+1} = p_k + a (T p_{k-1} - p_k) + (1 - a) (T p_k - T p_{k-1}) with a = 1/(k+1), that is
        `step_size=Harmonic(offset=1)`; recalled from Böck and Heitzinger 2022, not checked against the paper. Both
        variants need synchronous sampling, take no averages, and may leave the simplex: `LearningRun.negative_mass`
        says how far, `run.values` are the means of the estimates as they are, and `run.at` gives the laws nearest to
        them in Cramér distance (isotonic regression of the CDF).

    Notes
    -----
    Time O(m) a renewal, memory 8 S m bytes a replication (a second time for the update itself). Steps must be at most
    1. Guarantees: the laws converge almost surely to the categorical fixed point under Robbins-Monro steps (claim
    `ctd-limit`); without clipping their means are TD's, whatever the samples (claim `ctd-mean-is-td`). Source: Rowland
    et al. 2018; Peng et al. 2025 for the means.

    Raises
    ------
    ValueError, TypeError
        If an option is not what it must be, or averages are asked of a variant.
    """

    atoms: int = 51
    grid: Grid | None = None
    variant: str | VarianceReduced | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "atoms", whole_number(self.atoms, "atoms", low=2))
        if self.grid is not None and not isinstance(self.grid, Grid):
            raise TypeError(f"grid must be a distrl.Grid or None, got {self.grid!r}")
        if self.variant not in (None, "speedy") and not isinstance(self.variant, VarianceReduced):
            raise ValueError(f'variant must be None, "speedy" or a VarianceReduced, got {self.variant!r}')
        if self.variant is not None and self.average_from is not None:
            raise ValueError("the variants of CategoricalTD take no averages; leave average_from out")

    def on_interval(self, low: float, high: float) -> Self:
        """The same method on a grid from `low` to `high`, widened where that is one point.

        Raises
        ------
        ValueError
            If `low` lies above `high`, or they are not finite.
        """
        return replace(self, grid=Grid.spanning(low, high, self.atoms))

    def on(self, model: MRP | MDP | None) -> Self:
        if self.grid is not None:
            return self if self.atoms == self.grid.atoms else replace(self, atoms=self.grid.atoms)
        if model is None:
            raise ValueError(
                "without a model the grid must be given: CategoricalTD(grid=distrl.Grid(low, high, atoms))"
            )
        return replace(self, grid=default_grid(model, self.atoms))

    @property
    def _grid(self) -> Grid:
        assert self.grid is not None  # `on` has chosen one
        return self.grid

    @property
    def width(self) -> int:
        return self._grid.atoms

    @property
    def arrays(self) -> int:
        if isinstance(self.variant, VarianceReduced):
            return 4
        return 3 if self.variant or self.average_from is not None else 2

    @property
    def all_at_once(self) -> bool:
        return self.variant is not None

    def starts(self, start: Start, replications: int, states: int) -> FloatArray:
        grid = getattr(start, "grid", self._grid)
        if grid != self._grid:
            raise ValueError(f"start is on {grid}, the method on {self._grid}; they must be equal")
        starts = for_replications(start, "probs", 1.0 / self.width, (replications, states, self.width))
        for laws in starts[:1] if starts.strides[0] == 0 else starts:
            check_weights(laws, "start")
        return starts

    def remember(self, start: FloatArray) -> Memory:
        memory: Memory = {"probs": start, "averages": self.averages(start)}
        if self.variant == "speedy":
            memory["before"] = start.copy()
        elif self.variant is not None:
            memory["reference"], memory["centre"] = start.copy(), np.zeros_like(start)
        return memory

    def renew(self, memory: Memory, transitions: Transitions, counts: IntArray, steps: FloatArray, block: int) -> None:
        probs, place = memory["probs"], (self._grid.low, self._grid.spacing)
        if self.variant == "speedy":
            kernels.renew_speedy(probs, memory["before"], transitions, steps, block, *place)
        elif isinstance(self.variant, VarianceReduced):
            epochs = (self.variant.gathering, self.variant.epoch)
            kernels.renew_recentred(
                probs, memory["reference"], memory["centre"], transitions, counts, steps, block, *place, *epochs
            )
        else:
            kernels.renew_categorical(
                probs, memory["averages"], self.burn_in, transitions, counts, steps, block, *place
            )

    def estimates(self, memory: Memory) -> FloatArray:
        return reported(memory, "probs")

    def means(self, estimates: FloatArray) -> FloatArray:
        return np.asarray(estimates @ self._grid.points)

    def axis(self) -> dict[str, FloatArray]:
        return {"atoms": self._grid.points}

    def returns(self, estimates: FloatArray) -> CategoricalReturns:
        signed = np.argwhere((estimates < 0.0).any(axis=-1))
        if len(signed):
            estimates = estimates.copy()
            for where in map(tuple, signed):
                estimates[where] = nearest_law(estimates[where])
        return CategoricalReturns.trusted(self._grid, estimates)


def nearest_law(masses: FloatArray) -> FloatArray:
    """The probabilities nearest to signed masses of sum 1 in Cramér distance: isotonic regression of the CDF."""
    from scipy.optimize import isotonic_regression  # slow to import, and only signed masses need it

    cdf = np.clip(isotonic_regression(np.cumsum(masses)[:-1]).x, 0.0, 1.0)
    return np.asarray(np.diff(cdf, prepend=0.0, append=1.0))
