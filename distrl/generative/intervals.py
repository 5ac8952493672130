"""What `estimate` gives back: a solution of the empirical model, with confidence intervals for the true one."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distrl._kernels import enclosure as kernels
from distrl._lazy import special
from distrl._steady import steady
from distrl._validation import BoolArray, FloatArray, IntArray, generator, int_array, real_number, whole_number
from distrl.dp.certificate import SAMPLES_LAW
from distrl.dp.enclosure import CertifiedLaw
from distrl.dp.solution import Solution
from distrl.generative.bootstrap import replicates
from distrl.generative.concentration import mean_radius, w1_radius
from distrl.generative.functionals import Distance, asked
from distrl.generative.influence import Influence, influence
from distrl.models.generative import EmpiricalMDP
from distrl.operators.categorical import CategoricalBellman
from distrl.returns.categorical import CategoricalReturns
from distrl.returns.functionals import Functional, Mean, Quantile, each, intersection, parse
from distrl.returns.grid import return_ranges
from distrl.returns.moments import MomentReturns
from distrl.td.methods import TDMethod
from distrl.theory.bounds import dkw_halfwidth

_METHODS = ("delta", "bootstrap", "finite-sample")
_LEVEL_TOLERANCE = 1e-9
_STATED = 0.95  # confidence of the intervals in tables
_DELTA = 5e7  # adjoints times outcomes beyond which a table does without the delta method
_ADJOINT = 2**25  # numbers of the adjoints that are solved for at once: 256 MB
_KEPT = 2**25  # numbers of redrawn laws that are kept for the next functional: 256 MB


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(Solution):
    """A `Solution` of the empirical model, with confidence intervals for the true one.

    Attributes
    ----------
    empirical : EmpiricalMRP or EmpiricalMDP; None for Monte Carlo rollouts, which estimate no model
    policy : what was evaluated, None for an MRP
    adaptive : whether sample sizes were chosen by looking at the samples
    """

    empirical: Any = None
    policy: Any = None
    adaptive: bool = False

    @steady
    def summary(self, states: Any = None) -> str:
        """As of a `Solution`, with the number of samples first; its intervals are confidence intervals, 95%, by the
        delta method where that exists, else what there is, and the text says which."""
        if self.empirical is None:
            return f"rollouts: {self.reason}\n{super().summary(states)}"
        totals = self.empirical.samples.totals
        share = f"{totals.min()} to {totals.max()} a state" + (" and action" if self.mdp is not None else "")
        return f"estimated from {totals.sum()} samples, {share}\n{super().summary(states)}"

    def _stated(self, functional: Functional, states: list[int]) -> tuple[FloatArray, str]:
        chosen = np.array(states, dtype=np.int64)
        if self._has_delta(functional, chosen):
            return self._statistical(functional, chosen, _Options(_STATED)), f"{_STATED:.0%} delta"
        if self.certificate is not None and (self.empirical is None or self._has_finite_sample):
            options = _Options(_STATED, method="finite-sample")
            return self._statistical(functional, chosen, options), f"{_STATED:.0%} finite-sample"
        return self._known.interval(functional, states), f"({SAMPLES_LAW})"

    def _has_delta(self, functional: Functional, states: IntArray) -> bool:
        """Whether the delta method gives an interval, in a time that a summary may take."""
        if self.empirical is None or isinstance(self.method, TDMethod):
            return False
        if not isinstance(self.returns, CategoricalReturns):
            return False
        if len(states) * len(self.model.outcomes.probs) * self.returns.grid.atoms > _DELTA:
            return False
        try:
            functional.check_derivative(self.returns, states)
        except ValueError:  # a level that the CDF takes
            return False
        return True

    @property
    def _has_finite_sample(self) -> bool:
        return not self.adaptive and self.empirical.return_range is not None

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
        functional: Any,
        at: ArrayLike | None = None,
        level: float = 0.95,
        method: str = "delta",
        *,
        tail: str = "lower",
        confidence: float | None = None,
        states: Any = None,
        simultaneous: bool = False,
        numerical: bool = True,
        resamples: int = 200,
        rng: Any = None,
        threads: int | None = None,
    ) -> FloatArray:
        """Confidence intervals for a functional of the true return laws.

        Parameters
        ----------
        functional : a `Functional`, the short form of one ("mean", "variance", "std", "cvar", "quantile", "cdf",
            "stop_loss", "expectile", "entropic_risk"), "w1" or "ks"
            w1 and ks (Kolmogorov) are distances from the estimated law to the true one: the interval [0, r] says that
            the true law is within r of `returns[x]`.
        at : float, or (K,)
            For a short form: the level of "cvar", "quantile" and "expectile", the point of "cdf" and "stop_loss", the
            beta of "entropic_risk".
        level, confidence : float in (0, 1)
            Of the interval; two names of one number.
        tail : "lower" or "upper", for "cvar"
        method : "delta", "bootstrap" or "finite-sample"
            delta: normal, with the standard error of `standard_error`. A quantile inverts the CDF at its level -/+ the
            error of the CDF there (Woodruff); distances simulate the linearised fixed point.
            bootstrap: percentiles over models redrawn from the empirical one.
            finite-sample: holds for every N, wide: `distrl.generative.concentration` has bound and proof. Needs an
            interval known to hold every return, and sample sizes fixed beforehand.
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
        ValueError
            Where a method has no interval, with what to use instead: CVaR by delta at a level that is a value of the
            CDF; delta for estimates that are not categorical.
        """
        wanted = asked(functional, at, tail)
        if confidence is not None:
            if level != 0.95:
                raise ValueError("level and confidence are two names of one number; give one of them")
            level = confidence
        sure = real_number(level, "level", low=0.0, high=1.0)
        if sure in (0.0, 1.0):
            raise ValueError(f"level must lie in (0, 1), got {sure:g}")
        if method not in _METHODS:
            raise ValueError(f"method must be one of {', '.join(_METHODS)}; got {method!r}")
        if method == "finite-sample" and not numerical:
            raise ValueError("finite-sample intervals are for the exact law; leave numerical out")
        options = _Options(sure, method, simultaneous, numerical, resamples, rng, threads)
        if isinstance(wanted, Distance) or wanted.points is None or not wanted.points.ndim:
            return self._statistical(wanted, self._states(states), options)
        return np.stack([self._statistical(one, self._states(states), options) for one in wanted.each()], axis=1)

    def _statistical(self, wanted: Functional | Distance, chosen: IntArray, options: "_Options") -> FloatArray:
        """(K, 2) the interval of some states, cut to what the functional can be."""
        if options.method == "finite-sample":
            ends = self._finite_sample(wanted, options.level)[chosen]
        elif self.empirical is None:
            raise ValueError("rollouts estimate no model; use method='finite-sample', or a method that estimates one")
        elif isinstance(self.method, TDMethod):
            raise ValueError(
                f"{type(self.method).__name__} does not solve the empirical model; use method='finite-sample', or "
                "CategoricalFixedPoint on the same samples"
            )
        elif options.method == "bootstrap" or isinstance(wanted, Distance):
            ends = self._bootstrap(wanted, chosen, options)
        else:
            ends = self._delta(wanted, chosen, options)
        low, high = wanted.natural_range(*self._range)
        ends = np.clip(ends, low, high)
        ends[self._unknown[chosen]] = low, high
        return ends

    @steady
    def standard_error(
        self, functional: Any, at: float | None = None, states: Any = None, *, tail: str = "lower"
    ) -> FloatArray:
        """(S,) or (K,) standard errors by the delta method: sqrt(sum over sources of Var h / N).

        h(o) = policy(a|x) <lambda(x), B^r F(y) + b^r> is the influence of an outcome o = (r, y) drawn at (x, a), lambda
        the adjoint (I - A)^{-T} grad. First order in 1 / sqrt(N); sampled rewards are included. inf where nothing is
        known, or where one sample stands for a source that matters.
        """
        wanted = parse(functional, at, tail)
        chosen = self._states(states)
        gradients = wanted.gradient(self._categorical, chosen)
        return self._errors(gradients, chosen)

    @steady
    def influence(self, functional: Any, at: float | None = None, state: int = 0, *, tail: str = "lower") -> Influence:
        """Mean and variance (1, sources) of the influence of each source's outcomes on the functional at `state`.

        Where CVaR has no derivative, of a one-sided one.
        """
        chosen = self._states([state])
        gradient = parse(functional, at, tail).gradient(self._categorical, chosen, one_sided=True)
        return self._influence(gradient, chosen)

    # -- parts ------------------------------------------------------------------------------------------------------

    @cached_property
    def _policy(self) -> FloatArray:
        """(sources,) weight of each source in its state."""
        if isinstance(self.empirical, EmpiricalMDP):
            return self.empirical.policy_matrix(self.policy).ravel()
        return np.ones(self.model.n_states)

    @cached_property
    def _unknown(self) -> BoolArray:
        """(S,) states from which a source can be reached of which nothing is known."""
        n = self.model.n_states
        if self.empirical is None:
            return np.zeros(n, dtype=np.bool_)
        bad = (self.empirical.unknown.reshape(-1) & (self._policy > 0.0)).reshape(n, -1).any(axis=1)
        while True:
            wider = bad | (self.model.continuation @ bad.astype(np.float64) > 0.0)
            if np.array_equal(wider, bad):
                return np.asarray(bad, dtype=np.bool_)
            bad = wider

    @property
    def _categorical(self) -> CategoricalReturns:
        learner = isinstance(self.method, TDMethod)
        if self.empirical is None or learner or not isinstance(self.returns, CategoricalReturns):
            raise ValueError(f"the delta method needs a categorical fixed point; {self.method!r} gives none")
        return self.returns

    @cached_property
    def _operator(self) -> CategoricalBellman:
        return CategoricalBellman(self.model, self._categorical.grid)

    @property
    def _range(self) -> tuple[float, float]:
        """An interval that holds every return of the true model; one that is rolled out tells its rewards' range."""
        if self.empirical is None:
            least, most = return_ranges(self.model)
            return float(least.min()), float(most.max())
        known: tuple[float, float] | None = self.empirical.return_range
        return (-np.inf, np.inf) if known is None else known

    def _states(self, states: Any) -> IntArray:
        everywhere = np.arange(self.model.n_states)
        if states is None:
            return everywhere
        array = np.atleast_1d(np.asarray(states))
        if array.dtype == np.bool_ and array.shape == everywhere.shape:
            return np.asarray(everywhere[array])
        return int_array(array, "states", low=0, high=self.model.n_states)

    def _influence(self, gradients: FloatArray, states: IntArray) -> Influence:
        returns, samples = self._categorical, self.empirical.samples
        return influence(self._operator, returns, samples, self._policy, gradients, states)

    def _errors(self, gradients: FloatArray, states: IntArray) -> FloatArray:
        block = max(1, _ADJOINT // (self.model.n_states * gradients.shape[1]))  # adjoints in memory at once
        errors = np.empty(len(states))
        for first in range(0, len(states), block):
            some = slice(first, first + block)
            variance = self._influence(gradients[some], states[some]).variance
            errors[some] = np.sqrt((variance / np.maximum(self.empirical.samples.totals, 1)).sum(axis=1))
        return np.where(self._unknown[states], np.inf, errors)

    @property
    def _knows_model(self) -> bool:
        return self.empirical is not None

    def _enclosure(self, wanted: Functional | Distance) -> FloatArray:
        if isinstance(wanted, Functional):
            if self.certificate is None and not isinstance(self.returns, MomentReturns):
                raise ValueError(f"{self.method!r} states no bound on its error")
            return self._known.interval(wanted)
        if self._known.law is None:
            raise ValueError(f"{self.method!r} states no bound on its error")
        return wanted.enclosure(self._known.law)

    def _centre(self, wanted: Functional | Distance, numerical: bool) -> FloatArray:
        """(S, 2) what sampling error is added to."""
        if numerical:
            return self._enclosure(wanted)
        none = np.zeros(self.model.n_states)
        value = none if isinstance(wanted, Distance) else np.asarray(wanted.value(self.returns))
        return np.stack([value, value], axis=1)

    def _delta(self, functional: Functional, states: IntArray, options: "_Options") -> FloatArray:
        alpha = (1.0 - options.level) / (len(states) if options.simultaneous else 1)
        factor = float(-special.ndtri(alpha / 2.0))
        if isinstance(functional, Quantile):
            return self._woodruff(functional, factor, states, options.numerical)
        half = factor * self._errors(functional.gradient(self._categorical, states), states)
        return np.asarray(self._centre(functional, options.numerical)[states] + half[:, None] * np.array([-1.0, 1.0]))

    def _woodruff(self, functional: Quantile, factor: float, states: IntArray, numerical: bool) -> FloatArray:
        returns, level = self._categorical, functional.single()
        atoms = returns.grid.atoms
        here = np.round((np.asarray(returns.quantile(level)) - returns.grid.low) / returns.grid.spacing)
        margin = np.zeros(len(states))
        for shift in (-1, 0):  # the CDF passes the level between two atoms
            atom = np.clip(here[states].astype(np.int64) + shift, 0, atoms - 2)
            gradients = np.zeros((len(states), atoms))
            gradients[np.arange(len(states)), atom] = 1.0
            margin = np.maximum(margin, factor * self._errors(gradients, states))
        if numerical:
            assert self._known.law is not None
            low, high = self._known.law[states].quantiles_near(np.array([level]), margin)
            return np.concatenate([low, high], axis=1)
        near = np.clip(level + np.outer(margin, [-1.0, 1.0]), 0.0, 1.0) - _LEVEL_TOLERANCE
        return np.clip(each(returns[states], kernels.quantile_each, near), returns.atoms[0], returns.atoms[-1])

    def _bootstrap(self, functional: Functional | Distance, states: IntArray, options: "_Options") -> FloatArray:
        count = whole_number(options.resamples, "resamples", low=2)
        linear = options.method == "delta" and self._categorical is not None  # refused for estimates that are not
        centre, level, alpha = self.returns, options.level, 1.0 - options.level
        outside = self._centre(functional, options.numerical)[states]

        def statistic(returns: Any) -> FloatArray:
            if isinstance(functional, Distance):
                return functional.between(returns, centre)
            return np.asarray(functional.value(returns))

        drawn = self._redrawn(statistic, count, options.rng, options.threads, linear)[:, states]
        if isinstance(functional, Distance):
            scale = drawn.std(axis=0) if options.simultaneous else np.ones(len(states))
            scale = np.where(scale > 0.0, scale, 1.0)
            reach = (drawn / scale).max(axis=1, keepdims=True) if options.simultaneous else drawn
            outside[:, 1] += np.quantile(reach, level, axis=0, method="higher") * scale
            return outside
        value = np.asarray(functional.value(self.returns))[states]
        if options.simultaneous:
            spread = drawn.std(axis=0)
            spread[spread == 0.0] = 1.0
            largest = (np.abs(drawn - value) / spread).max(axis=1)
            half = float(np.quantile(largest, level, method="higher")) * spread
            return np.asarray(outside + half[:, None] * np.array([-1.0, 1.0]))
        drawn.sort(axis=0)
        outermost = max(math.floor((count + 1) * alpha / 2.0), 1)  # a new draw is below this one with that probability
        low, high = drawn[outermost - 1], drawn[-outermost]
        return np.asarray(outside + np.stack([low - value, high - value], axis=1))

    def _redrawn(
        self, statistic: Callable[[Any], FloatArray], count: int, rng: Any, threads: int | None, linear: bool
    ) -> FloatArray:
        """(count, S) `statistic` of the laws of redrawn models: those of the call before if it had the same seed."""
        policy = None if self.policy is None else self._policy.reshape(self.model.n_states, -1)

        def redraw(of: Callable[[Any], Any]) -> list[Any]:
            seed = generator(rng)
            return replicates(self.empirical, policy, self.returns, self.method, count, seed, threads, of, linear)

        numbers = count * sum(np.size(array) for array in self.returns.arrays().values())
        if not isinstance(rng, int | np.integer) or numbers > _KEPT:
            return np.stack(redraw(statistic))
        key = (count, int(rng))
        kept = self._last_laws.get(linear)  # once: another thread may put those of another seed there
        if kept is None or kept[0] != key:
            kept = self._last_laws[linear] = key, redraw(lambda laws: laws)
        return np.stack([statistic(laws) for laws in kept[1]])

    @cached_property
    def _last_laws(self) -> dict[bool, tuple[Any, list[Any]]]:
        """The last redrawn laws, by whether they are linearised, with their number and seed."""
        return {}

    def _finite_sample(self, functional: Functional | Distance, level: float) -> FloatArray:
        if self.certificate is None:  # means learnt, or moments: no law that a distance would be to
            raise ValueError(f"{self.method!r} states no bound on its error")
        if self.empirical is None:
            return self._rollouts(functional, level)
        if self.adaptive:
            raise ValueError("finite-sample intervals need sample sizes fixed beforehand; these were adaptive")
        if self.empirical.return_range is None:
            raise ValueError(
                "finite-sample intervals need an interval that holds every return: bounded reward laws and a discount "
                "below 1, or reward_range= for logged transitions"
            )
        low, high = self.empirical.return_range
        radius_of = mean_radius if isinstance(functional, Mean) else w1_radius
        radius = radius_of(self.model, self._policy, self.empirical.samples.totals, high - low, level)
        if isinstance(functional, Functional):
            moved = functional.moved(self._enclosure(functional), radius, high - low)
            if moved is not None:
                return moved
        wider = replace(
            self.certificate, overshoot=self.certificate.overshoot + radius, w1=self.certificate.w1 + radius
        )
        return self._read(CertifiedLaw(self.returns, wider), functional)

    def _rollouts(self, functional: Functional | Distance, level: float) -> FloatArray:
        """From the band of Dvoretzky, Kiefer and Wolfowitz for all states at once, and what truncation left out."""
        assert self.certificate is not None
        episodes = self.method.episodes
        share = dkw_halfwidth(episodes, 1.0 - (1.0 - level) / self.model.n_states)
        given = dkw_halfwidth(episodes, self.method.confidence)
        sampling = self.certificate.residual * (share / given)
        wider = replace(self.certificate, residual=sampling, w1=sampling + self.certificate.overshoot)
        width = float(self.certificate.residual.max()) / given  # of the range of returns
        return self._read(CertifiedLaw(self.returns, wider, np.full_like(sampling, share), width), functional)

    @staticmethod
    def _read(certified: CertifiedLaw, wanted: Functional | Distance) -> FloatArray:
        return wanted.enclosure(certified) if isinstance(wanted, Distance) else intersection([certified], wanted)


@dataclass(frozen=True)
class _Options:
    """How an interval is made."""

    level: float
    method: str = "delta"
    simultaneous: bool = False
    numerical: bool = True
    resamples: int = 200
    rng: Any = None
    threads: int | None = None
