"""What a method of confidence intervals is."""

from typing import Protocol, runtime_checkable

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.generative.sampled import SampledSolution
from distrl.returns.base import Returns
from distrl.returns.functionals import Functional


@runtime_checkable
class IntervalMethod(Protocol):
    """A method of confidence intervals: what `Estimate.interval(..., method=)` takes beside the names of ours.

    Examples
    --------
    >>> import distrl, numpy as np
    >>> class Certified:  # no sampling error at all: the ends for the samples' own law
    ...     def interval(self, estimate, functional, level, states):
    ...         return estimate.enclosure(functional)[states]
    >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
    >>> est = distrl.estimate(mrp, distrl.CategoricalFixedPoint(atoms=51), samples_per_state=100, rng=0)
    >>> bool(np.diff(est.interval("mean", method=Certified())).max() < 1e-6)
    True
    """

    def interval(
        self, estimate: SampledSolution[Returns], functional: Functional, level: float, states: IntArray
    ) -> FloatArray:
        """Ends (K, 2) that hold the functional of the true law at each of `states` (K,) with probability `level`.

        Parameters
        ----------
        estimate : SampledSolution
            The estimate that is asked: return laws, certificate, samples, and redrawn models.
        functional : Functional
            With one parameter at most. "w1" and "ks" come as functionals too: the distance of a law from the
            estimate's, which is 0 at the estimate's own.
        level : float in (0, 1)
        states : (K,) int

        Notes
        -----
        Ends that no law has are cut off, and a state that can reach a source of which nothing is known is given the
        functional's whole range, whatever the method says there.

        Raises
        ------
        ValueError
            Where the method has no interval, with what to use instead.
        """


def centre(estimate: SampledSolution[Returns], functional: Functional, numerical: bool) -> FloatArray:
    """(S, 2) what sampling error is added to: the enclosure, or the plain value at both ends."""
    if numerical:
        return estimate.enclosed(functional)
    value = np.asarray(functional.value(estimate.returns))
    return np.stack([value, value], axis=1)


def widened(ends: FloatArray, half: FloatArray) -> FloatArray:
    """(K, 2) ends moved outwards by `half` (K,)."""
    return np.asarray(ends + half[:, None] * np.array([-1.0, 1.0]))
