"""Intervals that hold for every number of samples."""

from dataclasses import dataclass, replace

import numpy as np

from distrl._validation import FloatArray, IntArray
from distrl.dp.enclosure import CertifiedLaw
from distrl.generative.concentration import mean_radius, w1_radius
from distrl.generative.sampled import SampledSolution
from distrl.returns.base import Returns
from distrl.returns.functionals import Functional, Mean, intersection
from distrl.theory import dkw_halfwidth


@dataclass(frozen=True)
class FiniteSample:
    """What all laws within the sampling error of the estimate have in common, in W1 and at all states together.

    `distrl.generative.concentration` has the radius and its proof. It holds for every number of samples, so it is
    wide; the solver's own error is counted. For rollouts it is the band of Dvoretzky, Kiefer and Wolfowitz.

    Notes
    -----
    It needs an interval that is known to hold every return, and sample sizes that were fixed beforehand. Time that of
    one linear solve over states. Claim `estimate-finite-sample-coverage`.
    """

    def interval(
        self, estimate: SampledSolution[Returns], functional: Functional, level: float, states: IntArray
    ) -> FloatArray:
        """(K, 2) the interval of an estimate's functional at a level, at each of `states`; see `IntervalMethod`.

        Raises
        ------
        ValueError
            Where the samples' sizes depend on the samples, or returns have no known range, or nothing is certified.
        """
        certified = estimate.certified_law
        if estimate.empirical is None:
            return self._rollouts(estimate, certified, functional, level)[states]
        if estimate.adaptive:
            raise ValueError("finite-sample intervals need sample sizes fixed beforehand; these were adaptive")
        if estimate.empirical.return_range is None:
            raise ValueError(
                "finite-sample intervals need an interval that holds every return: bounded reward laws and a discount "
                "below 1, or reward_range= for logged transitions"
            )
        low, high = estimate.empirical.return_range
        radius_of = mean_radius if isinstance(functional, Mean) else w1_radius
        radius = radius_of(estimate.model, estimate.state_weights, estimate.empirical.sample_counts, high - low, level)
        moved = functional.moved(estimate.enclosed(functional), radius, high - low)
        if moved is not None:
            return moved[states]
        sure = certified.certificate
        wider = replace(sure, overshoot=sure.overshoot + radius, w1=sure.w1 + radius)
        return intersection([CertifiedLaw(estimate.returns, wider)], functional)[states]

    def exists(self, estimate: SampledSolution[Returns]) -> bool:
        """Whether an estimate has an interval."""
        if estimate.certificate is None or estimate.empirical is None:
            return estimate.certificate is not None
        return not estimate.adaptive and estimate.empirical.return_range is not None

    @staticmethod
    def _rollouts(
        estimate: SampledSolution[Returns], certified: CertifiedLaw, functional: Functional, level: float
    ) -> FloatArray:
        """From the band for all states at once, and what truncation left out."""
        sure, episodes = certified.certificate, estimate.method.episodes
        share = dkw_halfwidth(episodes, 1.0 - (1.0 - level) / estimate.model.n_states)
        given = dkw_halfwidth(episodes, estimate.method.confidence)
        sampling = sure.residual * (share / given)
        wider = replace(sure, residual=sampling, w1=sampling + sure.overshoot)
        width = float(sure.residual.max()) / given  # of the range of returns
        law = CertifiedLaw(estimate.returns, wider, np.full_like(sampling, share), width)
        return intersection([law], functional)
