"""Mean, variance and higher moments of the return by one S x S linear solve each."""

import math
from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, whole_number
from distrl.dp.resolvent import Resolvent
from distrl.dp.run import Run
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.returns.moments import MomentReturns


@dataclass(frozen=True)
class Moments:
    """Central moments of the return up to `order`, without its law.

    With V the mean and d = r + g V(y) - V(x) the one-step error of an outcome (V(y) = 0 if it ends),

        c_k(x) = E[(G(x) - V(x))^k] = sum_j (k over j) E[d^(k-j) g^j c_j(y)],

    one linear system (I - g^k P) c_k = what is known for each k; nothing cancels as raw moments do.

    Parameters
    ----------
    order : int
        Highest moment, at least 1 (mean); 2 adds the variance.

    Notes
    -----
    Time: `order` sparse solves over states and O(order^2) passes over the outcomes. `Solution.returns` is a
    `MomentReturns`: mean(), var(), std(), central_moment(k), skewness(), kurtosis(). No certificate: no law.
    Raises ValueError if a reward law has no finite moment of that order. Source: Bellemare, Dabney, Rowland 2023;
    the variance recursion is Sobel's (1982).
    """

    order: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", whole_number(self.order, "order", low=1, high=64))

    def _solve(self, model: MRP, run: Run) -> Solution:
        moments = central_moments(model, self.order)
        run.iterations = self.order
        scale = float(np.abs(moments[1]).max(initial=0.0))
        mean_defect = model.expected_rewards + model.discount * (model.continuation @ moments[1]) - moments[1]
        return Solution(
            returns=MomentReturns(moments[1], moments),
            status=Status.CONVERGED,
            iterations=self.order,
            residual=float(np.abs(mean_defect).max()),
            clipped_mass=0.0,
            elapsed=run.elapsed,
            certificate=None,
            tol=run.tol if run.tol is not None else 1e-12 * max(scale, 1.0),
            solver="linear systems over states",
            reason="one for each moment",
            model=model,
            method=self,
        )


def mean_and_variance(
    model: MRP, linear: Resolvent | None = None, square: Resolvent | None = None
) -> tuple[FloatArray, FloatArray]:
    """Exact mean and variance (S,) of the return; variance inf where a reachable reward law's is.

    Time: two sparse solves over states.
    """
    linear = Resolvent(model.continuation, model.discount) if linear is None else linear
    square = Resolvent(model.continuation, model.discount**2) if square is None else square
    mean = linear.solve(model.expected_rewards)
    source = np.asarray(_step_term(model, mean, 2, 0), dtype=np.float64)
    heavy = ~np.isfinite(source)
    variance = np.maximum(square.solve(np.where(heavy, 0.0, source)), 0.0)
    reaches = heavy.copy()
    while model.discount > 0.0:  # states from which an infinite variance can be met
        wider = reaches | (model.continuation @ reaches.astype(np.float64) > 0.0)
        if np.array_equal(wider, reaches):
            break
        reaches = wider
    return mean, np.where(reaches, math.inf, variance)


def central_moments(model: MRP, order: int) -> FloatArray:
    """(order + 1, S): row 0 ones, row 1 the MEAN (its central moment is 0), row k >= 2 the k-th central moment."""
    for law in model.outcomes.reward_laws:
        for k in range(2, order + 1):
            if not math.isfinite(law.central_moment(k)):
                raise ValueError(f"the reward law {law!r} has no finite moment of order {k}; ask for order < {k}")
    mean = Resolvent(model.continuation, model.discount).solve(model.expected_rewards)
    central = np.zeros((order + 1, model.n_states))
    central[0] = 1.0
    for k in range(2, order + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            known = sum(
                math.comb(k, j) * model.discount**j * _step_term(model, mean, k - j, j, central[j]) for j in range(k)
            )
        if not np.isfinite(known).all():
            raise ValueError(f"moments of order {k} are beyond float64 for rewards of this size; scale them down")
        central[k] = Resolvent(model.continuation, model.discount**k).solve(np.asarray(known))
    if order >= 1:
        central[1] = mean
    return central


def _step_term(model: MRP, mean: FloatArray, power: int, onward: int, moment: FloatArray | None = None) -> FloatArray:
    """(S,) E[d^power * c_onward(y)]; a return that has ended has c_0 = 1 and c_j = 0 for j > 0."""
    table = model.outcomes
    successor = np.where(table.terminals, 0.0, model.discount * mean[table.next_states])
    shift = table.rewards + successor - mean[table.sources]
    value = np.zeros(len(shift))
    for j in range(power + 1):  # the reward's own central moments about the row's mean reward
        own = np.array([1.0 if j == 0 else 0.0, *(law.central_moment(j) for law in table.reward_laws)])[table.laws + 1]
        value += np.where(own != 0.0, math.comb(power, j) * own * shift ** (power - j), 0.0)
    weight = np.ones(len(shift))
    if onward > 0 and moment is not None:
        weight = np.where(table.terminals, 0.0, moment[table.next_states])
    return np.asarray(np.bincount(table.sources, weights=table.probs * value * weight, minlength=table.n_sources))
