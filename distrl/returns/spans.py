"""How far undiscounted returns reach: exactly by components, or but for a probability by exponential moments.

Range. The largest return is the reward of the longest walk to an end. Over strongly connected components, those that
lead nowhere else first, it is finite unless a cycle pays: then, and only then, returns have no largest value.

Tail. With A(x, y) = sum p e^(theta r) over the outcomes that go on, and b likewise over those that end, h = E e^(theta
G) is the least non-negative solution of h = A h + b, so that any h >= A h + b is above it, and

    P(G >= a) <= h(x) e^(-theta a)    (Markov's inequality; Chernoff 1952),

for every theta at which there is such an h. How h was found does not matter: the inequality is checked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from distrl._kernels.graph import longest_walks
from distrl._kernels.resolvent import bicgstab
from distrl._lazy import linalg, sparse
from distrl._validation import FloatArray
from distrl.models.graph import components
from distrl.models.laws import FiniteLaw

if TYPE_CHECKING:
    from distrl.models.mdp import MDP
    from distrl.models.mrp import MRP

_LARGEST_EXPONENT = 600.0  # of e^(theta r)
_SLACK = 1e-10  # by which A and b are raised, so that a solution that is off by less is still an upper one
_HALVINGS = 60  # of theta until none is found
_SHORT = 20_000_000  # outcomes touched until short episodes are given up
_STEPS = 20_000  # of short episodes


def largest_sums(model: MRP | MDP, rewards: FloatArray) -> FloatArray:
    """(S,) the largest undiscounted return, `rewards` (outcomes,) each outcome's largest; of an MDP over all policies.

    inf where a cycle pays; -inf where no end can be reached. A policy of an MDP may go round for nothing for ever,
    which is a return of 0: states of an MDP on a cycle may end with 0. Time: O(outcomes), and for a component of k
    states with rewards of both signs up to k times that.
    """
    table, n = model.outcomes, model.n_states
    counts = np.diff(model.state_rows)
    sources = np.repeat(np.arange(n), counts)
    heads = np.where(table.terminals, -1, table.next_states).astype(np.int64)
    on = heads >= 0
    found = components(sources[on], heads[on], n)
    order = np.lexsort((found.part, found.height[found.part])).astype(np.int64)
    ends = np.append(np.flatnonzero(np.diff(found.part[order])) + 1, n).astype(np.int64)
    floor, best, places = np.full(n, -np.inf), np.empty(n), np.empty((2, n), dtype=np.int64)
    if table.n_sources > n:
        inside = found.part[sources[on]] == found.part[heads[on]]
        floor[sources[on][inside]] = 0.0
    rows, highest = model.state_rows.astype(np.int64), rewards.astype(np.float64)
    longest_walks(rows, heads, highest, order, ends, found.part, floor, best, places[0], places[1])
    return best


def likely_end(model: MRP, rewards: FloatArray, tail: float, upwards: bool) -> float:
    """A number that no state's return goes beyond with a probability above `tail`; inf where none is found.

    Parameters
    ----------
    model : MRP, at discount 1
    rewards : (outcomes,) each outcome's largest reward, -1 times the smallest if not `upwards`
        For outcomes whose reward law is not finite; those of finite laws are used as they are.
    tail : float
    upwards : bool
        Whether the upper end is asked for; else -1 times the lower one is the answer.
    """
    sign = 1.0 if upwards else -1.0
    largest = float(np.abs(rewards).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    theta, best = 1.0 / largest, math.inf
    tried: dict[float, float] = {}

    def end(at: float) -> float:
        if at not in tried:
            moment = _moment(model, rewards, sign, at)
            tried[at] = math.inf if moment is None else (math.log(moment) - math.log(tail)) / at
        return tried[at]

    for _ in range(_HALVINGS):
        if math.isfinite(end(theta)):
            break
        theta *= 0.5
    best = end(theta)
    if math.isinf(best):
        return math.inf
    for factor in (2.0, 0.5, math.sqrt(2.0), math.sqrt(0.5), 2.0**0.25, 2.0**-0.25):
        while theta * factor * largest < _LARGEST_EXPONENT and end(theta * factor) < best * (1.0 - 1e-3):
            theta *= factor
            best = end(theta)
    return best


def _moment(model: MRP, rewards: FloatArray, sign: float, theta: float) -> float | None:
    """What E e^(theta sign G) is at most at every state; None where that is not found to be finite."""
    table, n = model.outcomes, model.n_states
    if theta * float(rewards.max()) > _LARGEST_EXPONENT:
        return None
    weights = table.probs * np.exp(theta * rewards)
    for index, law in enumerate(table.reward_laws):
        if isinstance(law, FiniteLaw):
            rows = table.laws == index
            weights[rows] = table.probs[rows] * float(law.probs @ np.exp(theta * sign * law.values))
    on = ~table.terminals
    entries = (weights[on], (table.sources[on], table.next_states[on]))
    matrix = sparse.csr_array(sparse.coo_array(entries, shape=(n, n)))
    ends = np.bincount(table.sources[~on], weights=weights[~on], minlength=n)
    slack = _SLACK * max(float(ends.max()), 1e-300)
    solution = _solved(matrix * (1.0 + _SLACK), np.asarray(ends * (1.0 + _SLACK) + slack, dtype=np.float64))
    if solution is None or not (np.isfinite(solution).all() and (solution > 0.0).all()):
        return None
    # h >= A h + b, for certain: the slack, relative and absolute, is far above the rounding of the product
    return float(solution.max()) if (solution >= matrix @ solution + ends).all() else None


def _solved(matrix: sparse.csr_array, rhs: FloatArray) -> FloatArray | None:
    """About (I - matrix)^{-1} rhs, for the caller to check."""
    n = len(rhs)
    if n <= 300:
        try:
            return np.asarray(np.linalg.solve(np.eye(n) - matrix.toarray(), rhs))
        except np.linalg.LinAlgError:  # no theta of use: the caller goes on with a smaller one
            return None
    solution, size = np.empty(n), float(np.abs(rhs).max())
    pointers, columns = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    with np.errstate(all="ignore"):
        if bicgstab(pointers, columns, matrix.data, rhs / size, 1e-9, 400, solution) or matrix.nnz > 5 * n:
            return solution * size
        return np.asarray(linalg.spsolve(sparse.csc_array(sparse.eye_array(n) - matrix), rhs))


def short_episodes(model: MRP, lows: FloatArray, highs: FloatArray, tail: float) -> tuple[float, float]:
    """Smallest and largest return of episodes of at most n steps, n the least that leaves `tail` to longer ones.

    Infinite where that takes too many steps.
    """
    table = model.outcomes
    on, starts = ~table.terminals, table.indptr[:-1]
    worst, best = np.full(table.n_states, np.inf), np.full(table.n_states, -np.inf)
    alive = np.ones(table.n_states)
    for _ in range(min(_SHORT // len(table.probs) + 1, _STEPS)):
        higher = np.maximum.reduceat(highs + np.where(on, best[table.next_states], 0.0), starts)
        lower = np.minimum.reduceat(lows + np.where(on, worst[table.next_states], 0.0), starts)
        best, worst = np.maximum(best, higher), np.minimum(worst, lower)
        alive = table.continuation @ alive
        if alive.max() <= tail:
            return float(worst.min()), float(best.max())
    return -math.inf, math.inf
