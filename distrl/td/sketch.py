"""Learning of mean embeddings.

Definitions. U(x) in R^m estimates E phi(G(x)), the mean embedding of the return from x. A transition (x, r, y) gives
the target B_r U(y), B_r the Bellman coefficients of the reward (`distrl.operators.sketch`), or phi(r) where the episode
ends.

Update. U(x) += a (B_r U(y) - U(x)). An n-step target has the coefficients of its reward sum and discount^n.

Convergence. With hat features this is categorical TD, with its guarantees (claim `sketch-td-hats-are-categorical`). For
others it is a linear stochastic approximation, which converges where the sketch Bellman operator does; see `SketchDP`.
Source: Wenliang et al. 2024, "Distributional Bellman Operators over Mean Embeddings", Algorithm 2.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from distrl._validation import FloatArray, IntArray, whole_number
from distrl.dp.undiscounted import default_grid
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.operators.sketch import inverse_of
from distrl.returns.grid import Grid
from distrl.returns.sketch import Features, Sigmoids, SketchReturns
from distrl.td.base import TDMethod, for_replications, reported
from distrl.td.rule import Memory, Start
from distrl.td.sampling import Transitions


@dataclass(frozen=True)
class SketchTD(TDMethod[SketchReturns]):
    """Sketch TD: U(x) += a (B_r U(y) - U(x)).

    Parameters
    ----------
    features : Features
    atoms : int
        The number m of anchors.
    grid : Grid, optional
        The anchors; by default those of `SketchDP`: `Grid.covering(model, atoms)`, at discount 1 on what returns reach
        (`distrl.dp.undiscounted`).

    Raises
    ------
    ValueError, TypeError
        If an option is not what it must be.

    Notes
    -----
    Time O(m^2) a renewal, in NumPy: a few microseconds where states are renewed one at a time, much less with
    synchronous sampling. `LearningRun.values` are means of imputed laws: a least-squares problem of O(m^3) at most for
    each state, replication and record. Memory 8 S m bytes a replication, and 8 S m^2 for a synchronous update. Rewards
    may have any law, they are drawn. Steps must be at most 1.
    """

    features: Features = field(default_factory=Sigmoids)
    atoms: int = 51
    grid: Grid | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.features, Features):
            raise TypeError(f"features must be Features such as Sigmoids(), got {self.features!r}")
        object.__setattr__(self, "atoms", whole_number(self.atoms, "atoms", low=2))
        if self.grid is not None and not isinstance(self.grid, Grid):
            raise TypeError(f"grid must be a distrl.Grid or None, got {self.grid!r}")

    def on_interval(self, low: float, high: float) -> Self:
        """The same method with its anchors from `low` to `high`."""
        return replace(self, grid=Grid(low, high, self.atoms))

    def on(self, model: MRP | MDP | None) -> Self:
        if self.grid is not None:
            return self if self.atoms == self.grid.atoms else replace(self, atoms=self.grid.atoms)
        if model is None:
            raise ValueError("without a model the anchors must be given: SketchTD(grid=distrl.Grid(low, high, atoms))")
        return replace(self, grid=default_grid(model, self.atoms))

    @property
    def anchors(self) -> Grid:
        """The grid that `on` has filled in."""
        if self.grid is None:
            raise ValueError("the anchors are chosen for a model; give grid=, or ask method.on(model)")
        return self.grid

    @property
    def width(self) -> int:
        return self.anchors.atoms

    @property
    def arrays(self) -> int:
        return 3 if self.average_from is not None else 2

    def starts(self, start: Start, replications: int, states: int) -> FloatArray:
        shape = (replications, states, self.width)
        if start is None:  # the uniform law on the anchors
            return np.broadcast_to(self.features(self.anchors.points, self.anchors).mean(axis=0), shape)
        return for_replications(start, "embeddings", 0.0, shape)

    def remember(self, start: FloatArray) -> Memory:
        inverse = inverse_of(self.features, self.anchors)
        return {"embeddings": start, "averages": self.averages(start), "inverse": inverse}

    def renew(self, memory: Memory, transitions: Transitions, counts: IntArray, steps: FloatArray, block: int) -> None:
        embeddings, averages, inverse = memory["embeddings"], memory["averages"], memory["inverse"]
        states, rewards, next_states, weights, _ = transitions
        for first in range(0, len(steps), block):
            some = slice(first, first + block)
            here, reward, weight = states[some], rewards[some, None], weights[some, None]
            features = self.features(reward + weight * self.anchors.points, self.anchors)
            masses = embeddings[next_states[some]] @ inverse
            targets = np.where(weight == 0.0, features[:, 0], np.einsum("tj,tji->ti", masses, features))
            embeddings[here] += steps[some, None] * (targets - embeddings[here])
            if len(averages):
                share = 1.0 / np.maximum(counts[some, None] - self.burn_in, 1)
                averages[here] += share * (embeddings[here] - averages[here])

    def estimates(self, memory: Memory) -> FloatArray:
        return reported(memory, "embeddings")

    def means(self, estimates: FloatArray) -> FloatArray:
        flat = self.returns(estimates.reshape(-1, self.width)).mean()
        return np.asarray(flat).reshape(estimates.shape[:-1])

    def axis(self) -> dict[str, FloatArray]:
        return {"anchors": self.anchors.points}

    def returns(self, estimates: FloatArray) -> SketchReturns:
        return SketchReturns(self.features, self.anchors, estimates)
