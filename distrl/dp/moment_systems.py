"""The linear systems over states whose solutions are the return's moments, and bounds on their errors."""

import math

import numpy as np

from distrl._tolerances import EPS, TINY
from distrl._validation import FloatArray
from distrl.dp.resolvent import Resolvent
from distrl.dp.scales import unknown_mass
from distrl.models.mrp import MRP


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
    mean, error = linear.enclose(model.expected_rewards, outcomes * EPS * rewards + table.law_errors)
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
    source = OneStep(model, mean, np.zeros(model.n_states)).term(2, 0, np.ones(model.n_states))
    heavy = ~np.isfinite(source)
    variance = np.maximum(square.solve(np.where(heavy, 0.0, source)), 0.0)
    reaches = heavy.copy()
    while model.largest_discount > 0.0:  # states from which an infinite variance can be met
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
    about_mean, about_zero = OneStep(model, mean, error), OneStep(model, nothing, nothing)
    for k in range(2, order + 1):
        system = linear if model.uniform_discount == 1.0 else Resolvent.of(model, power=k)
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
        error = np.maximum(bound - plain, 0.0) + (4.0 * k + 8.0) * EPS * bound
        error = error + np.where(raw[1] != 0.0, 2.0**k * k * TINY * (1.0 + np.abs(raw[:k]).max(axis=0)), 0.0)
    return np.asarray(value), np.where(np.isfinite(error), error, np.inf)


class OneStep:
    """d = r + g V(y) - V(x) of every outcome and how far off it can be, and what moments take from it.

    Parameters
    ----------
    model : MRP
    mean, error : (S,)
        V and a bound on its error.
    onward, onward_error : (S,), optional
        Those of the next states, where they are others: with fewer steps left.
    """

    def __init__(
        self,
        model: MRP,
        mean: FloatArray,
        error: FloatArray,
        onward: FloatArray | None = None,
        onward_error: FloatArray | None = None,
    ) -> None:
        self.model, table = model, model.outcomes
        following = mean if onward is None else onward
        wrong = error if onward_error is None else onward_error
        successor, off = model.next_values(following), model.next_values(wrong)
        self.shift = table.rewards + successor - mean[table.sources]
        size = np.abs(table.rewards) + np.abs(successor) + np.abs(mean[table.sources])
        self.off = off + error[table.sources] + 2.0 * EPS * size

    def term(self, power: int, onward: int, moment: FloatArray, shift: FloatArray | None = None) -> FloatArray:
        """(S,) E[d^power c_onward(y)]; given |d| as `shift`, with the laws' moments in absolute value too.

        A return that has ended has c_0 = 1 and c_j = 0 for j > 0. Discounts that differ by outcome count with the power
        `onward`; one that is the same for all is left to the caller.
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
        if onward and self.model.uniform_discount is None:
            weight = weight * self.model.discounts**onward
        return np.asarray(np.bincount(table.sources, weights=table.probs * value * weight, minlength=table.n_sources))

    def moment(
        self, k: int, moments: FloatArray, errors: FloatArray, system: Resolvent
    ) -> tuple[FloatArray, FloatArray]:
        """The k-th moment from the lower ones, and a bound on its error; inf where numbers are beyond float64.

        Every term of what is known is a product of numbers that are off by at most a known amount: it moves by the
        product of the largest absolute values less that of the computed ones, and by rounding of the former.
        """
        known, room = self.known(k, moments, errors, k)
        if not (np.isfinite(known).all() and np.isfinite(room).all()):
            return np.full(len(known), np.inf), np.full(len(known), np.inf)
        return system.enclose(known, room)

    def known(self, k: int, moments: FloatArray, errors: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
        """(S,) what the first `count` moments of the next states contribute to the k-th one, and a bound on its error.

        `moments` and `errors`: rows (S,), that of order 1 about the mean, which is 0.
        """
        known, plain, largest = (np.zeros(self.model.n_states) for _ in range(3))
        same = 1.0 if self.model.uniform_discount is None else self.model.uniform_discount
        with np.errstate(over="ignore", invalid="ignore"):
            for j in range(count):
                share = math.comb(k, j) * same**j
                known += share * self.term(k - j, j, moments[j])
                size = np.abs(moments[j])
                plain += share * self.term(k - j, j, size, np.abs(self.shift))
                largest += share * self.term(k - j, j, size + errors[j], np.abs(self.shift) + self.off)
            terms = np.diff(self.model.outcomes.indptr) + 6.0 * k + 12.0
            room = np.maximum(largest - plain, 0.0) + 2.0 * terms * EPS * largest
            if self.shift.any():  # what products lose that are no normal numbers any more
                reach = 1.0 + float(np.abs(moments[:count]).max()) + np.abs(self.shift).max() ** k
                room = room + terms * 2.0**k * TINY * reach
        return known, np.asarray(room)


def mean_defect(model: MRP, mean: FloatArray) -> FloatArray:
    """(S,) bound on |r + g P V - V| for V = `mean`, its rounding and what rows that do not sum to 1 hide included."""
    onward = model.onward(mean)
    defect = np.abs(model.expected_rewards + onward - mean)
    terms = np.diff(model.outcomes.indptr) + 4.0
    size = np.abs(model.expected_rewards) + np.abs(mean) + model.onward(np.abs(mean))
    table = model.outcomes
    rewards = np.bincount(table.sources, weights=table.probs * np.abs(table.rewards), minlength=model.n_states)
    return np.asarray(defect + terms * EPS * (size + rewards) + table.law_errors + unknown_mass(model))
