"""Certified intervals for entropic risk, by its own recursion.

h_b(x) = (1/b) log E exp(b G(x)) satisfies

    h_b(x) = (1/b) log sum over outcomes of p E exp(b (R + g h_{bg}(y))),      h_b(y) = 0 where the return has ended,

so h at b needs h at b g, b g^2, ...: a family, cut after T steps, where mean, variance and range enclose h. The map is
increasing in h with slope g at most, so ends go through it and their gap shrinks with it: for returns on an interval of
a width w (Hoeffding) |h_c - E G| <= |c| w^2 / 8, which leaves |b| w^2 g^{2T} / 8. With the variance s^2 and
G - E G <= w above, for c > 0 (below, for c < 0; Bennett),

    s^2 c^2 f(-c w') <= E exp(c (G - E G)) - 1 <= s^2 c^2 f(c w),      f(u) = (e^u - 1 - u) / u^2,

w' the range on the other side, 0 where it has none. A distance in W1 says nothing of h: its tail counts exponentially.

At discount 1, u(x) = E exp(b G(x)) solves a linear system u = A u + c whose matrix may have any row sums; u is finite
iff its spectral radius is below 1, which a vector v > 0 with A v < v proves, and then a supersolution is an upper end.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from distrl._lazy import linalg, sparse
from distrl._tolerances import EPS, TINY
from distrl._validation import FloatArray
from distrl.dp.enclosure import CertifiedMoments
from distrl.dp.entropic_factors import MEMBERS, Family, Members, members_of_steps, settled_members
from distrl.dp.entropic_steps import Steps
from distrl.dp.exponents import bennett
from distrl.dp.horizon_walk import ForProcess
from distrl.models.mrp import MRP
from distrl.models.stages import Stages
from distrl.returns.arrays import StateIndex
from distrl.returns.functionals import Enclosing, Ends, EntropicRisk

_WORK = 5e7  # outcomes that are passed over, all steps together
_WORK_OF_STEPS = 5e8  # the same of the steps of a horizon
_NO_BETA = 1e-290  # a smaller one is none: the risk is the mean up to less than float64 can tell
_WORK_OF_FAMILY = 1e7  # the same where discounts differ, of all steps and members together
_FEWEST = 8  # members of a family that say more than mean, variance and range
_LEAST = 1e-2  # of the range of returns: where these say enough of an exponent
_OVERHEAD = 2000  # outcomes that a pass costs anyhow
_LONGEST = 10_000  # steps up to which a longest episode is looked for
_NEAR = 200  # steps of the recursion that bring the scale of the undiscounted system near the answer
_DIRECT = 5000  # states up to which the undiscounted system is solved


@dataclass(frozen=True, eq=False)
class EntropicEnds(Enclosing):
    """Ends of the entropic risks of every state at some betas, (S, K)."""

    low: FloatArray
    high: FloatArray

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.low.shape[:-1]

    def __getitem__(self, index: StateIndex) -> "EntropicEnds":
        return EntropicEnds(self.low[index], self.high[index])

    def entropic_ends(self, betas: FloatArray) -> Ends:
        return self.low, self.high


def entropic_ends(model: MRP, functional: EntropicRisk, moments: CertifiedMoments) -> EntropicEnds:
    """Certified ends of (1/beta) log E exp(beta G) for every state and every beta of `functional`.

    Infinite on the side that cannot be bounded: rewards whose exponential moment is infinite or not known (laws without
    a bound on that side, the normal family apart), or undiscounted returns with tails as heavy. What a row lacks of 1,
    or has too much, may lead to any state with any of the model's rewards, at discount 1 for ever, so that nothing is
    known there. Floating point is counted.

    Where outcomes have discounts of their own h is kept at a family of exponents and enclosed between them, see
    `distrl.dp.entropic_factors`: to rounding where all discounts are powers of one number, else to about a
    hundredth of h - E G, and wider where discounts are near 1.

    Time O(outcomes) a step and beta; about log(1e13) / (2 (1 - discount)) steps, fewer where that is too much work,
    which leaves the interval wider.
    """
    steps = Steps(model)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        ends = [_at(steps, float(beta), moments) for beta in np.atleast_1d(functional.points)]
    low, high = (np.stack(side, axis=-1) for side in zip(*ends, strict=True))
    return EntropicEnds(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))


def entropic_of_steps(stages: Stages, functional: EntropicRisk, moments: CertifiedMoments) -> EntropicEnds:
    """The same of returns of H steps, whose recursion has an end: h = 0 after the last one.

    Where that is too much work, what mean, variance and range of H steps say, `moments`.
    """
    steps_of, g = ForProcess(Steps), stages.uniform_discount
    outcomes = max(len(model.outcomes.probs) for model in stages.models)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        ends = []
        for beta in map(float, np.atleast_1d(functional.points)):
            if beta == 0.0:
                ends.append(moments.mean_ends())
            elif g is None:
                ends.append(_steps_of_factors(stages, beta, moments))
            elif (outcomes + _OVERHEAD) * stages.horizon > _WORK_OF_STEPS:
                ends.append(_bounded_ends(beta, moments))
            else:
                low = high = np.zeros(stages.n_states)
                for step in range(stages.horizon - 1, -1, -1):
                    b = math.copysign(max(abs(beta) * g**step, _NO_BETA), beta)
                    low, high = steps_of(stages.process(step)).back(b, low, high)
                ends.append(_with_jensen(beta, low, high, moments))
    low, high = (np.stack(side, axis=-1) for side in zip(*ends, strict=True))
    return EntropicEnds(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))


def _bounded_ends(beta: float, moments: CertifiedMoments) -> Ends:
    """Ends from mean, variance and range alone; infinite on a side that has no end."""
    bounded = np.isfinite(moments.low) & np.isfinite(moments.high)
    sides = (np.where(bounded, end, 0.0) for end in (moments.low, moments.high))
    low, high = far_ends(None, beta, replace(moments, low=next(sides), high=next(sides)))
    low, high = np.where(bounded, low, -np.inf), np.where(bounded, high, np.inf)
    return _with_jensen(beta, low, high, moments)


def _with_jensen(beta: float, low: FloatArray, high: FloatArray, moments: CertifiedMoments) -> Ends:
    low, high = low - TINY, high + TINY  # products of numbers that are no normal floats lose digits absolutely
    mean_low, mean_high = moments.mean_ends()
    return (np.maximum(low, mean_low), high) if beta > 0.0 else (low, np.minimum(high, mean_high))


def _at(steps: Steps, beta: float, moments: CertifiedMoments) -> Ends:
    if beta == 0.0:
        return moments.mean_ends()
    g = steps.model.uniform_discount
    if g is None:
        low, high = _of_factors(steps, beta, moments)
    elif g == 1.0:
        low, high = _undiscounted(steps, beta, moments)
    else:
        count = _steps_needed(steps, beta, moments)
        low, high = far_ends(steps, beta * g**count, moments)
        for step in range(count - 1, -1, -1):
            low, high = steps.back(beta * g**step, low, high)
    return _with_jensen(beta, low, high, moments)


def _of_factors(steps: Steps, beta: float, moments: CertifiedMoments) -> Ends:
    """Ends by the recursion of a family of exponents, from what mean, variance and range say of each of them."""
    width = moments.high - moments.low
    passes = int(_WORK / (len(steps.probs) + _OVERHEAD))
    least = _LEAST / max(abs(beta) * float(width.max()), 1.0) if np.isfinite(width).all() else _LEAST**2
    family = Family.of(beta, steps.model.discounts, max(least, 1e-12), max(min(passes // 2, MEMBERS), 1))
    sides = []
    for c in (family.exponents * family.sign).tolist():
        low, high = _with_jensen(c, *far_ends(steps, c, moments), moments)
        sides.append((low, high) if c > 0.0 else (-high, -low))
    low, high = (np.stack(side) for side in zip(*sides, strict=True))
    mean = moments.mean_ends() if beta > 0.0 else tuple(-end for end in reversed(moments.mean_ends()))
    found = settled_members(steps, family, Members(low, high, (mean[0], mean[1]), width), passes)
    return (found.low[0], found.high[0]) if beta > 0.0 else (-found.high[0], -found.low[0])


def _steps_of_factors(stages: Stages, beta: float, moments: CertifiedMoments) -> Ends:
    """The same of H steps, together with what mean, variance and range of H steps say."""
    low, high = _bounded_ends(beta, moments)
    outcomes = max(len(model.outcomes.probs) for model in stages.models)
    members = int(_WORK_OF_FAMILY / ((outcomes + _OVERHEAD) * max(stages.horizon, 1)))
    if members < _FEWEST:
        return low, high
    factors = np.unique(np.concatenate([model.discounts for model in stages.models]))
    found = members_of_steps(stages, Family.of(beta, factors, _LEAST**3, min(members, MEMBERS)))
    ends = (found.low[0], found.high[0]) if beta > 0.0 else (-found.high[0], -found.low[0])
    return np.fmax(low, ends[0]), np.fmin(high, ends[1])


def _steps_needed(steps: Steps, beta: float, moments: CertifiedMoments) -> int:
    """Until the cut leaves rounding, or until it is too much work."""
    g = steps.model.discount
    most = max(int(_WORK / (len(steps.probs) + _OVERHEAD)), 8)
    enough = 1e-13 * float(
        np.abs(moments.mean).max() + np.where(np.isfinite(moments.variance_high), moments.sd, 0.0).max()
    )

    def left(count: int) -> float:
        low, high = far_ends(steps, beta * g**count, moments)
        return float(g**count * (high - low).max())

    count = 1
    while count < most and not left(count) <= enough:
        count *= 2
    count = min(count, most)
    below = count // 2
    while count - below > max(1, count // 16):
        middle = (below + count) // 2
        below, count = (below, middle) if left(middle) <= enough else (middle, count)
    return count


def far_ends(steps: Steps | None, c: float, moments: CertifiedMoments) -> Ends:
    """Ends of h_c for small |c|, from mean, variance and range."""
    low, high = moments.mean_ends()
    if c == 0.0:
        return low, high
    sign = 1.0 if c > 0.0 else -1.0
    ahead = moments.high - low if sign > 0.0 else high - moments.low  # how far G may lie on the side that counts
    behind = high - moments.low if sign > 0.0 else moments.high - low
    more = bennett(abs(c), moments.variance_high, ahead)
    more = np.fmin(more, abs(c) * (moments.high - moments.low) ** 2 / 8.0 * (1.0 + 8.0 * EPS))
    less = np.where(np.isfinite(behind), bennett(abs(c), moments.variance_low, -behind) * (1.0 - 1e-9), 0.0)
    room = 8.0 * EPS * (np.abs(low) + np.abs(high) + more)
    low, high = (low + less, high + more) if sign > 0.0 else (low - more, high - less)
    if steps is not None and sign > 0.0:
        high = np.where(np.isfinite(moments.high), high, steps.farthest(c))
    elif steps is not None:
        low = np.where(np.isfinite(moments.low), low, steps.farthest(c))
    return low - np.where(np.isfinite(room), room, 0.0), high + np.where(np.isfinite(room), room, 0.0)


def _undiscounted(steps: Steps, b: float, moments: CertifiedMoments) -> Ends:
    """Ends from the recursion itself where episodes have a longest one, else from a linear system.

    That of u(x) = E exp(b (G(x) - m(x))), m near h: A and c are sums of p exp(b (r + m(y) - m(x))) over outcomes that
    go on, and that end.
    """
    n, table = steps.model.n_states, steps.model.outcomes
    unknown = np.full(n, -np.inf), np.full(n, np.inf)
    if steps.defects.any():
        return unknown
    low = high = np.zeros(n)
    for _ in range(_longest_episode(steps.model)):
        low, high = steps.back(b, low, high)
    if low is not high:
        return low, high
    if n > _DIRECT or not np.isfinite(moments.mean).all():
        return unknown
    mean = moments.mean
    for _ in range(_NEAR):
        low, high = steps.back(b, mean, mean)
        middle = low + 0.5 * (high - low)
        if not np.isfinite(middle).all():
            break
        mean = middle
    onward = np.where(steps.going_on, mean[table.next_states], 0.0)
    solved = []
    for rewards, side in zip(steps.exponents(b), (-1.0, 1.0), strict=True):
        exponent = b * (rewards + onward - mean[steps.sources])
        size = np.abs(b) * (np.abs(rewards) + np.abs(onward) + np.abs(mean[steps.sources]))
        grows = side if b > 0.0 else -side  # the larger end of the return is the smaller one of u for b < 0
        entries = (
            steps.probs * np.exp(exponent) * (1.0 + grows * (8.0 * size + steps.count[steps.sources] + 16.0) * EPS)
        )
        solved.append(_exponential_system(n, steps, entries, upper=grows > 0.0) if np.isfinite(entries).all() else None)
    low, high = (
        default if u is None else mean + np.log(np.maximum(u, 0.0)) / b
        for u, default in zip(solved, unknown, strict=True)
    )
    room = 16.0 * EPS * (np.abs(mean) + np.abs(np.where(np.isfinite(high), high, 0.0)))
    return low - room, high + room


def _longest_episode(model: MRP) -> int:
    """Steps after which every episode has ended, 0 where there is no such number."""
    alive = np.ones(model.n_states)
    for step in range(1, min(model.n_states, _LONGEST) + 1):
        alive = np.where(model.continuation @ alive > 0.0, 1.0, 0.0)
        if not alive.any():
            return step
    return 0


def _exponential_system(n: int, steps: Steps, entries: FloatArray, upper: bool) -> FloatArray | None:
    """A certain upper (or lower) bound of the smallest u >= 0 with u = A u + c; None where it is not proven finite."""
    table, on = steps.model.outcomes, steps.going_on
    matrix = sparse.csr_array((entries[on], (table.sources[on], table.next_states[on])), shape=(n, n))
    constant = np.bincount(table.sources[~on], weights=entries[~on], minlength=n)
    try:
        solve = linalg.splu(sparse.csc_matrix(sparse.eye_array(n, format="csc") - matrix.tocsc())).solve
    except RuntimeError:
        return None
    proof, guess = solve(np.ones(n)), np.maximum(solve(constant), 0.0)
    rounding = (np.diff(matrix.indptr).max(initial=0) + 8.0) * EPS
    gained = proof - matrix @ proof - rounding * (np.abs(proof) + matrix @ np.abs(proof))
    if not ((proof > 0.0).all() and (gained >= 0.5).all()):
        return None
    image = matrix @ guess + constant
    defect = image - guess if upper else guess - image
    worst = float((defect + rounding * (image + guess)).max())
    moved = 2.0 * max(worst, 0.0) * proof
    return np.asarray(guess + moved if upper else np.maximum(guess - moved, 0.0))
