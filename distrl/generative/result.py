"""What `estimate` gives back: a solution of the empirical model, with confidence intervals for the true one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distrl._steady import steady
from distrl._validation import BoolArray, FloatArray, IntArray, RandomSource, int_array, real_number
from distrl.dp.certificate import SAMPLES_LAW
from distrl.dp.result import R
from distrl.generative.deciding import doubts, few_decide
from distrl.generative.distances import asked
from distrl.generative.influence import Influence
from distrl.generative.intervals import Delta, FiniteSample, IntervalMethod
from distrl.generative.intervals.named import interval_method
from distrl.generative.sampled import SampledSolution
from distrl.returns.functionals import Functional, parse

_STATED = 0.95  # confidence of the intervals in tables


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(SampledSolution[R]):
    """A `Solution` of the empirical model, with confidence intervals for the true one.

    Attributes
    ----------
    empirical : EmpiricalMRP, EmpiricalMDP or None
        The model of the samples; None for Monte Carlo rollouts, which estimate no model.
    policy : object
        What was evaluated; None for an MRP.
    adaptive : bool
        Whether sample sizes were chosen by looking at the samples.
    """

    @steady
    def summary(self, states: ArrayLike | None = None) -> str:
        """As of a `Solution`, of the same `states`, with the number of samples first.

        Its intervals are confidence intervals, 95%, by the delta method where that exists, else what there is, and the
        text says which; and for which numbers they can be too short, see `few_samples_decide`.
        """
        if self.empirical is None:
            return f"rollouts: {self.reason}\n{super().summary(states)}"
        totals = self.empirical.samples.totals
        share = f"{totals.min()} to {totals.max()} a state" + (" and action" if self.mdp is not None else "")
        return "\n".join(
            [
                f"estimated from {totals.sum()} samples, {share}",
                super().summary(states),
                *doubts(self, self._shown(states)),
            ]
        )

    def _stated(self, functional: Functional, states: list[int]) -> tuple[FloatArray, str]:
        chosen = np.array(states, dtype=np.int64)
        delta, finite = Delta(), FiniteSample()
        if delta.affordable(self, functional, chosen):
            return self._statistical(functional, chosen, delta, _STATED), f"{_STATED:.0%} delta"
        if finite.exists(self):
            return self._statistical(functional, chosen, finite, _STATED), f"{_STATED:.0%} finite-sample"
        return self._known.interval(functional, states), f"({SAMPLES_LAW})"

    def _what_intervals_are(self, kinds: dict[str, str]) -> str:
        words = set(kinds.values())
        law = f"({SAMPLES_LAW})"
        if words == {law}:
            return f"intervals are certified, but to {SAMPLES_LAW}: how far that is from the true law, they do not say"
        if len(words) == 1:
            return f"intervals are statistical: {words.pop()} confidence intervals for the true law, state by state"
        each_one = "; ".join(f"{name}: {kind if kind != law else SAMPLES_LAW}" for name, kind in kinds.items())
        return f"intervals are statistical, for the true law unless it says otherwise: {each_one}"

    # -- intervals --------------------------------------------------------------------------------------------------

    @steady
    def interval(
        self,
        functional: str | Functional,
        at: ArrayLike | None = None,
        level: float = 0.95,
        method: str | IntervalMethod = "delta",
        *,
        tail: str = "lower",
        confidence: float | None = None,
        states: ArrayLike | None = None,
        simultaneous: bool = False,
        numerical: bool = True,
        resamples: int = 200,
        rng: RandomSource = None,
        threads: int | None = None,
    ) -> FloatArray:
        """Confidence intervals for a functional of the true return laws.

        Parameters
        ----------
        functional : a `Functional`, the short form of one ("mean", "variance", "std", "cvar", "quantile", "cdf",
            "stop_loss", "expectile", "entropic_risk", "shortfall", "evar", "mean_variance", "probability_above"),
            "w1" or "ks"
            w1 and ks (Kolmogorov) are distances from the estimated law to the true one: the interval [0, r] says that
            the true law is within r of `returns[x]`.
        at : float, or (K,)
            For a short form: the level of "cvar", "evar", "quantile" and "expectile", the point of "cdf", "stop_loss"
            and "shortfall", the beta of "entropic_risk".
        level, confidence : float in (0, 1)
            Of the interval; two names of one number.
        tail : "lower" or "upper", for "cvar"
        method : "delta", "bootstrap", "finite-sample" or an `IntervalMethod`
            delta: Student's t, skewed as the errors are, times `standard_error`. A quantile inverts the CDF at its
            level -/+ the error of the CDF there (Woodruff); distances simulate the linearised fixed point.
            bootstrap: corrected percentiles over models redrawn from the empirical one.
            finite-sample: holds for every N, wide: `distrl.generative.concentration` has bound and proof. Needs an
            interval known to hold every return, and sample sizes fixed beforehand.
            An object, `distrl.generative.Bootstrap(resamples=1000)` or one of your own, has its options itself: leave
            out those from `simultaneous` on.
        states : int, list or mask, optional
            Only these; a delta interval costs one adjoint solve a state.
        simultaneous : bool
            Cover all (chosen) states at once: Bonferroni for delta, the largest studentised deviation for bootstrap;
            finite-sample intervals do anyway.
        numerical : bool
            Add what the solver's own error can do to the functional, see `enclosure`. False: an interval for the fixed
            point that the method has for the true model, on the same grid: sampling alone.
        resamples, rng, threads
            For the bootstrap, and delta for distances. A second functional with the same integer `rng` is read from
            the models redrawn for the first.

        Returns
        -------
        (S, 2), or as many rows as `states` has; with several `at`, (S, K, 2).
            Statistical always; `enclosure` is the certified interval to the samples' own law. A state that can reach a
            source of which nothing is known has the functional's whole range.

        Raises
        ------
        ValueError, TypeError
            On bad input, naming the argument; and where a method has no interval, with what to use instead: CVaR by
            delta at a level that is a value of the CDF; delta for estimates that are not categorical; delta and
            bootstrap for rollouts and learners; finite-sample without a known range of returns, or after adaptive
            sampling.

        Notes
        -----
        Beside the enclosure a delta interval costs one adjoint solve a state, a bootstrap `resamples` solves, a
        finite-sample interval one linear solve over states. Claims: claim `estimate-delta-coverage` and claim
        `estimate-finite-sample-coverage`.

        Examples
        --------
        >>> import distrl
        >>> mrp = distrl.MRP([[0.5, 0.5], [0.5, 0.5]], [2.0, -1.0], discount=0.9)
        >>> est = distrl.estimate(mrp, distrl.CategoricalFixedPoint(atoms=51), samples_per_state=400, rng=0)
        >>> est.interval("cvar", 0.1).shape
        (2, 2)
        """
        wanted = asked(functional, at, tail, self.returns)
        if confidence is not None:
            if level != 0.95:
                raise ValueError("level and confidence are two names of one number; give one of them")
            level = confidence
        sure = real_number(level, "level", low=0.0, high=1.0)
        if sure in (0.0, 1.0):
            raise ValueError(f"level must lie in (0, 1), got {sure:g}")
        how = interval_method(method, simultaneous, numerical, resamples, rng, threads)
        chosen = self._states(states)
        several = wanted.points is not None and wanted.points.ndim > 0
        ends = [self._statistical(one, chosen, how, sure) for one in wanted.each()] if several else None
        return self._statistical(wanted, chosen, how, sure) if ends is None else np.stack(ends, axis=1)

    def _statistical(self, functional: Functional, states: IntArray, how: IntervalMethod, level: float) -> FloatArray:
        """(K, 2) the interval of some states, cut to what the functional can be."""
        ends = np.asarray(how.interval(self, functional, level, states), dtype=np.float64)
        if ends.shape != (len(states), 2):
            raise ValueError(f"{how!r} gave ends of shape {ends.shape} for {len(states)} state(s)")
        low, high = functional.natural_range(*self.return_range)
        ends = np.clip(ends, low, high)
        ends[self.unknown[states]] = low, high
        return ends

    @steady
    def enclosure(
        self, functional: str | Functional, at: ArrayLike | None = None, *, tail: str = "lower"
    ) -> FloatArray:
        """(S, 2) or (S, K, 2) certified interval of a functional of the samples' own law: what `interval` is on a
        `Solution` of the empirical model.

        It holds the functional's value at the exact return law of the empirical model (of rollouts: at the true law,
        with the confidence of their certificate). It says nothing of how far the samples are from the model that they
        were drawn from: `interval` does.

        Parameters
        ----------
        functional, at, tail
            As for `interval`, but for distances.

        Raises
        ------
        ValueError, TypeError
            If the functional is not known, or `at` is missing or out of range.
        """
        return self._known.interval(parse(functional, at, tail))

    @steady
    def standard_error(
        self,
        functional: str | Functional,
        at: float | None = None,
        states: ArrayLike | None = None,
        *,
        tail: str = "lower",
    ) -> FloatArray:
        """(S,) or (K,) standard errors of a functional's estimate, by the delta method.

        The square root of the sum over sources (x, a) of Var h / N, N the number of samples of the source, and Var h
        the variance over its outcomes o = (r, y), a reward and a successor, of their influence

            h(o) = policy(a|x) <lambda(x), B^r F(y) + b^r>.

        F are the CDF values of the estimated laws at the first m - 1 atoms. B^r F(y) + b^r are those of the projection
        of r + discount * Z(y), Z(y) of the law F(y): linear in F(y), b^r the part that does not depend on it, and b^r
        alone where the outcome ends. Their mean over outcomes is the categorical operator A F + b of the empirical
        model. grad is the derivative of the functional in F at the state that is asked for (0 at all other states),
        and lambda = (I - A)^{-T} grad its adjoint: <lambda, dA F + db> is what the functional moves by, to first
        order, when the operator moves by dA and db.

        Parameters
        ----------
        functional, at, tail
            As for `interval`, but for quantiles (a step function of F on a grid) and distances.
        states : int, list or mask, optional
            Only these.

        Returns
        -------
        (S,) or (K,), in the functional's units
            Sampled rewards are included. inf where a source can be reached of which nothing is known, and where a
            source that moves the functional has a single sample, which shows no variance.

        Raises
        ------
        ValueError, TypeError
            For estimates that are no categorical fixed point; for functionals without a derivative, as CVaR at a level
            that is a value of the CDF; for several parameters at once; and on bad input, naming the argument.

        Notes
        -----
        First order in 1 / sqrt(N): claim `delta-influence`. Time that of one adjoint solve a state.
        """
        wanted = parse(functional, at, tail)
        chosen = self._states(states)
        first = self.linearised()
        return first.standard_errors(wanted.gradient(first.returns, chosen), chosen)

    @steady
    def influence(
        self, functional: str | Functional, at: float | None = None, state: int = 0, *, tail: str = "lower"
    ) -> Influence:
        """Mean and variance (1, sources) of the influence of each source's outcomes on the functional at `state`.

        The influence h is that of `standard_error`, which takes `functional`, `at` and `tail` as this does. Where CVaR
        has no derivative it is of a one-sided one.

        Raises
        ------
        ValueError, TypeError
            As `standard_error`, but for CVaR.
        """
        wanted, chosen = parse(functional, at, tail), self._states([state])
        first = self.linearised()
        return first.influence(wanted.gradient(first.returns, chosen, one_sided=True), chosen)

    @steady
    def few_samples_decide(
        self,
        functional: str | Functional,
        at: float | None = None,
        states: ArrayLike | None = None,
        *,
        tail: str = "lower",
    ) -> BoolArray:
        """(S,) or (K,) whether few samples decide how wrong the estimate is, as where few ends were seen.

        Where they do, intervals by delta and bootstrap may cover less often than they say. `functional`, `at`, `tail`
        and `states` are as for `interval`, errors as of `standard_error`. The rule: `distrl.generative.deciding`.
        """
        return few_decide(self, parse(functional, at, tail), self._states(states))

    def _states(self, states: ArrayLike | None) -> IntArray:
        everywhere = np.arange(self.model.n_states)
        if states is None:
            return everywhere
        array = np.atleast_1d(np.asarray(states))
        if array.dtype == np.bool_ and array.shape == everywhere.shape:
            return np.asarray(everywhere[array])
        return int_array(array, "states", low=0, high=self.model.n_states)
