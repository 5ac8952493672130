"""Q-learning and SARSA with means, categorical laws, quantiles and expectiles."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Self

import numpy as np

from distrl._kernels import td as kernels
from distrl._validation import FloatArray
from distrl.models.mdp import MDP
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.expectile import ExpectileReturns
from distrl.returns.grid import Grid
from distrl.returns.moments import ValueEstimates
from distrl.returns.quantile import QuantileReturns
from distrl.td.acting.q import Compiled, QMethod, check_pair_rule, check_update
from distrl.td.categorical import CategoricalTD
from distrl.td.expectile import ExpectileTD
from distrl.td.quantile import QuantileTD
from distrl.td.rule import LearningRule, Memory, R
from distrl.td.values import TD


@dataclass(frozen=True)
class MeanQ(QMethod[ValueEstimates]):
    """Q-learning of the mean: Q(x, a) += step (r + discount Q(y, b) - Q(x, a)), b the best action at y.

    Parameters
    ----------
    update : "q" or "sarsa"
        sarsa: b is the action that is played at y.

    Notes
    -----
    Time O(1) an update, and O(actions) for the choice. Steps must be at most 1. For "q" the estimates converge almost
    surely to the optimal values under Robbins-Monro steps if every pair is renewed for ever. Source: Watkins and Dayan
    1992, "Q-learning".

    Raises
    ------
    ValueError
        On another `update`.
    """

    update: str = "q"

    def __post_init__(self) -> None:
        check_update(self.update)

    @cached_property
    def rule(self) -> TD:
        """`TD()`."""
        return TD()

    def on(self, model: MDP | None) -> Self:
        return self

    def linear(self, memory: Memory) -> tuple[FloatArray, FloatArray]:
        return memory["values"], np.ones(1)

    def compiled(self, memory: Memory) -> Compiled:
        return kernels.play_values, (memory["values"], memory["averages"])


@dataclass(frozen=True)
class CategoricalQ(QMethod[CategoricalReturns]):
    """Categorical Q-learning: p(x, a) <- (1 - step) p(x, a) + step Pi(law of r + discount Z(y, b)), b the best action.

    Parameters
    ----------
    atoms : int
    grid : Grid, optional
        By default that of `CategoricalTD`. Where it clips nothing, as `Grid.covering(mdp, atoms)`, the means are those
        of `MeanQ`, update by update.
    update : "q" or "sarsa"
        As for `MeanQ`; the best action is that of the largest mean.

    Notes
    -----
    The rule is `CategoricalTD`, its states the (state, action) pairs: time O(atoms) an update, memory 8 atoms bytes a
    pair and replication. Source: Bellemare, Dabney and Munos 2017, "A Distributional Perspective on Reinforcement
    Learning"; Rowland et al. 2018, Theorem 2, for its convergence where the best policy is unique.

    Raises
    ------
    ValueError, TypeError
        If an option is not what it must be, naming it.
    """

    atoms: int = 51
    grid: Grid | None = None
    update: str = "q"

    def __post_init__(self) -> None:
        check_update(self.update)
        rule = CategoricalTD(self.atoms, self.grid)
        object.__setattr__(self, "atoms", rule.atoms if rule.grid is None else rule.grid.atoms)

    @cached_property
    def rule(self) -> CategoricalTD:
        """`CategoricalTD(atoms, grid)`."""
        return CategoricalTD(self.atoms, self.grid)

    def on(self, model: MDP | None) -> Self:
        if model is None and self.grid is None:
            raise ValueError("without a model the grid must be given: CategoricalQ(grid=distrl.Grid(low, high, atoms))")
        return replace(self, grid=self.rule.on(model).grid)

    def linear(self, memory: Memory) -> tuple[FloatArray, FloatArray] | None:
        return None if self.grid is None else (memory["probs"], np.array(self.grid.points))

    def compiled(self, memory: Memory) -> Compiled | None:
        if self.grid is None:
            return None
        place = (self.grid.low, self.grid.spacing)
        return kernels.play_categorical, (memory["probs"], memory["averages"], *place)


@dataclass(frozen=True)
class QuantileQ(QMethod[QuantileReturns]):
    """Quantile Q-learning: theta_i(x, a) += step (tau_i - share of the targets r + discount theta_j(y, b) below it).

    Parameters
    ----------
    quantiles : int
    update : "q" or "sarsa"
        As for `MeanQ`; the best action is that of the largest mean of the quantiles.

    Notes
    -----
    The rule is `QuantileTD`, its states the (state, action) pairs: costs and steps are as there. Its means are not
    those of `MeanQ`, and the action that is best by them may be another one. Source: Dabney et al. 2018,
    "Distributional Reinforcement Learning with Quantile Regression".

    Raises
    ------
    ValueError, TypeError
        If an option is not what it must be, naming it.
    """

    quantiles: int = 51
    update: str = "q"

    def __post_init__(self) -> None:
        check_update(self.update)
        object.__setattr__(self, "quantiles", QuantileTD(self.quantiles).quantiles)

    @cached_property
    def rule(self) -> QuantileTD:
        """`QuantileTD(quantiles)`."""
        return QuantileTD(self.quantiles)

    def on(self, model: MDP | None) -> Self:
        return self

    def linear(self, memory: Memory) -> tuple[FloatArray, FloatArray]:
        return memory["values"], np.full(self.quantiles, 1.0 / self.quantiles)

    def compiled(self, memory: Memory) -> Compiled:
        own = (memory["values"], memory["averages"], memory["labels"], memory["levels"])
        return kernels.play_quantiles, own


@dataclass(frozen=True)
class ExpectileQ(QMethod[ExpectileReturns]):
    """Expectile Q-learning: the update of `ExpectileTD` for (x, a), its target the law imputed from e(y, b).

    Parameters
    ----------
    n : int
        Number of expectiles; the one at 1/2 is the mean, and learns exactly as `MeanQ`.
    update : "q" or "sarsa"
        As for `MeanQ`.

    Notes
    -----
    Time O(n log n) an update. Updates of one pair at a time are made in Python, some 15 microseconds each; with
    synchronous sampling the pairs of an update share that. Source: Rowland et al. 2019, "Statistics and Samples in
    Distributional Reinforcement Learning".

    Raises
    ------
    ValueError, TypeError
        If an option is not what it must be, naming it.
    """

    n: int = 11
    update: str = "q"

    def __post_init__(self) -> None:
        check_update(self.update)
        object.__setattr__(self, "n", ExpectileTD(self.n).n)

    @cached_property
    def rule(self) -> ExpectileTD:
        """`ExpectileTD(n)`."""
        return ExpectileTD(self.n)

    def on(self, model: MDP | None) -> Self:
        return self

    def linear(self, memory: Memory) -> tuple[FloatArray, FloatArray]:
        middle = np.arange(self.rule.width) == self.rule.width // 2
        return memory["expectiles"], middle.astype(np.float64)


@dataclass(frozen=True)
class QLearning(QMethod[R], Generic[R]):
    """Q-learning or SARSA by any learning rule, your own for example; its states are (state, action) pairs here.

    Parameters
    ----------
    learning_rule : LearningRule
        Of one step: `TD(average_from=100)`, `SketchTD()`.
    update : "q" or "sarsa"
        As for `MeanQ`. The best action is the one whose estimate, as the rule reports it, has the largest mean.

    Notes
    -----
    Updates of one pair at a time are made in Python, some 15 microseconds each.

    Raises
    ------
    ValueError, TypeError
        If it is no rule, or has targets of several steps.
    """

    learning_rule: LearningRule[R]
    update: str = "q"

    def __post_init__(self) -> None:
        check_update(self.update)
        check_pair_rule(self.learning_rule)

    @property
    def rule(self) -> LearningRule[R]:
        """The rule."""
        return self.learning_rule

    def on(self, model: MDP | None) -> Self:
        return replace(self, learning_rule=self.learning_rule.on(model))
