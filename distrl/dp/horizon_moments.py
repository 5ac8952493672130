"""Moments of returns of H steps by their recursion, and certain bounds on their errors.

With V_h the mean of the return of h steps and d = r + g V_{h-1}(y) - V_h(x) the one-step error of an outcome,

    V_h(x) = E[r + g V_{h-1}(y)],      c_{k,h}(x) = sum_j (k over j) E[d^(k-j) g^j c_{j,h-1}(y)]:

g the discount, or that of the outcome: no system to solve. Errors follow the same recursion: what is off by e at the
next states is off by g P e here, and the rounding of the step is added. Rows that did not sum to 1 count as mass that
may lead anywhere.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from distrl._tolerances import EPS, TINY
from distrl._validation import FloatArray
from distrl.dp.call import Call
from distrl.dp.certified_moments import law_blur
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.horizon_walk import ForProcess, Walked, held, onward, unknown_mass, walk
from distrl.dp.moment_systems import OneStep, absolute_rewards
from distrl.models.mrp import MRP
from distrl.models.stages import Stages


class MomentLayer(NamedTuple):
    """Moments (order + 1, S) of returns of so many steps, as `central_moments` gives them, and their errors."""

    steps: int
    moments: FloatArray
    errors: FloatArray


def moments_of_steps(stages: Stages, order: int, call: Call) -> Walked[MomentLayer]:
    """Means and central moments up to `order`. Time O(order^2) passes over the outcomes a step, memory O(order S).

    Raises
    ------
    ValueError
        If a reward law has no finite moment of that order, or moments are beyond float64.
    """
    for law in (law for model in stages.models for law in model.outcomes.reward_laws):
        for k in range(2, order + 1):
            if not math.isfinite(law.central_moment(k)):
                raise ValueError(f"the reward law {law!r} has no finite moment of order {k}; ask for order < {k}")

    def back(layer: MomentLayer, process: MRP) -> MomentLayer:
        mean, error = _mean_step(stages, process, layer.moments[1], layer.errors[1], layer.steps)
        below, wrong = layer.moments.copy(), layer.errors.copy()
        below[1], wrong[1] = 0.0, 0.0
        step = OneStep(process, mean, error, layer.moments[1], layer.errors[1])
        moments, errors = np.zeros_like(below), np.zeros_like(wrong)
        moments[0] = 1.0
        moments[1], moved = held(mean, layer.moments[1])
        errors[1] = error + moved
        lost = process.outcomes.defects
        for k in range(2, order + 1):
            moments[k], errors[k] = step.known(k, below, wrong, k + 1)
            if lost.any():
                errors[k] += 2.0 * lost * (2.0 * stages.reach(layer.steps + 1)) ** k
            moments[k], moved = held(moments[k], layer.moments[k])
            errors[k] += moved
            if not np.isfinite(moments[k]).all():
                raise ValueError(f"moments of order {k} are beyond float64 for rewards of this size; scale them down")
        if np.array_equal(errors, layer.errors) and np.array_equal(moments, layer.moments):
            return layer
        return MomentLayer(layer.steps + 1, moments, errors)

    start = np.zeros((order + 1, stages.n_states))
    start[0] = 1.0
    return walk(stages, call, MomentLayer(0, start, np.zeros_like(start)), back)


def _mean_step(
    stages: Stages, process: MRP, mean: FloatArray, error: FloatArray, steps: int
) -> tuple[FloatArray, FloatArray]:
    """The means of one step more, and a bound on their error."""
    table, later = process.outcomes, process.onward(mean)
    size = absolute_rewards(process, of_laws=True) + process.onward(np.abs(mean))
    floats = (np.diff(table.indptr) + 6.0) * EPS * size + np.where(size > 0.0, 4.0 * TINY, 0.0)
    unknown = table.law_errors + unknown_mass(stages, process, steps + 1)
    return process.expected_rewards + later, floats + unknown + onward(process, error)


class Facts(NamedTuple):
    """What is certain of the return of so many steps, (S,) each.

    mean, mean_error : E G, and a bound on the error of the number
    variance, variance_error : likewise, of reward laws with finite variances
    heavy : 1 where a law of infinite variance may be met, else 0
    blur : how far reward laws' stated means can move the mean
    low, high : ends that no return goes beyond, rounding included
    gains : sum of discount^(2 t) P(the step t is made), or of mean squares of products of factors, rounded up
    """

    steps: int
    mean: FloatArray
    mean_error: FloatArray
    variance: FloatArray
    variance_error: FloatArray
    heavy: FloatArray
    blur: FloatArray
    low: FloatArray
    high: FloatArray
    gains: FloatArray

    def certified(self) -> CertifiedMoments:
        """As bounds on mean, variance and range."""
        unknown = ~np.isfinite(self.variance) | ~np.isfinite(self.variance_error) | (self.heavy > 0.0)
        return CertifiedMoments(
            mean=self.mean,
            mean_error=self.mean_error + self.blur,
            variance_low=np.where(unknown, 0.0, np.maximum(self.variance - self.variance_error, 0.0)),
            variance_high=np.where(unknown, np.inf, np.maximum(self.variance, 0.0) + self.variance_error),
            low=self.low,
            high=self.high,
        )


class _Rows:
    """What a step needs of a process, once."""

    def __init__(self, process: MRP) -> None:
        table = process.outcomes
        self.table, self.starts, self.g = table, table.indptr[:-1], process.factors
        self.going_on = ~table.terminals & (self.g > 0.0)
        own = np.array([0.0, *(law.variance for law in table.reward_laws)])[table.laws + 1]
        self.own = np.where(np.isfinite(own), own, 0.0)
        self.heavy = self.sum(np.where(np.isfinite(own), 0.0, 1.0))
        self.blur, self.blurred = law_blur(process)
        self.lows, self.highs = table.reward_ranges()
        self.terms = np.diff(table.indptr) + 8.0

    def sum(self, values: FloatArray) -> FloatArray:
        """(S,) the sum over each state's outcomes of probability times value."""
        return np.asarray(np.add.reduceat(self.table.probs * values, self.starts))

    def next(self, vector: FloatArray) -> FloatArray:
        """(outcomes,) the discounted entry of the next state; 0 where the return ends."""
        return np.where(self.going_on, self.g * np.where(self.going_on, vector[self.table.next_states], 0.0), 0.0)

    def best(self, rewards: FloatArray, vector: FloatArray) -> FloatArray:
        """(S,) the largest reward and what follows, rounded up; 0 stays 0."""
        total = rewards + self.next(vector)
        size = np.abs(np.where(np.isfinite(rewards), rewards, 0.0)) + np.abs(total)
        raised = total + 4.0 * EPS * np.where(np.isfinite(size), size, 0.0)
        exact = (self.g == 1.0) & (total == np.round(total)) & (rewards == np.round(rewards)) & (size < 2.0**52)
        ends = np.asarray(np.maximum.reduceat(np.where(exact, total, raised), self.starts))
        # mass of which nothing is known may do what any state's outcomes do
        return np.where(self.table.defects > 0.0, ends.max(), ends) if self.table.defects.any() else ends


def facts_of_steps(stages: Stages, each: Callable[[Facts], None] | None = None) -> Facts:
    """What is certain of the returns of H steps; `each` is told of those of 0, 1, ... steps on the way.

    Time: some ten passes over the outcomes a step, O(H) of them, or fewer where nothing changes any more.
    """
    rows_of = ForProcess(_Rows)

    def back(below: Facts, process: MRP) -> Facts:
        rows = rows_of(process)
        table, steps = rows.table, below.steps + 1
        mean, error = _mean_step(stages, process, below.mean, below.mean_error, below.steps)
        after, here = rows.next(below.mean), mean[table.sources]
        shift = np.abs(table.rewards + after - here)
        off = error[table.sources] + rows.next(below.mean_error)
        off += 4.0 * EPS * (np.abs(table.rewards) + np.abs(after) + np.abs(here))
        blur = rows.sum(rows.blur) + onward(process, below.blur)
        if blur.any():
            off = off + blur[table.sources] + rows.next(below.blur) + rows.blur
        local = rows.sum(shift**2 + rows.own)
        lost = np.where(shift != 0.0, 4.0 * TINY, 0.0)
        wrong = rows.sum(2.0 * shift * off + off**2 + lost + rows.blurred) + rows.terms * EPS * local
        if table.defects.any():
            wrong = wrong + 2.0 * table.defects * (2.0 * stages.reach(steps)) ** 2
        variance = local + process.onward(below.variance, 2)
        wrong = wrong + onward(process, below.variance_error, 2) + rows.terms * EPS * variance
        mean, moved = held(mean, below.mean)
        variance, changed = held(variance, below.variance)
        low, high = 0.0 - rows.best(-rows.lows, -below.low), rows.best(rows.highs, below.high)
        heavy = np.minimum(rows.heavy + (process.largest_discount > 0.0) * (process.continuation @ below.heavy), 1.0)
        return Facts(
            steps=steps,
            mean=mean,
            mean_error=error + moved,
            variance=variance,
            variance_error=wrong + changed,
            heavy=np.where(heavy > 0.0, 1.0, 0.0),
            blur=blur,
            low=np.minimum(low, held(low, below.low)[0]),
            high=np.maximum(high, held(high, below.high)[0]),
            gains=1.0 + onward(process, below.gains, 2),
        )

    nothing = np.zeros(stages.n_states)
    reached = Facts(0, *(nothing for _ in range(9)))
    for process in stages.backwards():
        if each is not None:
            each(reached)
        following = back(reached, process)
        resting = (
            stages.stationary
            and reached.steps > 0
            and all(np.array_equal(a, b) for a, b in zip(following[1:], reached[1:], strict=True))
        )
        reached = following
        if resting:
            break
    if each is not None:
        each(reached)
    return reached
