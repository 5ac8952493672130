"""The sketch Bellman operator: one application to mean embeddings, without a law in between.

**Definition.** For a reward r and the anchors z_j, the Bellman coefficients B_r are those of least squares,

    B_r = argmin_B sum_j |phi(r + discount z_j) - B phi(z_j)|^2,

and U(x) <- sum over outcomes P (B_r U(y)), an outcome that ends adding P phi(r). With Phi the (m, m) matrix of phi(z_j)
and a = Phi^{+T} U the *signed masses* of an embedding, B_r U = sum_j a_j phi(r + discount z_j): the operator moves
signed masses on the anchors and sketches them again, so a reward costs no regression of its own.

**What is guaranteed.** One application is off by at most eps = sup over rewards and returns z of |phi(r + discount z) -
B_r phi(z)|, in any norm of R^m (claim `sketch-one-step`). With hat features the signed masses are the embedding itself
and the operator is `CategoricalBellman` (claim `sketch-hats-are-categorical`); with indicators it is dynamic
programming that rounds down (claim `sketch-indicators-round-down`). For smooth features it need not contract in any
norm.

Source: Wenliang et al. 2024, "Distributional Bellman Operators over Mean Embeddings", sections 3 and 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distrl._lazy import sparse
from distrl._memory import check_memory
from distrl._steady import steady
from distrl._validation import FloatArray, IntArray
from distrl.models.laws import FiniteLaw
from distrl.models.mrp import MRP
from distrl.returns.grid import Grid
from distrl.returns.sketch import Features


class SketchBellman:
    """U(x) <- sum over outcomes P B_r U(y), and P phi(r) for those that end.

    Parameters
    ----------
    model : MRP
        Rewards are numbers or laws of finitely many values.
    features : Features
    grid : Grid
        The m anchors, which are also the points of the regression.

    Notes
    -----
    Time O(nnz m + K m^2) an application, nnz the outcomes and K the pairs of a state and a different reward of it.
    Memory 8 R m^2 bytes for R different pairs of a reward and a discount.

    Raises
    ------
    ValueError, TypeError
        If a reward law has infinitely many values, naming the state, or the coefficients do not fit into memory.
    """

    @steady
    def __init__(self, model: MRP, features: Features, grid: Grid) -> None:
        if not isinstance(model, MRP):
            raise TypeError(f"SketchBellman needs an MRP, got {model!r}; an MDP needs .under(policy) first")
        if not isinstance(features, Features):
            raise TypeError(f"features must be Features such as Sigmoids(), got {features!r}")
        self.model, self.features, self.grid = model, features, grid
        sources, probs, successors, rewards, factors = _spelled_out(model)
        ends = factors == 0.0  # nothing of the successor's return is left then
        self._offset = np.zeros((model.n_states, grid.atoms))
        np.add.at(self._offset, sources[ends], probs[ends, None] * features(rewards[ends], grid))
        values, kind = np.unique(rewards[~ends], return_inverse=True)
        check_memory(len(values) * grid.atoms, grid.atoms, 2.0, "use fewer anchors")
        self._inverse = inverse_of(features, grid)
        self._parts: list[tuple[IntArray, sparse.csr_array, FloatArray]] = []
        for k, reward in enumerate(values):
            for factor in np.unique(factors[~ends][kind == k]):
                some = np.flatnonzero(~ends)[(kind == k) & (factors[~ends] == factor)]
                rows, place = np.unique(sources[some], return_inverse=True)
                given = (probs[some], (place, successors[some]))
                matrix = sparse.csr_array(given, shape=(len(rows), model.n_states))
                self._parts.append((rows, matrix, self.coefficients(float(reward), float(factor)).T))

    def coefficients(self, reward: float, discount: float | None = None) -> FloatArray:
        """(m, m) the Bellman coefficients B_r of `reward`; the model's discount, or another such as discount^n."""
        g = self.model.discount if discount is None else discount
        return (self._inverse @ self.features(reward + g * self.grid.points, self.grid)).T

    @steady
    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """(S, m) embeddings of the successors' laws to those of the targets'."""
        out = self._offset.copy()
        for rows, matrix, transposed in self._parts:
            out[rows] += (matrix @ embeddings) @ transposed
        return out


def inverse_of(features: Features, grid: Grid) -> FloatArray:
    """(m, m) Phi^+, the pseudoinverse of the anchors' features, rows phi(z_j): U Phi^+ are signed masses. O(m^3)."""
    return np.asarray(np.linalg.pinv(features(grid.points, grid)))


def _spelled_out(model: MRP) -> tuple[IntArray, FloatArray, IntArray, FloatArray, FloatArray]:
    """Outcomes (source, probability, successor, reward, discount) with finite reward laws as rows of their own.

    The discount of outcomes that end is 0.
    """
    table, factors = model.outcomes, model.discounts
    columns: list[tuple[Any, ...]] = []
    plain = table.laws < 0
    columns.append(
        tuple(column[plain] for column in (table.sources, table.probs, table.next_states, table.rewards, factors))
    )
    for k in np.flatnonzero(~plain):
        law = table.reward_laws[table.laws[k]]
        if not isinstance(law, FiniteLaw):
            raise ValueError(
                f"the reward {law!r} of state {int(table.sources[k])} has infinitely many values; sketches need laws "
                "of finitely many, such as a FiniteLaw of its quantiles"
            )
        n = len(law.values)
        row = (table.sources[k], table.probs[k] * law.probs, table.next_states[k], law.values, factors[k])
        columns.append(tuple(np.broadcast_to(entry, n) for entry in row))
    return tuple(np.concatenate(parts) for parts in zip(*columns, strict=True))  # type: ignore[return-value]
