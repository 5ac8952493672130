"""Temporal-difference methods: frozen dataclasses of options that know how to renew their estimates."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from distrl._kernels import td as kernels
from distrl._kernels.expectile import renew_expectiles
from distrl._validation import FloatArray, IntArray, float_array, whole_number
from distrl.models.mdp import MDP
from distrl.models.mrp import MRP
from distrl.returns.base import Returns, check_weights, read_only
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.expectile import ExpectileReturns
from distrl.returns.grid import Grid
from distrl.returns.moments import ValueEstimates
from distrl.returns.quantile import QuantileReturns, midpoint_levels
from distrl.td.sampling import Targets

if TYPE_CHECKING:
    from distrl.td.learner import Learner

#: What one replication remembers between updates, by name.
Memory = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TDMethod(ABC):
    """The options that all methods share.

    Parameters
    ----------
    steps : int or None
        Rewards in a target: sum_{i<n} discount^i r_i + discount^n G(state after n steps), n = `steps`. None: all to the
        end of the episode (Monte Carlo, nothing is bootstrapped). With synchronous and generative sampling each target
        is a path of its own; along a trajectory every visit is a target once its n rewards are there, which its
        episode's end brings forward.
    average_from : int or None
        Report averages of a state's estimates after each of its renewals but the first `average_from`: 0 is
        Polyak-Ruppert averaging, more leaves out a burn-in (tail averaging). None: the last estimate.
    """

    steps: int | None = 1
    average_from: int | None = None

    #: Largest step that is no extrapolation beyond the target.
    _largest_step: ClassVar[float] = 1.0
    #: Where `final` keeps the estimates, and whether they are one number a state there.
    _field: ClassVar[str] = "values"
    _scalar: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.steps is not None:
            object.__setattr__(self, "steps", whole_number(self.steps, "steps", low=1))
        if self.average_from is not None:
            object.__setattr__(self, "average_from", whole_number(self.average_from, "average_from"))

    def learner(
        self, model: MRP | MDP | int, discount: float | None = None, step_size: Any = 0.1, start: Any = None
    ) -> "Learner":
        """A learner to be fed transitions by hand; see `distrl.td.Learner`."""
        from distrl.td.learner import Learner

        return Learner(self, model, discount, step_size, start)

    def _on(self, model: MRP | MDP | None) -> Self:
        """This method with all that it takes from the model filled in."""
        return self

    @property
    def _default_start(self) -> float:
        """The start's entries unless a user gives others."""
        return 0.0

    @property
    def _all_at_once(self) -> bool:
        """Whether all states must be renewed together."""
        return False

    @property
    @abstractmethod
    def _width(self) -> int:
        """Numbers an estimate."""

    @property
    @abstractmethod
    def _arrays(self) -> int:
        """Arrays of (S, width) that a replication needs at most."""

    def _starts(self, start: Any, replications: int, states: int) -> FloatArray:
        """(R, S, width) the estimates to begin with, read-only: the user's, or the default.

        Raises
        ------
        ValueError, TypeError
            If `start` has another shape, or is no law where it should be one.
        """
        shape = (replications, states, self._width)
        if start is None:
            return np.broadcast_to(self._default_start, shape)
        given = getattr(start, self._field) if isinstance(start, Returns) else start
        array = float_array(given, "start")
        fits = array[..., None] if self._scalar else array
        if fits.shape not in (shape, shape[1:]):
            wanted = [side[:-1] if self._scalar else side for side in (shape[1:], shape)]
            raise ValueError(f"start has shape {array.shape}; it must be {wanted[0]}, or {wanted[1]} with replications")
        return np.broadcast_to(fits, shape)

    @abstractmethod
    def _remember(self, start: FloatArray) -> Memory:
        """The memory of one replication, from its start (S, width), which may be kept."""

    @abstractmethod
    def _renew(self, memory: Memory, targets: Targets, counts: IntArray, steps: FloatArray, block: int) -> None:
        """Learn from the targets, those of a block at once; `counts` numbers each state's renewals."""

    @abstractmethod
    def _estimates(self, memory: Memory) -> FloatArray:
        """(S, width) the estimates to report."""

    @abstractmethod
    def _means(self, estimates: FloatArray) -> FloatArray:
        """(..., S) the means of estimates (..., S, width)."""

    @abstractmethod
    def _returns(self, estimates: FloatArray) -> Any:
        """Estimates (..., S, width) as what a user works with."""

    def _axis(self) -> dict[str, FloatArray]:
        """What the last axis of estimates stands for, by name; for files."""
        return {}

    @property
    def _burn_in(self) -> int:
        return self.average_from or 0

    def _averages(self, start: FloatArray) -> FloatArray:
        """Where averages are kept: nowhere unless they are asked for."""
        return np.array(start) if self.average_from is not None else np.empty((0, start.shape[-1]))


@dataclass(frozen=True, kw_only=True)
class TD(TDMethod):
    """Temporal-difference learning of the mean: V(x) += a (r + discount V(y) - V(x)).

    Notes
    -----
    Time O(1) a renewal. Steps must be at most 1. Converges almost surely to (I - discount P)^{-1} r under Robbins-Monro
    steps. Source: Sutton 1988; Bellemare, Dabney, Rowland 2023.
    """

    _scalar: ClassVar[bool] = True

    @property
    def _width(self) -> int:
        return 1

    @property
    def _arrays(self) -> int:
        return 2

    def _remember(self, start: FloatArray) -> Memory:
        return {"values": start, "averages": self._averages(start)}

    def _renew(self, memory: Memory, targets: Targets, counts: IntArray, steps: FloatArray, block: int) -> None:
        kernels.renew_values(memory["values"], memory["averages"], self._burn_in, targets, counts, steps, block)

    def _estimates(self, memory: Memory) -> FloatArray:
        return _reported(memory, "values")

    def _means(self, estimates: FloatArray) -> FloatArray:
        return np.asarray(estimates[..., 0])

    def _returns(self, estimates: FloatArray) -> ValueEstimates:
        return ValueEstimates(read_only(estimates[..., 0]))


@dataclass(frozen=True, kw_only=True)
class MonteCarloTD(TD):
    """Every-visit Monte Carlo: V(x) += a (return that followed x - V(x)); `TD` with `steps=None`.

    With `Harmonic()` steps it is the average of the returns. Needs a model in which every state ends surely.
    """

    steps: int | None = None


@dataclass(frozen=True)
class VarianceReduced:
    """Recentring for `CategoricalTD`: epochs of `epoch` updates, of which the first `gathering` only gather.

    With q the estimate at the epoch's start, those average the sampled T q; the others move by

        p <- (1 - a) p + a (T p - T q + average of T q),

    both T from one transition, so that the noise of T p - T q vanishes as p nears q. Every update still uses one
    transition a state. The scheme is that of variance-reduced Q-learning (Wainwright 2019), on distributions.
    """

    epoch: int = 1000
    gathering: int = 500

    def __post_init__(self) -> None:
        object.__setattr__(self, "gathering", whole_number(self.gathering, "gathering", low=1))
        object.__setattr__(self, "epoch", whole_number(self.epoch, "epoch", low=self.gathering + 1))


@dataclass(frozen=True)
class CategoricalTD(TDMethod):
    """Categorical TD: p(x) <- (1 - a) p(x) + a Pi(law of r + discount Z(y)), Z(y) ~ p(y).

    Parameters
    ----------
    atoms : int
    grid : Grid, optional
        By default `Grid.covering(model, atoms)`.
    variant : None, "speedy" or VarianceReduced
        speedy: p_{k+1} = p_k + a (T p_{k-1} - p_k) + (1 - a) (T p_k - T p_{k-1}) with a = 1/(k+1), that is
        `step_size=Harmonic(offset=1)`; recalled from Böck and Heitzinger 2022, not checked against the paper. Both
        variants need synchronous sampling, take no averages, and may leave the simplex: `LearningRun.negative_mass`
        says how far, `run.values` are the means of the estimates as they are, and `run.at` gives the laws nearest to
        them in Cramér distance (isotonic regression of the CDF).

    Notes
    -----
    Time O(m) a renewal, memory 8 S m bytes a replication (a second time for the update itself). Steps must be at most
    1. Guarantees: converges almost surely to the categorical fixed point under Robbins-Monro steps; without clipping
    its means are TD's, whatever the samples. Source: Rowland et al. 2018; Peng et al. 2025 for the means.
    """

    atoms: int = 51
    grid: Grid | None = None
    variant: str | VarianceReduced | None = None

    _field: ClassVar[str] = "probs"

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
        """The same method on a grid from `low` to `high`, widened where that is one point."""
        return replace(self, grid=Grid._spanning(low, high, self.atoms))

    def _on(self, model: MRP | MDP | None) -> Self:
        if self.grid is not None:
            return self if self.atoms == self.grid.atoms else replace(self, atoms=self.grid.atoms)
        if model is None:
            raise ValueError(
                "without a model the grid must be given: CategoricalTD(grid=distrl.Grid(low, high, atoms))"
            )
        return replace(self, grid=Grid.covering(model, self.atoms))

    @property
    def _grid(self) -> Grid:
        assert self.grid is not None  # `_on` has chosen one
        return self.grid

    @property
    def _width(self) -> int:
        return self._grid.atoms

    @property
    def _arrays(self) -> int:
        return (
            4
            if isinstance(self.variant, VarianceReduced)
            else 3
            if self.variant or self.average_from is not None
            else 2
        )

    @property
    def _default_start(self) -> float:
        return 1.0 / self._grid.atoms

    @property
    def _all_at_once(self) -> bool:
        return self.variant is not None

    def _starts(self, start: Any, replications: int, states: int) -> FloatArray:
        if getattr(start, "grid", self._grid) != self._grid:
            raise ValueError(f"start is on {start.grid}, the method on {self._grid}; they must be equal")
        starts = super()._starts(start, replications, states)
        for laws in starts[:1] if starts.strides[0] == 0 else starts:
            check_weights(laws, "start")
        return starts

    def _remember(self, start: FloatArray) -> Memory:
        memory: Memory = {"probs": start, "averages": self._averages(start)}
        if self.variant == "speedy":
            memory["before"] = start.copy()
        elif self.variant is not None:
            memory["reference"], memory["centre"] = start.copy(), np.zeros_like(start)
        return memory

    def _renew(self, memory: Memory, targets: Targets, counts: IntArray, steps: FloatArray, block: int) -> None:
        probs, place = memory["probs"], (self._grid.low, self._grid.spacing)
        if self.variant == "speedy":
            kernels.renew_speedy(probs, memory["before"], targets, steps, block, *place)
        elif isinstance(self.variant, VarianceReduced):
            epochs = (self.variant.gathering, self.variant.epoch)
            kernels.renew_recentred(
                probs, memory["reference"], memory["centre"], targets, counts, steps, block, *place, *epochs
            )
        else:
            kernels.renew_categorical(probs, memory["averages"], self._burn_in, targets, counts, steps, block, *place)

    def _estimates(self, memory: Memory) -> FloatArray:
        return _reported(memory, "probs")

    def _means(self, estimates: FloatArray) -> FloatArray:
        return np.asarray(estimates @ self._grid.points)

    def _axis(self) -> dict[str, FloatArray]:
        return {"atoms": self._grid.points}

    def _returns(self, estimates: FloatArray) -> CategoricalReturns:
        signed = np.argwhere((estimates < 0.0).any(axis=-1))
        if len(signed):
            estimates = estimates.copy()
            for where in map(tuple, signed):
                estimates[where] = nearest_law(estimates[where])
        return CategoricalReturns.trusted(self._grid, estimates)


@dataclass(frozen=True)
class QuantileTD(TDMethod):
    """Quantile TD: theta_i(x) += a (tau_i - mean_j 1{r + discount theta_j(y) < theta_i(x)}), tau_i = (2i - 1) / (2m).

    Parameters
    ----------
    quantiles : int
        m.

    Notes
    -----
    No value moves by more than a (1 - 1/(2m)) in an update, whatever the rewards; a is in units of reward and may
    exceed 1: the spread of the returns times the step that TD would take is a start. Only the rank of theta_i among
    the sorted targets is needed. Up to 64 quantiles all pairs are compared, in vector instructions; more are kept
    sorted and merged with the targets: O(m) where few change places, O(m log m) at worst. Either way the result is
    bitwise that of the formula. Memory 12 S m bytes a replication (a second time for the update itself).
    Guarantee: converges to the set of quantile dynamic programming's fixed points if sum a_k = inf and
    a_k = o(1 / log k), for rewards with a finite mean. Source: Rowland et al. 2024, "An Analysis of Quantile
    Temporal-Difference Learning", Theorem 8.
    """

    quantiles: int = 51

    _largest_step: ClassVar[float] = np.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "quantiles", whole_number(self.quantiles, "quantiles", low=1))

    @property
    def _width(self) -> int:
        return self.quantiles

    @property
    def _arrays(self) -> int:
        return 4 if self.average_from is not None else 3

    def _remember(self, start: FloatArray) -> Memory:
        labels = np.broadcast_to(np.arange(self.quantiles), start.shape)
        if self.quantiles > kernels.FEW:
            labels = np.argsort(start, axis=-1, kind="stable")
        return {
            "values": np.take_along_axis(start, labels, axis=-1),
            "labels": labels.astype(np.int32),
            "averages": self._averages(start),
            "levels": midpoint_levels(self.quantiles),
        }

    def _renew(self, memory: Memory, targets: Targets, counts: IntArray, steps: FloatArray, block: int) -> None:
        kernels.renew_quantiles(
            memory["values"],
            memory["labels"],
            memory["averages"],
            self._burn_in,
            targets,
            counts,
            steps,
            block,
            memory["levels"],
        )

    def _estimates(self, memory: Memory) -> FloatArray:
        if self.average_from is not None:
            return np.asarray(memory["averages"])
        values = np.empty_like(memory["values"])
        np.put_along_axis(values, memory["labels"].astype(np.int64), memory["values"], axis=-1)
        return np.asarray(values)

    def _means(self, estimates: FloatArray) -> FloatArray:
        return np.asarray(estimates.mean(axis=-1))

    def _axis(self) -> dict[str, FloatArray]:
        return {"levels": midpoint_levels(self.quantiles)}

    def _returns(self, estimates: FloatArray) -> QuantileReturns:
        return QuantileReturns.trusted(estimates)


@dataclass(frozen=True)
class ExpectileTD(TDMethod):
    """Expectile TD: e_i(x) += 2 a E[|tau_i - 1{U < e_i(x)}| (U - e_i(x))], U = r + discount Z(y).

    Parameters
    ----------
    n : int
        Number of expectiles, at the levels (2i - 1) / (2n); where n is even 1/2 is one more. The expectile at 1/2 is
        the mean, and learns exactly as `TD` with the same steps and transitions.

    Notes
    -----
    Z(y) is a law with the expectiles e(y): the convex interpolation of the stop-loss transform, no search. Time
    O(n log n) a renewal, memory 8 S n bytes a replication. Steps must be at most 1, and are best below 1/2, where no
    expectile moves beyond its target. No proof of convergence is known to us. Source: Rowland et al. 2019, "Statistics
    and Samples in Distributional Reinforcement Learning", for the update; the imputation is this library's.
    """

    n: int = 11

    _field: ClassVar[str] = "expectiles"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "n", whole_number(self.n, "n", low=1))

    @property
    def taus(self) -> FloatArray:
        """The levels, in order."""
        return np.union1d(midpoint_levels(self.n), 0.5)

    @property
    def _width(self) -> int:
        return self.n + 1 - self.n % 2

    @property
    def _arrays(self) -> int:
        return 2

    def _remember(self, start: FloatArray) -> Memory:
        return {"expectiles": start, "averages": self._averages(start), "taus": self.taus}

    def _renew(self, memory: Memory, targets: Targets, counts: IntArray, steps: FloatArray, block: int) -> None:
        expectiles, averages, taus = memory["expectiles"], memory["averages"], memory["taus"]
        renew_expectiles(expectiles, averages, self._burn_in, targets, counts, steps, block, taus)

    def _estimates(self, memory: Memory) -> FloatArray:
        return _reported(memory, "expectiles")

    def _means(self, estimates: FloatArray) -> FloatArray:
        return estimates[..., self._width // 2]

    def _axis(self) -> dict[str, FloatArray]:
        return {"taus": self.taus}

    def _returns(self, estimates: FloatArray) -> ExpectileReturns:
        return ExpectileReturns.of(self.taus, estimates)


def nearest_law(masses: FloatArray) -> FloatArray:
    """The probabilities nearest to signed masses of sum 1 in Cramér distance: isotonic regression of the CDF."""
    from scipy.optimize import isotonic_regression  # slow to import, and only signed masses need it

    cdf = np.clip(isotonic_regression(np.cumsum(masses)[:-1]).x, 0.0, 1.0)
    return np.asarray(np.diff(cdf, prepend=0.0, append=1.0))


def _reported(memory: Memory, name: str) -> FloatArray:
    return np.asarray(memory["averages"] if len(memory["averages"]) else memory[name])
