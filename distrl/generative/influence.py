"""The derivative of a functional of the categorical fixed point in the outcomes that were drawn, by adjoint solves."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from distrl._kernels import influence as kernels
from distrl._threads import Workers
from distrl._validation import BoolArray, FloatArray, IntArray
from distrl.models.mrp import MRP
from distrl.models.outcomes import OutcomeTable
from distrl.models.samples import Samples
from distrl.operators.categorical import CategoricalBellman
from distrl.operators.linear import solve_contraction
from distrl.returns.categorical import CategoricalReturns

_NO_MASS = 1e-13
_CHUNK = 4_000_000  # entries of the adjoints that are solved for at once
_ADJOINT = 2**25  # numbers of the adjoints that are kept at once: 256 MB


class Influence(NamedTuple):
    """Influence of a source's outcomes on K functionals: variance, mean and third central moment, (K, sources) each.

    `largest`, too: how far the influence of a kind of outcome, a successor or an end, is from the mean at most. An end
    counts at every source, seen there or not, if one was seen anywhere: with the mean reward of ends.
    """

    variance: FloatArray
    mean: FloatArray
    third: FloatArray
    largest: FloatArray


class Spread(NamedTuple):
    """How estimates of K functionals scatter, to first order: (K,) each.

    Attributes
    ----------
    error : standard errors
    skewness : of the errors, sum of third central moments / N^2 over sources, in units of `error`^3
    freedom : degrees of freedom of the estimated variance, (sum v)^2 / sum v^2 / (N - 1), v = Var h / N of a source
        (Welch 1947, Satterthwaite)
    single : what one sample more of one kind of outcome moves the estimate by at most, in units of `error`
    """

    error: FloatArray
    skewness: FloatArray
    freedom: FloatArray
    single: FloatArray


def adjoints(operator: CategoricalBellman, gradients: FloatArray, states: IntArray) -> FloatArray:
    """(K, S, m) lambda = (I - A)^{-T} of the gradient `gradients[k]` at `states[k]`, last column 0.

    F = A F + b is the categorical fixed point on the first m - 1 atoms; <lambda, dA F + db> is what a functional with
    that gradient moves by, to first order. A contraction by the discount in the sum over states of the largest entry.
    Time O(K nnz m) an application.
    """
    n, m = operator.table.n_states, operator.grid.atoms
    rhs = np.zeros((len(states), n, m))
    rhs[np.arange(len(states)), states] = gradients
    chunk = max(1, _CHUNK // (n * m))
    for first in range(0, len(states), chunk):
        piece = rhs[first : first + chunk]
        scale = np.abs(piece).max(axis=(1, 2), keepdims=True)  # solved together: to one relative accuracy
        scale[scale == 0.0] = 1.0
        rhs[first : first + chunk] = scale * solve_contraction(
            lambda v: adjoint_image(operator, v), piece / scale, tol=1e-11
        )
    return rhs


def adjoint_image(operator: CategoricalBellman, adjoint: FloatArray) -> FloatArray:
    """A^T of each of (K, S, m) adjoints, last column 0."""
    cumulated = cumulate(adjoint)
    pulled = np.zeros_like(cumulated)
    work = Workers(None, len(operator.table.probs) * adjoint.size)
    work.rows(len(adjoint), kernels.pull_reads, cumulated, operator.plan, pulled)
    for block in operator.law_blocks:
        on = block.continuing
        law = (on.indptr, on.indices, on.data, block.first, block.weights)
        work.rows(len(adjoint), kernels.pull_law, cumulated, block.sources, *law, pulled)
    image = np.zeros_like(pulled)
    image[:, :, :-1] = pulled[:, :, :-1] - pulled[:, :, 1:]
    return image


def cumulate(adjoint: FloatArray) -> FloatArray:
    """(K, S, m) sums of lambda from each atom on: the functional as a function on the atoms."""
    out = np.empty_like(adjoint)
    kernels.cumulate(adjoint.reshape(-1, adjoint.shape[-1]), out.reshape(-1, adjoint.shape[-1]))
    return out


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """How the categorical fixed point of an empirical model moves, to first order, with the outcomes that were drawn.

    Attributes
    ----------
    model : MRP
        The empirical model under the policy.
    returns : CategoricalReturns
        Its fixed point.
    samples : Samples
        What was drawn at the sources (states, or states and actions).
    policy : (sources,)
        The weight of each source in its state.
    unknown : (S,)
        The states from which a source can be reached of which nothing is known.
    """

    model: MRP
    returns: CategoricalReturns
    samples: Samples
    policy: FloatArray
    unknown: BoolArray

    @cached_property
    def operator(self) -> CategoricalBellman:
        """Of the model, on the fixed point's grid."""
        return CategoricalBellman(self.model, self.returns.grid)

    def standard_errors(self, gradients: FloatArray, states: IntArray) -> FloatArray:
        """(K,) sqrt(sum over sources of Var h / N), h as in `influence`, for gradients (K, m) at states (K,).

        inf at a state from which a source can be reached of which nothing is known.
        """
        return self.spreads(gradients, states).error

    def spreads(self, gradients: FloatArray, states: IntArray) -> Spread:
        """The same, with how skewed the errors are and how well their size is known."""
        block = max(1, _ADJOINT // (self.model.n_states * gradients.shape[1]))  # adjoints in memory at once
        errors, skewness, freedom, single = (np.empty(len(states)) for _ in range(4))
        totals = np.maximum(self.samples.totals, 1)
        for first in range(0, len(states), block):
            some = slice(first, first + block)
            found = self.influence(gradients[some], states[some])
            share = found.variance / totals
            errors[some] = np.sqrt(share.sum(axis=1))
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                # in units of the error, so that no power is denormal
                part = share / errors[some, None] ** 2
                freedom[some] = 1.0 / (part**2 / np.maximum(totals - 1, 1)).sum(axis=1)
                skewness[some] = (found.third / errors[some, None] ** 3 / totals.astype(np.float64) ** 2).sum(axis=1)
                single[some] = (found.largest / totals).max(axis=1) / errors[some]
        known = np.isfinite(errors) & (errors > 0.0)
        return Spread(
            np.where(self.unknown[states], np.inf, errors),
            np.where(known & np.isfinite(skewness), skewness, 0.0),
            np.where(known & np.isfinite(freedom), freedom, np.inf),
            np.where(known, single, 0.0),
        )

    def influence(self, gradients: FloatArray, states: IntArray) -> Influence:
        """Variance, mean and third moment over the drawn outcomes of h(o) = policy(a|x) <lambda(x), B^r F(y) + b^r>.

        Parameters
        ----------
        gradients, states : (K, m) and (K,)
            The gradient of functional k in the CDF values of the state `states[k]`.

        Returns
        -------
        Influence
            The variance of a functional's estimate is the sum over sources of variance / samples, to first order. With
            divisor N - 1, infinite where the only sample of a source moves the functional, 0 where nothing was drawn
            (known outcomes).

        Notes
        -----
        Time K (N m + adjoint solves), N the distinct outcomes drawn.
        """
        operator, samples, policy = self.operator, self.samples, self.policy
        probs = np.ascontiguousarray(self.returns.probs)
        whose = samples.source_states[samples.sources]
        grid, discounts = operator.grid, samples.factors(operator.model.uniform_discount)
        start = np.where(samples.terminals, 0.0, discounts * grid.low)
        at = (samples.rewards + start - grid.low) / grid.spacing
        known = np.flatnonzero(samples.laws >= 0)
        images = _images_of_laws(operator, samples, known, probs)
        count, totals = samples.counts, np.maximum(samples.totals, 1)
        variance, mean, third, largest = (np.zeros((len(states), samples.n_sources)) for _ in range(4))
        lambdas = cumulate(adjoints(operator, gradients, states))
        value = np.empty(len(count))
        cdf = np.cumsum(probs, axis=1)  # tails of less mass do not show in a variance
        first, last = (cdf <= _NO_MASS).sum(axis=1), (cdf < 1.0 - _NO_MASS).sum(axis=1)
        first, last = np.minimum(first, grid.atoms - 1), np.minimum(last, grid.atoms - 1)
        ends, kinds = samples.terminals & (count > 0), samples.groups[:-1]
        end = (
            (float(np.average(samples.rewards[ends], weights=count[ends])) - grid.low) / grid.spacing
            if ends.any()
            else None
        )
        work = Workers(None, len(count) * grid.atoms)
        for k, row in enumerate(lambdas):
            work.rows(
                len(count),
                kernels.influence,
                row,
                probs,
                whose,
                samples.next_states,
                at,
                samples.terminals,
                discounts,
                first,
                last,
                value,
            )
            value[known] = (images * row[whose[known]]).sum(axis=1)
            mean[k] = np.bincount(samples.sources, count * value, samples.n_sources) / totals
            centred = value - mean[k][samples.sources]
            square = np.bincount(samples.sources, count * centred**2, samples.n_sources)
            variance[k] = square / np.maximum(totals - 1, 1)
            apart = np.abs(np.add.reduceat(count * centred, kinds)) / np.add.reduceat(count, kinds)
            np.maximum.at(largest[k], samples.sources[kinds], apart)
            if end is not None:
                ended = np.array([np.interp(end, np.arange(grid.atoms), read) for read in row])
                apart = np.abs(ended[samples.source_states] - mean[k])
                largest[k] = np.where(samples.totals > 0, np.maximum(largest[k], apart), 0.0)
            cube = np.bincount(samples.sources, count * centred**3, samples.n_sources)
            third[k] = cube * totals / np.maximum((totals - 1.0) * (totals - 2.0), 1.0)
            matters = (np.abs(row).max(axis=1) > 0.0)[samples.source_states]
            variance[k][(samples.totals == 1) & matters] = np.inf
        used = policy > 0.0
        variance[:, used] *= policy[used] ** 2
        variance[:, ~used] = 0.0
        return Influence(variance, mean * policy, third * policy**3, largest * policy)


def _images_of_laws(operator: CategoricalBellman, samples: Samples, rows: IntArray, probs: FloatArray) -> FloatArray:
    """(k, m) projected laws of reward + discount * Z for sampled outcomes whose reward law is known."""
    if not len(rows):
        return np.empty((0, operator.grid.atoms))
    table = OutcomeTable(
        n_states=samples.n_states,
        indptr=np.arange(len(rows) + 1),
        probs=np.ones(len(rows)),
        next_states=samples.next_states[rows],
        rewards=samples.rewards[rows],
        terminals=samples.terminals[rows],
        laws=samples.laws[rows],
        reward_laws=samples.reward_laws,
        discounts=None if samples.discounts is None else samples.discounts[rows],
    )
    discount = None if samples.discounts is not None else operator.discount
    return CategoricalBellman.for_table(table, discount, operator.grid).apply(probs).probs
