"""Intervals from the standard error of a functional, and the skewness of its errors, to first order in the samples."""

from dataclasses import dataclass

import numpy as np

from distrl._kernels import enclosure as kernels
from distrl._tolerances import LEVEL
from distrl._validation import FloatArray, IntArray, RandomSource
from distrl.generative.distances import Distance
from distrl.generative.intervals.base import centre
from distrl.generative.intervals.bootstrap import Bootstrap
from distrl.generative.intervals.skewed import studentised
from distrl.generative.sampled import SampledSolution
from distrl.returns.base import Returns
from distrl.returns.finite import each
from distrl.returns.functionals import Functional, Quantile

_AFFORDABLE = 5e7  # adjoints times outcomes beyond which a table does without the delta method


@dataclass(frozen=True)
class Delta:
    """value - t_high * se to value - t_low * se, se the standard error (`Estimate.standard_error`).

    t_low and t_high are quantiles of (estimate - truth) / se: Student's t, of the degrees of freedom that the samples
    of the sources that matter give se (Welch and Satterthwaite), made skew as the errors are (Hall's transformation,
    see `distrl.generative.intervals.skewed`). Where samples are many both are the normal quantile.

    A quantile is a step function of the CDF values on a grid: its interval reads the law at its level moved by as much
    as the interval of the CDF there reaches (Woodruff 1952). A distance has no derivative at 0: the fixed points of
    redrawn models are simulated, linearised at the estimate, see `Bootstrap`.

    Parameters
    ----------
    simultaneous : bool
        Cover all states that are asked for at once (Bonferroni).
    numerical : bool
        Add what the solver's own error can do to the functional.
    resamples, rng, threads
        As for `Bootstrap`, for distances.

    Notes
    -----
    The level is reached as the numbers of samples grow; `Estimate.few_samples_decide` says where few decide. Time
    that of one adjoint solve a state.
    Claims: claim `delta-influence` for the derivative, claim `estimate-delta-coverage` for the coverage.
    """

    simultaneous: bool = False
    numerical: bool = True
    resamples: int = 200
    rng: RandomSource = None
    threads: int | None = None

    def interval(
        self, estimate: SampledSolution[Returns], functional: Functional, level: float, states: IntArray
    ) -> FloatArray:
        """(K, 2) the interval of an estimate's functional at a level, at each of `states`; see `IntervalMethod`.

        Raises
        ------
        ValueError
            For estimates that are no categorical fixed point, and for CVaR at a level that is a value of the CDF.
        """
        if isinstance(functional, Distance):
            linear = Bootstrap(self.simultaneous, self.numerical, self.resamples, self.rng, self.threads, linear=True)
            return linear.interval(estimate, functional, level, states)
        estimate.solved()
        alpha = (1.0 - level) / (len(states) if self.simultaneous else 1)
        if isinstance(functional, Quantile):
            return self._woodruff(estimate, functional.single(), alpha, states)
        first = estimate.linearised()
        spread = first.spreads(functional.gradient(first.returns, states), states)
        low, high = studentised(spread, alpha)
        moved = np.stack([-spread.error * high, -spread.error * low], axis=1)
        return np.asarray(centre(estimate, functional, self.numerical)[states] + moved)

    def affordable(self, estimate: SampledSolution[Returns], functional: Functional, states: IntArray) -> bool:
        """Whether an estimate's functional has an interval at each of `states`, in a time that a summary may take."""
        if estimate.first_order is None:
            return False
        returns = estimate.first_order.returns
        if len(states) * len(estimate.model.outcomes.probs) * returns.grid.atoms > _AFFORDABLE:
            return False
        try:
            functional.check_derivative(returns, states)
        except ValueError:  # a level that the CDF takes
            return False
        return True

    def _woodruff(self, estimate: SampledSolution[Returns], level: float, alpha: float, states: IntArray) -> FloatArray:
        first = estimate.linearised()
        returns, atoms = first.returns, first.returns.grid.atoms
        here = np.round((np.asarray(returns.quantile(level)) - returns.grid.low) / returns.grid.spacing)
        below, above = np.zeros(len(states)), np.zeros(len(states))
        for shift in (-1, 0):  # the CDF passes the level between two atoms
            atom = np.clip(here[states].astype(np.int64) + shift, 0, atoms - 2)
            gradients = np.zeros((len(states), atoms))
            gradients[np.arange(len(states)), atom] = 1.0
            spread = first.spreads(gradients, states)
            least, most = studentised(spread, alpha)
            below, above = np.maximum(below, -spread.error * least), np.maximum(above, spread.error * most)
        if self.numerical:
            certified, levels = estimate.certified_law[states], np.array([level])
            ends = certified.quantiles_near(levels, below)[0], certified.quantiles_near(levels, above)[1]
            return np.concatenate(ends, axis=1)
        near = np.clip(level + np.stack([-below, above], axis=1), 0.0, 1.0) - LEVEL
        return np.clip(each(returns[states], kernels.quantile_each, near), returns.atoms[0], returns.atoms[-1])
