"""Distributional value iteration for the mean: sweeps of an optimality operator, then the greedy policy's own bounds.

Sweeps are those of `operators.CategoricalOptimality` or `QuantileOptimality`. Laws need not converge where actions tie,
so that no law of an iterate is given out: what is kept is the greedy policy, whose law `evaluate` finds, with a
certificate. Its value is exact, by the linear system of its states, and what no policy goes beyond follows from one
backup of that, as for `PolicyIteration`: the bounds hold however the sweeps went.

With `evaluation_sweeps` k each choice is followed by k - 1 applications of the chosen policy's operator: k = 1 is value
iteration, large k policy iteration (Puterman and Shin's modified policy iteration, with laws in place of values).

Sources: Bellemare, Dabney and Rowland 2023, "Distributional Reinforcement Learning", chapter 7; Puterman and Shin 1978.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distrl._validation import FloatArray, real_number, whole_number
from distrl.control.bellman import Pairs
from distrl.control.method import ControlMethod, Found, largest_size
from distrl.control.policy_iteration import evaluated, found_markov
from distrl.control.upper import upper_bound
from distrl.dp.call import Call
from distrl.dp.on_grid import check_atoms_and_grid
from distrl.models.mdp import MDP
from distrl.operators import CategoricalOptimality, QuantileOptimality
from distrl.operators.optimality import TIES
from distrl.returns import Functional, Grid, Mean

_ENOUGH = 1e-4  # of the values' size: what is left of the means where no tolerance is asked for


@dataclass(frozen=True, kw_only=True)
class ValueIteration(ControlMethod):
    """What the two representations share: the sweeps, when they end, and the bounds.

    Parameters
    ----------
    ties : "first" or "last"
        Which of the actions whose means tie is taken, by their positions.
    tolerance : float, optional
        Means this near to the largest tie, in units of reward; None: up to rounding.
    evaluation_sweeps : int
        Sweeps for each choice of a policy.
    """

    ties: str = "first"
    tolerance: float | None = None
    evaluation_sweeps: int = 1
    counts: ClassVar[str] = "sweeps"

    def __post_init__(self) -> None:
        if self.ties not in TIES:
            raise ValueError(f"ties must be 'first' or 'last', got {self.ties!r}")
        if self.tolerance is not None:
            object.__setattr__(self, "tolerance", real_number(self.tolerance, "tolerance", low=0.0))
        object.__setattr__(self, "evaluation_sweeps", whole_number(self.evaluation_sweeps, "evaluation_sweeps", low=1))

    def serves(self, objective: Functional) -> bool:
        return isinstance(objective, Mean)

    @abstractmethod
    def operator(self, mdp: MDP) -> CategoricalOptimality | QuantileOptimality:
        """The optimality operator of `mdp`.

        Parameters
        ----------
        mdp : MDP
        """

    @abstractmethod
    def first_laws(self, mdp: MDP) -> FloatArray:
        """(S, m) the laws from which sweeps start.

        Parameters
        ----------
        mdp : MDP
        """

    def optimal(self, mdp: MDP, objective: Functional, call: Call) -> Found:
        """The greedy policy after enough sweeps, with certain bounds.

        Parameters
        ----------
        mdp : MDP
            Of one discount below 1.
        objective : Mean
        call : Call
            Sweeps end where what is left of the means could cost half of its `tol`, or at `max_iterations`.

        Raises
        ------
        ValueError
            At discount 1 and with a horizon.
        """
        if mdp.discount == 1.0 or call.horizon is not None:
            what = "at discount 1" if call.horizon is None else "with a horizon"
            raise ValueError(
                f"{type(self).__name__} sweeps towards laws of returns that go on, discounted; {what} use "
                "distrl.PolicyIteration()"
            )
        pairs, operator = Pairs(mdp), self.operator(mdp)
        laws, moved = self.first_laws(mdp), math.inf
        actions = mdp.choices.actions[mdp.choices.indptr[:-1]]
        far = mdp.discount / (1.0 - mdp.discount)
        limit = _most(mdp.discount) if call.max_iterations is None else call.max_iterations
        better = True
        call.enter("sweeping")
        with call.interruptible():
            while better and call.iterations < limit:
                chosen = operator.apply(laws)
                moved = float(np.abs(chosen.means - operator.means(laws)).max())
                actions, laws = chosen.actions, chosen.laws
                if self.evaluation_sweeps > 1:
                    laws = operator.follow(laws, actions, self.evaluation_sweeps - 1)
                call.count(self.evaluation_sweeps)
                size = largest_size(chosen.means, pairs.largest_reward)
                aim = _ENOUGH * size if call.tol is None else 0.5 * call.tol
                better = 2.0 * far * moved > aim
                call.report(2.0 * far * moved, aim)
        call.enter("bounding what any policy can reach")
        now = evaluated(pairs, mdp.choices.sources(np.arange(mdp.n_states), actions))
        upper, how = upper_bound(pairs, now)
        reason = (
            f"{call.iterations} sweeps by {operator!r}, the last choice moved means by {moved:.3g}; values by "
            f"{now.linear.how}, the upper bound by {how}"
        )
        limited = better and call.max_iterations is not None
        return found_markov(pairs, actions, now.values, (now.values - now.error, upper), limited, reason)


@dataclass(frozen=True)
class CategoricalValueIteration(ValueIteration):
    """Value iteration with laws on a grid: means are exact where it clips nothing, whatever the number of atoms.

    Parameters
    ----------
    ties, tolerance, evaluation_sweeps
        See `ValueIteration`.
    atoms : int
        Number of atoms, if no grid is given.
    grid : Grid, optional
        By default `Grid.covering(mdp, atoms)`, on which nothing is clipped.

    Raises
    ------
    ValueError, TypeError
        If an option is out of range.

    Notes
    -----
    Time O(nnz m) a sweep over all pairs, log(1e-4) / log(discount) sweeps or so. It finds what `PolicyIteration` finds,
    and is here to be looked at, and as the tabular limit of what deep learners do.
    """

    atoms: int = 51
    grid: Grid | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_atoms_and_grid(self)

    def operator(self, mdp: MDP) -> CategoricalOptimality:
        """The operator on the method's grid.

        Parameters
        ----------
        mdp : MDP
        """
        grid = Grid.covering(mdp, self.atoms) if self.grid is None else self.grid
        return CategoricalOptimality(mdp, grid, self.ties, self.tolerance)

    def first_laws(self, mdp: MDP) -> FloatArray:
        atoms = self.atoms if self.grid is None else self.grid.atoms
        laws = np.zeros((mdp.n_states, atoms))
        laws[:, atoms // 2] = 1.0
        return laws


@dataclass(frozen=True)
class QuantileValueIteration(ValueIteration):
    """Value iteration with quantiles. Their means are not exact, so that the gap of the bounds may stay.

    Parameters
    ----------
    ties, tolerance, evaluation_sweeps
        See `ValueIteration`.
    quantiles : int
    flat : float in [0, 1]
        As for `QuantileDP`.

    Raises
    ------
    ValueError, TypeError
        If an option is out of range.

    Notes
    -----
    Time O(K m log K) a sweep and pair, K its outcomes. The policy is greedy for means of particles; the bounds are
    about its true value, and say what that has cost.
    """

    quantiles: int = 51
    flat: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "quantiles", whole_number(self.quantiles, "quantiles", low=1))
        object.__setattr__(self, "flat", real_number(self.flat, "flat", low=0.0, high=1.0))

    def operator(self, mdp: MDP) -> QuantileOptimality:
        """The operator on so many quantiles.

        Parameters
        ----------
        mdp : MDP
        """
        return QuantileOptimality(mdp, self.quantiles, self.flat, self.ties, self.tolerance)

    def first_laws(self, mdp: MDP) -> FloatArray:
        return np.zeros((mdp.n_states, self.quantiles))


def _most(discount: float) -> int:
    """Sweeps after which a contraction has nothing left in float64: more are of no use, if quantiles go round."""
    return 2 if discount == 0.0 else max(2, math.ceil(math.log(1e-16 * (1.0 - discount)) / math.log(discount)))
