"""What can be asked of a decision that was made from samples."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._validation import IntArray, RandomSource
from distrl.control.data.confirmation import Confirmation, confirmed
from distrl.control.data.next_samples import next_samples
from distrl.control.result import ControlResult, P
from distrl.dp import Method
from distrl.generative import IntervalMethod
from distrl.models.empirical_mdp import EmpiricalMDP
from distrl.models.generative import GenerativeModel
from distrl.returns import Returns


@dataclass(frozen=True, eq=False, repr=False)
class DecidedFromData(ControlResult[P]):
    """A `ControlResult`, with what it is worth by fresh samples, and where further ones would tell most."""

    @steady
    def confirmed(
        self,
        fresh: EmpiricalMDP | GenerativeModel,
        level: float = 0.95,
        method: str | IntervalMethod = "delta",
        *,
        states: ArrayLike | None = None,
        evaluation: Method[Returns] | None = None,
        samples: int = 1000,
        rng: RandomSource = None,
    ) -> Confirmation:
        """Confidence intervals for the objective under `policy` on the true process, by samples that did not choose it.

        The samples on which the policy was chosen will not do: they flatter it. Its value on their own process is too
        high on average, and intervals from them miss the truth more often than they say.

        Parameters
        ----------
        fresh : EmpiricalMDP or GenerativeModel
            Samples that had no part in the choice: neither those, nor more of them `to=` those. Or a model to draw them
            from: for one action a state `samples` in every state of that action, for policies with a memory or a
            horizon episodes.
        level : float in (0, 1)
            The confidence, for one state.
        method : "delta", "bootstrap", "finite-sample" or an `IntervalMethod`
            As for `Estimate.interval`. Episodes have intervals that hold for every number of them: see
            `distrl.control.data.episodes`.
        states : int, list or mask, optional
            Only these.
        evaluation : Method, optional
            Of `evaluate`, for the estimate; by default `CategoricalFixedPoint()`.
        samples : int
            Samples, or episodes from each state, where they are drawn here.
        rng : anything `numpy.random.default_rng` takes

        Returns
        -------
        Confirmation

        Raises
        ------
        ValueError, TypeError
            If `fresh` are the samples that chose the policy, or of another process; for a policy with a memory and
            samples of single pairs; for nested CVaR; and as `Estimate.interval`.
        """
        given = (fresh, level, method, states, evaluation, samples, rng)
        return confirmed(self.model, self.policy, self.objective, self.horizon, *given)

    @steady
    def next_samples(self, n: int) -> IntArray:
        """(S, A) at which pairs to take the next `n` samples, so that the choice of actions becomes sure soonest.

        Parameters
        ----------
        n : int
            They sum to it. `GenerativeModel.sample(counts, to=ctl.model)` takes them.

        Raises
        ------
        ValueError, TypeError
            For a model that is not of samples, for objectives but the mean, and for policies that depend on the step.

        Notes
        -----
        `distrl.control.data.next_samples` has the rule: to first order, samples shrink most what a wrong action is
        expected to cost from the model's initial law. It is a rule without a guarantee, and sizes that it chose depend
        on the samples: `pessimism` and finite-sample intervals want fresh ones of sizes fixed beforehand. Time
        O(S^3 + min(pairs, 1000) S), memory O(S^2).
        """
        return next_samples(self.model, self.policy, self.objective, n)
