"""Mean embeddings: expected features of a return law, and the laws imputed from them.

**Definitions.** Features are a map phi from returns to R^m; the *sketch* of a law Z is its mean embedding E phi(Z).
The features here are m functions placed on the m points z_1 < ... < z_m of a grid, its *anchors*, and flat outside of
it. Some sketches determine the masses on the anchors: hat functions give the categorical law itself, indicators give
the law rounded down to the anchors. Smooth ones do not, and a law is *imputed*: the masses p >= 0 on the anchors with
sum 1 whose embedding sum_j p_j phi(z_j) is nearest to the sketch in Euclidean distance.

Source: Wenliang et al. 2024, "Distributional Bellman Operators over Mean Embeddings".
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, float_array, real_number
from distrl.returns.arrays import StateIndex, read_only, state_index
from distrl.returns.finite import FiniteReturns
from distrl.returns.grid import Grid

_SUM = 1e4  # weight of the masses' sum beside their embedding, in units of the largest feature
_ON_ANCHOR = 1e-9  # of a spacing: a value so near below an anchor is taken for it, since it is mostly rounding


class Features(ABC):
    """Functions phi_1, ..., phi_m of a return, one for each anchor.

    A family supplies `of_places`; a frozen dataclass of its shape parameters is enough.
    """

    def __call__(self, values: ArrayLike, grid: Grid) -> FloatArray:
        """phi(values), shape values.shape + (m,), for the anchors of `grid`; values outside of it count as its ends.

        Time and memory O(m) a value.
        """
        inside = np.clip(np.asarray(values, dtype=np.float64), grid.low, grid.high)
        return self.of_places((inside - grid.low) / grid.spacing, grid.atoms)

    @abstractmethod
    def of_places(self, places: FloatArray, count: int) -> FloatArray:
        """phi at positions in units of the spacing, from 0 at the first of `count` anchors; places.shape + (count,)."""


@dataclass(frozen=True)
class Hats(Features):
    """phi_i falls from 1 at its anchor to 0 at both neighbours: the sketch is the law projected on the grid."""

    def of_places(self, places: FloatArray, count: int) -> FloatArray:
        return np.maximum(1.0 - np.abs(places[..., None] - np.arange(count)), 0.0)


@dataclass(frozen=True)
class Indicators(Features):
    """phi_i(z) = 1{z >= z_i}: the sketch is the survival function, and knows the law rounded down to the anchors."""

    def of_places(self, places: FloatArray, count: int) -> FloatArray:
        return np.asarray(places[..., None] >= np.arange(count) - _ON_ANCHOR, dtype=np.float64)


@dataclass(frozen=True)
class Sigmoids(Features):
    """phi_i(z) = 1 / (1 + exp(-slope (z - z_i) / spacing)), but phi_1 = 1, by which a sketch knows the mass of a law.

    Parameters
    ----------
    slope : float > 0
        In units of 1/spacing: how many logits a step between anchors is.

    Raises
    ------
    ValueError, TypeError
        If the slope is no positive number.
    """

    slope: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", _positive(self.slope, "slope"))

    def of_places(self, places: FloatArray, count: int) -> FloatArray:
        features = 0.5 * (1.0 + np.tanh(0.5 * self.slope * (places[..., None] - np.arange(count))))
        features[..., 0] = 1.0
        return np.asarray(features)


@dataclass(frozen=True)
class Gaussians(Features):
    """phi_i(z) = exp(-((z - z_i) / (width * spacing))^2 / 2) over the sum of all of them.

    They add up to 1 everywhere, so that a sketch knows the whole mass of a law, and the sketch Bellman operator keeps
    it. Without that an error of the mass would grow from sweep to sweep.

    Parameters
    ----------
    width : float > 0
        In units of the spacing.

    Raises
    ------
    ValueError, TypeError
        If the width is no positive number.
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", _positive(self.width, "width"))

    def of_places(self, places: FloatArray, count: int) -> FloatArray:
        bumps = np.exp(-0.5 * ((places[..., None] - np.arange(count)) / self.width) ** 2)
        return np.asarray(bumps / bumps.sum(axis=-1, keepdims=True))


def _positive(value: float, name: str) -> float:
    number = real_number(value, name)
    if number <= 0.0:
        raise ValueError(f"{name} must be positive, got {number:g}")
    return number


class SketchReturns(FiniteReturns):
    """Mean embeddings of return laws; all that is asked of the laws is read from those imputed on the anchors.

    Parameters
    ----------
    features : Features
    grid : Grid
        The m anchors.
    embeddings : (m,), (S, m) or (S, A, m)
        E phi(Z), as they were solved for or learnt; they need not be the embedding of any law.

    Attributes
    ----------
    features, grid, embeddings : as given; the array is read-only
    masses : batch + (m,)
        The imputed laws' probabilities at the anchors. Found when first needed: a non-negative least-squares problem a
        law, time O(m^3), typically less.

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, naming it.
    """

    def __init__(self, features: Features, grid: Grid, embeddings: ArrayLike) -> None:
        array = float_array(embeddings, "embeddings")
        if array.ndim not in (1, 2, 3) or array.shape[-1] != grid.atoms:
            raise ValueError(f"embeddings has shape {array.shape}; its last axis must be the {grid.atoms} anchors")
        self.features, self.grid, self.embeddings = features, grid, read_only(array)

    @cached_property
    def masses(self) -> FloatArray:
        """Batch + (n,) the probabilities on the grid whose features come nearest to the embeddings."""
        from scipy.optimize import nnls  # slow to import

        table = self.features(self.grid.points, self.grid)
        scale = _SUM * float(np.abs(table).max())
        system = np.vstack([table.T, np.full(self.grid.atoms, scale)])
        rows = self.embeddings.reshape(-1, self.grid.atoms)
        found = np.stack([nnls(system, np.append(row, scale))[0] for row in rows])
        return read_only((found / found.sum(axis=1, keepdims=True)).reshape(self.embeddings.shape))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.embeddings.shape[:-1]

    @property
    def spacing(self) -> float:
        return self.grid.spacing

    def support_weights(self) -> tuple[FloatArray, FloatArray]:
        return self.grid.points, self.masses

    def arrays(self) -> dict[str, FloatArray]:
        return {"anchors": self.grid.points, "embeddings": self.embeddings}

    def __getitem__(self, index: StateIndex) -> Self:
        return type(self)(self.features, self.grid, self.embeddings[state_index(index, self.batch_shape)])

    def describe(self) -> str:
        return f"{self.features!r} at {self.grid.atoms} anchors on [{self.grid.low:.6g}, {self.grid.high:.6g}]"
