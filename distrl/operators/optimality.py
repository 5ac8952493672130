"""The distributional optimality operators: a greedy choice by means, then one application of a Bellman operator.

For laws eta, one for every state of a decision process, let q(x, a) be the mean of the projected law of r + g eta(y),
(r, y) an outcome of the action a in x, and a*(x) an action of the largest mean by a stated rule for ties. The image of
eta is the projected law of a*(x) at every x. Its means are those that value iteration gives (exactly so on grids that
clip nothing, claim `mean-preservation`; quantiles do not keep means), and contract with modulus g.

The operator itself is no contraction, in any metric of laws, and need not have a fixed point: near a tie the smallest
change of a mean exchanges the whole law. Where in the limit one action is best by more than the tolerance the laws
converge; at a tie in the limit the law may change for ever while the means stand. Ties up to a `tolerance` are decided
by the position of the action alone, so that the choice is steady once the means are nearer than that.

Source: Bellemare, Dabney and Munos 2017, "A Distributional Perspective on Reinforcement Learning", section 3.4;
Bellemare, Dabney and Rowland 2023, "Distributional Reinforcement Learning", chapter 7.
"""

from typing import NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._tolerances import EPS
from distrl._validation import FloatArray, IntArray, real_number
from distrl.models.choices import Choices
from distrl.models.mdp import MDP
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.quantile import QuantileBellman
from distrl.returns.base import Returns
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.grid import Grid
from distrl.returns.quantile import QuantileReturns

TIES = ("first", "last")


class Chosen(NamedTuple):
    """One application.

    Attributes
    ----------
    laws : (S, m) probabilities or particles of the chosen actions' laws
    actions : (S,) int, the chosen actions
    means : (S,) of `laws`
    """

    laws: FloatArray
    actions: IntArray
    means: FloatArray


class GreedyChoice:
    """An action of the largest mean in every state; those within `tolerance` of it tie.

    Parameters
    ----------
    choices : Choices
    ties : "first" or "last"
        Which of the tied actions is taken, by their positions.
    tolerance : float, >= 0, in units of reward
    """

    def __init__(self, choices: Choices, ties: str, tolerance: float) -> None:
        if ties not in TIES:
            raise ValueError(f"ties must be 'first' or 'last', got {ties!r}")
        self.choices, self.ties, self.tolerance = choices, ties, real_number(tolerance, "tolerance", low=0.0)

    def pairs(self, means: FloatArray) -> IntArray:
        """(S,) the chosen pair of each state.

        Parameters
        ----------
        means : (pairs,)
        """
        states = self.choices.states
        largest = np.maximum.reduceat(means, self.choices.indptr[:-1])
        tied = np.flatnonzero(means >= largest[states] - self.tolerance)
        if self.ties == "last":
            tied = tied[::-1]
        _, first = np.unique(states[tied], return_index=True)
        return np.asarray(tied[first], dtype=np.int64)


def _decisions(mdp: MDP, name: str) -> MDP:
    if not isinstance(mdp, MDP):
        raise TypeError(f"{name} needs an MDP, got {mdp!r}; a Markov reward process has nothing to decide")
    return mdp


class CategoricalOptimality:
    """Greedy by means, then the categorical Bellman operator of the chosen actions; see the module for what it lacks.

    Parameters
    ----------
    mdp : MDP
    grid : Grid
        Where it clips, means are those of the clipped laws; `Grid.covering(mdp, atoms)` clips nothing.
    ties : "first" or "last"
        Which of the actions whose means tie is taken, by their positions.
    tolerance : float, optional
        Means this near to the largest one tie, in units of reward; None: up to the rounding of a mean, 8 eps times the
        number of atoms times the grid's largest size.

    Raises
    ------
    ValueError, TypeError
        On bad options, naming the argument, and if `mdp` is not an MDP.

    Notes
    -----
    Time that of `CategoricalBellman` on all (state, action) pairs; memory O(pairs m).

    Examples
    --------
    >>> import numpy as np, distrl
    >>> rows = [(0, 0, 1.0, 0, 1.0, True), (0, 1, 0.5, 0, 0.0, True), (0, 1, 0.5, 0, 3.0, True)]
    >>> T = CategoricalOptimality(distrl.MDP.from_outcomes(rows, discount=0.9), distrl.Grid(0, 3, 4))
    >>> T(np.array([[1.0, 0.0, 0.0, 0.0]])).tolist(), T.greedy(np.array([[1.0, 0.0, 0.0, 0.0]])).tolist()
    ([[0.5, 0.0, 0.0, 0.5]], [1])
    """

    @steady
    def __init__(self, mdp: MDP, grid: Grid, ties: str = "first", tolerance: float | None = None) -> None:
        self.mdp = _decisions(mdp, "CategoricalOptimality")
        self.actions_operator = CategoricalBellman.for_table(mdp.outcomes.whole, mdp.uniform_discount, grid)
        self.grid = grid
        if tolerance is None:
            tolerance = 8.0 * EPS * grid.atoms * max(abs(grid.low), abs(grid.high))
        self.choice = GreedyChoice(mdp.choices, ties, tolerance)

    def __repr__(self) -> str:
        return (
            f"CategoricalOptimality({self.mdp!r}, {self.grid}, ties={self.choice.ties!r}, "
            f"tolerance={self.choice.tolerance:g})"
        )

    def apply(self, probs: FloatArray) -> Chosen:
        """One application to (S, m) probabilities `probs`, taken as they are, and what was chosen."""
        return self._chosen(self.actions_operator.apply(probs).probs)

    def _chosen(self, images: FloatArray) -> Chosen:
        means = self.means(images)
        pairs = self.choice.pairs(means)
        return Chosen(images[pairs], self.mdp.choices.actions[pairs], means[pairs])

    @overload
    def __call__(self, probs: CategoricalReturns) -> CategoricalReturns: ...

    @overload
    def __call__(self, probs: ArrayLike) -> FloatArray: ...

    @steady
    def __call__(self, probs: CategoricalReturns | ArrayLike) -> CategoricalReturns | FloatArray:
        """One application to (S, m) probabilities `probs`, or `CategoricalReturns` on this grid, to the same kind.

        Raises
        ------
        ValueError, TypeError
            If the shape does not fit, or the returns live on another grid.
        """
        found = self._asked(probs).laws
        return CategoricalReturns.trusted(self.grid, found) if isinstance(probs, Returns) else found

    @steady
    def greedy(self, returns: CategoricalReturns | ArrayLike) -> IntArray:
        """(S,) the actions that are chosen where the states' laws are `returns`, as for a call; their positions."""
        return self._asked(returns).actions

    def means(self, probs: FloatArray) -> FloatArray:
        """(n,) the means of laws `probs` (n, m)."""
        return np.asarray(probs @ self.grid.points)

    def follow(self, probs: FloatArray, actions: IntArray, sweeps: int) -> FloatArray:
        """`sweeps` applications to `probs` (S, m) of the operator of a policy, one of `actions` a state: no choice."""
        operator = CategoricalBellman(self.mdp.under(actions).whole(), self.grid)
        for _ in range(sweeps):
            probs = operator.apply(probs).probs
        return probs

    def _asked(self, laws: CategoricalReturns | ArrayLike) -> Chosen:
        images = self.actions_operator(laws)  # which refuses what does not fit
        return self._chosen(images if isinstance(images, np.ndarray) else np.asarray(images.probs))


class QuantileOptimality:
    """Greedy by means of particles, then the quantile Bellman operator of the chosen actions.

    Quantiles do not keep means, so that the greedy policy may stay short of the best one, however long it is iterated;
    `distrl.control.QuantileValueIteration` says by how much.

    Parameters
    ----------
    mdp : MDP
    quantiles : int
        The number m of particles.
    flat : float in [0, 1]
        As for `QuantileBellman`.
    ties, tolerance
        As for `CategoricalOptimality`; None: up to the rounding of a mean, 8 eps times m times the largest particle.
    threads : int, optional

    Raises
    ------
    ValueError, TypeError
        On bad options, naming the argument, and if `mdp` is not an MDP.

    Notes
    -----
    Time that of `QuantileBellman` on all (state, action) pairs; memory O(pairs m).
    """

    @steady
    def __init__(
        self,
        mdp: MDP,
        quantiles: int,
        flat: float = 0.0,
        ties: str = "first",
        tolerance: float | None = None,
        threads: int | None = None,
    ) -> None:
        self.mdp = _decisions(mdp, "QuantileOptimality")
        table = mdp.outcomes.whole
        self.actions_operator = QuantileBellman.for_table(table, mdp.uniform_discount, quantiles, flat, threads)
        self.quantiles, self.flat, self.threads = self.actions_operator.quantiles, self.actions_operator.flat, threads
        self.choice = GreedyChoice(mdp.choices, ties, 0.0 if tolerance is None else tolerance)
        self._up_to_rounding = tolerance is None

    def __repr__(self) -> str:
        return f"QuantileOptimality({self.mdp!r}, quantiles={self.quantiles}, ties={self.choice.ties!r})"

    def apply(self, values: FloatArray) -> Chosen:
        """One application to (S, n) sorted particles `values`, and what was chosen."""
        return self._chosen(self.actions_operator(values))

    def _chosen(self, images: FloatArray) -> Chosen:
        means = self.means(images)
        choice = self.choice
        if self._up_to_rounding:
            size = float(np.abs(images).max(initial=0.0))
            choice = GreedyChoice(self.mdp.choices, choice.ties, 8.0 * EPS * self.quantiles * size)
        pairs = choice.pairs(means)
        return Chosen(images[pairs], self.mdp.choices.actions[pairs], means[pairs])

    @overload
    def __call__(self, values: QuantileReturns) -> QuantileReturns: ...

    @overload
    def __call__(self, values: ArrayLike) -> FloatArray: ...

    @steady
    def __call__(self, values: QuantileReturns | ArrayLike) -> QuantileReturns | FloatArray:
        """One application to (S, n) particles `values`, or to `QuantileReturns`, to the same kind, sorted.

        Raises
        ------
        ValueError, TypeError
            If there is not a row for each state.
        """
        found = self._asked(values).laws
        return QuantileReturns.trusted(found) if isinstance(values, Returns) else found

    @steady
    def greedy(self, returns: QuantileReturns | ArrayLike) -> IntArray:
        """(S,) the actions that are chosen where the states' laws are `returns`, as for a call; their positions."""
        return self._asked(returns).actions

    def means(self, values: FloatArray) -> FloatArray:
        """(n,) the means of laws with the particles `values` (n, m)."""
        return np.asarray(values.mean(axis=1))

    def follow(self, values: FloatArray, actions: IntArray, sweeps: int) -> FloatArray:
        """`sweeps` applications to `values` (S, m) of the operator of a policy, one of `actions` a state: no choice."""
        operator = QuantileBellman(self.mdp.under(actions).whole(), self.quantiles, self.flat, self.threads)
        for _ in range(sweeps):
            values = operator(values)
        return values

    def _asked(self, laws: QuantileReturns | ArrayLike) -> Chosen:
        images = self.actions_operator(laws)  # which refuses what does not fit
        return self._chosen(images if isinstance(images, np.ndarray) else images.values)
