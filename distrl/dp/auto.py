"""The rule of `solver="auto"`, and what it does with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from distrl._kernels.categorical import solve_states
from distrl._lazy import sparse
from distrl._validation import FloatArray, IntArray
from distrl.dp.aggregation import GROUP_UNKNOWNS, Aggregation, groups_of
from distrl.dp.banded import banded, narrow_order
from distrl.dp.coarse import COARSE_UNKNOWNS, Coarse, clusters_of, long_run_weights, mixing
from distrl.dp.components import rounds
from distrl.dp.problem import Problem, moment_start
from distrl.dp.solvers import Outcome, Stop, direct, gauss_seidel, krylov, sweep, two_grid
from distrl.dp.status import Status
from distrl.operators.system import System

#: Up to this effective horizon (steps) Gauss-Seidel is never far from the best; it needs no set-up.
SHORT_HORIZON = 12.0
#: ... and where differences between states last, up to this one.
SLOW_HORIZON = 60.0
#: Groups of neighbouring states pay from here on; below it only where states lead to many others.
LONG_HORIZON = 300.0
#: Sparse LU: non-zeros up to 500, 5 h or h^2 / 20, h the horizon; at most this many, three times that for cycles.
DIRECT_NONZEROS = 10_000
#: ... and unknowns up to so many for each step of the horizon where reward laws make the matrix dense.
LAW_UNKNOWNS = 2.5
#: Differences between states shrink at least this much a step, discount included: fast mixing.
FAST_MIXING = 0.8
#: A coarse correction: its inverse costs at most this share of what iterating would.
INVERSE = 0.1
#: ... or this one from so many non-zeros on, where iterations wait for memory, and an inverse does not.
LARGE_INVERSE, LARGE = 0.6, 15_000_000
#: Elimination along a chain: (width * (atoms - 1))^2 up to this times what an iteration would cost an entry.
NARROW = 3.0
#: ... and as many numbers to keep at most.
NARROW_ENTRIES = 25_000_000
#: Flow one way, as a share of all flow, from which Krylov methods need more applications than they save.
DIRECTED = 0.5
#: Over-relaxation of Gauss-Seidel; 1.3 diverges on some walks and random graphs, 1.2 on none that was tried.
RELAXATION = 1.2
_ONE_WAY = 0.9  # with so much of the flow one way Gauss-Seidel is close to exact and needs none
_SMALL = 250_000  # non-zeros below which a coarse set-up takes longer than it saves at a short horizon
_MOST_STATES = 32  # in a group on average; with twice as many BiCGSTAB alone is as fast at a horizon of 100
_NEIGHBOURS = 12.0  # groups a group leads to: more is a random graph, whose groups are no neighbourhoods
_DENSE = 150  # states
_AT_A_TIME = 2_000_000  # entries that are solved exactly between two looks at progress
_CLUSTER = 100  # states a cluster must have on average for its own coarse vector to pay


@dataclass(frozen=True, eq=False)
class Traits:
    """What the rule looks at."""

    matrix: sparse.csr_array  # (n, n) probabilities of going on within the system
    discount: float
    atoms: int
    gain: float
    laws: bool = False  # whether reward laws apply as matrices, which Gauss-Seidel and coarse corrections cannot use

    @property
    def nonzeros(self) -> int:
        """About how many the matrix of the linear system has, in pairs."""
        return int(self.matrix.nnz) * (self.atoms - 1)

    @cached_property
    def weights(self) -> FloatArray:
        return long_run_weights(self.matrix)

    @cached_property
    def _clusters(self) -> tuple[IntArray, float]:
        one = np.zeros(self.matrix.shape[0], dtype=np.int64)
        keeps, lasting = mixing(self.matrix, self.weights, one)
        most = min(4, COARSE_UNKNOWNS // (self.atoms - 1), self.matrix.shape[0] // _CLUSTER)
        while most > 1 and not self.invertible(most):
            most -= 1
        if self.discount * keeps > FAST_MIXING and most > 1:
            clusters = clusters_of(lasting, self.weights, most)
            if clusters is not None:
                within, _ = mixing(self.matrix, self.weights, clusters)
                if self.discount * within <= FAST_MIXING:
                    return clusters, within
        return one, keeps

    @property
    def labels(self) -> IntArray:
        """(n,) cluster of each state: all 0, or 0 to at most 3 where that leaves only differences that fade fast."""
        return self._clusters[0]

    @property
    def keeps(self) -> float:
        """What a step keeps of a difference between states of one cluster, discount included."""
        return self.discount * self._clusters[1]

    @property
    def iteration(self) -> float:
        """About what the better of Gauss-Seidel and BiCGSTAB costs an entry of F, in multiplications."""
        outcomes = int(self.matrix.nnz) / self.matrix.shape[0]
        return float(outcomes * min(10.0 * self.gain, 80.0 * math.sqrt(self.gain)))

    def inverse(self, clusters: int) -> float:
        """About what the inverse for coarse vectors costs, as a share of what iterating to the end would."""
        return float(clusters**3 * (self.atoms - 1) ** 2 / (self.matrix.shape[0] * self.iteration))

    def invertible(self, clusters: int) -> bool:
        """Whether the inverse for coarse vectors pays."""
        return self.inverse(clusters) <= (LARGE_INVERSE if self.nonzeros >= LARGE else INVERSE)

    @cached_property
    def narrow(self) -> tuple[IntArray, int] | None:
        """An order in which states lead few places only, and how many; None where elimination along it is no gain."""
        last, n = self.atoms - 1, self.matrix.shape[0]
        if last**2 > NARROW * self.iteration or n * last**2 > NARROW_ENTRIES:
            return None  # not even for a width of 1
        order, width = narrow_order(self.matrix)
        pays = (width * last) ** 2 <= NARROW * self.iteration and n * width * last**2 <= NARROW_ENTRIES
        return (order, width) if pays else None

    @cached_property
    def groups(self) -> IntArray | None:
        """Groups of neighbouring states, None where there are no neighbourhoods or the groups would be too large."""
        n = self.matrix.shape[0]
        if n * (self.atoms - 1) > _MOST_STATES * GROUP_UNKNOWNS:
            return None
        labels, neighbours = groups_of(self.matrix, self.atoms)
        count = int(labels.max()) + 1
        few = count <= n // 2 and count * (self.atoms - 1) <= GROUP_UNKNOWNS
        return labels if few and neighbours <= _NEIGHBOURS else None

    @cached_property
    def directed(self) -> float:
        """sum |P(x, y) - P(y, x)| over sum P(x, y) + P(y, x), x != y: 0 for walks both ways alike, 1 for one way."""
        # a dense array is quicker to make and to subtract from its transpose where there are few states
        matrix = self.matrix.toarray() if self.matrix.shape[0] <= _DENSE else self.matrix
        total = 2.0 * float(matrix.sum() - matrix.diagonal().sum())
        return float(abs(matrix - matrix.T).sum()) / total if total > 0.0 else 0.0


def choose_solver(traits: Traits) -> tuple[str, str]:
    """The rule of `solver="auto"` for one system of states that lead to each other, and the sentence that explains it.

    banded (elimination along a narrow chain), direct (sparse LU), gauss-seidel, two-grid (sweeps with a coarse
    correction, a vector for each cluster; BiCGSTAB with it where that is slow), krylov-groups (BiCGSTAB with a solve on
    groups of neighbouring states) or krylov (BiCGSTAB alone). Where reward laws apply as matrices: sweeps, banded,
    direct or krylov; `benchmarks/continuous_rewards.py` measures it.
    """
    steps = f"effective horizon {traits.gain:.3g} steps"
    if traits.gain <= SHORT_HORIZON / 2:
        return "sweeps" if traits.laws else "gauss-seidel", f"{steps}, at most {SHORT_HORIZON / 2:g}"
    if traits.narrow is not None:
        return "banded", f"{steps}, and in some order states lead at most {traits.narrow[1]} places"
    if traits.laws:
        unknowns = traits.matrix.shape[0] * (traits.atoms - 1)
        if unknowns <= min(LAW_UNKNOWNS * traits.gain, DIRECT_NONZEROS / 10):
            return "direct", f"a small system ({unknowns} unknowns, with rewards that have a density) and {steps}"
        return "krylov", f"{steps}, and rewards have a density"
    fill = 0.3 if traits.matrix.nnz <= 1.5 * traits.matrix.shape[0] else 1.0
    worth = min(max(500.0, 5.0 * traits.gain, 0.05 * traits.gain**2), DIRECT_NONZEROS)
    if fill * traits.nonzeros <= worth:
        return "direct", f"a small system ({traits.nonzeros} non-zeros) and {steps}"
    coarse = traits.atoms - 1 <= COARSE_UNKNOWNS and (traits.gain > SHORT_HORIZON or traits.nonzeros >= _SMALL)
    if coarse and traits.invertible(1) and traits.keeps <= FAST_MIXING:
        count = int(traits.labels.max()) + 1
        where = f" within {count} clusters" if count > 1 else ""
        return "two-grid", f"{steps}, and a step keeps {traits.keeps:.2g} of a difference between states{where}"
    if traits.gain <= SLOW_HORIZON:
        return "gauss-seidel", f"{steps}, at most {SLOW_HORIZON:g}"
    matrix = traits.matrix
    spread = matrix.nnz >= 3 * matrix.shape[0] and traits.nonzeros >= _SMALL  # rooms, not lines
    if (traits.gain > LONG_HORIZON or spread) and traits.directed <= _ONE_WAY and traits.groups is not None:
        return "krylov-groups", f"{steps}, and {traits.groups.max() + 1} groups of neighbouring states"
    if traits.directed > DIRECTED and traits.gain <= LONG_HORIZON:
        return "gauss-seidel", f"{steps}, and {traits.directed:.0%} of the flow goes one way"
    return "krylov", f"{steps}, and differences between states last"


def solve_by_rule(problem: Problem, system: System, stop: Stop) -> tuple[Outcome, str, str]:
    """Components in topological order, each by the rule; checked as a whole at the end, swept where that fails."""
    if system.has_law_blocks:
        return _solve_block(problem, system, moment_start(problem, system.workers), stop)
    work = rounds(system.plan)
    if any(len(part.block) for part in work):
        cdf = moment_start(problem, system.workers)
    else:  # all states are solved exactly; until then a law each, in case of an interruption
        cdf = np.ones((system.n, problem.grid.atoms))
    if len(work) == 1 and len(work[0].block) == system.n:
        order = system.near_order()
        if order is None:
            return _solve_block(problem, system, cdf, stop)
        outcome, name, reason = _solve_block(problem, system.reordered(order), cdf[order], stop)
        cdf[order] = outcome.cdf
        return Outcome(cdf, outcome.status), name, reason
    parts, status = [], Status.CONVERGED
    exact = sum(len(part.exact) for part in work)
    if exact:
        parts.append(f"{exact} states one after the other, last ones first")
    for part in work:
        if status is Status.INTERRUPTED:
            break
        if len(part.exact) and not _pass_exactly(system, cdf, part.exact, stop):
            status = Status.INTERRUPTED
            break
        if len(part.block):
            block = system.restricted(part.block, cdf)
            outcome, name, reason = _solve_block(problem, block, cdf[part.block], stop)
            cdf[part.block], status = outcome.cdf, outcome.status
            parts.append(f"{len(part.block)} states by {name} ({reason})")
    if status is not Status.INTERRUPTED:
        image = np.empty_like(cdf)
        residual = system.apply(cdf, image)
        stop.call.count()
        if residual <= stop.goal:
            status = Status.CONVERGED
        else:
            parts.append("all at once by krylov, since rounding was left")
            return krylov(system, image, stop), "components", "; ".join(parts)
    return Outcome(cdf, status), "components" if len(work) > 1 or not exact else "exact", "; ".join(parts[:8])


def _pass_exactly(system: System, cdf: FloatArray, states: IntArray, stop: Stop) -> bool:
    """Solve `states` one after the other, so that it can be followed and interrupted; whether all of them are."""
    call, some = stop.call, max(_AT_A_TIME // system.grid.atoms, 1)
    call.enter(f"solving {len(states)} states one after the other")
    with call.interruptible():
        for first in range(0, len(states), some):
            solve_states(cdf, system.plan, states[first : first + some])
            call.advance(min(first + some, len(states)) / len(states))
        call.count()
    return not call.interrupted


def _solve_block(problem: Problem, system: System, cdf: FloatArray, stop: Stop) -> tuple[Outcome, str, str]:
    gain = problem.certifier.linear.gain
    mean = problem.moments[0]
    matrix = problem.model.continuation
    if system.states is not None:
        gain, mean = gain[system.states], mean[system.states]
        matrix = sparse.csr_array(matrix[system.states][:, system.states])
    traits = Traits(matrix, problem.model.discount, problem.grid.atoms, float(gain.max()), system.has_law_blocks)
    name, reason = choose_solver(traits)
    stop.call.enter(f"solving {system.n} states by {name}")
    if name == "direct":
        return direct(system, cdf, stop), name, reason
    if name == "banded":
        assert traits.narrow is not None
        return banded(system, cdf, stop, *traits.narrow), name, reason
    if name == "sweeps":
        return sweep(system, cdf, stop), name, reason
    if name == "gauss-seidel":
        return gauss_seidel(system, cdf, stop, 1.0 if traits.directed > _ONE_WAY else RELAXATION), name, reason
    if name == "krylov":
        return krylov(system, cdf, stop), name, reason
    if name == "krylov-groups":
        assert traits.groups is not None
        return krylov(system, cdf, stop, Aggregation(system, traits.groups)), name, reason
    try:
        coarse = Coarse(system, mean, traits.weights, traits.labels)
    except ValueError as error:
        return krylov(system, cdf, stop), "krylov", f"{reason}, but {error}"

    def otherwise(system: System, cdf: FloatArray, stop: Stop) -> Outcome:
        return krylov(system, cdf, stop, coarse)

    return two_grid(system, cdf, stop, coarse, otherwise), name, reason
