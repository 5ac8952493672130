"""Where samples shrink an interval most."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from distrl._validation import FloatArray, IntArray, float_array, whole_number
from distrl.generative.influence import Influence
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.empirical_mrp import EmpiricalMRP
from distrl.models.generative import GenerativeModel
from distrl.returns.functionals import Functional

Empirical = EmpiricalMRP | EmpiricalMDP

#: Samples that every source gets whatever its influence: fewer show no variance.
FLOOR = 2
_PRIOR = 10


def neyman_allocation(deviations: ArrayLike, total: int, at_least: ArrayLike = FLOOR) -> IntArray:
    """Sample sizes N >= `at_least` with sum `total` that minimise sum sd^2 / N: N = max(at_least, c sd).

    Parameters
    ----------
    deviations : (n,) standard deviation sd of the influence of each source's outcomes
    total : int
    at_least : int or (n,) ints

    Returns
    -------
    (n,) ints. Rounded down from the real solution, what is left goes to the largest remainders. Time O(n log n).

    Raises
    ------
    ValueError
        If `at_least` exceeds `total`.

    Examples
    --------
    >>> neyman_allocation([3.0, 1.0, 0.0], 42).tolist()
    [30, 10, 2]
    """
    sd = float_array(deviations, "deviations", ndim=1)
    floor = np.broadcast_to(float_array(at_least, "at_least", ndim=(0, 1)), sd.shape)
    count = whole_number(total, "total")
    if floor.sum() > count:
        raise ValueError(f"at_least asks for {floor.sum():g} samples, total is {count}")
    if (sd < 0.0).any():
        raise ValueError(f"deviations[{int(np.argmax(sd < 0.0))}] is negative")
    weight = sd / sd.max() if sd.any() else np.ones_like(sd)
    # those held at the floor are the ones with the largest floor / sd
    with np.errstate(over="ignore"):
        ratio = np.divide(floor, weight, out=np.full(len(sd), np.inf), where=weight > 0.0)
    order = np.argsort(ratio, kind="stable")
    free = np.cumsum(weight[order])
    held = floor.sum() - np.cumsum(floor[order])
    with np.errstate(over="ignore"):  # where all that is free yet hardly varies; more becomes free
        scale = (count - held) / free
    valid = scale >= ratio[order]
    best = int(np.flatnonzero(valid)[-1]) if valid.any() else 0
    exact = np.maximum(floor, scale[best] * weight)
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    left = count - int(sizes.sum())
    sizes[np.argsort(sizes - exact, kind="stable")[:left]] += 1
    return np.asarray(sizes, dtype=np.int64)


@dataclass(frozen=True)
class Adaptive:
    """Sample sizes that follow what was seen: those that shrink the interval of one functional at one state most.

    Attributes
    ----------
    total : int
        Samples altogether.
    batches : int
    functional : Functional
    state : int
    """

    total: int
    batches: int
    functional: Functional
    state: int

    def sample(
        self, source: GenerativeModel, rng: np.random.Generator, seen: Callable[[Empirical], Influence]
    ) -> Empirical:
        """An empirical model of `total` samples: a uniform batch, then batches where samples shrink the interval.

        What is `seen` in the samples so far says where. Each batch brings the sample sizes as near to Neyman's
        allocation of all samples so far as adding can. Sizes then depend on the samples, which biases the estimate by
        the order of 1 / N and leaves its normal limit as it is.

        Raises
        ------
        ValueError
            If the first batch is too small to show every source's variance.
        """
        n = source.model.outcomes.n_sources
        batch = self.total // self.batches
        if batch < FLOOR * n:
            raise ValueError(
                f"a budget of {self.total} in {self.batches} batches gives the first {batch} samples, but {n} states "
                f"(and actions) need {FLOOR} each; raise budget or lower batches"
            )
        sizes = even_sizes(batch, n)
        empirical = source.sample(sizes.reshape(source.shape), rng)
        for number in range(2, self.batches + 1):
            total = self.total if number == self.batches else number * batch
            deviations = cautious_deviations(seen(empirical), empirical.samples.totals)
            wanted = neyman_allocation(deviations, total, sizes)
            empirical = source.sample((wanted - sizes).reshape(source.shape), rng, to=empirical)
            sizes = wanted
        empirical.samples = replace(empirical.samples, adaptive=True)
        return empirical


def cautious_deviations(seen: Influence, totals: IntArray) -> FloatArray:
    """(sources,) standard deviations of influence to allocate by, after `totals` samples.

    Variances shrink towards their mean over the sources that matter, which counts as `_PRIOR` samples: a source whose
    first samples happened to look alike is asked again.
    """
    variance = seen.variance[0]
    matters = (variance > 0.0) | (seen.mean[0] != 0.0)
    if not matters.any():
        return np.zeros_like(variance)
    common = variance[matters].mean()
    return np.asarray(np.sqrt(np.where(matters, (totals * variance + _PRIOR * common) / (totals + _PRIOR), 0.0)))


def even_sizes(total: int, n: int) -> IntArray:
    """(n,) sample sizes that differ by at most one."""
    return np.asarray(total // n + (np.arange(n) < total % n), dtype=np.int64)
