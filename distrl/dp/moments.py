"""Mean, variance and higher moments of the return by one S x S linear solve each.

Definitions. V(x) = E G(x) is the mean of the return, c_k(x) = E (G(x) - V(x))^k its k-th central moment.

Operator. V = r + g P V, and c_k solves (I - g^k P) c_k = what lower moments give: linear systems over states, P the
probabilities of going on (`distrl.dp.moment_systems`).

Termination. Each system is solved once. CONVERGED means that the certified bound on what float64 made of the moments
is at most the tolerance (claim `elimination-relative-accuracy`).

Sources: Sobel 1982, "The Variance of Discounted Markov Decision Processes"; Bellemare, Dabney, Rowland 2023.
"""

import math
from dataclasses import dataclass

import numpy as np

from distrl._tolerances import TINY
from distrl._validation import FloatArray, whole_number
from distrl.dp.call import Call
from distrl.dp.horizon_moments import moments_of_steps
from distrl.dp.horizon_walk import ended, left_out, steps_in_words
from distrl.dp.moment_systems import absolute_rewards, central_moments
from distrl.dp.resolvent import Resolvent
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.moments import MomentReturns


@dataclass(frozen=True)
class Moments:
    """Central moments of the return up to `order`, without its law.

    With V the mean and d = r + g V(y) - V(x) the one-step error of an outcome (V(y) = 0 if it ends),

        c_k(x) = E[(G(x) - V(x))^k] = sum_j (k over j) E[d^(k-j) g^j c_j(y)],

    one linear system (I - g^k P) c_k = what is known for each k. The same with d = r gives moments about 0, which lose
    what cancels in c_2 = m_2 - V^2 but do not add up the rounding of V at every step: the better bound decides, state
    by state.

    Parameters
    ----------
    order : int
        Highest moment, at least 1 (mean); 2 adds the variance.

    Raises
    ------
    ValueError
        If `order` is out of range. From `evaluate`: if a reward law has no finite moment of that order, or a system is
        beyond float64.

    Notes
    -----
    Time: `order` solves over states and O(order^2) passes over the outcomes. `Solution.returns` is a `MomentReturns`:
    mean(), var(), std(), central_moment(k), skewness(), kurtosis(), and certified bounds on what float64 made of them:
    `mean_error`, `variance_error`, `central_moment_error(k)`, each (S,). Systems are solved by elimination without
    subtraction where it is affordable, so that a mean errs by rounding of (I - g P)^{-1} E|r| whatever the discount;
    `Solution.reason` says which way was taken. CONVERGED means that these bounds are at most `tol`, that of the k-th
    moment divided by k s^(k - 1), s the largest standard deviation or the bound's k-th root if that is larger, so that
    it is in units of reward: the largest at a state is its entry of `Solution.bounds`. tol=None is 1e-9 of the largest
    (I - g P)^{-1} E|r|, and no less than 1e-151 for order 2, as squares of smaller numbers are denormal. Above `tol`
    the status is STALLED.
    Moments of reward laws are taken as the laws state them. No certificate: no law.
    Claim: `elimination-relative-accuracy`. Source: Bellemare, Dabney, Rowland 2023; the variance recursion is Sobel's
    (1982).
    """

    order: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", whole_number(self.order, "order", low=1, high=64))

    def solve(self, model: MRP, call: Call) -> Solution[MomentReturns]:
        """The return laws of `model`, as `call` asks for them; see `Method.solve`."""
        linear = Resolvent.of(model)
        moments, errors = central_moments(model, self.order, linear)
        call.count(self.order)
        rewards = float(absolute_rewards(model, of_laws=True).max())
        vanishing = TINY ** (1.0 / max(self.order, 2))  # powers of smaller numbers are denormal
        bounds = _in_units_of_reward(moments, errors)
        if 0.0 < rewards < vanishing:
            bounds = np.maximum(bounds, vanishing)
        left = model.expected_rewards - linear.apply(moments[1])
        tol = call.tol
        if tol is None or not call.given:
            sizes = linear.solve(absolute_rewards(model, of_laws=True))
            tol = max(1e-9 * float(sizes.max()), 1e3 * vanishing, tol or 0.0)
            if model.outcomes.defects.any() and np.isfinite(bounds).all():
                tol = max(tol, float(bounds.max()))  # nothing finer can be had of rows with a defect
        return Solution.of(
            MomentReturns(moments[1], moments, errors),
            model,
            self,
            call,
            status=Status.CONVERGED if float(bounds.max()) <= tol else Status.STALLED,
            bounds=bounds,
            residual=float(np.abs(left).max()),
            tol=tol,
            solver="linear systems over states",
            reason=f"one for each moment, by {linear.how}",
        )

    def solve_horizon(self, stages: Stages, call: Call) -> Solution[MomentReturns]:
        """The moments of H steps by their recursion, with bounds on what float64 made of them.

        `stages` and `call` are as `HorizonMethod` says.

        Where not all steps were made, nothing is known but the mean, up to what they can change of it.
        """
        walked = moments_of_steps(stages, self.order, call)
        moments, errors = walked.layer.moments, walked.layer.errors.copy()
        left = left_out(stages, walked.done)
        if left > 0.0:
            errors[1] += left
            errors[2:] = np.inf
        bounds = _in_units_of_reward(moments, errors)
        status, tol = ended(stages, call, walked.done, bounds)
        return Solution.of(
            MomentReturns(moments[1], moments, errors),
            stages.process(0),
            self,
            call,
            status=status,
            bounds=bounds,
            tol=tol,
            solver="steps",
            reason=steps_in_words(stages, walked.done),
        )


def _in_units_of_reward(moments: FloatArray, errors: FloatArray) -> FloatArray:
    """(S,) the largest error bound of the mean, and of moments k >= 2 over k s^(k - 1), s the largest deviation."""
    worst = errors[1].copy()
    size = math.sqrt(float((np.abs(moments[2]) + errors[2]).max())) if len(moments) > 2 else 0.0
    for k in range(2, len(moments)):
        if errors[k].any():
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                reach = np.maximum(size, errors[k] ** (1.0 / k))  # an error larger than s^k moves s by its root
                worst = np.maximum(worst, errors[k] / (k * reach ** (k - 1)))
    return np.where(np.isnan(worst), np.inf, worst)
