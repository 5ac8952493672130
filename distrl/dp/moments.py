"""Mean, variance and higher moments of the return by one S x S linear solve each."""

import math
from dataclasses import dataclass

import numpy as np

from distrl._validation import FloatArray, whole_number
from distrl.dp.call import Call
from distrl.dp.resolvent import Resolvent
from distrl.dp.solution import Solution
from distrl.dp.status import Status
from distrl.models.mrp import MRP
from distrl.returns.moments import MomentReturns

_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)


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
    Raises ValueError if a reward law has no finite moment of that order, or a system is beyond float64.
    Claim: `elimination-relative-accuracy`. Source: Bellemare, Dabney, Rowland 2023; the variance recursion is Sobel's
    (1982).
    """

    order: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", whole_number(self.order, "order", low=1, high=64))

    def solve(self, model: MRP, call: Call) -> Solution:
        linear = Resolvent.of(model)
        moments, errors = central_moments(model, self.order, linear)
        call.count(self.order)
        rewards = float(absolute_rewards(model, of_laws=True).max())
        vanishing = _TINY ** (1.0 / max(self.order, 2))  # powers of smaller numbers are denormal
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
        return Solution(
            returns=MomentReturns(moments[1], moments, errors),
            status=Status.CONVERGED if float(bounds.max()) <= tol else Status.STALLED,
            iterations=self.order,
            residual=float(np.abs(left).max()),
            bounds=bounds,
            clipped_mass=0.0,
            elapsed=call.elapsed,
            certificate=None,
            tol=tol,
            solver="linear systems over states",
            reason=f"one for each moment, by {linear.how}",
            model=model,
            method=self,
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


def absolute_rewards(model: MRP, of_laws: bool = False) -> FloatArray:
    """(S,) E|r|, what rounding of mean one-step rewards is relative to: a law counts by its mean, or by its E|R|."""
    table = model.outcomes
    sizes = np.abs(table.rewards)
    if of_laws:
        means = np.array([*(law.absolute_mean() for law in table.reward_laws), 0.0])
        sizes = np.maximum(sizes, means[table.laws])
    weights = table.probs * sizes
    return np.asarray(np.bincount(table.sources, weights=weights, minlength=table.n_sources), dtype=np.float64)


def enclosed_mean(model: MRP, linear: Resolvent) -> tuple[FloatArray, FloatArray]:
    """Mean (S,) of the return, and a certain bound (S,) on its error.

    The bound covers rounding of the one-step means, what reward laws do not know of theirs, rounding of the solve, and
    the defect of rows that do not sum to 1: these are completed by the state's own loop, and any other reading of them
    is within the bound.
    """
    table = model.outcomes
    outcomes, rewards = np.diff(table.indptr) + 2.0, absolute_rewards(model, of_laws=True)
    mean, error = linear.enclose(model.expected_rewards, outcomes * _EPS * rewards + table.law_errors)
    defect = table.defects
    if defect.any():
        sizes = np.maximum.reduceat(np.abs(table.rewards), table.indptr[:-1])
        values = np.where(table.terminals, 0.0, np.abs(mean[table.next_states]))
        reach = np.maximum(np.abs(mean), np.maximum.reduceat(values, table.indptr[:-1]))
        error = error + 2.0 * linear.upper(defect * (sizes + reach))
    return mean, error


def mean_and_variance(
    model: MRP, linear: Resolvent | None = None, square: Resolvent | None = None
) -> tuple[FloatArray, FloatArray]:
    """Exact mean and variance (S,) of the return; variance inf where a reachable reward law's is.

    Time: two sparse solves over states.
    """
    linear = Resolvent.of(model) if linear is None else linear
    square = Resolvent.of(model, power=2) if square is None else square
    mean = linear.solve(model.expected_rewards)
    source = _Step(model, mean, np.zeros(model.n_states)).term(2, 0, np.ones(model.n_states))
    heavy = ~np.isfinite(source)
    variance = np.maximum(square.solve(np.where(heavy, 0.0, source)), 0.0)
    reaches = heavy.copy()
    while model.discount > 0.0:  # states from which an infinite variance can be met
        wider = reaches | (model.continuation @ reaches.astype(np.float64) > 0.0)
        if np.array_equal(wider, reaches):
            break
        reaches = wider
    return mean, np.where(reaches, math.inf, variance)


def central_moments(model: MRP, order: int, linear: Resolvent | None = None) -> tuple[FloatArray, FloatArray]:
    """(order + 1, S) moments and certain bounds on their errors.

    Row 0 ones, row 1 the MEAN (its central moment is 0), row k >= 2 the k-th central moment: by the recursion of
    `Moments`, or from the moments about 0, whose recursion adds numbers of one sign where rewards have one; at every
    state the one with the smaller bound.
    """
    for law in model.outcomes.reward_laws:
        for k in range(2, order + 1):
            if not math.isfinite(law.central_moment(k)):
                raise ValueError(f"the reward law {law!r} has no finite moment of order {k}; ask for order < {k}")
    linear = Resolvent.of(model) if linear is None else linear
    mean, error = enclosed_mean(model, linear)
    nothing = np.zeros(model.n_states)
    central, errors, raw, raw_errors = (np.zeros((order + 1, model.n_states)) for _ in range(4))
    central[0] = raw[0] = 1.0
    if order >= 1:
        raw[1], raw_errors[1] = mean, error
    about_mean, about_zero = _Step(model, mean, error), _Step(model, nothing, nothing)
    for k in range(2, order + 1):
        system = linear if model.discount == 1.0 else Resolvent.of(model, power=k)
        central[k], errors[k] = about_mean.moment(k, central, errors, system)
        raw[k], raw_errors[k] = about_zero.moment(k, raw, raw_errors, system)
        other, off = _recentred(k, raw, raw_errors)
        better = off < errors[k]
        central[k], errors[k] = np.where(better, other, central[k]), np.where(better, off, errors[k])
        if not np.isfinite(central[k]).all():
            raise ValueError(f"moments of order {k} are beyond float64 for rewards of this size; scale them down")
    central[1], errors[1] = mean, error
    return central, errors


def _recentred(k: int, raw: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The k-th central moment from those about 0, sum_j (k over j) raw_j (-V)^(k-j), and a bound on its error."""
    with np.errstate(over="ignore", invalid="ignore"):
        powers = [math.comb(k, j) * (-raw[1]) ** (k - j) for j in range(k + 1)]
        largest = [math.comb(k, j) * (np.abs(raw[1]) + errors[1]) ** (k - j) for j in range(k + 1)]
        value = sum(raw[j] * powers[j] for j in range(k + 1))
        plain = sum(np.abs(raw[j] * powers[j]) for j in range(k + 1))
        bound = sum((np.abs(raw[j]) + errors[j]) * largest[j] for j in range(k + 1))
        error = np.maximum(bound - plain, 0.0) + (4.0 * k + 8.0) * _EPS * bound
        error = error + np.where(raw[1] != 0.0, 2.0**k * k * _TINY * (1.0 + np.abs(raw[:k]).max(axis=0)), 0.0)
    return np.asarray(value), np.where(np.isfinite(error), error, np.inf)


class _Step:
    """d = r + g V(y) - V(x) of every outcome and how far off it can be, and what moments take from it."""

    def __init__(self, model: MRP, mean: FloatArray, error: FloatArray) -> None:
        self.model, table = model, model.outcomes
        successor = np.where(table.terminals, 0.0, model.discount * mean[table.next_states])
        onward = np.where(table.terminals, 0.0, model.discount * error[table.next_states])
        self.shift = table.rewards + successor - mean[table.sources]
        size = np.abs(table.rewards) + np.abs(successor) + np.abs(mean[table.sources])
        self.off = onward + error[table.sources] + 2.0 * _EPS * size

    def term(self, power: int, onward: int, moment: FloatArray, shift: FloatArray | None = None) -> FloatArray:
        """(S,) E[d^power c_onward(y)]; given |d| as `shift`, with the laws' moments in absolute value too.

        A return that has ended has c_0 = 1 and c_j = 0 for j > 0.
        """
        table = self.model.outcomes
        by = self.shift if shift is None else shift
        value = np.zeros(len(by))
        for j in range(power + 1):  # the reward's own central moments about the row's mean reward
            moments = [1.0 if j == 0 else 0.0, *(law.central_moment(j) for law in table.reward_laws)]
            own = np.array(moments)[table.laws + 1]
            own = own if shift is None else np.abs(own)
            value += np.where(own != 0.0, math.comb(power, j) * own * by ** (power - j), 0.0)
        weight = np.where(table.terminals, 1.0 if onward == 0 else 0.0, moment[table.next_states])
        return np.asarray(np.bincount(table.sources, weights=table.probs * value * weight, minlength=table.n_sources))

    def moment(
        self, k: int, moments: FloatArray, errors: FloatArray, system: Resolvent
    ) -> tuple[FloatArray, FloatArray]:
        """The k-th moment from the lower ones, and a bound on its error; inf where numbers are beyond float64.

        Every term of what is known is a product of numbers that are off by at most a known amount: it moves by the
        product of the largest absolute values less that of the computed ones, and by rounding of the former.
        """
        known, plain, largest = (np.zeros(self.model.n_states) for _ in range(3))
        with np.errstate(over="ignore", invalid="ignore"):
            for j in range(k):
                share = math.comb(k, j) * self.model.discount**j
                known += share * self.term(k - j, j, moments[j])
                size = np.abs(moments[j])
                plain += share * self.term(k - j, j, size, np.abs(self.shift))
                largest += share * self.term(k - j, j, size + errors[j], np.abs(self.shift) + self.off)
            terms = np.diff(self.model.outcomes.indptr) + 6.0 * k + 12.0
            room = np.maximum(largest - plain, 0.0) + 2.0 * terms * _EPS * largest
            if self.shift.any():  # what products lose that are no normal numbers any more
                reach = 1.0 + float(np.abs(moments[:k]).max()) + np.abs(self.shift).max() ** k
                room = room + terms * 2.0**k * _TINY * reach
            if not (np.isfinite(known).all() and np.isfinite(room).all()):
                return np.full(len(known), np.inf), np.full(len(known), np.inf)
            return system.enclose(known, room)
